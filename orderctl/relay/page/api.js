/** The relay's admin API: its requests, and the types of its answers. */

/** @import { Token } from "./token.js" */

import { ApiError, authorization, parse, send } from "./transport.js";

/**
 * A download task of an order.
 *
 * @typedef {object} RawTask
 * @property {number} id
 * @property {string|null} title
 * @property {string} status
 * @property {string|null} course_url
 * @property {number} currentProgress Percent.
 * @property {string|null} [currentFile]
 * @property {number|null} [speed] In bytes/s.
 * @property {string|null} drive_link
 * @property {string|null} error_log
 * @property {string|null} [error_type]
 * @property {string|null} [error_fingerprint]
 * @property {number} [attempt]
 * @property {number} [max_attempts]
 * @property {string|null} [retry_at] When it is tried again after a failure, ISO 8601 with its zone.
 * @property {string|null} [failing_since] Since when it has been failing, likewise.
 * @property {boolean} [managed] Whether orderctl's workers run it, and not the shop's own.
 * @property {string|null} [updated_at]
 * @property {Waiting|null} [waiting]
 */

/**
 * What an order or a task waits for, and the command that helps.
 *
 * @typedef {object} Waiting
 * @property {string} cause
 * @property {string} text
 * @property {string|null} [hint]
 */

/**
 * An order with its tasks.
 *
 * @typedef {object} RawOrder
 * @property {number} id
 * @property {string} order_code
 * @property {string} order_status
 * @property {string|null} user_email
 * @property {number} total_amount
 * @property {string} payment_status
 * @property {string|null} created_at ISO 8601 with its zone.
 * @property {RawStats} stats
 * @property {RawTask[]} tasks
 * @property {Payment[]} [payments] Oldest first; only of an order that is read alone.
 * @property {Waiting|null} [waiting] Why nothing happens to it; older relays do not tell.
 */

/**
 * A transfer of money that came in, or was reported.
 *
 * @typedef {object} Payment
 * @property {number} id
 * @property {string} provider
 * @property {string|null} provider_id
 * @property {number|null} order_id
 * @property {string|null} order_code
 * @property {number|null} amount
 * @property {string|null} currency Null: the shop's.
 * @property {string|null} bank
 * @property {string|null} reference
 * @property {string|null} content The customer's words.
 * @property {string|null} told_at ISO 8601 with its zone.
 * @property {string} outcome
 * @property {string|null} reason Why it has this outcome.
 * @property {string|null} decided_by
 * @property {string|null} decision Why it was decided so.
 */

/**
 * A page of payments, and the numbers of those that wait for a decision.
 *
 * @typedef {object} PaymentPage
 * @property {Payment[]} payments Newest first.
 * @property {Record<string, number>} waiting By outcome.
 * @property {number|null} before For the next page; null at the end.
 */

/**
 * @typedef {object} RawStats
 * @property {number} completedTasks
 * @property {number} totalTasks Without cancelled tasks.
 * @property {number} failedTasks
 * @property {number} progressPercentage
 */

/**
 * An event of the audit log.
 *
 * @typedef {object} AuditEvent
 * @property {number} id
 * @property {number|null} task_id
 * @property {string|null} task_title
 * @property {string|null} course_url
 * @property {string} severity
 * @property {string} event_type
 * @property {string} event_category
 * @property {string} message
 * @property {Record<string, unknown>|null} details
 * @property {string|null} previous_status
 * @property {string|null} new_status
 * @property {string|null} source
 * @property {string|null} [actor]
 * @property {string|null} created_at ISO 8601 with its zone.
 */

/**
 * What was found of a link of an order's way.
 *
 * @typedef {object} Link
 * @property {string} link
 * @property {string} state
 * @property {string} text
 */

/**
 * Why an order hangs: the first link that does not hold, and all links.
 *
 * @typedef {object} Diagnosis
 * @property {string} state
 * @property {string|null} link Null: every link holds.
 * @property {string|null} text
 * @property {string[]} evidence
 * @property {string|null} repair A command.
 * @property {string|null} explanation Who can repair it, and how; it may end in a command.
 * @property {Link[]} steps
 */

/**
 * Failed tasks with one fingerprint.
 *
 * @typedef {object} ErrorGroup
 * @property {string|null} error_type
 * @property {string|null} fingerprint
 * @property {number} count
 * @property {boolean} [capped] There are more than `count`.
 * @property {number} latest_task_id
 * @property {string|null} latest_task_title
 * @property {number|null} latest_order_id
 * @property {string|null} latest_order_code
 * @property {string|null} latest_at ISO 8601 with its zone.
 * @property {string|null} example Text of the newest error.
 * @property {boolean} [managed] Whether orderctl's workers run the newest task, and not the shop's own.
 */

/** @typedef {"pending"|"enrolled"|"downloading"|"completed"|"failed"|"cancelled"} TaskStatus */
/** @typedef {"pending"|"processing"|"completed"|"failed"|"cancelled"} OrderStatus */

