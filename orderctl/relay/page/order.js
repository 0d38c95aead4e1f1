/** Orders and tasks as the page keeps them. They are read from the API and updated by live messages. */

/** @import { Payment, RawOrder, RawTask, Waiting } from "./api.js" */
/** @import { Position, Progress, StatusChange } from "./live.js" */

import { Pace } from "./pace.js";
import { hasId, list, moment, number } from "./values.js";

export const ENDED = new Set(["completed", "failed", "cancelled"]);
export const ACTIVE = new Set(["enrolled", "downloading"]);

export class Task {
  /**
   * @param {number} id
   * @param {number} orderId
   */
  constructor(id, orderId) {
    this.id = id;
    this.orderId = orderId;
    this.title = `Task ${id}`;
    this.status = "";
    this.percent = 0;
    /** @type {string|null} Address of the course. */
    this.url = null;
    /** @type {string|null} Address of the files. */
    this.link = null;
    /** @type {string|null} */
    this.error = null;
    /** @type {string|null} */
    this.file = null;
    /** @type {number|null} In bytes/s. */
    this.speed = null;
    /** @type {number|null} */
    this.attempt = null;
    /** @type {number|null} */
    this.attempts = null;
    /** @type {number|null} When it is tried again after a failure, in ms since the epoch. */
    this.retryAt = null;
    /** @type {number|null} Since when it has been failing, in ms since the epoch. */
    this.failingSince = null;
    /** Whether orderctl's workers run it, and not the shop's own. */
    this.managed = true;
    /** @type {Waiting|null} */
    this.waiting = null;
    this.pace = new Pace();
    /** Time of the last live message (performance.now()). */
    this.touched = Number.NEGATIVE_INFINITY;
    /** @type {Position|null} Position of the last live message. */
    this.last = null;
    /** @type {number|null} When the worker last sent progress, in ms since the epoch. */
    this.reportedAt = null;
  }

  /**
   * Update the task from the API.
   *
   * @param {RawTask} raw
   * @param {number} asked Time of the request (performance.now()). Newer live messages take precedence.
   */
  read(raw, asked) {
    this.title = raw.title ?? raw.course_url ?? `Task ${this.id}`;
    this.url = raw.course_url;
    this.link = raw.drive_link;
    this.attempt = number(raw.attempt);
    this.attempts = number(raw.max_attempts);
    this.managed = raw.managed !== false;
    if (this.touched > asked) return;
    this.status = String(raw.status ?? "");
    if (raw.waiting !== undefined) this.waiting = raw.waiting;
    this.error = raw.error_log ?? null;
    this.retryAt = moment(raw.retry_at);
    this.failingSince = moment(raw.failing_since);
    this.percent = this.status === "completed" ? 100 : (number(raw.currentProgress) ?? 0);
    this.file = raw.currentFile ?? null;
    this.speed = number(raw.speed);
  }

  /**
   * Update from a `progress` message; return false for a message that is older than the last one.
   *
   * @param {Progress} data
   * @param {number} now Time of arrival (performance.now()).
   */
  progress(data, now) {
    if (!isNewer(data, this.last)) return false;
    // The first message is a snapshot, which may be old. Clocks of workers may be ahead.
    this.reportedAt =
      this.last === null
        ? Math.min(Date.now(), number(data.timestamp) ?? Number.POSITIVE_INFINITY)
        : Date.now();
    this.last = data;
    this.touched = now;
    if (ENDED.has(this.status)) return false;
    this.percent = number(data.percent) ?? this.percent;
    this.file = data.currentFile ?? null;
    this.speed = number(data.speed);
    this.pace.note(this.percent, now);
    return true;
  }

  /**
   * Update from a `status` message.
   *
   * @param {StatusChange} data
   * @param {number} now Time of arrival (performance.now()).
   */
  move(data, now) {
    this.touched = now;
    this.status = String(data.newStatus ?? this.status);
    this.retryAt = number(data.retryAt);
    this.failingSince = number(data.failingSince);
    if (this.status === "completed") this.percent = 100;
    if (this.status !== "downloading") this.speed = null;
    if (data.error) this.error = [data.errorKind ?? data.errorType, data.error].filter(Boolean).join(": ");
    else if (this.status === "completed") this.error = null; // until then the database keeps it, too
    if (this.status === "pending") this.pace = new Pace();
  }
}

