/** The orders that the page has loaded. */

/** @import { RawOrder } from "./api.js" */
/** @import { Message, Progress, StatusChange } from "./live.js" */

import { Emitter } from "./emitter.js";
import { ENDED, Order, Task } from "./order.js";
import { hasId } from "./values.js";

/**
 * Fires `change` with an order, at most once for each order and frame. Fires `stale` with the id of an order
 * that has to be read again, because live messages do not carry all that changes (links, errors).
 *
 * @extends {Emitter<{change: Order, stale: number}>}
 */
export class Store extends Emitter {
  /** @type {Map<number, Order>} */
  #orders = new Map();
  /** @type {Map<number, Task>} */
  #tasks = new Map();
  /** @type {Set<Order>} */
  #changed = new Set();
  #frame = 0;

  /**
   * Return the order with an id, or null.
   *
   * @param {number} id
   */
  order(id) {
    return this.#orders.get(id) ?? null;
  }

  /**
   * Add or update an order from the API, and return it; null when its id is not valid.
   *
   * @param {RawOrder} raw
   * @param {number} asked Time of the request (performance.now()).
   */
  take(raw, asked) {
    if (!hasId(raw)) return null;
    const id = Number(raw.id);
    const order = this.#orders.get(id) ?? new Order(id);
    this.#orders.set(id, order);
    order.read(raw, asked, (taskId, orderId) => this.#taskOf(taskId, orderId));
    this.#markChanged(order);
    return order;
  }

  /**
   * Remove all other orders.
   *
   * @param {Set<number|null>} ids
   */
  keep(ids) {
    for (const [id, order] of this.#orders) {
      if (ids.has(id)) continue;
      this.#orders.delete(id);
      for (const task of order.tasks) this.#tasks.delete(task.id);
    }
  }

  /**
   * Update an order or a task from a live message.
   *
   * @param {Message} message
   */
  apply({ scope, id, type, data }) {
    const subject = scope === "task" ? this.#tasks.get(id) : this.#orders.get(id);
    if (!subject || data === null || typeof data !== "object") return;
    const order = subject instanceof Task ? this.#orders.get(subject.orderId) : subject;
    if (!order) return;
    if (type === "progress") this.#progress(subject, order, data);
    else if (type === "status") this.#move(subject, order, data);
    else if (type === "complete" && !ENDED.has(order.status)) this.#stale(order);
  }

  /**
   * @param {number} id
   * @param {number} orderId
   */
  #taskOf(id, orderId) {
    const task = this.#tasks.get(id) ?? new Task(id, orderId);
    task.orderId = orderId;
    this.#tasks.set(id, task);
    return task;
  }

  /**
   * @param {Order|Task} subject
   * @param {Order} order
   * @param {Progress} data
   */
  #progress(subject, order, data) {
    if (subject.progress(data, performance.now())) this.#markChanged(order);
  }

  /**
   * @param {Order|Task} subject
   * @param {Order} order
   * @param {StatusChange} data
   */
  #move(subject, order, data) {
    const stays = subject.status === data.newStatus;
    if (stays && !isAnotherFailure(subject, data)) return;
    subject.move(data, performance.now());
    if (subject !== order) order.live = null;
    this.#markChanged(order);
    if (!stays) this.#stale(order);
  }

  /** @param {Order} order */
  #stale(order) {
    this.emit("stale", order.id);
  }

  /** @param {Order} order */
  #markChanged(order) {
    this.#changed.add(order);
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#emitChanges());
  }

  #emitChanges() {
    this.#frame = 0;
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const order of changed) this.emit("change", order);
  }
}

/**
 * Whether a message of the same status says that a waiting task has failed again, so it is tried at another time.
 *
 * @param {Order|Task} subject
 * @param {StatusChange} data
 */
function isAnotherFailure(subject, data) {
  return subject instanceof Task && Boolean(data.retryAt) && data.retryAt !== subject.retryAt;
}
