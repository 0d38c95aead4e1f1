/** Why an order hangs: the links of its way, the evidence of the first that does not hold, and what repairs it. */

/** @import { Api, Diagnosis, Link } from "./api.js" */

import { command, failure } from "./command.js";
import { button, fill, h, write } from "./dom.js";
import * as text from "./text.js";
import { ApiError } from "./transport.js";
import { list } from "./values.js";

const STATES = new Set(["holds", "waits", "broken", "unknown", "ahead"]);
/** The command at the end of an explanation. */
const ENDS_IN_COMMAND = /^(.*; then): (orderctl .+)$/su;

export class Why {
  #api;
  #id;
  #open = false;
  #run = 0;
  #shown = "";
  #button = button("Why?", () => this.#toggle(), { class: "why-ask", "aria-expanded": "false" });
  #said = h("div", { class: "why-said", role: "status" });
  #links = h("ol", { class: "why-links", "aria-label": "The links of its way" });

  /**
   * @param {number} orderId
   * @param {Api} api
   */
  constructor(orderId, api) {
    this.#id = orderId;
    this.#api = api;
    this.element = h(
      "section",
      { class: "why", "aria-label": "Why it hangs" },
      h("div", { class: "section-head" }, h("h3", {}, "Does it hang?"), this.#button),
      this.#said,
      this.#links,
    );
    this.#show(null);
  }

  /** Ask again, if the answer is shown. */
  async refresh() {
    if (this.#open) await this.#ask();
  }

  async #toggle() {
    this.#open = !this.#open;
    this.#button.setAttribute("aria-expanded", String(this.#open));
    write(this.#button, this.#open ? "Hide" : "Why?");
    if (!this.#open) {
      this.#show(null);
      return;
    }
    fill(this.#said, h("p", { class: "quiet" }, "Looking…"));
    await this.#ask();
  }

  async #ask() {
    this.#run += 1;
    const run = this.#run;
    try {
      const { data } = await this.#api.why(this.#id);
      if (run === this.#run && this.#open) this.#show(data);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (run !== this.#run || !this.#open) return;
      this.#show(null);
      fill(this.#said, ...failure("This cannot be answered", error.message));
    }
  }

  /** @param {Diagnosis|null} found */
  #show(found) {
    const shown = JSON.stringify(found);
    if (found !== null && shown === this.#shown && this.#links.childElementCount) return;
    this.#shown = shown;
    this.#links.hidden = found === null;
    fill(this.#said, ...(found ? answer(found) : []));
    fill(this.#links, ...list(found?.steps).map(row));
  }
}

/**
 * The first link that does not hold, its evidence, and what repairs it.
 *
 * @param {Diagnosis} found
 */
function answer(found) {
  if (!found.link) return [h("p", {}, "Every link holds: nothing has to be done.")];
  const [, before, after] = ENDS_IN_COMMAND.exec(found.explanation ?? "") ?? ["", found.explanation];
  const facts = list(found.evidence).map((fact) => h("li", {}, fact));
  return [
    h(
      "div",
      { class: "hint why-answer", "data-kind": found.state === "broken" ? "failed" : "waiting" },
      h("p", { class: "why-text" }, `${text.line(found.link)}: ${text.line(found.text)}`),
      facts.length > 0 && h("ul", { class: "why-facts" }, ...facts),
      found.repair && command(found.repair),
      before && h("p", {}, after ? `${before}:` : before),
      after && command(after),
    ),
  ];
}

/** @param {Link} link */
function row(link) {
  const state = STATES.has(link.state) ? link.state : "unknown";
  return h(
    "li",
    { class: "why-link", "data-state": state },
    h("span", { class: "why-state" }, link.state),
    h("span", { class: "why-name" }, link.link),
    h("span", { class: "why-found" }, link.text),
  );
}
