/** The list of orders: one row for each, of which those in sight are heard live. */

import { badge, bar, fill, h, setStatus, since, write } from "./dom.js";
import { ENDED } from "./order.js";
import * as text from "./text.js";

/** Tasks of one order that are heard live. */
const HEARD_TASKS = 40;
/** So many rows come by scrolling; further ones by the button, or better by a search. */
const BY_ITSELF = 1_000;
/** How far from the end of the list the next page is fetched. */
const AHEAD = "1200px";
/** How long the list has to stand still until its rows are heard, in ms. */
const SETTLED = 120;

/** Fires `sight` when other rows are in sight, and `end` when the end of the list is near. */
export class List extends EventTarget {
  #listing;
  #store;
  #currency;
  #element;
  #rows = new Map();
  #inSight = new Set();
  #current = null;
  #open = null;
  #timer = 0;
  #end;
  #ender;
  #watcher;

  /**
   * @param {HTMLElement} element Gets the rows.
   * @param {import("./listing.js").Listing} listing Which orders.
   * @param {import("./store.js").Store} store What is known of them.
   * @param {() => string} currency Of the amounts.
   */
  constructor(element, listing, store, currency) {
    super();
    this.#element = element;
    this.#listing = listing;
    this.#store = store;
    this.#currency = currency;
    this.#watcher = new IntersectionObserver((entries) => this.#look(entries), { rootMargin: "120px" });
    this.#end = element.nextElementSibling;
    this.#ender = new IntersectionObserver((entries) => this.#near(entries.at(-1).isIntersecting), {
      rootMargin: AHEAD,
    });
    this.#ender.observe(this.#end);
    listing.addEventListener("change", () => this.#arrange());
    store.addEventListener("change", ({ detail }) => this.#rows.get(detail.id)?.show(detail));
    element.addEventListener("focusin", ({ target }) => this.#focused(target));
  }

  /** The names of what the rows in sight want to hear. */
  heard() {
    return [...this.#inSight].flatMap((id) => subjects(this.#store.order(id)));
  }

  /** Move the focus by so many rows, or to the row where it was; returns the order's id. */
  step(by) {
    const ids = this.#listing.ids;
    const at = ids.indexOf(this.#current);
    const id = ids[Math.min(ids.length - 1, Math.max(0, at === -1 ? 0 : at + by))];
    this.#rows.get(id)?.focus();
    return id ?? null;
  }

  /** Mark the order that is open beside the list; null: none. */
  mark(id) {
    this.#rows.get(this.#open)?.mark(false);
    this.#open = id;
    this.#rows.get(id)?.mark(true);
    if (this.#rows.has(id)) this.#makeCurrent(id);
  }

  #arrange() {
    const { ids } = this.#listing;
    const wanted = new Set(ids);
    for (const [id, row] of this.#rows) if (!wanted.has(id)) this.#drop(id, row);
    let place = this.#element.firstElementChild;
    for (const id of ids) {
      const row = this.#rows.get(id) ?? this.#make(id);
      if (row.element === place) place = place.nextElementSibling;
      else this.#element.insertBefore(row.element, place);
    }
    if (!wanted.has(this.#current)) this.#makeCurrent(ids[0] ?? null);
    // The observer tells changes only; a page may be so short that the end stays near.
    this.#ender.unobserve(this.#end);
    this.#ender.observe(this.#end);
  }

  #near(yes) {
    const { more, loading, failure } = this.#listing;
    if (yes && more && !loading && !failure && this.#rows.size < BY_ITSELF)
      this.dispatchEvent(new Event("end"));
  }

  #make(id) {
    const row = new Row(id, this.#currency());
    row.element.dataset.order = String(id);
    row.show(this.#store.order(id));
    row.mark(id === this.#open);
    this.#rows.set(id, row);
    this.#watcher.observe(row.element);
    return row;
  }

  #drop(id, row) {
    this.#watcher.unobserve(row.element);
    row.element.remove();
    this.#rows.delete(id);
    if (this.#inSight.delete(id)) this.#settle();
  }

  /** One row only is reached by the Tab key, the others by arrows. */
  #makeCurrent(id) {
    this.#rows.get(this.#current)?.reachable(false);
    this.#current = id;
    this.#rows.get(id)?.reachable(true);
  }

  #focused(target) {
    const id = Number(target.closest("[data-order]")?.dataset.order);
    if (this.#rows.has(id)) this.#makeCurrent(id);
  }

  #look(entries) {
    for (const { target, isIntersecting } of entries) {
      const id = Number(target.dataset.order);
      if (isIntersecting && this.#rows.has(id)) this.#inSight.add(id);
      else this.#inSight.delete(id);
    }
    this.#settle();
  }

  #settle() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.dispatchEvent(new Event("sight")), SETTLED);
  }
}

/** What of an order is heard: itself and its tasks. */
export function subjects(order) {
  if (order === null) return [];
  return [`order:${order.id}`, ...order.tasks.slice(0, HEARD_TASKS).map((task) => `task:${task.id}`)];
}

class Row {
  #link;
  #code = h("span", { class: "row-code" });
  #email = h("span", { class: "row-email" });
  #status = badge("");
  #bar = bar("Progress");
  #percent = h("span", { class: "row-percent" });
  #now = h("span", { class: "row-now" });
  #amount = h("span", { class: "row-amount" });
  #created = h("span", { class: "row-created" });
  #currency;
  #moment;

  constructor(id, currency) {
    this.#currency = currency;
    const progress = h("span", { class: "row-progress" }, this.#bar.element, this.#percent, this.#now);
    const who = h("span", { class: "row-who" }, this.#code, this.#email);
    this.#link = h(
      "a",
      { class: "row", href: `#/orders/${id}`, tabindex: -1 },
      who,
      this.#status,
      progress,
      this.#amount,
      this.#created,
    );
    this.element = h("li", {}, this.#link);
  }

  show(order) {
    write(this.#code, order.code);
    write(this.#email, order.email);
    setStatus(this.#status, order.status);
    write(this.#status, text.words(order.status));
    this.#bar.set(order.percent, order.status);
    write(this.#percent, text.percent(order.percent));
    write(this.#now, doing(order));
    write(this.#amount, text.money(order.amount, this.#currency));
    if (this.#moment !== order.created) {
      this.#moment = order.created;
      fill(this.#created, since(order.created));
    }
  }

  mark(open) {
    if (open) this.#link.setAttribute("aria-current", "true");
    else this.#link.removeAttribute("aria-current");
  }

  reachable(yes) {
    this.#link.tabIndex = yes ? 0 : -1;
  }

  focus() {
    this.#link.focus();
    this.#link.scrollIntoView({ block: "nearest" });
  }
}

/** What is happening in an order, in a few words. */
function doing(order) {
  const { total, completed, failed } = order.counts;
  const { file, speed } = order.now;
  const parts = [total ? `${completed} of ${text.plural(total, "task")}` : "no tasks"];
  if (failed) parts.push(`${failed} failed`);
  if (!ENDED.has(order.status)) parts.push(text.line(file), text.speed(speed));
  return parts.filter(Boolean).join(" · ");
}
