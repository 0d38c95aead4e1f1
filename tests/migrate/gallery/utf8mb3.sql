-- An old shop: utf8mb3 with another collation, statuses too narrow for orderctl's values, no audit log.
-- on: mysql mariadb
CREATE TABLE orders (
  id INT(11) UNSIGNED NOT NULL AUTO_INCREMENT,
  order_code CHAR(10) NOT NULL,
  user_email VARCHAR(255) NOT NULL,
  order_status VARCHAR(9) NOT NULL DEFAULT 'pending',
  payment_status VARCHAR(7) NOT NULL DEFAULT 'pending',
  total_amount DECIMAL(13,2) NOT NULL,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (id),
  KEY code (order_code),
  KEY email (user_email(10))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_swedish_ci ROW_FORMAT=COMPACT;
CREATE TABLE download_tasks (
  id INT(11) UNSIGNED NOT NULL AUTO_INCREMENT,
  order_id INT(11) UNSIGNED NOT NULL,
  course_url VARCHAR(255) NOT NULL,
  title VARCHAR(255) NOT NULL DEFAULT '',
  status VARCHAR(10) NOT NULL DEFAULT 'pending',
  drive_link VARCHAR(255) NOT NULL DEFAULT '',
  error_log VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  KEY order_id (order_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_swedish_ci ROW_FORMAT=COMPACT;
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at) VALUES
  (1, 'DH000001', 'an@example.com', 'pending', 'paid', 300000, '2025-01-02 03:04:05'),
  (2, 'DH000002', 'Binh@Example.COM', 'completed', 'pending', 150000.5, '2025-01-03 03:04:05');
INSERT INTO download_tasks (id, order_id, course_url, title, status) VALUES
  (1, 1, 'https://courses.example.com/1', 'Một', 'pending'),
  (2, 2, 'https://courses.example.com/2', '', 'completed');
-- afterwards
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000003', 'chi@example.com', 99000);
INSERT INTO download_tasks (order_id, course_url) VALUES (3, 'https://courses.example.com/3');
UPDATE download_tasks SET status = 'failed', error_log = 'hỏng' WHERE order_id = 3;
-- order
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000008', 'Dung@Example.COM', 250000);
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/8' FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/9' FROM orders WHERE order_code = 'DH000008';
