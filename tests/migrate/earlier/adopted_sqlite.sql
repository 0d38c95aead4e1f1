-- A shop that the first version adopted.
-- on: sqlite
CREATE TABLE orders (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  order_code TEXT NOT NULL UNIQUE,
  user_email TEXT NOT NULL,
  order_status TEXT DEFAULT 'pending',
  payment_status TEXT DEFAULT 'pending',
  total_amount REAL,
  created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
  note TEXT
, paid_at DATETIME, completed_at DATETIME, round INTEGER DEFAULT 0 NOT NULL);
CREATE TABLE download_tasks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
  course_url TEXT NOT NULL,
  title TEXT,
  status TEXT,
  drive_link TEXT,
  error_log TEXT
, created_at DATETIME, updated_at DATETIME, managed SMALLINT DEFAULT 0 NOT NULL, attempt INTEGER DEFAULT 0 NOT NULL, max_attempts INTEGER DEFAULT 3 NOT NULL, available_at DATETIME, lease_token VARCHAR(36), lease_until DATETIME, worker VARCHAR(128), error_type VARCHAR(32), error_fingerprint VARCHAR(32));
CREATE TABLE order_audit_logs (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL,
  event_type TEXT NOT NULL,
  message TEXT,
  details TEXT,
  created_at TEXT DEFAULT (datetime('now'))
, task_id integer, event_category VARCHAR(32) DEFAULT 'system' NOT NULL, severity VARCHAR(16) DEFAULT 'info' NOT NULL, previous_status VARCHAR(32), new_status VARCHAR(32), source VARCHAR(64), dedup_key VARCHAR(191), actor VARCHAR(128));
CREATE TABLE orderctl_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT orderctl_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE orderctl_migrations ( revision VARCHAR(32) NOT NULL, applied_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL, applied_by VARCHAR(255) NOT NULL, version VARCHAR(32) NOT NULL, PRIMARY KEY (revision) );
CREATE TABLE outbox ( id INTEGER NOT NULL, kind VARCHAR(32) NOT NULL, dedup_key VARCHAR(191) NOT NULL, payload JSON NOT NULL, created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL, due_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL, attempts INTEGER DEFAULT 0 NOT NULL, lease_token VARCHAR(36), lease_until DATETIME, sent_at DATETIME, last_error TEXT, PRIMARY KEY (id) );
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at, note, paid_at, completed_at, round) VALUES
  (1, 'DH000001', 'an@example.com', 'pending', 'paid', 300000.0, '2025-01-02 03:04:05', NULL, NULL, NULL, 0),
  (2, 'DH000002', 'binh@example.com', 'pending', 'pending', 150000.5, '2025-01-03 03:04:05', NULL, NULL, NULL, 0),
  (3, 'DH000008', 'dung@example.com', 'completed', 'paid', 250000.0, '2025-06-01 20:09:52', NULL, '2025-06-01 20:09:52.317000', '2025-06-01 20:09:52.367000', 0);
INSERT INTO download_tasks (id, order_id, course_url, title, status, drive_link, error_log, created_at, updated_at, managed, attempt, max_attempts, available_at, lease_token, lease_until, worker, error_type, error_fingerprint) VALUES
  (1, 1, 'https://courses.example.com/1', 'Một', 'pending', NULL, NULL, NULL, NULL, 0, 0, 3, NULL, NULL, NULL, NULL, NULL, NULL),
  (2, 2, 'https://courses.example.com/2', NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 3, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, 3, 'https://courses.example.com/8', NULL, 'completed', NULL, NULL, NULL, '2025-06-01 20:09:52.352000', 1, 1, 3, NULL, NULL, NULL, 'worker', NULL, NULL),
  (4, 3, 'https://courses.example.com/9', NULL, 'completed', NULL, NULL, NULL, '2025-06-01 20:09:52.361000', 1, 1, 3, NULL, NULL, NULL, 'worker', NULL, NULL);
INSERT INTO order_audit_logs (id, order_id, event_type, message, details, created_at, task_id, event_category, severity, previous_status, new_status, source, dedup_key, actor) VALUES
  (1, 1, 'payment_received', 'paid', '{"amount": 300000}', '2025-06-01 20:09:52', NULL, 'system', 'info', NULL, NULL, NULL, NULL, NULL),
  (2, 3, 'payment_received', 'Payment of 250000.00 received for order DH000008', '{"amount": 250000.0, "bank": "ACB", "transactionId": null}', '2025-06-01 20:09:52.318000', NULL, 'payment', 'info', 'pending', 'paid', 'orderctl_cli', 'payment:DH000008', 'tester'),
  (3, 3, 'enrollment_success', 'Enrolled: https://courses.example.com/8', '{}', '2025-06-01 20:09:52.340000', 3, 'enrollment', 'info', 'pending', 'enrolled', 'orderctl_worker', 'task:3:attempt:1:enrolled', 'worker'),
  (4, 3, 'download_started', 'Download started: https://courses.example.com/8', '{"attempt": 1, "worker": "worker"}', '2025-06-01 20:09:52.344000', 3, 'download', 'info', 'enrolled', 'downloading', 'orderctl_worker', 'task:3:attempt:1:downloading', 'worker'),
  (5, 3, 'download_completed', 'Download completed: https://courses.example.com/8', '{"folderName": "f", "driveLink": null}', '2025-06-01 20:09:52.352000', 3, 'download', 'info', 'downloading', 'completed', 'orderctl_worker', 'task:3:attempt:1:completed', 'worker'),
  (6, 3, 'enrollment_success', 'Enrolled: https://courses.example.com/9', '{}', '2025-06-01 20:09:52.358000', 4, 'enrollment', 'info', 'pending', 'enrolled', 'orderctl_worker', 'task:4:attempt:1:enrolled', 'worker'),
  (7, 3, 'download_started', 'Download started: https://courses.example.com/9', '{"attempt": 1, "worker": "worker"}', '2025-06-01 20:09:52.360000', 4, 'download', 'info', 'enrolled', 'downloading', 'orderctl_worker', 'task:4:attempt:1:downloading', 'worker'),
  (8, 3, 'download_completed', 'Download completed: https://courses.example.com/9', '{"folderName": "f", "driveLink": null}', '2025-06-01 20:09:52.365000', 4, 'download', 'info', 'downloading', 'completed', 'orderctl_worker', 'task:4:attempt:1:completed', 'worker'),
  (9, 3, 'order_completed', 'Order DH000008 completed: 2 of 2 tasks', '{"completedCount": 2, "failedCount": 0, "totalCount": 2}', '2025-06-01 20:09:52.366000', NULL, 'system', 'info', 'processing', 'completed', 'orderctl_worker', 'order:3:round:0', NULL);
