/** The view of errors: failed tasks grouped by fingerprint, the most frequent first. */

/** @import { Api, ErrorGroup } from "./api.js" */

import { explained } from "./command.js";
import { fill, h, relativeTime, write } from "./dom.js";
import * as text from "./text.js";
import { list } from "./values.js";

/** Fingerprints that are safe in a command that users copy into a shell. */
const PLAIN = /^\w{1,64}$/;

export class Errors {
  #api;
  #list;
  #note;

  /**
   * @param {HTMLElement} groups Container of the groups.
   * @param {HTMLElement} note Shows that there are no groups.
   * @param {Api} api
   */
  constructor(groups, note, api) {
    this.#list = groups;
    this.#note = note;
    this.#api = api;
  }

  /** Read the errors again. */
  async refresh() {
    const body = await this.#api.errors(100);
    const groups = list(body.data);
    const shown = JSON.stringify(groups);
    write(this.#note, groups.length ? "" : "No failed tasks.");
    if (this.#list.dataset.shown === shown) return;
    this.#list.dataset.shown = shown;
    fill(this.#list, ...groups.map(group));
  }
}

/** @param {ErrorGroup} raw */
function group(raw) {
  const message = h("p", { class: "error-message", tabindex: 0 });
  const take = raw.managed === false ? " --take" : "";
  message.textContent = text.block(withoutType(raw.example, raw.error_type) || "No message.");
  return h(
    "li",
    { class: "error-group", "data-fingerprint": text.line(raw.fingerprint ?? "") },
    h(
      "span",
      {
        class: "error-count",
        title: `${raw.capped ? "more than " : ""}${text.plural(raw.count, "failed task")}`,
      },
      text.number(raw.count) + (raw.capped ? "+" : ""),
    ),
    h(
      "div",
      { class: "error-body" },
      h(
        "p",
        { class: "error-head" },
        h("strong", {}, raw.error_type ?? "UNKNOWN"),
        raw.fingerprint && h("code", { title: "Fingerprint" }, raw.fingerprint),
      ),
      message,
      h("p", { class: "quiet" }, ...latest(raw)),
      PLAIN.test(raw.fingerprint ?? "") &&
        explained("Retry all of them:", `orderctl tasks retry --fingerprint ${raw.fingerprint}${take}`),
    ),
  );
}

/**
 * Remove the error type at the start of an error text: the heading shows it.
 *
 * @param {string|null} example
 * @param {string|null} type
 */
function withoutType(example, type) {
  const start = `${type}: `;
  const message = String(example ?? "");
  return message.startsWith(start) ? message.slice(start.length) : message;
}

/** @param {ErrorGroup} raw */
function latest(raw) {
  const id = Number(raw.latest_order_id);
  const where =
    Number.isSafeInteger(id) && id > 0
      ? [" of order ", h("a", { href: `#/orders/${id}` }, raw.latest_order_code ?? `#${id}`)]
      : [];
  return [
    `Latest: task ${text.line(raw.latest_task_id)}`,
    ...where,
    raw.latest_at && ", ",
    raw.latest_at && relativeTime(raw.latest_at),
  ];
}