/**
 * Numbers of orders and tasks by status, and of connected clients.
 *
 * @typedef {object} Stats
 * @property {Record<"total"|OrderStatus, number>} orders
 * @property {Record<"total"|TaskStatus, number>} tasks
 * @property {string[]} [atLeast] The numbers that are lower bounds, such as "orders.failed".
 * @property {string|null} [countedAt] ISO 8601 with its zone.
 * @property {number} connections
 */

/**
 * The token's holder, and what the token allows.
 *
 * @typedef {object} Session
 * @property {string} subject
 * @property {boolean} admin
 * @property {number[]} orders
 * @property {boolean} reads Whether all orders may be read.
 * @property {boolean} emails Whether the e-mail addresses of customers are shown.
 * @property {boolean} actions Whether tasks may be retried or cancelled.
 * @property {Action[]} allowed Which of the two.
 * @property {number|null} expires In seconds since the epoch.
 * @property {string} currency
 */

/**
 * Where a page of orders is in the list.
 *
 * @typedef {object} Pagination
 * @property {number} page
 * @property {number} limit
 * @property {number|null} total
 * @property {number|null} totalPages
 * @property {boolean} hasMore
 * @property {string|null} nextCursor
 */

/** @typedef {"retry"|"cancel"} Action */
/** @typedef {Record<string, string|number|null|undefined>} Parameters */

export class Api {
  #token;

  /** @param {Token} token Sent with each request, and renewed when the relay refuses it. */
  constructor(token) {
    this.#token = token;
  }

  /**
   * One page of the paid orders.
   *
   * @param {Parameters} parameters
   * @returns {Promise<{data: RawOrder[], pagination: Pagination}>}
   */
  orders(parameters) {
    return this.#get("orders/paid", parameters);
  }

  /**
   * One order, paid or not.
   *
   * @param {number} id
   * @returns {Promise<{data: RawOrder}>}
   */
  order(id) {
    return this.#get(`orders/${id}`);
  }

  /**
   * Why an order hangs.
   *
   * @param {number} orderId
   * @returns {Promise<{data: Diagnosis}>}
   */
  why(orderId) {
    return this.#get(`orders/${orderId}/why`);
  }

  /**
   * Events of one order, newest first.
   *
   * @param {number} orderId
   * @param {Parameters} parameters
   * @returns {Promise<{data: {logs: AuditEvent[]}}>}
   */
  logs(orderId, parameters) {
    return this.#get(`orders/${orderId}/logs`, parameters);
  }

  /**
   * Payments, newest first.
   *
   * @param {Parameters} parameters
   * @returns {Promise<{data: PaymentPage}>}
   */
  payments(parameters) {
    return this.#get("payments", parameters);
  }

  /**
   * The most frequent errors.
   *
   * @param {number} limit
   * @returns {Promise<{data: ErrorGroup[]}>}
   */
  errors(limit) {
    return this.#get("errors", { limit });
  }

  /**
   * Numbers of all orders and tasks; lower bounds while the relay has not counted them yet.
   *
   * @returns {Promise<{data: Stats}>}
   */
  stats() {
    return this.#get("dashboard/stats", { bounds: 1 });
  }

  /** @returns {Promise<{data: Session}>} */
  session() {
    return this.#fetch("api/session");
  }

  /**
   * Retry or cancel a task. Pages of other origins cannot send this header.
   *
   * @param {number} taskId
   * @param {Action} action
   * @param {boolean} take Whether a task of the shop's own workers is taken from them.
   * @returns {Promise<{data: {id: number, status: string, attempt: number, changed: boolean, note?: string}}>}
   */
  act(taskId, action, take) {
    return this.#fetch(`api/admin/tasks/${taskId}/${action}${take ? "?take=1" : ""}`, {
      method: "POST",
      headers: { "X-Orderctl-Action": action },
    });
  }

  /**
   * Send a GET request. Parameters that are null or empty are left out.
   *
   * @param {string} path
   * @param {Parameters} parameters
   */
  #get(path, parameters = {}) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(parameters))
      if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
    const suffix = query.size ? `?${query}` : "";
    return this.#fetch(`api/admin/${path}${suffix}`);
  }

  /**
   * @param {string} path
   * @param {{method?: string, headers?: Record<string, string>}} options
   */
  async #fetch(path, options = {}) {
    for (;;) {
      const used = this.#token.value;
      const response = await send(path, {
        ...options,
        headers: { ...options.headers, ...authorization(used) },
      });
      const body = await parse(response);
      if (response.ok) return body;
      const why =
        typeof body?.error === "string" ? body.error : `the relay answered with status ${response.status}`;
      if (response.status !== 401) throw new ApiError(response.status, why);
      await this.#token.renew(used, used === null ? "" : why);
    }
  }
}
