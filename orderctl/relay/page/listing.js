/** Ids of the listed orders: the orders with a status, newest first, or the results of a search. */

/** @import { Api, Parameters } from "./api.js" */
/** @import { Store } from "./store.js" */

import { Emitter } from "./emitter.js";
import { Pages } from "./pages.js";

/** Pages that are read again after a lost connection. Older orders are read again when they are opened. */
const RENEWED = 10;

/** @typedef {{status: string, search: string}} Query An empty text does not filter. */

/**
 * Fires `change` when the ids or the state have changed.
 *
 * The relay searches for a complete code, id or e-mail address, because these have an index. The page
 * searches for parts of them, in the orders that it has loaded.
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
    /** @type {string|null} Error of the last request. */
    this.failure = null;
  }

  /** Whether there are older orders to load. */
  get more() {
    return this.#shown?.more ?? false;
  }

  /** Number of orders that match; null while it is not known. */
  get total() {
    return this.query.search ? this.ids.length : (this.#browsed?.total ?? null);
  }

  /** Number of loaded orders, in which parts are searched for. */
  get searched() {
    return this.#browsed?.ids.length ?? 0;
  }

  /** Ids of all orders that the store has to keep. */
  get kept() {
    return new Set([...(this.#browsed?.ids ?? []), ...(this.#found?.ids ?? [])]);
  }

  /**
   * List the orders of another query, newest first.
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

  /** Load the next page. */
  async next() {
    if (this.more && !this.loading) await this.#run([this.#shown], (pages) => pages.next());
  }

  /** Read the first page again, which adds newer orders. */
  async refresh() {
    if (!this.loading) await this.#run([this.#browsed, this.#found], (pages) => pages.refresh());
  }

  /** Read the listed orders again, the newest first. */
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
   * Run a request on pages. Its result is ignored if another query was started meanwhile.
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
   * @param {number[]} ids Orders that the relay found.
   * @param {number[]} browsed Orders in which parts are searched for.
   */
  #matches(ids, browsed) {
    const { status, search } = this.query;
    const found = ids.filter((id) => !status || this.#store.order(id)?.status === status);
    const known = new Set(found);
    const part = search.toLowerCase();
    return [...found, ...browsed.filter((id) => !known.has(id) && this.#store.order(id)?.matches(part))];
  }
}
