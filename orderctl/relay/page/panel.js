/** One order in full: what it is, its tasks, its audit log. */

import { ApiError } from "./api.js";
import { badge, bar, button, fill, h, setStatus, since, write } from "./dom.js";
import { subjects } from "./list.js";
import { AuditLog } from "./log.js";
import { TaskCard } from "./task.js";
import * as text from "./text.js";

/** Who walks through the list opens orders only in passing: nothing is asked for sooner, in ms. */
const PASSING = 120;

export class Panel {
  #element;
  #api;
  #store;
  #context;
  #id = null;
  #view = null;

  /**
   * @param {HTMLElement} element Shows the order.
   * @param {import("./api.js").Api} api Asked for what the list does not tell.
   * @param {import("./store.js").Store} store What is known of orders.
   * @param {object} context `currency()`, `allowed()`, `act(task, action)`, `close()`.
   */
  constructor(element, api, store, context) {
    this.#element = element;
    this.#api = api;
    this.#store = store;
    this.#context = context;
    store.addEventListener("change", ({ detail }) => detail.id === this.#id && this.#show(detail));
  }

  /** The id of the order that is shown, or null. */
  get id() {
    return this.#id;
  }

  /** The names of what the panel wants to hear. */
  heard() {
    return this.#id === null ? [] : subjects(this.#store.order(this.#id));
  }

  /** Show an order, and move the focus there if that is wanted; null: none. */
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
      if (id === this.#id) await this.#view?.log.refresh();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (id === this.#id && this.#view === null) this.#fail(error.message);
    }
  }

  /** Read an order again. */
  async read(id) {
    const asked = performance.now();
    const body = await this.#api.get(`orders/${id}`);
    this.#store.take(body.data, asked);
    const order = this.#store.order(id);
    if (order && id === this.#id) this.#show(order);
  }

  /** Tell the time that is left anew. */
  tick() {
    this.#view?.tick();
  }

  async #begin(known, id) {
    if (known) {
      this.#show(known);
      await new Promise((resolve) => setTimeout(resolve, PASSING));
    } else fill(this.#element, h("p", { class: "quiet panel-note" }, "Loading…"));
    if (id === this.#id) await this.refresh();
  }

  #show(order) {
    if (this.#view === null) {
      this.#view = new View(order, this.#api, this.#context);
      fill(this.#element, ...this.#view.elements);
    }
    this.#view.show(order);
  }

  #fail(why) {
    const close = button("Back to the list", () => this.#context.close());
    fill(
      this.#element,
      h("p", { class: "panel-note", role: "alert" }, `This order cannot be shown: ${why}.`),
      close,
    );
  }
}

class View {
  #title = h("h2", { class: "panel-title", id: "panel-title" });
  #status = badge("");
  #facts = h("p", { class: "panel-facts" });
  #bar = bar("Progress of the order");
  #sum = h("p", { class: "quiet" });
  #tasks = h("ul", { class: "tasks" });
  #cards = new Map();
  #context;

  constructor(order, api, context) {
    this.#context = context;
    this.log = new AuditLog(order, api);
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
      ),
      h("section", { "aria-label": "Tasks" }, h("h3", {}, "Tasks"), this.#tasks),
      this.log.element,
    ];
  }

  show(order) {
    write(this.#title, order.code);
    setStatus(this.#status, order.status);
    write(this.#status, text.words(order.status));
    const facts = `${order.email}|${order.amount}|${order.created}`;
    if (this.#facts.dataset.of !== facts) {
      this.#facts.dataset.of = facts;
      fill(
        this.#facts,
        h("span", {}, order.email),
        h("span", {}, text.money(order.amount, this.#context.currency())),
        since(order.created),
        h("span", { title: "Order id" }, `#${order.id}`),
      );
    }
    this.#bar.set(order.percent, order.status);
    const { total, completed, failed } = order.counts;
    write(
      this.#sum,
      [
        text.percent(order.percent),
        `${completed} of ${text.plural(total, "task")} completed`,
        failed && `${failed} failed`,
      ]
        .filter(Boolean)
        .join(" · "),
    );
    this.#arrange(order);
  }

  tick() {
    for (const card of this.#cards.values()) card.tick();
  }

  #arrange(order) {
    const ids = new Set(order.tasks.map((task) => task.id));
    for (const [id, card] of this.#cards) {
      if (ids.has(id)) continue;
      card.element.remove();
      this.#cards.delete(id);
    }
    for (const task of order.tasks) {
      if (!this.#cards.has(task.id)) this.#add(task);
      this.#cards.get(task.id).show();
    }
    this.log.offer(order.tasks);
  }

  #add(task) {
    const card = new TaskCard(task, this.#context, () => this.log.only(task.id));
    this.#cards.set(task.id, card);
    this.#tasks.append(card.element);
  }
}
