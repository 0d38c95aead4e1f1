/** The pages of one query, in the order of the relay: the newest orders first. */

/** Orders of one request. */
const PAGE = 100;

export class Pages {
  #api;
  #store;
  #query;
  #cursor = null;

  constructor(api, store, query) {
    this.#api = api;
    this.#store = store;
    this.#query = query;
    this.ids = [];
    /** Whether there are older ones. */
    this.more = false;
    /** How many there are in all; null while that is not known. */
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
    if (page.cursor === null || !this.ids.some((id) => fresh.has(id))) {
      // These are all there are, or so many are new that the old ones may not follow on them.
      this.ids = [];
      this.#append(page);
      return;
    }
    const last = page.orders.at(-1);
    this.ids = [...fresh, ...this.ids.filter((id) => !fresh.has(id) && follows(this.#store.order(id), last))];
    this.total = page.total;
  }

  /** Read the pages after the first again, so many at most. */
  async renew(most) {
    for (let page = 2; page <= Math.min(most, Math.ceil(this.ids.length / PAGE)); page += 1)
      await this.#fetch({ page });
  }

  async #fetch(place) {
    const asked = performance.now();
    const body = await this.#api.get("orders/paid", { limit: PAGE, ...place, ...this.#query });
    const orders = (Array.isArray(body.data) ? body.data : [])
      .map((raw) => this.#store.take(raw, asked))
      .filter(Boolean);
    const { nextCursor = null, total = null } = body.pagination ?? {};
    return { orders, cursor: nextCursor, total };
  }

  #append({ orders, cursor, total }) {
    const known = new Set(this.ids);
    this.ids = [...this.ids, ...orders.map((order) => order.id).filter((id) => !known.has(id))];
    this.#cursor = cursor;
    this.more = cursor !== null;
    this.total = total;
  }
}

/** Whether an order comes after another in the list: it is older, or as old and of a lower id. */
function follows(order, other) {
  if (order === null) return false;
  const [a, b] = [Date.parse(order.created), Date.parse(other.created)];
  return a === b ? order.id < other.id : a < b;
}
