-- Made by the first version that had a revision: all tables are its own, with entries sent, leased, postponed and waiting.
-- on: sqlite
CREATE TABLE orderctl_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT orderctl_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE orderctl_migrations ( revision VARCHAR(32) NOT NULL, applied_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL, applied_by VARCHAR(255) NOT NULL, version VARCHAR(32) NOT NULL, PRIMARY KEY (revision) );
CREATE TABLE orders ( id INTEGER NOT NULL, order_code VARCHAR(64) NOT NULL, user_email VARCHAR(254) NOT NULL, order_status VARCHAR(16) DEFAULT 'pending' NOT NULL, payment_status VARCHAR(16) DEFAULT 'pending' NOT NULL, total_amount NUMERIC(12, 2) DEFAULT 0 NOT NULL, created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL, paid_at DATETIME, completed_at DATETIME, round INTEGER DEFAULT 0 NOT NULL, PRIMARY KEY (id) );
CREATE TABLE outbox ( id INTEGER NOT NULL, kind VARCHAR(32) NOT NULL, dedup_key VARCHAR(191) NOT NULL, payload JSON NOT NULL, created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL, due_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL, attempts INTEGER DEFAULT 0 NOT NULL, lease_token VARCHAR(36), lease_until DATETIME, sent_at DATETIME, last_error TEXT, PRIMARY KEY (id) );
CREATE TABLE download_tasks ( id INTEGER NOT NULL, order_id integer NOT NULL, course_url VARCHAR(2048) NOT NULL, title VARCHAR(255), status VARCHAR(16) DEFAULT 'pending' NOT NULL, drive_link VARCHAR(1024), error_log TEXT, created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL, updated_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')), managed SMALLINT DEFAULT 0 NOT NULL, attempt INTEGER DEFAULT 0 NOT NULL, max_attempts INTEGER DEFAULT 3 NOT NULL, available_at DATETIME, lease_token VARCHAR(36), lease_until DATETIME, worker VARCHAR(128), error_type VARCHAR(32), error_fingerprint VARCHAR(32), PRIMARY KEY (id), CONSTRAINT fk_orderctl_download_tasks_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE RESTRICT );
CREATE TABLE order_audit_logs ( id INTEGER NOT NULL, order_id integer NOT NULL, task_id integer, event_type VARCHAR(64) NOT NULL, event_category VARCHAR(32) DEFAULT 'system' NOT NULL, severity VARCHAR(16) DEFAULT 'info' NOT NULL, message TEXT DEFAULT ('') NOT NULL, details JSON, previous_status VARCHAR(32), new_status VARCHAR(32), source VARCHAR(64), created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL, dedup_key VARCHAR(191), actor VARCHAR(128), PRIMARY KEY (id), CONSTRAINT fk_orderctl_order_audit_logs_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE RESTRICT, CONSTRAINT fk_orderctl_order_audit_logs_task_id FOREIGN KEY(task_id) REFERENCES download_tasks (id) ON DELETE RESTRICT );
INSERT INTO orderctl_version (version_num) VALUES
  ('0001');
INSERT INTO orderctl_migrations (revision, applied_at, applied_by, version) VALUES
  ('0001', '2025-06-01 20:09:52.118000', '-', '0.1.0');
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at, paid_at, completed_at, round) VALUES
  (1, 'DH000001', 'customer@example.com', 'completed', 'paid', 300000, '2025-06-01 20:09:52.122000', '2025-06-01 20:09:52.132000', '2025-06-01 20:09:52.158000', 0),
  (2, 'DH000002', 'customer@example.com', 'completed', 'paid', 300000, '2025-06-01 20:09:52.164000', '2025-06-01 20:09:52.167000', '2025-06-01 20:09:52.182000', 0),
  (3, 'DH000004', 'customer@example.com', 'pending', 'paid', 300000, '2025-06-01 20:09:52.184000', '2025-06-01 20:09:52.189000', NULL, 0),
  (4, 'DH000005', 'customer@example.com', 'pending', 'pending', 300000, '2025-06-01 20:09:52.193000', NULL, NULL, 0),
  (5, 'DH000006', 'customer@example.com', 'failed', 'paid', 300000, '2025-06-01 20:09:52.196000', '2025-06-01 20:09:52.200000', '2025-06-01 20:09:52.211000', 0);
