-- Made by the first version that had a revision: all tables are its own, with entries sent, leased, postponed and waiting.
-- on: mysql
CREATE TABLE `orders` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `order_code` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `user_email` varchar(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `order_status` varchar(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'pending',
  `payment_status` varchar(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'pending',
  `total_amount` decimal(12,2) NOT NULL DEFAULT '0.00',
  `created_at` datetime(6) NOT NULL DEFAULT (utc_timestamp(6)),
  `paid_at` datetime(6) DEFAULT NULL,
  `completed_at` datetime(6) DEFAULT NULL,
  `round` int NOT NULL DEFAULT '0',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_orderctl_orders_order_code` (`order_code`),
  KEY `ix_orderctl_orders_created_at_id` (`created_at`,`id`),
  KEY `ix_orderctl_orders_payment_status_created_at_id` (`payment_status`,`created_at`,`id`),
  KEY `ix_orderctl_orders_payment_status_order_status` (`payment_status`,`order_status`),
  KEY `ix_orderctl_orders_user_email_id` (`user_email`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `download_tasks` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `order_id` bigint NOT NULL,
  `course_url` varchar(2048) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `title` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `status` varchar(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'pending',
  `drive_link` varchar(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `error_log` text COLLATE utf8mb4_bin,
  `created_at` datetime(6) NOT NULL DEFAULT (utc_timestamp(6)),
  `updated_at` datetime(6) DEFAULT (utc_timestamp(6)),
  `managed` smallint NOT NULL DEFAULT '0',
  `attempt` int NOT NULL DEFAULT '0',
  `max_attempts` int NOT NULL DEFAULT '3',
  `available_at` datetime(6) DEFAULT NULL,
  `lease_token` varchar(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `lease_until` datetime(6) DEFAULT NULL,
  `worker` varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `error_type` varchar(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `error_fingerprint` varchar(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `ix_orderctl_download_tasks_order_id_status` (`order_id`,`status`),
  KEY `ix_orderctl_download_tasks_status_lease_until` (`status`,`lease_until`),
  KEY `ix_orderctl_download_tasks_status_updated_at_id` (`status`,`updated_at`,`id`),
  CONSTRAINT `fk_orderctl_download_tasks_order_id` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`) ON DELETE RESTRICT
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `order_audit_logs` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `order_id` bigint NOT NULL,
  `task_id` bigint DEFAULT NULL,
  `event_type` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `event_category` varchar(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'system',
  `severity` varchar(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'info',
  `message` text COLLATE utf8mb4_bin NOT NULL DEFAULT (_utf8mb4''),
  `details` json DEFAULT NULL,
  `previous_status` varchar(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `new_status` varchar(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `source` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `created_at` datetime(6) NOT NULL DEFAULT (utc_timestamp(6)),
  `dedup_key` varchar(191) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `actor` varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_orderctl_order_audit_logs_dedup_key` (`dedup_key`),
  KEY `ix_orderctl_order_audit_logs_created_at_id` (`created_at`,`id`),
  KEY `ix_orderctl_order_audit_logs_order_id` (`order_id`),
  KEY `ix_orderctl_order_audit_logs_severity_created_at_id` (`severity`,`created_at`,`id`),
  KEY `ix_orderctl_order_audit_logs_task_id` (`task_id`),
  CONSTRAINT `fk_orderctl_order_audit_logs_order_id` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`) ON DELETE RESTRICT,
  CONSTRAINT `fk_orderctl_order_audit_logs_task_id` FOREIGN KEY (`task_id`) REFERENCES `download_tasks` (`id`) ON DELETE RESTRICT
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `orderctl_migrations` (
  `revision` varchar(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `applied_at` datetime(6) NOT NULL DEFAULT (utc_timestamp(6)),
  `applied_by` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `version` varchar(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (`revision`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `orderctl_version` (
  `version_num` varchar(32) NOT NULL,
  PRIMARY KEY (`version_num`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
CREATE TABLE `outbox` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `kind` varchar(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `dedup_key` varchar(191) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `payload` json NOT NULL,
  `created_at` datetime(6) NOT NULL DEFAULT (utc_timestamp(6)),
  `due_at` datetime(6) NOT NULL DEFAULT (utc_timestamp(6)),
  `attempts` int NOT NULL DEFAULT '0',
  `lease_token` varchar(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `lease_until` datetime(6) DEFAULT NULL,
  `sent_at` datetime(6) DEFAULT NULL,
  `last_error` text COLLATE utf8mb4_bin,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_orderctl_outbox_dedup_key` (`dedup_key`),
  KEY `ix_orderctl_outbox_sent_at_due_at` (`sent_at`,`due_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at, paid_at, completed_at, round) VALUES
  (1, 'DH000001', 'customer@example.com', 'completed', 'paid', '300000.00', '2025-06-01 20:09:53.918671', '2025-06-01 20:09:53.928254', '2025-06-01 20:09:53.951521', 0),
  (2, 'DH000002', 'customer@example.com', 'completed', 'paid', '300000.00', '2025-06-01 20:09:53.956550', '2025-06-01 20:09:53.968800', '2025-06-01 20:09:53.980964', 0),
  (3, 'DH000004', 'customer@example.com', 'pending', 'paid', '300000.00', '2025-06-01 20:09:53.983411', '2025-06-01 20:09:53.987707', NULL, 0),
  (4, 'DH000005', 'customer@example.com', 'pending', 'pending', '300000.00', '2025-06-01 20:09:53.990676', NULL, NULL, 0),
  (5, 'DH000006', 'customer@example.com', 'failed', 'paid', '300000.00', '2025-06-01 20:09:53.993451', '2025-06-01 20:09:53.997938', '2025-06-01 20:09:54.005656', 0);
INSERT INTO download_tasks (id, order_id, course_url, title, status, drive_link, error_log, created_at, updated_at, managed, attempt, max_attempts, available_at, lease_token, lease_until, worker, error_type, error_fingerprint) VALUES
  (1, 1, 'http://courses.example/one/0', NULL, 'completed', NULL, NULL, '2025-06-01 20:09:53.921446', '2025-06-01 20:09:53.946645', 1, 1, 3, '2025-06-01 20:09:53.921446', NULL, NULL, 'worker', NULL, NULL),
  (2, 2, 'http://courses.example/one/0', NULL, 'completed', NULL, NULL, '2025-06-01 20:09:53.958944', '2025-06-01 20:09:53.978660', 1, 1, 3, '2025-06-01 20:09:53.958944', NULL, NULL, 'worker', NULL, NULL),
  (3, 3, 'http://courses.example/one/0', NULL, 'pending', NULL, NULL, '2025-06-01 20:09:53.984510', '2025-06-01 20:09:53.984510', 1, 0, 3, '2025-06-01 20:09:53.984510', NULL, NULL, NULL, NULL, NULL),
  (4, 4, 'http://courses.example/one/0', NULL, 'pending', NULL, NULL, '2025-06-01 20:09:53.991812', '2025-06-01 20:09:53.991812', 1, 0, 3, '2025-06-01 20:09:53.991812', NULL, NULL, NULL, NULL, NULL),
  (5, 5, 'http://courses.example/one/0', NULL, 'failed', NULL, 'NETWORK: connection refused', '2025-06-01 20:09:53.994466', '2025-06-01 20:09:54.003037', 1, 1, 3, NULL, NULL, NULL, 'worker', 'NETWORK', 'abc123');
INSERT INTO order_audit_logs (id, order_id, task_id, event_type, event_category, severity, message, details, previous_status, new_status, source, created_at, dedup_key, actor) VALUES
  (1, 1, 1, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:53.922734', 'task:1:created', 'tester'),
  (2, 1, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000001', '{"bank": "ACB", "amount": 300000.0, "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:53.929051', 'payment:DH000001', 'tester'),
  (3, 1, 1, 'enrollment_success', 'enrollment', 'info', 'Enrolled: http://courses.example/one/0', '{}', 'pending', 'enrolled', 'orderctl_worker', '2025-06-01 20:09:53.943619', 'task:1:attempt:1:enrolled', 'worker'),
  (4, 1, 1, 'download_started', 'download', 'info', 'Download started: http://courses.example/one/0', '{"worker": "worker", "attempt": 1}', 'enrolled', 'downloading', 'orderctl_worker', '2025-06-01 20:09:53.945165', 'task:1:attempt:1:downloading', 'worker'),
  (5, 1, 1, 'download_completed', 'download', 'info', 'Download completed: http://courses.example/one/0', '{"driveLink": null, "folderName": "f"}', 'downloading', 'completed', 'orderctl_worker', '2025-06-01 20:09:53.947702', 'task:1:attempt:1:completed', 'worker'),
  (6, 1, NULL, 'order_completed', 'system', 'info', 'Order DH000001 completed: 1 of 1 tasks', '{"totalCount": 1, "failedCount": 0, "completedCount": 1}', 'processing', 'completed', 'orderctl_worker', '2025-06-01 20:09:53.950122', 'order:1:round:0', NULL),
  (7, 2, 2, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:53.960021', 'task:2:created', 'tester'),
  (8, 2, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000002', '{"bank": "ACB", "amount": 300000.0, "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:53.969816', 'payment:DH000002', 'tester'),
  (9, 2, 2, 'enrollment_success', 'enrollment', 'info', 'Enrolled: http://courses.example/one/0', '{}', 'pending', 'enrolled', 'orderctl_worker', '2025-06-01 20:09:53.974935', 'task:2:attempt:1:enrolled', 'worker'),
  (10, 2, 2, 'download_started', 'download', 'info', 'Download started: http://courses.example/one/0', '{"worker": "worker", "attempt": 1}', 'enrolled', 'downloading', 'orderctl_worker', '2025-06-01 20:09:53.977058', 'task:2:attempt:1:downloading', 'worker'),
  (11, 2, 2, 'download_completed', 'download', 'info', 'Download completed: http://courses.example/one/0', '{"driveLink": null, "folderName": "f"}', 'downloading', 'completed', 'orderctl_worker', '2025-06-01 20:09:53.979323', 'task:2:attempt:1:completed', 'worker'),
  (12, 2, NULL, 'order_completed', 'system', 'info', 'Order DH000002 completed: 1 of 1 tasks', '{"totalCount": 1, "failedCount": 0, "completedCount": 1}', 'processing', 'completed', 'orderctl_worker', '2025-06-01 20:09:53.980592', 'order:2:round:0', NULL),
  (13, 3, 3, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:53.984976', 'task:3:created', 'tester'),
  (14, 3, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000004', '{"bank": "ACB", "amount": 300000.0, "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:53.988235', 'payment:DH000004', 'tester'),
  (15, 4, 4, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:53.992287', 'task:4:created', 'tester'),
  (16, 5, 5, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:53.994925', 'task:5:created', 'tester'),
  (17, 5, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000006', '{"bank": "ACB", "amount": 300000.0, "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:53.998538', 'payment:DH000006', 'tester'),
  (18, 5, 5, 'download_failed', 'download', 'error', 'Download failed: connection refused', '{"attempt": 1, "timestamp": "2025-06-01T20:09:54.002+00:00", "error_type": "NETWORK", "fingerprint": "abc123", "stack_trace": "", "error_message": "connection refused"}', 'pending', 'failed', 'orderctl_worker', '2025-06-01 20:09:54.003664', 'task:5:attempt:1:failed', 'worker'),
  (19, 5, NULL, 'order_failed', 'system', 'error', 'Order DH000006 failed: 0 of 1 tasks', '{"totalCount": 1, "failedCount": 1, "completedCount": 0}', 'processing', 'failed', 'orderctl_worker', '2025-06-01 20:09:54.005298', 'order:5:round:0', NULL);
INSERT INTO orderctl_migrations (revision, applied_at, applied_by, version) VALUES
  ('0001', '2025-06-01 20:09:53.863756', 'root@127.0.0.1', '0.1.0');
INSERT INTO orderctl_version (version_num) VALUES
  ('0001');
INSERT INTO outbox (id, kind, dedup_key, payload, created_at, due_at, attempts, lease_token, lease_until, sent_at, last_error) VALUES
  (1, 'completion', 'order:1:round:0:completion', '{"orderId": 1, "timestamp": 1795982993949, "totalTasks": 1, "failedTasks": 0, "completedTasks": 1}', '2025-06-01 20:09:53.952027', '2025-06-01 20:09:53.952027', 1, NULL, NULL, '2025-06-01 20:09:54.009431', NULL),
  (2, 'summary', 'order:1:round:0:summary', '{"status": "completed", "orderId": 1}', '2025-06-01 20:09:53.952486', '2025-06-01 20:09:53.952486', 1, 'dccb093b-dedf-454c-a4d6-102b4bc426c2', '2025-06-01 20:09:55.010782', NULL, NULL),
  (3, 'webhook', 'order:1:round:0:webhook', '{"event": "order_completed", "orderId": 1, "timestamp": 1795982993949, "totalTasks": 1, "failedTasks": 0, "completedTasks": 1}', '2025-06-01 20:09:53.954861', '2025-06-01 20:09:55.013626', 1, NULL, NULL, NULL, 'HTTP 503'),
  (4, 'completion', 'order:2:round:0:completion', '{"orderId": 2, "timestamp": 1795982993980, "totalTasks": 1, "failedTasks": 0, "completedTasks": 1}', '2025-06-01 20:09:53.981343', '2025-06-01 20:09:53.981343', 0, NULL, NULL, NULL, NULL),
  (5, 'summary', 'order:2:round:0:summary', '{"status": "completed", "orderId": 2}', '2025-06-01 20:09:53.981657', '2025-06-01 20:09:53.981657', 0, NULL, NULL, NULL, NULL),
  (6, 'webhook', 'order:2:round:0:webhook', '{"event": "order_completed", "orderId": 2, "timestamp": 1795982993980, "totalTasks": 1, "failedTasks": 0, "completedTasks": 1}', '2025-06-01 20:09:53.981944', '2025-06-01 20:09:53.981944', 0, NULL, NULL, NULL, NULL),
  (7, 'webhook', 'task:5:attempt:1:failed:webhook', '{"error": "connection refused", "event": "task_failed", "taskId": 5, "attempt": 1, "orderId": 5, "errorType": "NETWORK"}', '2025-06-01 20:09:54.004056', '2025-06-01 20:09:54.004056', 0, NULL, NULL, NULL, NULL),
  (8, 'completion', 'order:5:round:0:completion', '{"orderId": 5, "timestamp": 1795982994004, "totalTasks": 1, "failedTasks": 1, "completedTasks": 0}', '2025-06-01 20:09:54.006017', '2025-06-01 20:09:54.006017', 0, NULL, NULL, NULL, NULL),
  (9, 'summary', 'order:5:round:0:summary', '{"status": "failed", "orderId": 5}', '2025-06-01 20:09:54.006317', '2025-06-01 20:09:54.006317', 0, NULL, NULL, NULL, NULL),
  (10, 'webhook', 'order:5:round:0:webhook', '{"event": "order_failed", "orderId": 5, "timestamp": 1795982994004, "totalTasks": 1, "failedTasks": 1, "completedTasks": 0}', '2025-06-01 20:09:54.006595', '2025-06-01 20:09:54.006595', 0, NULL, NULL, NULL, NULL);
CREATE SQL SECURITY INVOKER VIEW `v_order_latest_events` AS select `o`.`id` AS `order_id`,`o`.`order_code` AS `order_code`,`o`.`order_status` AS `order_status`,`a`.`id` AS `event_id`,`a`.`task_id` AS `task_id`,`a`.`event_type` AS `event_type`,`a`.`event_category` AS `event_category`,`a`.`severity` AS `severity`,`a`.`message` AS `message`,`a`.`details` AS `details`,`a`.`previous_status` AS `previous_status`,`a`.`new_status` AS `new_status`,`a`.`source` AS `source`,`a`.`created_at` AS `created_at` from (`orders` `o` join `order_audit_logs` `a` on((`a`.`id` = (select `l`.`id` from `order_audit_logs` `l` where (`l`.`order_id` = `o`.`id`) order by `l`.`order_id` desc,`l`.`id` desc limit 1))));
CREATE PROCEDURE `sp_audit_summary`(IN since DATETIME(6))
    READS SQL DATA
    SQL SECURITY INVOKER
SELECT a.event_category, a.severity, COUNT(*) AS events, MAX(a.created_at) AS latest
 FROM order_audit_logs a WHERE a.created_at >= since GROUP BY a.event_category, a.severity
 ORDER BY a.event_category, a.severity;
CREATE PROCEDURE `sp_order_timeline`(IN wanted_code VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)
    READS SQL DATA
    SQL SECURITY INVOKER
SELECT a.id, a.created_at, a.severity, a.event_category, a.event_type, a.task_id, a.message,
 a.previous_status, a.new_status, a.source, a.actor FROM order_audit_logs a
 WHERE a.order_id = (SELECT o.id FROM orders o WHERE o.order_code = wanted_code) ORDER BY a.order_id, a.id;
-- afterwards
INSERT INTO orders (order_code, user_email) VALUES ('DH000003', 'chi@example.com');
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/3' FROM orders WHERE order_code = 'DH000003';
INSERT INTO order_audit_logs (order_id, event_type) SELECT id, 'webhook_received' FROM orders WHERE order_code = 'DH000003';
UPDATE orders SET order_status = 'failed' WHERE order_code = 'DH000003';
-- order
INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH000008', 'dung@example.com', 250000);
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/8' FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url) SELECT id, 'https://courses.example.com/9' FROM orders WHERE order_code = 'DH000008';
