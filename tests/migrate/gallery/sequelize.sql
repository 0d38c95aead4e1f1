-- A Node.js shop on Sequelize: INT ids, ENUM statuses, created_at and updated_at that only Sequelize fills.
-- on: mysql mariadb
CREATE TABLE orders (
  id INT NOT NULL AUTO_INCREMENT,
  order_code VARCHAR(50) NOT NULL,
  user_email VARCHAR(255) NOT NULL,
  order_status ENUM('pending','processing','completed','failed') NOT NULL DEFAULT 'pending',
  payment_status ENUM('pending','paid','failed') NOT NULL DEFAULT 'pending',
  total_amount DECIMAL(10,2) NOT NULL,
  note TEXT,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY order_code (order_code)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE download_tasks (
  id INT NOT NULL AUTO_INCREMENT,
  order_id INT NOT NULL,
  course_url VARCHAR(500) NOT NULL,
  title VARCHAR(255) DEFAULT NULL,
  status ENUM('pending','enrolled','completed','failed') NOT NULL DEFAULT 'pending' COMMENT 'it''s, where; it stands',
  drive_link VARCHAR(500) DEFAULT NULL,
  error_log TEXT,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT download_tasks_ibfk_1 FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, note, created_at, updated_at) VALUES
  (1, 'DH000001', 'an@example.com', 'completed', 'paid', 300000, 'Khóa học số 1', '2025-01-02 03:04:05', '2025-01-02 04:00:00'),
  (2, 'DH000002', 'binh@example.com', 'pending', 'pending', 150000.50, NULL, '2025-01-03 03:04:05', '2025-01-03 03:04:05');
INSERT INTO download_tasks (id, order_id, course_url, title, status, drive_link, created_at, updated_at) VALUES
  (1, 1, 'https://courses.example.com/1', 'Vẽ tranh', 'completed', 'https://drive.example.com/1', '2025-01-02 03:04:05', '2025-01-02 04:00:00'),
  (2, 2, 'https://courses.example.com/2', NULL, 'pending', NULL, '2025-01-03 03:04:05', '2025-01-03 03:04:05');
-- afterwards
INSERT INTO orders (order_code, user_email, total_amount, created_at, updated_at) VALUES ('DH000003', 'chi@example.com', 99000, NOW(), NOW());
INSERT INTO download_tasks (order_id, course_url, created_at, updated_at) VALUES (3, 'https://courses.example.com/3', NOW(), NOW());
UPDATE orders SET order_status = 'failed', note = 'gọi lại', updated_at = NOW() WHERE order_code = 'DH000003';
UPDATE download_tasks SET status = 'failed', error_log = 'hỏng', updated_at = NOW() WHERE order_id = 3;
-- order
INSERT INTO orders (order_code, user_email, total_amount, created_at, updated_at) VALUES ('DH000008', 'dung@example.com', 250000, NOW(), NOW());
INSERT INTO download_tasks (order_id, course_url, created_at, updated_at) SELECT id, 'https://courses.example.com/8', NOW(), NOW() FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url, created_at, updated_at) SELECT id, 'https://courses.example.com/9', NOW(), NOW() FROM orders WHERE order_code = 'DH000008';
