-- A shop that writes its statuses in capitals, in ENUMs whose collation ignores case, and spells some columns in its own case.
-- on: mysql mariadb
CREATE TABLE orders (
  ID INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  Order_Code VARCHAR(32) NOT NULL COMMENT 'it''s 100% `unique`',
  user_email VARCHAR(254) NOT NULL,
  Order_Status ENUM('PENDING','PROCESSING','COMPLETED') NOT NULL DEFAULT 'PENDING' COMMENT 'NOT NULL; 50%',
  payment_status ENUM('PENDING','PAID','REFUNDED') NOT NULL DEFAULT 'PENDING',
  total_amount DECIMAL(12,2) NOT NULL,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PAID_AT DATETIME NULL,
  UNIQUE KEY code (Order_Code)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE download_tasks (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id INT NOT NULL,
  course_url TEXT NOT NULL,
  Title VARCHAR(255) NOT NULL DEFAULT '',
  status ENUM('PENDING','DOWNLOADING','COMPLETED','FAILED') NOT NULL DEFAULT 'PENDING',
  drive_link VARCHAR(255) DEFAULT NULL,
  Error_Log TEXT,
  FOREIGN KEY (order_id) REFERENCES orders (ID) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
INSERT INTO orders (ID, Order_Code, user_email, Order_Status, payment_status, total_amount) VALUES
  (1, 'DH000001', 'an@example.com', 'COMPLETED', 'PAID', 300000),
  (2, 'DH000002', 'binh@example.com', 'PENDING', 'PENDING', 150000);
INSERT INTO download_tasks (order_id, course_url, Title, status) VALUES
  (1, 'https://courses.example.com/1', 'Một', 'COMPLETED'),
  (2, 'https://courses.example.com/2', 'Hai', 'PENDING');
-- afterwards
INSERT INTO orders (ORDER_CODE, user_email, total_amount) VALUES ('DH000003', 'chi@example.com', 99000);
INSERT INTO download_tasks (order_id, course_url) VALUES (3, 'https://courses.example.com/3');
UPDATE orders SET payment_status = 'PAID', paid_at = NOW() WHERE order_code = 'DH000003';
UPDATE download_tasks SET status = 'COMPLETED' WHERE order_id = 3;
-- order
INSERT INTO orders (Order_Code, user_email, total_amount) VALUES ('DH000008', 'dung@example.com', 250000);
INSERT INTO download_tasks (order_id, course_url) SELECT ID, 'https://courses.example.com/8' FROM orders WHERE Order_Code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url) SELECT ID, 'https://courses.example.com/9' FROM orders WHERE Order_Code = 'DH000008';
