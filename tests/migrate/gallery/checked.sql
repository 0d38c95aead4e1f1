-- A shop with amounts in whole units, CHECK constraints over several columns, generated and invisible columns, a watching trigger.
-- on: mysql mariadb
CREATE TABLE orders (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_code VARCHAR(32) NOT NULL,
  user_email VARCHAR(190) NOT NULL,
  order_status VARCHAR(20) NOT NULL DEFAULT 'pending',
  payment_status VARCHAR(20) NOT NULL DEFAULT 'pending',
  total_amount BIGINT NOT NULL,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  is_paid TINYINT GENERATED ALWAYS AS (payment_status = 'paid') STORED,
  UNIQUE KEY code (order_code),
  KEY paid (is_paid),
  CONSTRAINT paid_first CHECK (order_status NOT IN ('processing','completed') OR payment_status = 'paid'),
  CONSTRAINT amounts CHECK (total_amount >= 0 AND user_email LIKE '%@%')
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
ALTER TABLE orders ADD COLUMN hidden INT NULL DEFAULT 7 INVISIBLE;
CREATE TABLE download_tasks (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id INT NOT NULL,
  course_url VARCHAR(500) NOT NULL,
  title VARCHAR(255) DEFAULT NULL,
  status VARCHAR(20) NOT NULL DEFAULT 'pending',
  drive_link VARCHAR(255) DEFAULT NULL,
  error_log TEXT,
  CONSTRAINT no_error_at_the_end CHECK (status <> 'completed' OR error_log IS NULL),
  KEY (order_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE order_audit_logs (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id INT NOT NULL,
  event_type VARCHAR(50) NOT NULL,
  message VARCHAR(255) NOT NULL DEFAULT '',
  details JSON,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  uid CHAR(36) NOT NULL DEFAULT (UUID()),
  UNIQUE KEY uid (uid),
  CONSTRAINT words CHECK (event_type REGEXP '^[a-z_]+$'),
  CONSTRAINT documents CHECK (details IS NULL OR JSON_VALID(details))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TRIGGER watch AFTER UPDATE ON orders FOR EACH ROW SET @seen = NEW.id;
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount) VALUES
  (1, 'DH000001', 'an@example.com', 'completed', 'paid', 300000),
  (2, 'DH000002', 'binh@example.com', 'pending', 'pending', 150000);
INSERT INTO download_tasks (order_id, course_url, status) VALUES
  (1, 'https://courses.example.com/1', 'completed'),
  (2, 'https://courses.example.com/2', 'pending');
INSERT INTO order_audit_logs (order_id, event_type, message, details) VALUES
  (1, 'payment_received', 'paid', '{"amount": 300000}');
-- afterwards
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000003', 'chi@example.com', 99000);
INSERT INTO download_tasks (order_id, course_url) VALUES (3, 'https://courses.example.com/3');
INSERT INTO order_audit_logs (order_id, event_type) VALUES (3, 'task_created');
UPDATE orders SET payment_status = 'paid', order_status = 'processing', hidden = 8 WHERE order_code = 'DH000003';
UPDATE download_tasks SET status = 'completed' WHERE order_id = 3;
-- order
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000008', 'dung@example.com', 250000);
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/8' FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/9' FROM orders WHERE order_code = 'DH000008';
