-- Sequelize again, with an audit log whose columns only Sequelize fills, and further ones without defaults.
-- on: mysql mariadb
CREATE TABLE orders (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_code VARCHAR(255) NOT NULL UNIQUE,
  user_email VARCHAR(255) NOT NULL,
  user_id INT NOT NULL,
  order_status ENUM('pending','processing','completed','failed','cancelled') DEFAULT 'pending',
  payment_status ENUM('pending','paid','failed','refunded') DEFAULT 'pending',
  total_amount DECIMAL(10,2) NOT NULL,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE download_tasks (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id INT NOT NULL,
  course_url VARCHAR(255) NOT NULL,
  title VARCHAR(255) NOT NULL,
  status ENUM('pending','enrolled','downloading','completed','failed') DEFAULT 'pending',
  drive_link VARCHAR(255),
  error_log TEXT,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE order_audit_logs (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id INT NOT NULL,
  task_id INT,
  event_type VARCHAR(100) NOT NULL,
  event_category ENUM('payment','enrollment','download','email') NOT NULL,
  severity ENUM('info','warning','error') NOT NULL,
  message TEXT NOT NULL,
  details JSON NOT NULL,
  source VARCHAR(50) NOT NULL,
  ip_address VARCHAR(45) NOT NULL,
  channel ENUM('web','api') NOT NULL,
  weight INT NOT NULL,
  context JSON NOT NULL,
  remark TEXT NOT NULL,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE NO ACTION ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO orders (id, order_code, user_email, user_id, payment_status, total_amount, created_at, updated_at) VALUES
  (1, 'DH000001', 'an@example.com', 7, 'paid', 300000, '2025-01-02 03:04:05', '2025-01-02 03:04:05'),
  (2, 'DH000002', 'binh@example.com', 8, 'pending', 150000, '2025-01-03 03:04:05', '2025-01-03 03:04:05');
INSERT INTO download_tasks (id, order_id, course_url, title, created_at, updated_at) VALUES
  (1, 1, 'https://courses.example.com/1', 'Một', '2025-01-02 03:04:05', '2025-01-02 03:04:05'),
  (2, 2, 'https://courses.example.com/2', 'Hai', '2025-01-03 03:04:05', '2025-01-03 03:04:05');
INSERT INTO order_audit_logs (order_id, task_id, event_type, event_category, severity, message, details, source,
  ip_address, channel, weight, context, remark, created_at, updated_at) VALUES
  (1, NULL, 'payment_received', 'payment', 'info', 'paid', '{}', 'webhook_handler', '10.0.0.1', 'web', 3, '{"a": 1}', 'r',
   '2025-01-02 03:04:05', '2025-01-02 03:04:05');
-- afterwards
INSERT INTO orders (order_code, user_email, user_id, total_amount, created_at, updated_at) VALUES ('DH000003', 'chi@example.com', 9, 99000, NOW(), NOW());
INSERT INTO order_audit_logs (order_id, event_type, event_category, severity, message, details, source, ip_address, channel, weight, context, remark, created_at, updated_at)
  VALUES (3, 'payment_received', 'payment', 'info', 'paid', '{}', 'webhook_handler', '10.0.0.1', 'api', 3, '{}', '', NOW(), NOW());
UPDATE orders SET order_status = 'cancelled', updated_at = NOW() WHERE id = 3;
-- order
INSERT INTO orders (order_code, user_email, user_id, total_amount, created_at, updated_at) VALUES ('DH000008', 'dung@example.com', 9, 250000, NOW(), NOW());
INSERT INTO download_tasks (order_id, course_url, title, created_at, updated_at) SELECT id, 'https://courses.example.com/8', 'Khóa 8', NOW(), NOW() FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url, title, created_at, updated_at) SELECT id, 'https://courses.example.com/9', 'Khóa 9', NOW(), NOW() FROM orders WHERE order_code = 'DH000008';
