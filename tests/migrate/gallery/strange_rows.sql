-- Rows that break every expectation: unknown statuses, orphans, codes that occur twice, invalid JSON.
-- on: mysql mariadb
SET SESSION sql_mode = '';
CREATE TABLE orders (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_code VARCHAR(64) NULL,
  user_email VARCHAR(254) NULL,
  order_status VARCHAR(40) NULL,
  payment_status VARCHAR(40) NULL,
  total_amount DECIMAL(12,2) NULL,
  created_at DATETIME NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE download_tasks (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id INT NULL,
  course_url TEXT NULL,
  title TEXT NULL,
  status VARCHAR(40) NULL,
  drive_link TEXT NULL,
  error_log TEXT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE order_audit_logs (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id INT NULL,
  task_id INT NULL,
  event_type VARCHAR(64) NULL,
  event_category VARCHAR(64) NULL,
  severity VARCHAR(64) NULL,
  message TEXT NULL,
  details LONGTEXT NULL,
  created_at DATETIME NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at) VALUES
  (1, 'DH000001', 'An@Example.COM', 'SHIPPED', 'paid', 300000, '2025-01-02 03:04:05'),
  (2, 'DH000002', 'binh@example.com', 'pending', 'pending', 0, '2025-01-03 03:04:05'),
  (3, 'DH000001', NULL, '', 'PAID', -5, '0000-00-00 00:00:00'),
  (4, NULL, '', NULL, 'paid', NULL, NULL),
  (5, '7', 'x', 'pending', 'paid', 1, '2025-01-03 03:04:05'),
  (7, 'dh000002', 'binh@example.com', 'pending', 'partial', 0, '2025-01-03 03:04:05');
INSERT INTO download_tasks (id, order_id, course_url, title, status) VALUES
  (1, 1, 'https://courses.example.com/1', NULL, 'pending'),
  (2, 999, 'https://courses.example.com/2', 'orphan', 'pending'),
  (3, 2, '', '', 'WAITING'),
  (4, NULL, NULL, NULL, NULL),
  (5, 4, 'not a url', REPEAT('x', 3000), 'failed');
INSERT INTO order_audit_logs (order_id, task_id, event_type, event_category, severity, message, details, created_at) VALUES
  (1, 1, 'download_failed', 'download', 'error', 'text', '"a string"', '2025-01-02 03:04:05'),
  (1, 1, 'download_failed', 'download', 'error', 'text', 'no JSON at all', '2025-01-02 03:04:06'),
  (1, NULL, 'payment_received', 'payment', 'info', NULL, '[1, 2]', '0000-00-00 00:00:00'),
  (999, 777, 'x', 'CATEGORY', 'fatal', '', '', NULL),
  (4, NULL, NULL, NULL, NULL, NULL, '{"amount": "NaN"}', '2025-01-02 03:04:05'),
  (NULL, NULL, 'y', 'z', 'error', CONCAT('\e[31m', 'red'), NULL, '2025-01-02 03:04:05');
-- afterwards
INSERT INTO orders (order_code, user_email) VALUES ('DH000001', 'chi@example.com');
INSERT INTO download_tasks (order_id, course_url) VALUES (4711, 'https://courses.example.com/3');
INSERT INTO order_audit_logs (order_id, event_type, details) VALUES (4711, 'whatever', 'broken {');
UPDATE orders SET order_status = 'UNKNOWN' WHERE id = 2;
-- order
INSERT INTO orders (order_code, user_email, order_status, payment_status, total_amount) VALUES ('DH000008', 'Dung@Example.com', 'pending', 'pending', 250000);
INSERT INTO download_tasks (order_id, course_url, status) SELECT id, 'https://courses.example.com/8', 'pending' FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url, status) SELECT id, 'https://courses.example.com/9', 'pending' FROM orders WHERE order_code = 'DH000008';
