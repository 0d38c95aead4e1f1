-- A shop on Laravel: BIGINT UNSIGNED ids, statuses as VARCHAR(255), TIMESTAMP NULL, a soft delete.
-- on: mysql mariadb
CREATE TABLE orders (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_code VARCHAR(255) NOT NULL,
  user_email VARCHAR(255) NOT NULL,
  order_status VARCHAR(255) NOT NULL DEFAULT 'pending',
  payment_status VARCHAR(255) NOT NULL DEFAULT 'pending',
  total_amount DECIMAL(15,2) NOT NULL DEFAULT 0,
  coupon VARCHAR(20) NOT NULL DEFAULT 'none',
  created_at TIMESTAMP NULL DEFAULT NULL,
  updated_at TIMESTAMP NULL DEFAULT NULL,
  deleted_at TIMESTAMP NULL DEFAULT NULL,
  UNIQUE KEY orders_order_code_unique (order_code),
  KEY orders_created_at_index (created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE download_tasks (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id BIGINT UNSIGNED NOT NULL,
  course_url TEXT NOT NULL,
  title VARCHAR(255) NULL,
  status VARCHAR(255) NOT NULL DEFAULT 'pending',
  drive_link TEXT NULL,
  error_log LONGTEXT NULL,
  priority TINYINT NOT NULL DEFAULT 5,
  created_at TIMESTAMP NULL DEFAULT NULL,
  updated_at TIMESTAMP NULL DEFAULT NULL,
  KEY download_tasks_order_id_index (order_id),
  CONSTRAINT download_tasks_order_id_foreign FOREIGN KEY (order_id) REFERENCES orders (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at) VALUES
  (9000000000000000001, 'DH000001', 'an@example.com', 'processing', 'paid', 300000, '2025-01-02 03:04:05'),
  (9000000000000000002, 'DH000002', 'binh@example.com', 'pending', 'pending', 150000, '2025-01-03 03:04:05');
INSERT INTO download_tasks (id, order_id, course_url, title, status, created_at, updated_at) VALUES
  (1, 9000000000000000001, 'https://courses.example.com/1', 'Một', 'downloading', '2025-01-02 03:04:05', '2025-01-02 03:10:05'),
  (2, 9000000000000000002, 'https://courses.example.com/2', 'Hai', 'pending', '2025-01-03 03:04:05', NULL);
-- afterwards
INSERT INTO orders (order_code, user_email, total_amount, created_at, updated_at) VALUES ('DH000003', 'chi@example.com', 99000, NOW(), NOW());
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/3' FROM orders WHERE order_code = 'DH000003';
UPDATE orders SET deleted_at = NOW() WHERE order_code = 'DH000003';
UPDATE download_tasks SET status = 'completed', priority = 1 WHERE course_url LIKE '%/3';
-- order
INSERT INTO orders (order_code, user_email, total_amount, created_at, updated_at) VALUES ('DH000008', 'dung@example.com', 250000, NOW(), NOW());
INSERT INTO download_tasks (order_id, course_url, title, created_at) SELECT id, 'https://courses.example.com/8', 'Khóa 8', NOW() FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url, title, created_at) SELECT id, 'https://courses.example.com/9', 'Khóa 9', NOW() FROM orders WHERE order_code = 'DH000008';
