/** What an order waits for, and the commands for it. */

/** @import { Order, Task } from "./order.js" */

import { command, reference, list as showCommands } from "./command.js";
import { fill, h } from "./dom.js";
import { ACTIVE, ENDED } from "./order.js";
import * as text from "./text.js";

/** What an order or a task waits for, or what of it has failed, and the command that helps. */
export class Reason {
  #shown = "";

  constructor() {
    this.element = h("div", { class: "hint" });
    this.element.hidden = true;
  }

  /** @param {Order|Task} subject */
  show(subject) {
    const [kind, words, line] = ("tasks" in subject && failureOf(subject)) || waitingOf(subject);
    const shown = [kind, words, line].join("\n");
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.element.hidden = kind === "";
    this.element.dataset.kind = kind;
    fill(this.element, h("p", {}, words), line && command(line));
  }
}

/**
 * What an order or a task waits for, or null. What the API has said no longer holds once a task runs.
 *
 * @param {Order|Task} subject
 */
export function reasonOf(subject) {
  const { status, waiting } = subject;
  const running = "tasks" in subject && subject.tasks.some((task) => ACTIVE.has(task.status));
  return running || ENDED.has(status) || ACTIVE.has(status) || !waiting?.text ? null : waiting;
}

/** @typedef {[kind: ""|"failed"|"waiting", words: string, line: string|null|undefined]} Hint */

/**
 * @param {Order|Task} subject
 * @returns {Hint}
 */
function waitingOf(subject) {
  const waiting = reasonOf(subject);
  return waiting ? ["waiting", `Waiting: ${text.line(waiting.text)}`, waiting.hint] : ["", "", null];
}

/**
 * What of an order has failed, and how to retry that.
 *
 * @param {Order} order
 * @returns {Hint|null}
 */
function failureOf(order) {
  const failed = order.tasks.filter((task) => task.status === "failed");
  if (!failed.length) return null;
  const take = failed.some((task) => !task.managed) ? " --take" : "";
  const { total } = order.counts;
  const words = `${failed.length} of ${text.plural(total, "task")} failed. Retry in a terminal:`;
  return ["failed", words, `orderctl tasks retry --failed --order ${reference(order)}${take}`];
}

/** The commands for an order. */
export class Commands {
  #list = h("ul", { class: "commands" });

  constructor() {
    this.element = h("section", { "aria-label": "In a terminal" }, h("h3", {}, "In a terminal"), this.#list);
  }

  /** @param {Order} order */
  show(order) {
    showCommands(this.#list, [...commandsOf(order)]);
  }
}

/**
 * @param {Order} order
 * @returns {Generator<[about: string, line: string]>}
 */
function* commandsOf(order) {
  const name = reference(order);
  if (!ENDED.has(order.status)) yield ["Watch it:", `orderctl tail order ${name}`];
  yield ["Show all of it:", `orderctl orders show ${name}`];
}
