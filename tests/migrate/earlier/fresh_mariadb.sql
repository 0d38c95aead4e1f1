-- Made by the first version that had a revision: all tables are its own, with entries sent, leased, postponed and waiting.
-- on: mariadb
CREATE TABLE `orders` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `order_code` varchar(64) NOT NULL,
  `user_email` varchar(254) NOT NULL,
  `order_status` varchar(16) NOT NULL DEFAULT 'pending',
  `payment_status` varchar(16) NOT NULL DEFAULT 'pending',
  `total_amount` decimal(12,2) NOT NULL DEFAULT 0.00,
  `created_at` datetime(6) NOT NULL DEFAULT utc_timestamp(6),
  `paid_at` datetime(6) DEFAULT NULL,
  `completed_at` datetime(6) DEFAULT NULL,
  `round` int(11) NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_orderctl_orders_order_code` (`order_code`),
  KEY `ix_orderctl_orders_created_at_id` (`created_at`,`id`),
  KEY `ix_orderctl_orders_payment_status_created_at_id` (`payment_status`,`created_at`,`id`),
  KEY `ix_orderctl_orders_payment_status_order_status` (`payment_status`,`order_status`),
  KEY `ix_orderctl_orders_user_email_id` (`user_email`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `download_tasks` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `order_id` bigint(20) NOT NULL,
  `course_url` varchar(2048) NOT NULL,
  `title` varchar(255) DEFAULT NULL,
  `status` varchar(16) NOT NULL DEFAULT 'pending',
  `drive_link` varchar(1024) DEFAULT NULL,
  `error_log` text DEFAULT NULL,
  `created_at` datetime(6) NOT NULL DEFAULT utc_timestamp(6),
  `updated_at` datetime(6) DEFAULT utc_timestamp(6),
  `managed` smallint(6) NOT NULL DEFAULT 0,
  `attempt` int(11) NOT NULL DEFAULT 0,
  `max_attempts` int(11) NOT NULL DEFAULT 3,
  `available_at` datetime(6) DEFAULT NULL,
  `lease_token` varchar(36) DEFAULT NULL,
  `lease_until` datetime(6) DEFAULT NULL,
  `worker` varchar(128) DEFAULT NULL,
  `error_type` varchar(32) DEFAULT NULL,
  `error_fingerprint` varchar(32) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `ix_orderctl_download_tasks_order_id_status` (`order_id`,`status`),
  KEY `ix_orderctl_download_tasks_status_lease_until` (`status`,`lease_until`),
  KEY `ix_orderctl_download_tasks_status_updated_at_id` (`status`,`updated_at`,`id`),
  CONSTRAINT `fk_orderctl_download_tasks_order_id` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `order_audit_logs` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `order_id` bigint(20) NOT NULL,
  `task_id` bigint(20) DEFAULT NULL,
  `event_type` varchar(64) NOT NULL,
  `event_category` varchar(32) NOT NULL DEFAULT 'system',
  `severity` varchar(16) NOT NULL DEFAULT 'info',
  `message` text NOT NULL DEFAULT '',
  `details` longtext DEFAULT NULL CHECK (json_valid(`details`)),
  `previous_status` varchar(32) DEFAULT NULL,
  `new_status` varchar(32) DEFAULT NULL,
  `source` varchar(64) DEFAULT NULL,
  `created_at` datetime(6) NOT NULL DEFAULT utc_timestamp(6),
  `dedup_key` varchar(191) DEFAULT NULL,
  `actor` varchar(128) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_orderctl_order_audit_logs_dedup_key` (`dedup_key`),
  KEY `ix_orderctl_order_audit_logs_created_at_id` (`created_at`,`id`),
  KEY `ix_orderctl_order_audit_logs_order_id` (`order_id`),
  KEY `ix_orderctl_order_audit_logs_severity_created_at_id` (`severity`,`created_at`,`id`),
  KEY `ix_orderctl_order_audit_logs_task_id` (`task_id`),
  CONSTRAINT `fk_orderctl_order_audit_logs_order_id` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`),
  CONSTRAINT `fk_orderctl_order_audit_logs_task_id` FOREIGN KEY (`task_id`) REFERENCES `download_tasks` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `orderctl_migrations` (
  `revision` varchar(32) NOT NULL,
  `applied_at` datetime(6) NOT NULL DEFAULT utc_timestamp(6),
  `applied_by` varchar(255) NOT NULL,
  `version` varchar(32) NOT NULL,
  PRIMARY KEY (`revision`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `orderctl_version` (
  `version_num` varchar(32) NOT NULL,
  PRIMARY KEY (`version_num`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
CREATE TABLE `outbox` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `kind` varchar(32) NOT NULL,
  `dedup_key` varchar(191) NOT NULL,
  `payload` longtext NOT NULL CHECK (json_valid(`payload`)),
  `created_at` datetime(6) NOT NULL DEFAULT utc_timestamp(6),
  `due_at` datetime(6) NOT NULL DEFAULT utc_timestamp(6),
  `attempts` int(11) NOT NULL DEFAULT 0,
  `lease_token` varchar(36) DEFAULT NULL,
  `lease_until` datetime(6) DEFAULT NULL,
  `sent_at` datetime(6) DEFAULT NULL,
  `last_error` text DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_orderctl_outbox_dedup_key` (`dedup_key`),
  KEY `ix_orderctl_outbox_sent_at_due_at` (`sent_at`,`due_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, created_at, paid_at, completed_at, round) VALUES
  (1, 'DH000001', 'customer@example.com', 'completed', 'paid', '300000.00', '2025-06-01 20:09:52.718948', '2025-06-01 20:09:52.731462', '2025-06-01 20:09:52.754122', 0),
  (2, 'DH000002', 'customer@example.com', 'completed', 'paid', '300000.00', '2025-06-01 20:09:52.766353', '2025-06-01 20:09:52.779756', '2025-06-01 20:09:52.796831', 0),
  (3, 'DH000004', 'customer@example.com', 'pending', 'paid', '300000.00', '2025-06-01 20:09:52.799715', '2025-06-01 20:09:52.804361', NULL, 0),
  (4, 'DH000005', 'customer@example.com', 'pending', 'pending', '300000.00', '2025-06-01 20:09:52.813089', NULL, NULL, 0),
  (5, 'DH000006', 'customer@example.com', 'failed', 'paid', '300000.00', '2025-06-01 20:09:52.820183', '2025-06-01 20:09:52.825054', '2025-06-01 20:09:52.832180', 0);
INSERT INTO download_tasks (id, order_id, course_url, title, status, drive_link, error_log, created_at, updated_at, managed, attempt, max_attempts, available_at, lease_token, lease_until, worker, error_type, error_fingerprint) VALUES
  (1, 1, 'http://courses.example/one/0', NULL, 'completed', NULL, NULL, '2025-06-01 20:09:52.721927', '2025-06-01 20:09:52.749348', 1, 1, 3, '2025-06-01 20:09:52.721927', NULL, NULL, 'worker', NULL, NULL),
  (2, 2, 'http://courses.example/one/0', NULL, 'completed', NULL, NULL, '2025-06-01 20:09:52.769856', '2025-06-01 20:09:52.793257', 1, 1, 3, '2025-06-01 20:09:52.769856', NULL, NULL, 'worker', NULL, NULL),
  (3, 3, 'http://courses.example/one/0', NULL, 'pending', NULL, NULL, '2025-06-01 20:09:52.801283', '2025-06-01 20:09:52.801283', 1, 0, 3, '2025-06-01 20:09:52.801283', NULL, NULL, NULL, NULL, NULL),
  (4, 4, 'http://courses.example/one/0', NULL, 'pending', NULL, NULL, '2025-06-01 20:09:52.816575', '2025-06-01 20:09:52.816575', 1, 0, 3, '2025-06-01 20:09:52.816575', NULL, NULL, NULL, NULL, NULL),
  (5, 5, 'http://courses.example/one/0', NULL, 'failed', NULL, 'NETWORK: connection refused', '2025-06-01 20:09:52.821730', '2025-06-01 20:09:52.829888', 1, 1, 3, NULL, NULL, NULL, 'worker', 'NETWORK', 'abc123');
INSERT INTO order_audit_logs (id, order_id, task_id, event_type, event_category, severity, message, details, previous_status, new_status, source, created_at, dedup_key, actor) VALUES
  (1, 1, 1, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:52.722991', 'task:1:created', 'tester'),
  (2, 1, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000001', '{"amount": 300000.0, "bank": "ACB", "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:52.732595', 'payment:DH000001', 'tester'),
  (3, 1, 1, 'enrollment_success', 'enrollment', 'info', 'Enrolled: http://courses.example/one/0', '{}', 'pending', 'enrolled', 'orderctl_worker', '2025-06-01 20:09:52.743930', 'task:1:attempt:1:enrolled', 'worker'),
  (4, 1, 1, 'download_started', 'download', 'info', 'Download started: http://courses.example/one/0', '{"attempt": 1, "worker": "worker"}', 'enrolled', 'downloading', 'orderctl_worker', '2025-06-01 20:09:52.746604', 'task:1:attempt:1:downloading', 'worker'),
  (5, 1, 1, 'download_completed', 'download', 'info', 'Download completed: http://courses.example/one/0', '{"folderName": "f", "driveLink": null}', 'downloading', 'completed', 'orderctl_worker', '2025-06-01 20:09:52.750563', 'task:1:attempt:1:completed', 'worker'),
  (6, 1, NULL, 'order_completed', 'system', 'info', 'Order DH000001 completed: 1 of 1 tasks', '{"completedCount": 1, "failedCount": 0, "totalCount": 1}', 'processing', 'completed', 'orderctl_worker', '2025-06-01 20:09:52.753070', 'order:1:round:0', NULL),
  (7, 2, 2, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:52.771748', 'task:2:created', 'tester'),
  (8, 2, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000002', '{"amount": 300000.0, "bank": "ACB", "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:52.780497', 'payment:DH000002', 'tester'),
  (9, 2, 2, 'enrollment_success', 'enrollment', 'info', 'Enrolled: http://courses.example/one/0', '{}', 'pending', 'enrolled', 'orderctl_worker', '2025-06-01 20:09:52.788368', 'task:2:attempt:1:enrolled', 'worker'),
  (10, 2, 2, 'download_started', 'download', 'info', 'Download started: http://courses.example/one/0', '{"attempt": 1, "worker": "worker"}', 'enrolled', 'downloading', 'orderctl_worker', '2025-06-01 20:09:52.791195', 'task:2:attempt:1:downloading', 'worker'),
  (11, 2, 2, 'download_completed', 'download', 'info', 'Download completed: http://courses.example/one/0', '{"folderName": "f", "driveLink": null}', 'downloading', 'completed', 'orderctl_worker', '2025-06-01 20:09:52.794597', 'task:2:attempt:1:completed', 'worker'),
  (12, 2, NULL, 'order_completed', 'system', 'info', 'Order DH000002 completed: 1 of 1 tasks', '{"completedCount": 1, "failedCount": 0, "totalCount": 1}', 'processing', 'completed', 'orderctl_worker', '2025-06-01 20:09:52.796479', 'order:2:round:0', NULL),
  (13, 3, 3, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:52.801713', 'task:3:created', 'tester'),
  (14, 3, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000004', '{"amount": 300000.0, "bank": "ACB", "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:52.804831', 'payment:DH000004', 'tester'),
  (15, 4, 4, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:52.817314', 'task:4:created', 'tester'),
  (16, 5, 5, 'task_created', 'task', 'info', 'Task created: http://courses.example/one/0', '{"courseUrl": "http://courses.example/one/0"}', NULL, 'pending', 'orderctl_cli', '2025-06-01 20:09:52.822197', 'task:5:created', 'tester'),
  (17, 5, NULL, 'payment_received', 'payment', 'info', 'Payment of 300000.00 received for order DH000006', '{"amount": 300000.0, "bank": "ACB", "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:52.825615', 'payment:DH000006', 'tester'),
  (18, 5, 5, 'download_failed', 'download', 'error', 'Download failed: connection refused', '{"error_message": "connection refused", "error_type": "NETWORK", "timestamp": "2025-06-01T20:09:52.829+00:00", "stack_trace": "", "fingerprint": "abc123", "attempt": 1}', 'pending', 'failed', 'orderctl_worker', '2025-06-01 20:09:52.830415', 'task:5:attempt:1:failed', 'worker'),
  (19, 5, NULL, 'order_failed', 'system', 'error', 'Order DH000006 failed: 0 of 1 tasks', '{"completedCount": 0, "failedCount": 1, "totalCount": 1}', 'processing', 'failed', 'orderctl_worker', '2025-06-01 20:09:52.831856', 'order:5:round:0', NULL);
INSERT INTO orderctl_migrations (revision, applied_at, applied_by, version) VALUES
  ('0001', '2025-06-01 20:09:52.691464', 'root@127.0.0.1', '0.1.0');
INSERT INTO orderctl_version (version_num) VALUES
  ('0001');
INSERT INTO outbox (id, kind, dedup_key, payload, created_at, due_at, attempts, lease_token, lease_until, sent_at, last_error) VALUES
  (1, 'completion', 'order:1:round:0:completion', '{"orderId": 1, "totalTasks": 1, "completedTasks": 1, "failedTasks": 0, "timestamp": 1795982992752}', '2025-06-01 20:09:52.755631', '2025-06-01 20:09:52.755631', 1, NULL, NULL, '2025-06-01 20:09:52.838138', NULL),
  (2, 'summary', 'order:1:round:0:summary', '{"orderId": 1, "status": "completed"}', '2025-06-01 20:09:52.759623', '2025-06-01 20:09:52.759623', 1, 'fea867b9-4dfc-454f-8d41-39ecce6491cf', '2025-06-01 20:09:53.839501', NULL, NULL),
  (3, 'webhook', 'order:1:round:0:webhook', '{"event": "order_completed", "orderId": 1, "totalTasks": 1, "completedTasks": 1, "failedTasks": 0, "timestamp": 1795982992752}', '2025-06-01 20:09:52.760794', '2025-06-01 20:09:53.842009', 1, NULL, NULL, NULL, 'HTTP 503'),
  (4, 'completion', 'order:2:round:0:completion', '{"orderId": 2, "totalTasks": 1, "completedTasks": 1, "failedTasks": 0, "timestamp": 1795982992796}', '2025-06-01 20:09:52.797174', '2025-06-01 20:09:52.797174', 0, NULL, NULL, NULL, NULL),
  (5, 'summary', 'order:2:round:0:summary', '{"orderId": 2, "status": "completed"}', '2025-06-01 20:09:52.797450', '2025-06-01 20:09:52.797450', 0, NULL, NULL, NULL, NULL),
  (6, 'webhook', 'order:2:round:0:webhook', '{"event": "order_completed", "orderId": 2, "totalTasks": 1, "completedTasks": 1, "failedTasks": 0, "timestamp": 1795982992796}', '2025-06-01 20:09:52.797704', '2025-06-01 20:09:52.797704', 0, NULL, NULL, NULL, NULL),
  (7, 'webhook', 'task:5:attempt:1:failed:webhook', '{"event": "task_failed", "orderId": 5, "taskId": 5, "errorType": "NETWORK", "error": "connection refused", "attempt": 1}', '2025-06-01 20:09:52.830764', '2025-06-01 20:09:52.830764', 0, NULL, NULL, NULL, NULL),
  (8, 'completion', 'order:5:round:0:completion', '{"orderId": 5, "totalTasks": 1, "completedTasks": 0, "failedTasks": 1, "timestamp": 1795982992831}', '2025-06-01 20:09:52.832504', '2025-06-01 20:09:52.832504', 0, NULL, NULL, NULL, NULL),
  (9, 'summary', 'order:5:round:0:summary', '{"orderId": 5, "status": "failed"}', '2025-06-01 20:09:52.832804', '2025-06-01 20:09:52.832804', 0, NULL, NULL, NULL, NULL),
  (10, 'webhook', 'order:5:round:0:webhook', '{"event": "order_failed", "orderId": 5, "totalTasks": 1, "completedTasks": 0, "failedTasks": 1, "timestamp": 1795982992831}', '2025-06-01 20:09:52.833075', '2025-06-01 20:09:52.833075', 0, NULL, NULL, NULL, NULL);
CREATE SQL SECURITY INVOKER VIEW `v_order_latest_events` AS select `o`.`id` AS `order_id`,`o`.`order_code` AS `order_code`,`o`.`order_status` AS `order_status`,`a`.`id` AS `event_id`,`a`.`task_id` AS `task_id`,`a`.`event_type` AS `event_type`,`a`.`event_category` AS `event_category`,`a`.`severity` AS `severity`,`a`.`message` AS `message`,`a`.`details` AS `details`,`a`.`previous_status` AS `previous_status`,`a`.`new_status` AS `new_status`,`a`.`source` AS `source`,`a`.`created_at` AS `created_at` from (`orders` `o` join `order_audit_logs` `a` on(`a`.`id` = (select `l`.`id` from `order_audit_logs` `l` where `l`.`order_id` = `o`.`id` order by `l`.`order_id` desc,`l`.`id` desc limit 1)));
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