INSERT INTO outbox (id, kind, dedup_key, payload, created_at, due_at, attempts, lease_token, lease_until, sent_at, last_error) VALUES
  (1, 'completion', 'order:1:round:0:completion', '{"orderId": 1, "totalTasks": 1, "completedTasks": 1, "failedTasks": 0, "timestamp": 1795982992157}', '2025-06-01 20:09:52.158000', '2025-06-01 20:09:52.158000', 1, NULL, NULL, '2025-06-01 20:09:52.216000', NULL),
  (2, 'summary', 'order:1:round:0:summary', '{"orderId": 1, "status": "completed"}', '2025-06-01 20:09:52.158000', '2025-06-01 20:09:52.158000', 1, '011ac182-014b-473f-861c-9054a1f85e78', '2025-06-01 20:09:53.217000', NULL, NULL),
  (3, 'webhook', 'order:1:round:0:webhook', '{"event": "order_completed", "orderId": 1, "totalTasks": 1, "completedTasks": 1, "failedTasks": 0, "timestamp": 1795982992157}', '2025-06-01 20:09:52.163000', '2025-06-01 20:09:53.223000', 1, NULL, NULL, NULL, 'HTTP 503'),
  (4, 'completion', 'order:2:round:0:completion', '{"orderId": 2, "totalTasks": 1, "completedTasks": 1, "failedTasks": 0, "timestamp": 1795982992182}', '2025-06-01 20:09:52.182000', '2025-06-01 20:09:52.182000', 0, NULL, NULL, NULL, NULL),
  (5, 'summary', 'order:2:round:0:summary', '{"orderId": 2, "status": "completed"}', '2025-06-01 20:09:52.183000', '2025-06-01 20:09:52.183000', 0, NULL, NULL, NULL, NULL),
  (6, 'webhook', 'order:2:round:0:webhook', '{"event": "order_completed", "orderId": 2, "totalTasks": 1, "completedTasks": 1, "failedTasks": 0, "timestamp": 1795982992182}', '2025-06-01 20:09:52.183000', '2025-06-01 20:09:52.183000', 0, NULL, NULL, NULL, NULL),
  (7, 'webhook', 'task:5:attempt:1:failed:webhook', '{"event": "task_failed", "orderId": 5, "taskId": 5, "errorType": "NETWORK", "error": "connection refused", "attempt": 1}', '2025-06-01 20:09:52.209000', '2025-06-01 20:09:52.209000', 0, NULL, NULL, NULL, NULL),
  (8, 'completion', 'order:5:round:0:completion', '{"orderId": 5, "totalTasks": 1, "completedTasks": 0, "failedTasks": 1, "timestamp": 1795982992209}', '2025-06-01 20:09:52.212000', '2025-06-01 20:09:52.212000', 0, NULL, NULL, NULL, NULL),
  (9, 'summary', 'order:5:round:0:summary', '{"orderId": 5, "status": "failed"}', '2025-06-01 20:09:52.212000', '2025-06-01 20:09:52.212000', 0, NULL, NULL, NULL, NULL),
  (10, 'webhook', 'order:5:round:0:webhook', '{"event": "order_failed", "orderId": 5, "totalTasks": 1, "completedTasks": 0, "failedTasks": 1, "timestamp": 1795982992209}', '2025-06-01 20:09:52.212000', '2025-06-01 20:09:52.212000', 0, NULL, NULL, NULL, NULL);
INSERT INTO download_tasks (id, order_id, course_url, title, status, drive_link, error_log, created_at, updated_at, managed, attempt, max_attempts, available_at, lease_token, lease_until, worker, error_type, error_fingerprint) VALUES
  (1, 1, 'http://courses.example/one/0', NULL, 'completed', NULL, NULL, '2025-06-01 20:09:52.123000', '2025-06-01 20:09:52.156000', 1, 1, 3, '2025-06-01 20:09:52.123000', NULL, NULL, 'worker', NULL, NULL),
  (2, 2, 'http://courses.example/one/0', NULL, 'completed', NULL, NULL, '2025-06-01 20:09:52.164000', '2025-06-01 20:09:52.181000', 1, 1, 3, '2025-06-01 20:09:52.164000', NULL, NULL, 'worker', NULL, NULL),
  (3, 3, 'http://courses.example/one/0', NULL, 'pending', NULL, NULL, '2025-06-01 20:09:52.184000', '2025-06-01 20:09:52.184000', 1, 0, 3, '2025-06-01 20:09:52.184000', NULL, NULL, NULL, NULL, NULL),
  (4, 4, 'http://courses.example/one/0', NULL, 'pending', NULL, NULL, '2025-06-01 20:09:52.194000', '2025-06-01 20:09:52.194000', 1, 0, 3, '2025-06-01 20:09:52.194000', NULL, NULL, NULL, NULL, NULL),
  (5, 5, 'http://courses.example/one/0', NULL, 'failed', NULL, 'NETWORK: connection refused', '2025-06-01 20:09:52.196000', '2025-06-01 20:09:52.207000', 1, 1, 3, NULL, NULL, NULL, 'worker', 'NETWORK', 'abc123');
