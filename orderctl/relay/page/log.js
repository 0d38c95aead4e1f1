/** The audit log of an order, newest event first. */

/** @import { Api, AuditEvent } from "./api.js" */
/** @import { Order, Task } from "./order.js" */

import { button, fill, h, setSeverity, write } from "./dom.js";
import * as text from "./text.js";
import { ApiError } from "./transport.js";
import { hasId, list } from "./values.js";

/** Number of events that one request reads. */
const PAGE = 50;
/** @type {[severities: string, label: string][]} */
const LEVELS = [
  ["", "All events"],
  ["warning,error,critical", "Warnings and errors"],
  ["error,critical", "Errors"],
];

export class AuditLog {
  #order;
  #api;
  /** @type {AuditEvent[]} */
  #events = [];
  /** @type {Map<number, HTMLElement>} */
  #entries = new Map();
  #run = 0;
  #complete = true;
  #severity = h("select", { "aria-label": "Severity" });
  #task = h("select", { "aria-label": "Task" });
  #list = h("ol", { class: "log" });
  #note = h("p", { class: "quiet", role: "status" });
  #older = button("Load older events", () => this.#load(this.#events.at(-1)?.id ?? null));

  /**
   * @param {Order} order
   * @param {Api} api
   */
  constructor(order, api) {
    this.#order = order;
    this.#api = api;
    for (const filter of [this.#severity, this.#task])
      filter.addEventListener("change", () => this.#reload());
    fill(this.#severity, ...LEVELS.map(([value, label]) => h("option", { value }, label)));
    this.offer([]);
    this.#older.hidden = true;
    this.element = h(
      "section",
      { "aria-label": "Audit log" },
      h(
        "div",
        { class: "section-head" },
        h("h3", {}, "Audit log"),
        h("div", { class: "filters" }, this.#severity, this.#task),
      ),
      this.#list,
      this.#note,
      this.#older,
    );
  }

  /**
   * Offer these tasks as a filter.
   *
   * @param {Task[]} tasks
   */
  offer(tasks) {
    /** @type {[value: string, label: string][]} */
    const options = [
      ["", "All tasks"],
      ...tasks.map((task) => /** @type {[string, string]} */ ([String(task.id), `${task.id} ${task.title}`])),
    ];
    const shown = JSON.stringify(options);
    if (this.#task.dataset.shown === shown) return;
    const chosen = this.#task.value;
    fill(this.#task, ...options.map(([value, label]) => h("option", { value }, label.slice(0, 60))));
    this.#task.value = chosen;
    this.#task.dataset.shown = shown;
  }

  /**
   * Show the events of one task only.
   *
   * @param {number} taskId
   */
  async only(taskId) {
    this.#task.value = String(taskId);
    this.element.scrollIntoView({ block: "start" });
    this.#task.focus({ preventScroll: true });
    await this.#reload();
  }

  /** Read the newest events. */
  async refresh() {
    await this.#load(null);
  }

  async #reload() {
    this.#events = [];
    await this.#load(null);
  }

  /** @param {number|null} before Read events older than this id; null: the newest. */
  async #load(before) {
    this.#run += 1;
    const run = this.#run;
    try {
      const events = await this.#fetch(before);
      if (run !== this.#run) return;
      this.#take(events, before);
      write(this.#note, this.#events.length ? "" : "No events.");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (run === this.#run) write(this.#note, `The events cannot be shown: ${error.message}.`);
    }
  }

  /** @param {number|null} before */
  async #fetch(before) {
    const parameters = { limit: PAGE, severity: this.#severity.value, task: this.#task.value, before };
    const body = await this.#api.logs(this.#order.id, parameters);
    return list(body.data?.logs)
      .filter(hasId)
      .map((event) => ({ ...event, id: Number(event.id) }));
  }

  /**
   * @param {AuditEvent[]} events
   * @param {number|null} before
   */
  #take(events, before) {
    const full = events.length >= PAGE;
    const oldest = events.at(-1)?.id ?? 0;
    if (before !== null) {
      this.#events = [...this.#events, ...events];
      this.#complete = !full;
    } else if (full && this.#events.some((event) => event.id >= oldest)) {
      this.#events = [...events, ...this.#events.filter((event) => event.id < oldest)];
    } else {
      this.#events = events;
      this.#complete = !full;
    }
    this.#older.hidden = this.#complete;
    this.#show();
  }

  #show() {
    const elements = [];
    /** @type {string|null} */
    let today = null;
    for (const event of this.#events) {
      const date = new Date(event.created_at ?? Number.NaN);
      const day = Number.isNaN(date.getTime()) ? "" : text.day(date);
      if (day !== today) elements.push(h("li", { class: "log-day" }, day));
      today = day;
      elements.push(this.#entry(event, date));
    }
    this.#keep();
    arrange(this.#list, elements);
  }

  /**
   * @param {AuditEvent} event
   * @param {Date} date
   */
  #entry(event, date) {
    const element = this.#entries.get(event.id) ?? entry(event, date);
    this.#entries.set(event.id, element);
    return element;
  }

  #keep() {
    const ids = new Set(this.#events.map((event) => event.id));
    for (const id of this.#entries.keys()) if (!ids.has(id)) this.#entries.delete(id);
  }
}

/**
 * Replace the children of an element. Those that stay are not moved, so that open details stay open.
 *
 * @param {Element} element
 * @param {Element[]} children
 */
function arrange(element, children) {
  const wanted = new Set(children);
  for (const child of [...element.children]) if (!wanted.has(child)) child.remove();
  let next = element.firstElementChild;
  for (const child of children) {
    if (child === next) next = next.nextElementSibling;
    else element.insertBefore(child, next);
  }
}

/**
 * @param {AuditEvent} event
 * @param {Date} date
 */
function entry(event, date) {
  const moment = Number.isNaN(date.getTime())
    ? h("span", { class: "log-time" }, "–")
    : h(
        "time",
        { class: "log-time", datetime: date.toISOString(), title: text.moment(date) },
        text.time(date),
      );
  const moved =
    event.previous_status && event.new_status
      ? `${event.previous_status} → ${event.new_status}`
      : event.new_status;
  const about = [
    event.task_id && `task ${event.task_id}`,
    event.task_title,
    moved,
    event.source,
    event.actor && `by ${event.actor}`,
  ];
  const element = h(
    "li",
    { class: "log-event", "data-event": event.id },
    h(
      "div",
      { class: "log-line" },
      moment,
      h("span", { class: "log-type" }, text.words(event.event_type)),
      severity(event.severity),
    ),
    message(event.message),
    h("p", { class: "log-about" }, about.filter(Boolean).map(text.line).join(" · ")),
    details(event.details),
  );
  setSeverity(element, event.severity);
  return element;
}

/**
 * Create the name of a severity; null for "info" and "debug", which are not shown.
 *
 * @param {string} name
 */
function severity(name) {
  return name === "info" || name === "debug" ? null : h("span", { class: "log-severity" }, name);
}

/** @param {string} value */
function message(value) {
  const element = h("p", { class: "log-message" });
  element.textContent = text.block(value);
  return element;
}

/**
 * Create the details of an event; their content is created when they are opened.
 *
 * @param {unknown} value
 */
function details(value) {
  if (value === null || value === undefined || (typeof value === "object" && !Object.keys(value).length))
    return null;
  const element = h("details", {}, h("summary", {}, "Details"));
  element.addEventListener("toggle", () => element.children.length === 1 && element.append(fields(value)), {
    once: true,
  });
  return element;
}

/** @param {unknown} value */
function fields(value) {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const pairs = Object.entries(isObject ? value : { details: value });
  return h("dl", { class: "fields" }, ...pairs.flatMap(([name, inner]) => [h("dt", {}, name), field(inner)]));
}

/** @param {unknown} value */
function field(value) {
  const shown = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const inner = h(shown.includes("\n") ? "pre" : "span", shown.includes("\n") ? { tabindex: 0 } : {});
  inner.textContent = text.block(shown);
  return h("dd", {}, inner);
}
