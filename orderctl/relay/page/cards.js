/** The numbers above the list; each is the filter of its status. */

import { button, h, setStatus, write } from "./dom.js";
import { number } from "./order.js";
import * as text from "./text.js";

const CARDS = [
  ["", "All paid", "total"],
  ["pending", "Pending", "pending"],
  ["processing", "Processing", "processing"],
  ["completed", "Completed", "completed"],
  ["failed", "Failed", "failed"],
  ["cancelled", "Cancelled", "cancelled"],
];
const TASKS = ["downloading", "enrolled", "pending", "failed", "completed"];

/** Fires `choose` with `detail` = a status, or "" for all. */
export class Cards extends EventTarget {
  #numbers = new Map();
  #buttons = new Map();
  #tasks;

  /**
   * @param {HTMLElement} element Gets the cards.
   * @param {HTMLElement} tasks Gets the numbers of the tasks.
   */
  constructor(element, tasks) {
    super();
    this.#tasks = tasks;
    for (const [at, [status, label, key]] of CARDS.entries())
      element.append(this.#card(status, label, key, at + 1));
    this.mark("");
  }

  /** Show the statistics of the API. */
  show({ orders = {}, tasks = {}, connections }) {
    for (const [key, element] of this.#numbers) write(element, text.number(number(orders?.[key])));
    const parts = TASKS.filter((status) => tasks?.[status]).map(
      (status) => `${text.number(tasks[status])} ${status}`,
    );
    const watching = number(connections) === null ? [] : [text.plural(connections, "connection")];
    write(
      this.#tasks,
      [parts.length ? `Tasks: ${parts.join(", ")}` : "", ...watching].filter(Boolean).join(" · "),
    );
    return number(orders?.failed) ?? 0;
  }

  /** Show which status is chosen. */
  mark(chosen) {
    for (const [status, element] of this.#buttons)
      element.setAttribute("aria-pressed", String(status === chosen));
  }

  /** Choose the card of that place, from 1 on. */
  choose(place) {
    const card = CARDS[place - 1];
    if (card) this.dispatchEvent(new CustomEvent("choose", { detail: card[0] }));
  }

  #card(status, label, key, place) {
    const figure = h("span", { class: "card-number" }, "–");
    const element = button("", () => this.choose(place), { class: "card", "aria-keyshortcuts": place });
    element.append(figure, h("span", { class: "card-label" }, label));
    setStatus(element, status || "all");
    this.#numbers.set(key, figure);
    this.#buttons.set(status, element);
    return element;
  }
}
