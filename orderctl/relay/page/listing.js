/** Which orders are listed: those of a status from the newest on, or what a search finds. */

import { Pages } from "./pages.js";

/** Pages that are renewed after the connection was lost; older ones are when they are looked at. */
const RENEWED = 10;

/**
 * Fires `change` when the ids or the state have changed.
 *
 * The relay finds an order by its whole code or id, and orders by a whole e-mail address: what an index can
 * tell at once. Parts of these are looked for among the orders that the page has.
 */
export class Listing extends EventTarget {
  #api;
  #store;
  #browsed = null;
  #found = null;

  constructor(api, store) {
    super();
    this.#api = api;
    this.#store = store;
    this.query = { status: "", search: "" };
    this.ids = [];
    this.loading = false;
    /** Why the last request failed, or null. */
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

  /** List the orders of another query, from the newest on. */
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
    if (!this.loading)
      await this.#run([this.#browsed, this.#found].filter(Boolean), (pages) => pages.refresh());
  }

  /** Read everything again that is listed, the newest first. */
  async renew() {
    await this.refresh();
    if (!this.failure) await this.#run([this.#shown], (pages) => pages.renew(RENEWED));
  }

  get #shown() {
    return this.#found ?? this.#browsed;
  }

  #pages(query) {
    return new Pages(this.#api, this.#store, query);
  }

  /** Do something with pages; what is no longer listed when it is done does not count. */
  async #run(pages, act) {
    this.loading = true;
    this.#change();
    const failures = await Promise.all(
      pages.map((one) =>
        act(one).then(
          () => null,
          (error) => error.message,
        ),
      ),
    );
    if (!pages.every((one) => one === this.#browsed || one === this.#found)) return;
    this.loading = false;
    this.failure = failures.find(Boolean) ?? null;
    this.#change();
  }

  #change() {
    this.ids = this.#found ? this.#matches() : (this.#browsed?.ids ?? []);
    this.dispatchEvent(new Event("change"));
  }

  #matches() {
    const { status, search } = this.query;
    const found = this.#found.ids.filter((id) => !status || this.#store.order(id)?.status === status);
    const known = new Set(found);
    const part = search.toLowerCase();
    return [
      ...found,
      ...this.#browsed.ids.filter((id) => !known.has(id) && this.#store.order(id)?.matches(part)),
    ];
  }
}
