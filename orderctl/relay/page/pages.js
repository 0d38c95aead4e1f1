/** The pages of one query, in the order of the relay: the newest orders first. */

/** @import { Api, Parameters } from "./api.js" */
/** @import { Order } from "./order.js" */
/** @import { Store } from "./store.js" */

import { list } from "./order.js";

/** Orders of one request. */
const PAGE = 100;

/** @typedef {{orders: Order[], cursor: string|null, total: number|null}} Page */

export class Pages {
  #api;
  #store;
  #query;
  /** @type {string|null} */
  #cursor = null;

  /**
   * @param {Api} api
   * @param {Store} store
   * @param {Parameters} query
   */
  constructor(api, store, query) {
    this.#api = api;
    this.#store = store;
    this.#query = query;
    /** @type {number[]} */
    this.ids = [];
    /** Whether there are older ones. */
    this.more = false;
    /** @type {number|null} How many there are in all; null while that is not known. */
    this.total = null;
  }

  /** Read the first page. */
  async first() {
    this.#append(await this.#fetch({}));
  }

  /** Read the page after those that are there. */
  async next() {
    this.#append(await this.#fetch({ cursor: this.#cursor }));
  }

  /** Read the first page again, for newer orders; what is older stays. */
  async refresh() {
    const page = await this.#fetch({});
    const fresh = new Set(page.orders.map((order) => order.id));
    const last = page.orders.at(-1);
    if (!last || page.cursor === null || !this.ids.some((id) => fresh.has(id))) {
      // These are all there are, or so many are new that the old ones may not follow on them.
      this.ids = [];
      this.#append(page);
      return;
    }
    this.ids = [...fresh, ...this.ids.filter((id) => !fresh.has(id) && follows(this.#store.order(id), last))];
    this.total = page.total;
  }

  /**
   * Read the pages after the first again.
   *
   * @param {number} most So many at most.
   */
  async renew(most) {
    for (let page = 2; page <= Math.min(most, Math.ceil(this.ids.length / PAGE)); page += 1)
      await this.#fetch({ page });
  }

  /**
   * @param {Parameters} place
   * @returns {Promise<Page>}
   */
  async #fetch(place) {
    const asked = performance.now();
    const body = await this.#api.orders({ limit: PAGE, ...place, ...this.#query });
    const orders = list(body.data)
      .map((raw) => this.#store.take(raw, asked))
      .filter((order) => order !== null);
    return { orders, cursor: body.pagination?.nextCursor ?? null, total: body.pagination?.total ?? null };
  }

  /** @param {Page} page */
  #append({ orders, cursor, total }) {
    const known = new Set(this.ids);
    this.ids = [...this.ids, ...orders.map((order) => order.id).filter((id) => !known.has(id))];
    this.#cursor = cursor;
    this.more = cursor !== null;
    this.total = total;
  }
}

/**
 * Whether an order comes after another in the list: it is older, or as old and of a lower id.
 *
 * @param {Order|null} order
 * @param {Order} other
 */
function follows(order, other) {
  if (order === null) return false;
  const [a, b] = [Date.parse(order.created ?? ""), Date.parse(other.created ?? "")];
  return a === b ? order.id < other.id : a < b;
}
