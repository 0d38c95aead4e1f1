-- An audit log with ON DELETE CASCADE and TIMESTAMPs, and the view of the latest events that exists already.
-- on: mysql mariadb
CREATE TABLE orders (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_code VARCHAR(64) NOT NULL,
  user_email VARCHAR(254) NOT NULL,
  order_status VARCHAR(16) NOT NULL DEFAULT 'pending',
  payment_status VARCHAR(16) NOT NULL DEFAULT 'pending',
  total_amount DECIMAL(12,2) NOT NULL DEFAULT 0,
  created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  UNIQUE KEY (order_code)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE download_tasks (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id BIGINT NOT NULL,
  course_url VARCHAR(2000) NOT NULL,
  title VARCHAR(255),
  status VARCHAR(16) NOT NULL DEFAULT 'pending',
  drive_link VARCHAR(1000),
  error_log TEXT,
  updated_at TIMESTAMP NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP,
  KEY (order_id, status),
  FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE order_audit_logs (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id BIGINT NOT NULL,
  task_id BIGINT NULL,
  event_type VARCHAR(64) NOT NULL,
  event_category ENUM('payment','task','enrollment','download','email','system') NOT NULL,
  severity ENUM('debug','info','warning','error','critical') NOT NULL DEFAULT 'info',
  message TEXT NOT NULL,
  details JSON NULL,
  previous_status VARCHAR(32) NULL,
  new_status VARCHAR(32) NULL,
  source VARCHAR(64) NULL,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  KEY idx_order (order_id),
  KEY idx_created (created_at),
  CONSTRAINT audit_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
  CONSTRAINT audit_task FOREIGN KEY (task_id) REFERENCES download_tasks (id) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE VIEW v_order_latest_events AS
  SELECT order_id, MAX(id) AS last_id FROM order_audit_logs GROUP BY order_id;
INSERT INTO orders (id, order_code, user_email, payment_status, total_amount, created_at) VALUES
  (1, 'DH000001', 'an@example.com', 'paid', 300000, '2025-01-02 03:04:05.678'),
  (2, 'DH000002', 'binh@example.com', 'pending', 150000, '2025-01-03 03:04:05');
INSERT INTO download_tasks (id, order_id, course_url, title) VALUES
  (1, 1, 'https://courses.example.com/1', 'Một'), (2, 2, 'https://courses.example.com/2', 'Hai');
INSERT INTO order_audit_logs (order_id, task_id, event_type, event_category, message, details, created_at) VALUES
  (1, NULL, 'payment_received', 'payment', 'paid', '{"amount": 300000}', '2025-01-02 03:05:00'),
  (1, 1, 'task_created', 'task', 'created', NULL, '2025-01-02 03:06:00');
-- afterwards
INSERT INTO orders (order_code, user_email) VALUES ('DH000003', 'chi@example.com');
INSERT INTO download_tasks (order_id, course_url) VALUES (3, 'https://courses.example.com/3');
INSERT INTO order_audit_logs (order_id, task_id, event_type, event_category, message) VALUES (3, 3, 'task_created', 'task', 'x');
UPDATE download_tasks SET status = 'completed' WHERE order_id = 3;
DELETE FROM orders WHERE order_code = 'DH000003';
-- order
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000008', 'dung@example.com', 250000);
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/8' FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/9' FROM orders WHERE order_code = 'DH000008';
