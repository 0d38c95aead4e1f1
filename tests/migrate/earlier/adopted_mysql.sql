-- A shop that the first version adopted.
-- on: mysql
CREATE TABLE `orders` (
  `id` int NOT NULL AUTO_INCREMENT,
  `order_code` varchar(50) COLLATE utf8mb4_unicode_ci NOT NULL,
  `user_email` varchar(255) COLLATE utf8mb4_unicode_ci NOT NULL,
  `order_status` enum('pending','processing','completed','failed','cancelled') CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL DEFAULT 'pending',
  `payment_status` enum('pending','paid','failed','refunded') CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL DEFAULT 'pending',
  `total_amount` decimal(10,2) NOT NULL,
  `note` text COLLATE utf8mb4_unicode_ci,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `paid_at` datetime(6) DEFAULT NULL,
  `completed_at` datetime(6) DEFAULT NULL,
  `round` int NOT NULL DEFAULT '0',
  PRIMARY KEY (`id`),
  UNIQUE KEY `order_code` (`order_code`),
  KEY `ix_orderctl_orders_created_at_id` (`created_at`,`id`),
  KEY `ix_orderctl_orders_payment_status_created_at_id` (`payment_status`,`created_at`,`id`),
  KEY `ix_orderctl_orders_payment_status_order_status` (`payment_status`,`order_status`),
  KEY `ix_orderctl_orders_user_email_id` (`user_email`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `download_tasks` (
  `id` int NOT NULL AUTO_INCREMENT,
  `order_id` int NOT NULL,
  `course_url` varchar(500) COLLATE utf8mb4_unicode_ci NOT NULL,
  `title` varchar(255) COLLATE utf8mb4_unicode_ci DEFAULT NULL,
  `status` enum('pending','enrolled','completed','failed','downloading','cancelled') CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL DEFAULT 'pending' COMMENT 'it''s, where; it stands',
  `drive_link` varchar(500) COLLATE utf8mb4_unicode_ci DEFAULT NULL,
  `error_log` text COLLATE utf8mb4_unicode_ci,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
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
  CONSTRAINT `download_tasks_ibfk_1` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`) ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `order_audit_logs` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `order_id` int NOT NULL,
  `task_id` int DEFAULT NULL,
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
INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount, note, created_at, updated_at, paid_at, completed_at, round) VALUES
  (1, 'DH000001', 'an@example.com', 'completed', 'paid', '300000.00', 'Khóa học số 1', '2025-01-02 03:04:05', '2025-01-02 04:00:00', NULL, NULL, 0),
  (2, 'DH000002', 'binh@example.com', 'pending', 'pending', '150000.50', NULL, '2025-01-03 03:04:05', '2025-01-03 03:04:05', NULL, NULL, 0),
  (3, 'DH000008', 'dung@example.com', 'completed', 'paid', '250000.00', NULL, '2025-06-01 20:09:54', '2025-06-01 20:09:54', '2025-06-01 20:09:54.515390', '2025-06-01 20:09:54.560014', 0);
INSERT INTO download_tasks (id, order_id, course_url, title, status, drive_link, error_log, created_at, updated_at, managed, attempt, max_attempts, available_at, lease_token, lease_until, worker, error_type, error_fingerprint) VALUES
  (1, 1, 'https://courses.example.com/1', 'Vẽ tranh', 'completed', 'https://drive.example.com/1', NULL, '2025-01-02 03:04:05', '2025-01-02 04:00:00', 0, 0, 3, NULL, NULL, NULL, NULL, NULL, NULL),
  (2, 2, 'https://courses.example.com/2', NULL, 'pending', NULL, NULL, '2025-01-03 03:04:05', '2025-01-03 03:04:05', 0, 0, 3, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, 3, 'https://courses.example.com/8', NULL, 'completed', NULL, NULL, '2025-06-01 20:09:54', '2025-06-01 20:09:55', 1, 1, 3, NULL, NULL, NULL, 'worker', NULL, NULL),
  (4, 3, 'https://courses.example.com/9', NULL, 'completed', NULL, NULL, '2025-06-01 20:09:54', '2025-06-01 20:09:55', 1, 1, 3, NULL, NULL, NULL, 'worker', NULL, NULL);
INSERT INTO order_audit_logs (id, order_id, task_id, event_type, event_category, severity, message, details, previous_status, new_status, source, created_at, dedup_key, actor) VALUES
  (1, 3, NULL, 'payment_received', 'payment', 'info', 'Payment of 250000.00 received for order DH000008', '{"bank": "ACB", "amount": 250000.0, "transactionId": null}', 'pending', 'paid', 'orderctl_cli', '2025-06-01 20:09:54.516314', 'payment:DH000008', 'tester'),
  (2, 3, 3, 'enrollment_success', 'enrollment', 'info', 'Enrolled: https://courses.example.com/8', '{}', 'pending', 'enrolled', 'orderctl_worker', '2025-06-01 20:09:54.535236', 'task:3:attempt:1:enrolled', 'worker'),
  (3, 3, 3, 'download_started', 'download', 'info', 'Download started: https://courses.example.com/8', '{"worker": "worker", "attempt": 1}', 'enrolled', 'downloading', 'orderctl_worker', '2025-06-01 20:09:54.540616', 'task:3:attempt:1:downloading', 'worker'),
  (4, 3, 3, 'download_completed', 'download', 'info', 'Download completed: https://courses.example.com/8', '{"driveLink": null, "folderName": "f"}', 'downloading', 'completed', 'orderctl_worker', '2025-06-01 20:09:54.544077', 'task:3:attempt:1:completed', 'worker'),
  (5, 3, 4, 'enrollment_success', 'enrollment', 'info', 'Enrolled: https://courses.example.com/9', '{}', 'pending', 'enrolled', 'orderctl_worker', '2025-06-01 20:09:54.552682', 'task:4:attempt:1:enrolled', 'worker'),
  (6, 3, 4, 'download_started', 'download', 'info', 'Download started: https://courses.example.com/9', '{"worker": "worker", "attempt": 1}', 'enrolled', 'downloading', 'orderctl_worker', '2025-06-01 20:09:54.554006', 'task:4:attempt:1:downloading', 'worker'),
  (7, 3, 4, 'download_completed', 'download', 'info', 'Download completed: https://courses.example.com/9', '{"driveLink": null, "folderName": "f"}', 'downloading', 'completed', 'orderctl_worker', '2025-06-01 20:09:54.557138', 'task:4:attempt:1:completed', 'worker'),
  (8, 3, NULL, 'order_completed', 'system', 'info', 'Order DH000008 completed: 2 of 2 tasks', '{"totalCount": 2, "failedCount": 0, "completedCount": 2}', 'processing', 'completed', 'orderctl_worker', '2025-06-01 20:09:54.559585', 'order:3:round:0', NULL);
INSERT INTO orderctl_migrations (revision, applied_at, applied_by, version) VALUES
  ('0001', '2025-06-01 20:09:54.484610', 'root@127.0.0.1', '0.1.0');
INSERT INTO orderctl_version (version_num) VALUES
  ('0001');
INSERT INTO outbox (id, kind, dedup_key, payload, created_at, due_at, attempts, lease_token, lease_until, sent_at, last_error) VALUES
  (1, 'completion', 'order:3:round:0:completion', '{"orderId": 3, "timestamp": 1795982994559, "totalTasks": 2, "failedTasks": 0, "completedTasks": 2}', '2025-06-01 20:09:54.560467', '2025-06-01 20:09:54.560467', 1, NULL, NULL, '2025-06-01 20:09:54.571190', NULL),
  (2, 'summary', 'order:3:round:0:summary', '{"status": "completed", "orderId": 3}', '2025-06-01 20:09:54.560900', '2025-06-01 20:09:54.560900', 1, '9e343bf3-38c1-49e8-adcc-49768d548f62', '2025-06-01 20:09:55.576490', NULL, NULL),
  (3, 'webhook', 'order:3:round:0:webhook', '{"event": "order_completed", "orderId": 3, "timestamp": 1795982994559, "totalTasks": 2, "failedTasks": 0, "completedTasks": 2}', '2025-06-01 20:09:54.563429', '2025-06-01 20:09:55.579679', 1, NULL, NULL, NULL, 'HTTP 503');
CREATE SQL SECURITY INVOKER VIEW `v_order_latest_events` AS select `o`.`id` AS `order_id`,`o`.`order_code` AS `order_code`,`o`.`order_status` AS `order_status`,`a`.`id` AS `event_id`,`a`.`task_id` AS `task_id`,`a`.`event_type` AS `event_type`,`a`.`event_category` AS `event_category`,`a`.`severity` AS `severity`,`a`.`message` AS `message`,`a`.`details` AS `details`,`a`.`previous_status` AS `previous_status`,`a`.`new_status` AS `new_status`,`a`.`source` AS `source`,`a`.`created_at` AS `created_at` from (`orders` `o` join `order_audit_logs` `a` on((`a`.`id` = (select `l`.`id` from `order_audit_logs` `l` where (`l`.`order_id` = `o`.`id`) order by `l`.`order_id` desc,`l`.`id` desc limit 1))));
CREATE PROCEDURE `sp_audit_summary`(IN since DATETIME(6))
    READS SQL DATA
    SQL SECURITY INVOKER
SELECT a.event_category, a.severity, COUNT(*) AS events, MAX(a.created_at) AS latest
 FROM order_audit_logs a WHERE a.created_at >= since GROUP BY a.event_category, a.severity
 ORDER BY a.event_category, a.severity;
CREATE PROCEDURE `sp_order_timeline`(IN wanted_code VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci)
    READS SQL DATA
    SQL SECURITY INVOKER
SELECT a.id, a.created_at, a.severity, a.event_category, a.event_type, a.task_id, a.message,
 a.previous_status, a.new_status, a.source, a.actor FROM order_audit_logs a
 WHERE a.order_id = (SELECT o.id FROM orders o WHERE o.order_code = wanted_code) ORDER BY a.order_id, a.id;
-- afterwards
INSERT INTO orders (order_code, user_email, total_amount, created_at, updated_at) VALUES ('DH000003', 'chi@example.com', 99000, NOW(), NOW());
INSERT INTO download_tasks (order_id, course_url, created_at, updated_at) VALUES (3, 'https://courses.example.com/3', NOW(), NOW());
UPDATE orders SET order_status = 'failed', note = 'gọi lại', updated_at = NOW() WHERE order_code = 'DH000003';
UPDATE download_tasks SET status = 'failed', error_log = 'hỏng', updated_at = NOW() WHERE order_id = 3;
-- order
INSERT INTO orders (order_code, user_email, total_amount, created_at, updated_at) VALUES ('DH000008', 'dung@example.com', 250000, NOW(), NOW());
INSERT INTO download_tasks (order_id, course_url, created_at, updated_at) SELECT id, 'https://courses.example.com/8', NOW(), NOW() FROM orders WHERE order_code = 'DH000008';
INSERT INTO download_tasks (order_id, course_url, created_at, updated_at) SELECT id, 'https://courses.example.com/9', NOW(), NOW() FROM orders WHERE order_code = 'DH000008';