INSERT INTO order_audit_logs (id, order_id, task_id, event_type, event_category, severity, message, details, previous_status, new_status, source, created_at, dedup_key, actor) VALUES
  (1, 1, 1, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:52.124000', 'task:1:created', 'tester'),
  (2, 1, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000001', '{"amount": 300000.0, "bank": "ACB", "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:52.132000', 'payment:DH000001', 'tester'),
  (3, 1, 1, 'enrollment_success', 'enrollment', 'info', 'Enrolled: http://courses.example/one/0', '{}', 'pending', 'enrolled', 'orderctl_worker', '2025-06-01 20:09:52.148000', 'task:1:attempt:1:enrolled', 'worker'),
  (4, 1, 1, 'download_started', 'download', 'info', 'Download started: http://courses.example/one/0', '{"attempt": 1, "worker": "worker"}', 'enrolled', 'downloading', 'orderctl_worker', '2025-06-01 20:09:52.149000', 'task:1:attempt:1:downloading', 'worker'),
  (5, 1, 1, 'download_completed', 'download', 'info', 'Download completed: http://courses.example/one/0', '{"folderName": "f", "driveLink": null}', 'downloading', 'completed', 'orderctl_worker', '2025-06-01 20:09:52.157000', 'task:1:attempt:1:completed', 'worker'),
  (6, 1, NULL, 'order_completed', 'system', 'info', 'Order DH000001 completed: 1 of 1 tasks', '{"completedCount": 1, "failedCount": 0, "totalCount": 1}', 'processing', 'completed', 'orderctl_worker', '2025-06-01 20:09:52.158000', 'order:1:round:0', NULL),
  (7, 2, 2, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:52.164000', 'task:2:created', 'tester'),
  (8, 2, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000002', '{"amount": 300000.0, "bank": "ACB", "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:52.167000', 'payment:DH000002', 'tester'),
  (9, 2, 2, 'enrollment_success', 'enrollment', 'info', 'Enrolled: http://courses.example/one/0', '{}', 'pending', 'enrolled', 'orderctl_worker', '2025-06-01 20:09:52.178000', 'task:2:attempt:1:enrolled', 'worker'),
  (10, 2, 2, 'download_started', 'download', 'info', 'Download started: http://courses.example/one/0', '{"attempt": 1, "worker": "worker"}', 'enrolled', 'downloading', 'orderctl_worker', '2025-06-01 20:09:52.180000', 'task:2:attempt:1:downloading', 'worker'),
  (11, 2, 2, 'download_completed', 'download', 'info', 'Download completed: http://courses.example/one/0', '{"folderName": "f", "driveLink": null}', 'downloading', 'completed', 'orderctl_worker', '2025-06-01 20:09:52.181000', 'task:2:attempt:1:completed', 'worker'),
  (12, 2, NULL, 'order_completed', 'system', 'info', 'Order DH000002 completed: 1 of 1 tasks', '{"completedCount": 1, "failedCount": 0, "totalCount": 1}', 'processing', 'completed', 'orderctl_worker', '2025-06-01 20:09:52.182000', 'order:2:round:0', NULL),
  (13, 3, 3, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:52.184000', 'task:3:created', 'tester'),
  (14, 3, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000004', '{"amount": 300000.0, "bank": "ACB", "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:52.189000', 'payment:DH000004', 'tester'),
  (15, 4, 4, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:52.194000', 'task:4:created', 'tester'),
  (16, 5, 5, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:52.196000', 'task:5:created', 'tester'),
  (17, 5, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000006', '{"amount": 300000.0, "bank": "ACB", "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:52.201000', 'payment:DH000006', 'tester'),
  (18, 5, 5, 'download_failed', 'download', 'error', 'Download failed: connection refused', '{"error_message": "connection refused", "error_type": "NETWORK", "timestamp": "2025-06-01T20:09:52.207+00:00", "stack_trace": "", "fingerprint": "abc123", "attempt": 1}', 'pending', 'failed', 'orderctl_worker', '2025-06-01 20:09:52.208000', 'task:5:attempt:1:failed', 'worker'),
  (19, 5, NULL, 'order_failed', 'system', 'error', 'Order DH000006 failed: 0 of 1 tasks', '{"completedCount": 0, "failedCount": 1, "totalCount": 1}', 'processing', 'failed', 'orderctl_worker', '2025-06-01 20:09:52.211000', 'order:5:round:0', NULL);
CREATE INDEX ix_orderctl_orders_created_at_id ON orders (created_at, id);
CREATE INDEX ix_orderctl_orders_payment_status_created_at_id ON orders (payment_status, created_at, id);
CREATE INDEX ix_orderctl_orders_payment_status_order_status ON orders (payment_status, order_status);
CREATE INDEX ix_orderctl_orders_user_email_id ON orders (user_email, id);
CREATE UNIQUE INDEX uq_orderctl_orders_order_code ON orders (order_code);
CREATE INDEX ix_orderctl_outbox_sent_at_due_at ON outbox (sent_at, due_at);
CREATE UNIQUE INDEX uq_orderctl_outbox_dedup_key ON outbox (dedup_key);
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
INSERT INTO orders (order_code, user_email) VALUES ('DH000003', 'chi@example.com');
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/3' FROM orders WHERE order_code = 'DH000003';
INSERT INTO order_audit_logs (order_id, event_type) SELECT id, 'webhook_received' FROM orders WHERE order_code = 'DH000003';
UPDATE orders SET order_status = 'failed' WHERE order_code = 'DH000003';
-- order
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000008', 'dung@example.com', 250000);
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/8' FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/9' FROM orders WHERE order_code = 'DH000008';