export class Order {
  /** @param {number} id */
  constructor(id) {
    this.id = id;
    this.code = `#${id}`;
    this.email = "";
    this.status = "";
    /** @type {number|null} */
    this.amount = null;
    /** @type {string|null} ISO 8601 with its zone. */
    this.created = null;
    /** @type {Partial<RawOrder["stats"]>} */
    this.stats = {};
    /** @type {Task[]} */
    this.tasks = [];
    /** @type {Payment[]} Oldest first. */
    this.payments = [];
    /** @type {Waiting|null} */
    this.waiting = null;
    this.touched = Number.NEGATIVE_INFINITY;
    /** @type {Position|null} */
    this.last = null;
    /** @type {number|null} Percent of the last progress message. */
    this.live = null;
  }

  /**
   * Update the order from the API, as `Task.read` does.
   *
   * @param {RawOrder} raw
   * @param {number} asked Time of the request (performance.now()).
   * @param {(taskId: number, orderId: number) => Task} tasks Returns the task with an id.
   */
  read(raw, asked, tasks) {
    this.code = raw.order_code ?? `#${this.id}`;
    this.email = raw.user_email ?? "";
    this.amount = number(raw.total_amount);
    this.created = raw.created_at;
    this.stats = raw.stats ?? {};
    this.tasks = list(raw.tasks)
      .filter(hasId)
      .map((item) => {
        const task = tasks(Number(item.id), this.id);
        task.read(item, asked);
        return task;
      });
    if (raw.payments) this.payments = list(raw.payments).filter(hasId);
    if (raw.waiting !== undefined) this.waiting = raw.waiting;
    if (this.touched > asked) return;
    this.status = String(raw.order_status ?? "");
  }

  /**
   * Update from a `progress` message; return false for a message that is older than the last one.
   *
   * @param {Progress} data
   * @param {number} now Time of arrival (performance.now()).
   */
  progress(data, now) {
    if (!isNewer(data, this.last)) return false;
    this.last = data;
    this.touched = now;
    this.live = number(data.percent);
    return true;
  }

  /**
   * Update from a `status` message.
   *
   * @param {StatusChange} data
   * @param {number} now Time of arrival (performance.now()).
   */
  move(data, now) {
    this.touched = now;
    this.status = String(data.newStatus ?? this.status);
    this.live = null;
  }

  /** Percent done: that of the last progress message, else the mean of the tasks without cancelled ones. */
  get percent() {
    if (this.status === "completed") return 100;
    if (this.live !== null && !ENDED.has(this.status)) return this.live;
    const counted = this.tasks.filter((task) => task.status !== "cancelled");
    if (!counted.length) return number(this.stats.progressPercentage) ?? 0;
    return (
      counted.reduce((sum, task) => sum + (task.status === "failed" ? 0 : task.percent), 0) / counted.length
    );
  }

  /**
   * Whether the code, id or e-mail address contains a text.
   *
   * @param {string} part In lower case.
   */
  matches(part) {
    return [this.code, String(this.id), this.email].some((word) => String(word).toLowerCase().includes(part));
  }

  /** Numbers of tasks: `total` without cancelled ones. */
  get counts() {
    if (!this.tasks.length) {
      return {
        total: this.stats.totalTasks ?? 0,
        completed: this.stats.completedTasks ?? 0,
        failed: this.stats.failedTasks ?? 0,
        cancelled: 0,
      };
    }
    const of = (/** @type {string} */ status) => this.tasks.filter((task) => task.status === status).length;
    const cancelled = of("cancelled");
    return {
      total: this.tasks.length - cancelled,
      completed: of("completed"),
      failed: of("failed"),
      cancelled,
    };
  }

  /** The file of the last progress message, and the total speed of all tasks. */
  get now() {
    const running = this.tasks.filter((task) => task.status === "downloading");
    const last = running.toSorted((a, b) => b.touched - a.touched || 0)[0];
    return { file: last?.file ?? null, speed: running.reduce((sum, task) => sum + (task.speed ?? 0), 0) };
  }
}

/**
 * Whether a message is newer than another of its channel: by (attempt, seq), else by timestamp.
 *
 * @param {Position} data
 * @param {Position|null} than
 */
export function isNewer(data, than) {
  if (than === null) return true;
  const [a, b] = [sequence(data), sequence(than)];
  if (a && b) return a.attempt === b.attempt ? a.seq > b.seq : a.attempt > b.attempt;
  return (number(data.timestamp) ?? 0) > (number(than.timestamp) ?? 0);
}

/** @param {Position} data */
function sequence(data) {
  const [attempt, seq] = [number(data.attempt), number(data.seq)];
  return attempt === null || seq === null ? null : { attempt, seq };
}
