/** The pages of one query, newest orders first. */

/** @import { Api, Parameters } from "./api.js" */
/** @import { Order } from "./order.js" */
/** @import { Store } from "./store.js" */

import { list } from "./values.js";

/** Number of orders that one request reads. */
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
    /** Whether there are older orders to load. */
    this.more = false;
    /** @type {number|null} Number of orders that match; null while it is not known. */
    this.total = null;
  }

  /** Read the first page. */
  async first() {
    this.#append(await this.#fetch({}));
  }

  /** Read the next page. */
  async next() {
    this.#append(await this.#fetch({ cursor: this.#cursor }));
  }

  /** Read the first page again, which adds newer orders. Older orders stay. */
  async refresh() {
    const page = await this.#fetch({});
    const fresh = new Set(page.orders.map((order) => order.id));
    const last = page.orders.at(-1);
    if (!last || page.cursor === null || !this.ids.some((id) => fresh.has(id))) {
      // This page is the last one, or there may be a gap between its orders and the known ones.
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
   * @param {number} last Number of the last page to read.
   */
  async renew(last) {
    for (let page = 2; page <= Math.min(last, Math.ceil(this.ids.length / PAGE)); page += 1)
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
 * Whether an order comes after another in the list: it is older, or equally old with a lower id.
 *
 * @param {Order|null} order
 * @param {Order} other
 */
function follows(order, other) {
  if (order === null) return false;
  const [a, b] = [Date.parse(order.created ?? ""), Date.parse(other.created ?? "")];
  return a === b ? order.id < other.id : a < b;
}
