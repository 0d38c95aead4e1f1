/** What stands below the list: how many orders there are, what to do where there are none, and what went wrong. */

/** @import { Listing } from "./listing.js" */

import { failure, list } from "./command.js";
import { button, byId, fill, write } from "./dom.js";
import * as text from "./text.js";

/** @type {[about: string, line: string][]} */
const FIRST_STEPS = [
  [
    "Add an order:",
    "orderctl orders add --code DH1 --email customer@example.com --amount 300000 --course https://courses.example/one.zip",
  ],
  ["Record its payment:", "orderctl orders pay DH1 --amount 300000"],
  ["Carry out what is paid:", "orderctl worker start"],
  ["List all orders, paid or not:", "orderctl orders list"],
];

export class Note {
  #note = byId("list-note");
  #steps = byId("first-steps");
  #failure = byId("list-failure");
  #more = byId("more");
  #again;
  #shown = "";

  /**
   * @param {() => unknown} more Loads older orders.
   * @param {() => unknown} again Reads the list again after a failure.
   */
  constructor(more, again) {
    this.#more.addEventListener("click", more);
    this.#again = again;
    list(byId("first-commands"), FIRST_STEPS);
  }

  /** @param {Listing} listing */
  show(listing) {
    const { ids, loading, failure: why, query } = listing;
    const failed = ids.length || loading ? null : why;
    write(this.#note, failed ? "" : words(listing));
    this.#showFailure(failed);
    this.#steps.hidden = Boolean(ids.length || loading || why || query.search || query.status);
    this.#more.hidden = !listing.more;
  }

  /** @param {string|null} why */
  #showFailure(why) {
    this.#failure.hidden = why === null;
    if (why === null || this.#shown === why) return;
    this.#shown = why;
    fill(this.#failure, ...failure("The orders cannot be shown", why), button("Try again", this.#again));
  }
}

/** @param {Listing} listing */
function words({ ids, loading, total, searched, query }) {
  if (!ids.length && loading) return "Loading…";
  const found = ids.length ? text.plural(total ?? ids.length, "order") : "No orders match";
  const filter = query.status && `with status ${query.status}`;
  if (query.search) {
    const loaded = text.plural(searched, "order");
    return (
      `${[found, filter].filter(Boolean).join(" ")}. A complete code, id or e-mail address is searched for in ` +
      `all paid orders; a part of one only in the ${loaded} loaded here.`
    );
  }
  if (ids.length) return found;
  return query.status ? `No orders ${filter}.` : "No paid orders yet.";
}
