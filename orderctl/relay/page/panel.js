/** The panel of one order: its facts, its tasks, its payments and its audit log. */

/** @import { Action, Api } from "./api.js" */
/** @import { Order, Task } from "./order.js" */
/** @import { Store } from "./store.js" */

import { bar, inWords, ofOrder } from "./bar.js";
import { failure } from "./command.js";
import { badge, button, fill, h, relativeTime, setStatus, write } from "./dom.js";
import { Commands, Reason } from "./hints.js";
import { channelsOf } from "./list.js";
import { AuditLog } from "./log.js";
import { payment } from "./payments.js";
import { TaskCard } from "./task.js";
import * as text from "./text.js";
import { ApiError } from "./transport.js";
import { Why } from "./why.js";

/** Delay before an order is read, so that moving quickly through the list sends no requests, in ms. */
const READ_DELAY = 120;

/**
 * What the page provides to the panel.
 *
 * @typedef {object} Context
 * @property {() => string} currency Currency of the amounts.
 * @property {(action: Action) => boolean} allowed Whether tasks may be retried, or cancelled.
 * @property {(task: Task, action: Action) => unknown} act Retries or cancels a task.
 * @property {() => void} close Closes the panel.
 */

export class Panel {
  #element;
  #api;
  #store;
  #context;
  /** @type {number|null} */
  #id = null;
  /** @type {View|null} */
  #view = null;

  /**
   * @param {HTMLElement} element Shows the order.
   * @param {Api} api
   * @param {Store} store
   * @param {Context} context
   */
  constructor(element, api, store, context) {
    this.#element = element;
    this.#api = api;
    this.#store = store;
    this.#context = context;
    store.on("change", (order) => order.id === this.#id && this.#show(order));
  }

  /** Id of the open order, or null. */
  get id() {
    return this.#id;
  }

  /** Channels of the open order. */
  channels() {
    return this.#id === null ? [] : channelsOf(this.#store.order(this.#id));
  }

  /**
   * Show an order.
   *
   * @param {number|null} id Null closes the panel.
   * @param {boolean} focus Whether to move the focus to the panel.
   */
  async open(id, focus) {
    if (id === this.#id) return;
    this.#id = id;
    this.#view = null;
    this.#element.hidden = id === null;
    document.documentElement.classList.toggle("has-panel", id !== null);
    if (id === null) {
      fill(this.#element);
      return;
    }
    this.#element.scrollTop = 0;
    if (focus) this.#element.focus({ preventScroll: true });
    await this.#begin(this.#store.order(id), id);
  }

  /** Read the order and its newest events again. */
  async refresh() {
    const id = this.#id;
    if (id === null) return;
    try {
      await this.read(id);
      if (id === this.#id) await Promise.all([this.#view?.log.refresh(), this.#view?.why.refresh()]);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (id === this.#id && this.#view === null) this.#fail(error.message);
    }
  }

  /**
   * Read an order again.
   *
   * @param {number} id
   */
  async read(id) {
    const asked = performance.now();
    const body = await this.#api.order(id);
    this.#store.take(body.data, asked);
    const order = this.#store.order(id);
    if (order && id === this.#id) this.#show(order);
  }

  /** Update texts that depend on the time. */
  tick() {
    this.#view?.tick();
  }

  /**
   * @param {Order|null} known
   * @param {number} id
   */
  async #begin(known, id) {
    if (known) {
      this.#show(known);
      await new Promise((resolve) => setTimeout(resolve, READ_DELAY));
    } else fill(this.#element, h("p", { class: "quiet panel-note" }, "Loading…"));
    if (id === this.#id) await this.refresh();
  }

  /** @param {Order} order */
  #show(order) {
    const view = this.#view ?? new View(order, this.#api, this.#context);
    if (view !== this.#view) fill(this.#element, ...view.elements);
    this.#view = view;
    view.show(order);
  }

  /** @param {string} why */
  #fail(why) {
    fill(
      this.#element,
      h(
        "div",
        { class: "panel-note", role: "alert" },
        ...failure("This order cannot be shown", why),
        h(
          "div",
          { class: "note-buttons" },
          button("Try again", () => this.refresh()),
          button("Back to the list", () => this.#context.close()),
        ),
      ),
    );
  }
}

class View {
  #title = h("h2", { class: "panel-title", id: "panel-title" });
  #status = badge("");
  #facts = h("p", { class: "panel-facts" });
  #bar = bar("Progress of the order");
  #sum = h("p", { class: "quiet" });
  #reason = new Reason();
  #commands = new Commands();
  #tasks = h("ul", { class: "tasks" });
  #payments = h("ul", { class: "payments" });
  #paid = h("section", { "aria-label": "Payments" }, h("h3", {}, "Payments"), this.#payments);
  /** @type {Map<number, TaskCard>} */
  #cards = new Map();
  #context;

  /**
   * @param {Order} order
   * @param {Api} api
   * @param {Context} context
   */
  constructor(order, api, context) {
    this.#context = context;
    this.log = new AuditLog(order, api);
    this.why = new Why(order.id, api);
    const close = button("Close", () => context.close(), {
      class: "panel-close",
      "aria-keyshortcuts": "Escape",
    });
    this.elements = [
      h(
        "header",
        { class: "panel-head" },
        h("div", { class: "panel-line" }, this.#title, this.#status, close),
        this.#facts,
        this.#bar.element,
        this.#sum,
        this.#reason.element,
      ),
      this.why.element,
      h("section", { "aria-label": "Tasks" }, h("h3", {}, "Tasks"), this.#tasks),
      this.#paid,
      this.#commands.element,
      this.log.element,
    ];
  }

  /** @param {Order} order */
  show(order) {
    write(this.#title, order.code);
    setStatus(this.#status, order.status);
    write(this.#status, text.words(order.status));
    const facts = `${order.email}|${order.amount}|${order.created}`;
    if (this.#facts.dataset.of !== facts) {
      this.#facts.dataset.of = facts;
      fill(
        this.#facts,
        h("span", {}, text.email(order.email)),
        h("span", {}, text.money(order.amount, this.#context.currency())),
        relativeTime(order.created),
        h("span", { title: "Order id" }, `#${order.id}`),
      );
    }
    this.#bar.set(ofOrder(order));
    write(this.#sum, `${text.percent(order.percent)} · ${inWords(order)}`);
    this.#reason.show(order);
    this.#commands.show(order);
    this.#arrange(order);
    this.#showPayments(order);
  }

  tick() {
    for (const card of this.#cards.values()) card.tick();
  }

  /** @param {Order} order */
  #arrange(order) {
    const ids = new Set(order.tasks.map((task) => task.id));
    for (const [id, card] of this.#cards) {
      if (ids.has(id)) continue;
      card.element.remove();
      this.#cards.delete(id);
    }
    for (const task of order.tasks) {
      const card = this.#cards.get(task.id) ?? this.#add(task);
      card.show();
    }
    this.log.offer(order.tasks);
  }

  /** @param {Order} order */
  #showPayments(order) {
    const currency = this.#context.currency();
    const shown = JSON.stringify([order.payments, currency]);
    if (this.#payments.dataset.shown === shown) return;
    this.#payments.dataset.shown = shown;
    this.#paid.hidden = !order.payments.length;
    fill(this.#payments, ...order.payments.map((raw) => h("li", {}, payment(raw, currency, false))));
  }

  /** @param {Task} task */
  #add(task) {
    const card = new TaskCard(task, this.#context, () => this.log.only(task.id));
    this.#cards.set(task.id, card);
    this.#tasks.append(card.element);
    return card;
  }
}
