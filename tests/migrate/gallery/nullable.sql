-- Tables made by hand: nullable statuses, foreign keys with the index that came with them, an audit log too.
-- on: mysql mariadb
CREATE TABLE orders (
  id INT PRIMARY KEY AUTO_INCREMENT,
  order_code VARCHAR(20) UNIQUE,
  user_email VARCHAR(100),
  order_status VARCHAR(20) DEFAULT 'pending',
  payment_status VARCHAR(20) DEFAULT 'pending',
  total_amount INT,
  created_at DATETIME DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE download_tasks (
  id INT PRIMARY KEY AUTO_INCREMENT,
  order_id INT,
  course_url VARCHAR(500),
  title VARCHAR(200),
  status VARCHAR(20),
  drive_link VARCHAR(300),
  error_log VARCHAR(300),
  FOREIGN KEY (order_id) REFERENCES orders (id)
);
CREATE TABLE order_audit_logs (
  id INT PRIMARY KEY AUTO_INCREMENT,
  order_id INT NOT NULL,
  task_id INT,
  event_type VARCHAR(50) NOT NULL,
  event_category VARCHAR(20) NOT NULL,
  severity VARCHAR(10) DEFAULT 'info',
  message TEXT,
  details JSON,
  previous_status VARCHAR(20),
  new_status VARCHAR(20),
  source VARCHAR(30),
  created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
  FOREIGN KEY (order_id) REFERENCES orders (id),
  FOREIGN KEY (task_id) REFERENCES download_tasks (id)
);
INSERT INTO orders (id, order_code, user_email, payment_status, total_amount, created_at) VALUES
  (1, 'DH000001', 'an@example.com', 'paid', 300000, '2025-01-02 03:04:05'),
  (2, 'DH000002', 'binh@example.com', 'pending', 150000, '2025-01-03 03:04:05'),
  (3, 'DH000003', NULL, NULL, NULL, NULL);
INSERT INTO download_tasks (id, order_id, course_url, title, status) VALUES
  (1, 1, 'https://courses.example.com/1', 'Một', 'pending'),
  (2, 2, 'https://courses.example.com/2', NULL, NULL),
  (3, NULL, NULL, NULL, NULL);
INSERT INTO order_audit_logs (order_id, task_id, event_type, event_category, message, details, source) VALUES
  (1, NULL, 'payment_received', 'payment', 'paid', '{"amount": 300000, "transactionId": "FT1"}', 'webhook_handler'),
  (1, 1, 'enrollment_success', 'enrollment', NULL, NULL, 'python_worker');
-- afterwards
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000004', 'chi@example.com', 99000);
INSERT INTO download_tasks (order_id, course_url) VALUES (4, 'https://courses.example.com/4');
INSERT INTO order_audit_logs (order_id, task_id, event_type, event_category) VALUES (4, 4, 'task_created', 'task');
UPDATE download_tasks SET status = 'downloading' WHERE order_id = 4;
-- order
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000008', 'dung@example.com', 250000);
INSERT INTO download_tasks (order_id, course_url, status) SELECT id, 'https://courses.example.com/8', 'pending' FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url, status) SELECT id, 'https://courses.example.com/9', 'pending' FROM orders WHERE order_code = 'DH000008';
