-- A shop on latin1 with ENUMs throughout its audit log, which has no foreign keys and details as TEXT.
-- on: mysql mariadb
CREATE TABLE orders (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_code VARCHAR(32) NOT NULL UNIQUE,
  user_email VARCHAR(255) NOT NULL,
  order_status ENUM('new','pending','completed') NOT NULL DEFAULT 'new',
  payment_status ENUM('pending','paid','refunded','O''Brien') NOT NULL DEFAULT 'pending',
  total_amount DECIMAL(12,2) NOT NULL DEFAULT '0.00',
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_general_cs;
CREATE TABLE download_tasks (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id INT NOT NULL,
  course_url VARCHAR(255) NOT NULL,
  title VARCHAR(100) DEFAULT NULL,
  status ENUM('Pending','Done') NOT NULL DEFAULT 'Pending',
  drive_link VARCHAR(255) DEFAULT NULL,
  error_log VARCHAR(200) DEFAULT NULL,
  CONSTRAINT order_of_task FOREIGN KEY (order_id) REFERENCES orders (id)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE order_audit_logs (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id INT NOT NULL,
  task_id INT NOT NULL DEFAULT 0,
  event_type ENUM('payment_received','task_created') NOT NULL,
  event_category ENUM('payment','task') NOT NULL,
  severity ENUM('info','error') NOT NULL DEFAULT 'info',
  message VARCHAR(255) NOT NULL,
  details TEXT,
  previous_status ENUM('pending','completed') DEFAULT NULL,
  new_status ENUM('pending','completed') DEFAULT NULL,
  source ENUM('webhook_handler','python_worker') NOT NULL DEFAULT 'webhook_handler',
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  KEY by_order (order_id, created_at)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at) VALUES
  (1, 'DH000001', 'an@example.com', 'new', 'paid', 300000, '2025-01-02 03:04:05'),
  (2, 'DH000002', 'zoë@example.com', 'completed', 'O''Brien', 150000, '2025-01-03 03:04:05');
INSERT INTO download_tasks (id, order_id, course_url, title, status) VALUES
  (1, 1, 'https://courses.example.com/1', 'Crème brûlée', 'Pending'),
  (2, 2, 'https://courses.example.com/2', NULL, 'Done');
INSERT INTO order_audit_logs (order_id, task_id, event_type, event_category, message, details) VALUES
  (1, 0, 'payment_received', 'payment', 'payé', '{"amount": 300000}'),
  (1, 1, 'task_created', 'task', 'fait', 'pas de JSON'),
  (2, 0, 'payment_received', 'payment', 'payé', '');
-- afterwards
INSERT INTO orders (order_code, user_email) VALUES ('DH000003', 'chi@example.com');
INSERT INTO download_tasks (order_id, course_url) VALUES (3, 'https://courses.example.com/3');
INSERT INTO order_audit_logs (order_id, event_type, event_category, message) VALUES (3, 'task_created', 'task', 'ça va');
UPDATE download_tasks SET status = 'Done' WHERE order_id = 3;
-- order
INSERT INTO orders (order_code, user_email, order_status, total_amount) VALUES ('DH000008', 'dung@example.com', 'pending', 250000);
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/8' FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/9' FROM orders WHERE order_code = 'DH000008';
