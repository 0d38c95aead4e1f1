/** Numbers of orders by status, above the list. Each is a button that filters the list by its status. */

/** @import { Stats } from "./api.js" */

import { button, h, setStatus, write } from "./dom.js";
import { Emitter } from "./emitter.js";
import * as text from "./text.js";
import { number } from "./values.js";

/** @type {[status: string, label: string, key: keyof Stats["orders"]][]} */
const CARDS = [
  ["", "All paid", "total"],
  ["pending", "Pending", "pending"],
  ["processing", "Processing", "processing"],
  ["completed", "Completed", "completed"],
  ["failed", "Failed", "failed"],
  ["cancelled", "Cancelled", "cancelled"],
];
/** From this age on the page shows when the numbers were counted, in ms. */
const OLD = 60_000;
/** @type {(keyof Stats["tasks"])[]} */
const TASKS = ["downloading", "enrolled", "pending", "failed", "completed"];

/**
 * Fires `choose` with a status, or "" for all.
 *
 * @extends {Emitter<{choose: string}>}
 */
export class Cards extends Emitter {
  /** @type {Map<keyof Stats["orders"], HTMLElement>} */
  #numbers = new Map();
  /** @type {Map<string, HTMLElement>} */
  #buttons = new Map();
  #tasks;

  /**
   * @param {HTMLElement} element Container of the cards.
   * @param {HTMLElement} tasks Container of the numbers of tasks.
   */
  constructor(element, tasks) {
    super();
    this.#tasks = tasks;
    for (const [at, [status, label, key]] of CARDS.entries())
      element.append(this.#card(status, label, key, at + 1));
    this.mark("");
  }

  /**
   * Show the statistics of the API, and return the number of failed orders.
   *
   * @param {Partial<Stats>} stats
   */
  show({ orders, tasks, connections, atLeast, countedAt }) {
    const bounds = new Set(Array.isArray(atLeast) ? atLeast : []);
    const plus = (/** @type {string} */ name) => (bounds.has(name) ? "+" : "");
    for (const [key, element] of this.#numbers) {
      const count = number(orders?.[key]);
      write(element, `${text.number(count)}${plus(`orders.${key}`)}`);
      element.parentElement?.classList.toggle("is-zero", !count);
    }
    const parts = TASKS.filter((status) => tasks?.[status]).map(
      (status) => `${text.number(tasks?.[status])}${plus(`tasks.${status}`)}\u00a0${status}`,
    );
    const clients = number(connections);
    const watching = clients === null ? "" : text.plural(clients, "connection").replace(" ", "\u00a0");
    const list = parts.length ? `Tasks: ${parts.join(", ")}` : "";
    write(this.#tasks, [list, watching, age(countedAt)].filter(Boolean).join(" · "));
    return number(orders?.failed) ?? 0;
  }

  /**
   * Mark the card of the chosen status.
   *
   * @param {string} chosen
   */
  mark(chosen) {
    for (const [status, element] of this.#buttons)
      element.setAttribute("aria-pressed", String(status === chosen));
  }

  /**
   * Choose a card by its position.
   *
   * @param {number} place Counted from 1.
   */
  choose(place) {
    const card = CARDS[place - 1];
    if (card) this.emit("choose", card[0]);
  }

  /**
   * @param {string} status
   * @param {string} label
   * @param {keyof Stats["orders"]} key
   * @param {number} place
   */
  #card(status, label, key, place) {
    const figure = h("span", { class: "card-number" }, "–");
    const element = button("", () => this.choose(place), {
      class: "card is-zero",
      "aria-keyshortcuts": place,
    });
    element.append(figure, h("span", { class: "card-label" }, label));
    setStatus(element, status || "all");
    this.#numbers.set(key, figure);
    this.#buttons.set(status, element);
    return element;
  }
}

/**
 * The age of the numbers, if that is more than a minute.
 *
 * @param {unknown} countedAt ISO 8601 with its zone.
 */
function age(countedAt) {
  const date = new Date(typeof countedAt === "string" ? countedAt : Number.NaN);
  return Date.now() - date.getTime() > OLD ? `counted ${text.ago(date)}` : "";
}
