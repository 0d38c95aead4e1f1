-- A small shop on SQLite: times as text, an audit log with fewer columns, a unique code.
-- on: sqlite
CREATE TABLE orders (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  order_code TEXT NOT NULL UNIQUE,
  user_email TEXT NOT NULL,
  order_status TEXT DEFAULT 'pending',
  payment_status TEXT DEFAULT 'pending',
  total_amount REAL,
  created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
  note TEXT
);
CREATE TABLE download_tasks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
  course_url TEXT NOT NULL,
  title TEXT,
  status TEXT,
  drive_link TEXT,
  error_log TEXT
);
CREATE TABLE order_audit_logs (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL,
  event_type TEXT NOT NULL,
  message TEXT,
  details TEXT,
  created_at TEXT DEFAULT (datetime('now'))
);
INSERT INTO orders (id, order_code, user_email, payment_status, total_amount, created_at) VALUES
  (1, 'DH000001', 'an@example.com', 'paid', 300000, '2025-01-02 03:04:05'),
  (2, 'DH000002', 'binh@example.com', 'pending', 150000.5, '2025-01-03 03:04:05');
INSERT INTO download_tasks (id, order_id, course_url, title, status) VALUES
  (1, 1, 'https://courses.example.com/1', 'Một', 'pending'),
  (2, 2, 'https://courses.example.com/2', NULL, NULL);
INSERT INTO order_audit_logs (order_id, event_type, message, details) VALUES
  (1, 'payment_received', 'paid', '{"amount": 300000}');
-- afterwards
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000003', 'chi@example.com', 99000);
INSERT INTO download_tasks (order_id, course_url) VALUES (3, 'https://courses.example.com/3');
INSERT INTO order_audit_logs (order_id, event_type) VALUES (3, 'task_created');
UPDATE download_tasks SET status = 'completed' WHERE order_id = 3;
-- order
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000008', 'dung@example.com', 250000);
INSERT INTO download_tasks (order_id, course_url, status) SELECT id, 'https://courses.example.com/8', 'pending' FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url, status) SELECT id, 'https://courses.example.com/9', 'pending' FROM orders WHERE order_code = 'DH000008';
