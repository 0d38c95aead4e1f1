-- An audit log with far fewer columns than orderctl's, and columns with orderctl's names and meanings.
-- on: mysql mariadb
CREATE TABLE orders (
  id MEDIUMINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_email VARCHAR(254) NOT NULL,
  order_status VARCHAR(16) NOT NULL,
  payment_status VARCHAR(16) NOT NULL,
  total_amount BIGINT NOT NULL,
  paid_at DATETIME NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  amount_with_tax BIGINT GENERATED ALWAYS AS (total_amount * 110 / 100) STORED,
  UNIQUE KEY (order_code)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE download_tasks (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id MEDIUMINT UNSIGNED NOT NULL,
  course_url VARCHAR(2048) NOT NULL,
  status VARCHAR(16) NOT NULL DEFAULT 'pending',
  worker VARCHAR(64) NULL,
  updated_at DATETIME NULL,
  place POINT NULL,
  KEY (order_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE order_audit_logs (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id MEDIUMINT UNSIGNED NOT NULL,
  event_type VARCHAR(30) NOT NULL,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at) VALUES
  (1, 'DH000001', 'an@example.com', 'pending', 'paid', 300000, '2025-01-02 03:04:05.123456'),
  (2, 'DH000002', 'binh@example.com', 'pending', 'pending', 150000, '2025-01-03 03:04:05');
INSERT INTO download_tasks (id, order_id, course_url) VALUES
  (1, 1, 'https://courses.example.com/1'), (2, 2, 'https://courses.example.com/2');
INSERT INTO order_audit_logs (order_id, event_type, created_at) VALUES (1, 'payment_received', '2025-01-02 03:04:05');
-- afterwards
INSERT INTO orders (order_code, user_email, order_status, payment_status, total_amount) VALUES ('DH000003', 'chi@example.com', 'pending', 'pending', 99000);
INSERT INTO download_tasks (order_id, course_url) VALUES (3, 'https://courses.example.com/3');
INSERT INTO order_audit_logs (order_id, event_type) VALUES (3, 'payment_received');
UPDATE download_tasks SET status = 'completed', worker = 'theirs' WHERE order_id = 3;
-- order
INSERT INTO orders (order_code, user_email, order_status, payment_status, total_amount) VALUES ('DH000008', 'dung@example.com', 'pending', 'pending', 250000);
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/8' FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/9' FROM orders WHERE order_code = 'DH000008';
