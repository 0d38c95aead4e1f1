/** Which orders are listed: those of a status from the newest on, or what a search finds. */

/** @import { Api, Parameters } from "./api.js" */
/** @import { Store } from "./store.js" */

import { Emitter } from "./emitter.js";
import { Pages } from "./pages.js";

/** Pages that are renewed after the connection was lost; older ones are when they are looked at. */
const RENEWED = 10;

/** @typedef {{status: string, search: string}} Query What is listed; an empty text: everything. */

/**
 * Fires `change` when the ids or the state have changed.
 *
 * The relay finds an order by its whole code or id, and orders by a whole e-mail address: what an index can
 * tell at once. Parts of these are looked for among the orders that the page has.
 *
 * @extends {Emitter<{change: void}>}
 */
export class Listing extends Emitter {
  #api;
  #store;
  /** @type {Pages|null} */
  #browsed = null;
  /** @type {Pages|null} */
  #found = null;

  /**
   * @param {Api} api
   * @param {Store} store
   */
  constructor(api, store) {
    super();
    this.#api = api;
    this.#store = store;
    /** @type {Query} */
    this.query = { status: "", search: "" };
    /** @type {number[]} */
    this.ids = [];
    this.loading = false;
    /** @type {string|null} Why the last request failed. */
    this.failure = null;
  }

  /** Whether there are older ones. */
  get more() {
    return this.#shown?.more ?? false;
  }

  /** How many there are; null while that is not known. */
  get total() {
    return this.query.search ? this.ids.length : (this.#browsed?.total ?? null);
  }

  /** How many orders were looked at for parts of what is searched. */
  get searched() {
    return this.#browsed?.ids.length ?? 0;
  }

  /** The ids of all orders that are kept. */
  get kept() {
    return new Set([...(this.#browsed?.ids ?? []), ...(this.#found?.ids ?? [])]);
  }

  /**
   * List the orders of another query, from the newest on.
   *
   * @param {Query} query
   */
  async search(query) {
    const { status, search } = query;
    const started = [];
    if (this.#browsed === null || status !== this.query.status) {
      this.#browsed = this.#pages({ status });
      started.push(this.#browsed);
    }
    this.#found = search ? this.#pages({ search }) : null;
    if (this.#found) started.push(this.#found);
    this.query = query;
    this.#change();
    await this.#run(started, (pages) => pages.first());
  }

  /** List the next page, too. */
  async next() {
    if (this.more && !this.loading) await this.#run([this.#shown], (pages) => pages.next());
  }

  /** Look for newer orders, and at the first page again. */
  async refresh() {
    if (!this.loading) await this.#run([this.#browsed, this.#found], (pages) => pages.refresh());
  }

  /** Read everything again that is listed, the newest first. */
  async renew() {
    await this.refresh();
    if (!this.failure) await this.#run([this.#shown], (pages) => pages.renew(RENEWED));
  }

  get #shown() {
    return this.#found ?? this.#browsed;
  }

  /** @param {Parameters} query */
  #pages(query) {
    return new Pages(this.#api, this.#store, query);
  }

  /**
   * Do something with pages; what is no longer listed when it is done does not count.
   *
   * @param {(Pages|null)[]} wanted
   * @param {(pages: Pages) => Promise<void>} act
   */
  async #run(wanted, act) {
    const pages = wanted.filter((one) => one !== null);
    this.loading = true;
    this.#change();
    const failures = await Promise.all(
      pages.map((one) =>
        act(one).then(
          () => null,
          (/** @type {Error} */ error) => error.message,
        ),
      ),
    );
    if (!pages.every((one) => one === this.#browsed || one === this.#found)) return;
    this.loading = false;
    this.failure = failures.find(Boolean) ?? null;
    this.#change();
  }

  #change() {
    const browsed = this.#browsed?.ids ?? [];
    this.ids = this.#found ? this.#matches(this.#found.ids, browsed) : browsed;
    this.emit("change");
  }

  /**
   * @param {number[]} ids What the relay has found.
   * @param {number[]} browsed Where parts are looked for.
   */
  #matches(ids, browsed) {
    const { status, search } = this.query;
    const found = ids.filter((id) => !status || this.#store.order(id)?.status === status);
    const known = new Set(found);
    const part = search.toLowerCase();
    return [...found, ...browsed.filter((id) => !known.has(id) && this.#store.order(id)?.matches(part))];
  }
}