INSERT INTO orderctl_version (version_num) VALUES
  ('0001');
INSERT INTO orderctl_migrations (revision, applied_at, applied_by, version) VALUES
  ('0001', '2025-06-01 20:09:52.306000', '-', '0.1.0');
INSERT INTO outbox (id, kind, dedup_key, payload, created_at, due_at, attempts, lease_token, lease_until, sent_at, last_error) VALUES
  (1, 'completion', 'order:3:round:0:completion', '{"orderId": 3, "totalTasks": 2, "completedTasks": 2, "failedTasks": 0, "timestamp": 1795982992365}', '2025-06-01 20:09:52.367000', '2025-06-01 20:09:52.367000', 1, NULL, NULL, '2025-06-01 20:09:52.370000', NULL),
  (2, 'summary', 'order:3:round:0:summary', '{"orderId": 3, "status": "completed"}', '2025-06-01 20:09:52.367000', '2025-06-01 20:09:52.367000', 1, 'ffb1e083-ac49-440e-9f84-fad64301ec45', '2025-06-01 20:09:53.371000', NULL, NULL),
  (3, 'webhook', 'order:3:round:0:webhook', '{"event": "order_completed", "orderId": 3, "totalTasks": 2, "completedTasks": 2, "failedTasks": 0, "timestamp": 1795982992365}', '2025-06-01 20:09:52.367000', '2025-06-01 20:09:53.374000', 1, NULL, NULL, NULL, 'HTTP 503');
CREATE INDEX ix_orderctl_orders_created_at_id ON orders (created_at, id);
CREATE INDEX ix_orderctl_orders_payment_status_created_at_id ON orders (payment_status, created_at, id);
CREATE INDEX ix_orderctl_orders_payment_status_order_status ON orders (payment_status, order_status);
CREATE INDEX ix_orderctl_orders_user_email_id ON orders (user_email, id);
CREATE INDEX ix_orderctl_outbox_sent_at_due_at ON outbox (sent_at, due_at);
CREATE UNIQUE INDEX uq_orderctl_outbox_dedup_key ON outbox (dedup_key);
CREATE INDEX ix_orderctl_download_tasks_order_id ON download_tasks (order_id);
CREATE INDEX ix_orderctl_download_tasks_order_id_status ON download_tasks (order_id, status);
CREATE INDEX ix_orderctl_download_tasks_status_lease_until ON download_tasks (status, lease_until);
CREATE INDEX ix_orderctl_download_tasks_status_updated_at_id ON download_tasks (status, updated_at, id);
CREATE INDEX ix_orderctl_order_audit_logs_created_at_id ON order_audit_logs (created_at, id);
CREATE INDEX ix_orderctl_order_audit_logs_order_id ON order_audit_logs (order_id);
CREATE INDEX ix_orderctl_order_audit_logs_severity_created_at_id ON order_audit_logs (severity, created_at, id);
CREATE INDEX ix_orderctl_order_audit_logs_task_id ON order_audit_logs (task_id);
CREATE UNIQUE INDEX uq_orderctl_order_audit_logs_dedup_key ON order_audit_logs (dedup_key);
CREATE VIEW v_order_latest_events AS SELECT o.id AS order_id, o.order_code, o.order_status, a.id AS event_id, a.task_id, a.event_type,
 a.event_category, a.severity, a.message, a.details, a.previous_status, a.new_status, a.source, a.created_at
 FROM orders o JOIN order_audit_logs a ON a.id = (SELECT l.id FROM order_audit_logs l
 WHERE l.order_id = o.id ORDER BY l.order_id DESC, l.id DESC LIMIT 1);
-- afterwards
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000003', 'chi@example.com', 99000);
INSERT INTO download_tasks (order_id, course_url) VALUES (3, 'https://courses.example.com/3');
INSERT INTO order_audit_logs (order_id, event_type) VALUES (3, 'task_created');
UPDATE download_tasks SET status = 'completed' WHERE order_id = 3;
-- order
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000008', 'dung@example.com', 250000);
INSERT INTO download_tasks (order_id, course_url, status) SELECT id, 'https://courses.example.com/8', 'pending' FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url, status) SELECT id, 'https://courses.example.com/9', 'pending' FROM orders WHERE order_code = 'DH000008';
