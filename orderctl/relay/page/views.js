/** The views of the page and their addresses: #/, #/payments, #/errors, #/orders/ID. */

import { byId } from "./dom.js";
import { Emitter } from "./emitter.js";

const NAMES = ["orders", "payments", "errors"];
const ORDER = /^#\/orders\/(\d{1,16})$/;

/**
 * Fires `change` with the id of the order that the address names, or null.
 *
 * @extends {Emitter<{change: number|null}>}
 */
export class Views extends Emitter {
  constructor() {
    super();
    /** The view that is shown, beside the order or below it. */
    this.name = "orders";
    addEventListener("hashchange", () => this.route());
  }

  /** Show what the address names. */
  route() {
    const id = Number(ORDER.exec(location.hash)?.[1] ?? Number.NaN) || null;
    const asked = NAMES.find((name) => location.hash === `#/${name}`);
    this.name = asked ?? (id === null ? "orders" : this.name);
    for (const name of NAMES) {
      byId(`${name}-view`).hidden = name !== this.name;
      mark(byId(`to-${name}`), name === this.name);
    }
    this.emit("change", id);
  }

  /**
   * Go to a view, and add it to the browser's history.
   *
   * @param {string} hash
   */
  open(hash) {
    location.hash = hash;
  }

  /**
   * Go to a view without adding it to the browser's history.
   *
   * @param {string} hash
   */
  replace(hash) {
    history.replaceState(null, "", hash);
    this.route();
  }
}

/**
 * @param {Element} link
 * @param {boolean} current Whether its view is shown.
 */
function mark(link, current) {
  if (current) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}
