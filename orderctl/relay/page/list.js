/** The list of orders, one row for each. The page subscribes to the orders of visible rows. */

/** @import { Listing } from "./listing.js" */
/** @import { Order } from "./order.js" */
/** @import { Store } from "./store.js" */

import { bar, inWords, ofOrder } from "./bar.js";
import { badge, fill, h, relativeTime, setStatus, targetOf, write } from "./dom.js";
import { Emitter } from "./emitter.js";
import { reasonOf } from "./hints.js";
import { ENDED } from "./order.js";
import * as text from "./text.js";

/** Most tasks of one order that are subscribed to. */
const MAX_TASKS = 40;
/** Number of rows that scrolling loads; further rows are loaded by the button. */
const SCROLLED_ROWS = 1_000;
/** Distance from the end of the list at which the next page is loaded. */
const LOAD_MARGIN = "1200px";
/** Time without scrolling after which `visible` is fired, in ms. */
const SETTLE_DELAY = 120;

/**
 * Fires `visible` when other rows are visible, and `end` when the end of the list is near.
 *
 * @extends {Emitter<{visible: void, end: void}>}
 */
export class List extends Emitter {
  #listing;
  #store;
  #currency;
  #element;
  /** @type {Map<number, Row>} */
  #rows = new Map();
  /** @type {Set<number>} */
  #visible = new Set();
  /** @type {number|null} The row that the Tab key reaches. */
  #current = null;
  /** @type {number|null} */
  #open = null;
  #timer = 0;
  #end;
  #ender;
  #watcher;

  /**
   * @param {HTMLElement} element Container of the rows.
   * @param {HTMLElement} end Element after the rows.
   * @param {Listing} listing The orders that are listed.
   * @param {Store} store
   * @param {() => string} currency Currency of the amounts.
   */
  constructor(element, end, listing, store, currency) {
    super();
    this.#element = element;
    this.#listing = listing;
    this.#store = store;
    this.#currency = currency;
    this.#watcher = new IntersectionObserver((entries) => this.#updateVisible(entries), {
      rootMargin: "120px",
    });
    this.#end = end;
    this.#ender = new IntersectionObserver(
      (entries) => this.#checkEnd(entries.at(-1)?.isIntersecting ?? false),
      {
        rootMargin: LOAD_MARGIN,
      },
    );
    this.#ender.observe(this.#end);
    listing.on("change", () => this.#arrange());
    store.on("change", (order) => this.#rows.get(order.id)?.show(order));
    element.addEventListener("focusin", (event) => this.#focused(targetOf(event)));
  }

  /** Channels of the visible rows. */
  channels() {
    return [...this.#visible].flatMap((id) => channelsOf(this.#store.order(id)));
  }

  /**
   * Move the focus, and return the id of the focused order.
   *
   * @param {number} by Number of rows; 0: to the current row.
   */
  step(by) {
    const ids = this.#listing.ids;
    const at = this.#current === null ? -1 : ids.indexOf(this.#current);
    const id = ids[Math.min(ids.length - 1, Math.max(0, at === -1 ? 0 : at + by))] ?? null;
    this.#row(id)?.focus();
    return id;
  }

  /**
   * Mark the order that is open in the panel.
   *
   * @param {number|null} id
   */
  mark(id) {
    this.#row(this.#open)?.mark(false);
    this.#open = id;
    this.#row(id)?.mark(true);
    if (this.#row(id)) this.#makeCurrent(id);
  }

  /** @param {number|null} id */
  #row(id) {
    return id === null ? undefined : this.#rows.get(id);
  }

  #arrange() {
    const { ids } = this.#listing;
    this.#fitAmounts(ids);
    const wanted = new Set(ids);
    for (const [id, row] of this.#rows) if (!wanted.has(id)) this.#drop(id, row);
    let place = this.#element.firstElementChild;
    for (const id of ids) {
      const row = this.#rows.get(id) ?? this.#make(id);
      if (row.element === place) place = place.nextElementSibling;
      else this.#element.insertBefore(row.element, place);
    }
    if (this.#current === null || !wanted.has(this.#current)) this.#makeCurrent(ids[0] ?? null);
    // The observer reports only changes. After a short page the end is still near: observe it again.
    this.#ender.unobserve(this.#end);
    this.#ender.observe(this.#end);
  }

  /**
   * Make the column of amounts as wide as the highest one, so that none is cut and all rows are aligned.
   *
   * @param {number[]} ids
   */
  #fitAmounts(ids) {
    const highest = ids.reduce((most, id) => Math.max(most, this.#store.order(id)?.amount ?? 0), 0);
    this.#element.style.setProperty("--amount", String(text.money(highest, this.#currency()).length));
  }

  /** @param {boolean} near */
  #checkEnd(near) {
    const { more, loading, failure } = this.#listing;
    if (near && more && !loading && !failure && this.#rows.size < SCROLLED_ROWS) this.emit("end");
  }

  /** @param {number} id */
  #make(id) {
    const row = new Row(id, this.#currency());
    row.element.dataset.order = String(id);
    const order = this.#store.order(id);
    if (order) row.show(order);
    row.mark(id === this.#open);
    this.#rows.set(id, row);
    this.#watcher.observe(row.element);
    return row;
  }

  /**
   * @param {number} id
   * @param {Row} row
   */
  #drop(id, row) {
    this.#watcher.unobserve(row.element);
    row.element.remove();
    this.#rows.delete(id);
    if (this.#visible.delete(id)) this.#settle();
  }

  /**
   * Make one row the stop of the Tab key; arrow keys move to the others.
   *
   * @param {number|null} id
   */
  #makeCurrent(id) {
    this.#row(this.#current)?.reachable(false);
    this.#current = id;
    this.#row(id)?.reachable(true);
  }

  /** @param {Element|null} target */
  #focused(target) {
    const id = Number(target?.closest("[data-order]")?.getAttribute("data-order"));
    if (this.#rows.has(id)) this.#makeCurrent(id);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #updateVisible(entries) {
    for (const { target, isIntersecting } of entries) {
      const id = Number(target.getAttribute("data-order"));
      if (isIntersecting && this.#rows.has(id)) this.#visible.add(id);
      else this.#visible.delete(id);
    }
    this.#settle();
  }

  #settle() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.emit("visible"), SETTLE_DELAY);
  }
}

/**
 * Channels of an order and its tasks, such as `order:123` and `task:456`.
 *
 * @param {Order|null} order
 */
export function channelsOf(order) {
  if (order === null) return [];
  return [`order:${order.id}`, ...order.tasks.slice(0, MAX_TASKS).map((task) => `task:${task.id}`)];
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
  /** @type {string|null|undefined} */
  #moment;

  /**
   * @param {number} id
   * @param {string} currency
   */
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

  /** @param {Order} order */
  show(order) {
    write(this.#code, order.code);
    write(this.#email, text.email(order.email));
    setStatus(this.#status, order.status);
    setStatus(this.#link, order.status);
    write(this.#status, text.words(order.status));
    this.#bar.set(ofOrder(order));
    write(this.#percent, text.percent(order.percent));
    write(this.#now, progressText(order));
    write(this.#amount, text.money(order.amount, this.#currency));
    if (this.#moment !== order.created) {
      this.#moment = order.created;
      fill(this.#created, relativeTime(order.created));
    }
  }

  /** @param {boolean} open */
  mark(open) {
    if (open) this.#link.setAttribute("aria-current", "true");
    else this.#link.removeAttribute("aria-current");
  }

  /** @param {boolean} yes */
  reachable(yes) {
    this.#link.tabIndex = yes ? 0 : -1;
  }

  focus() {
    this.#link.focus();
    this.#link.scrollIntoView({ block: "nearest" });
  }
}

/**
 * Short text about the progress of an order.
 *
 * @param {Order} order
 */
function progressText(order) {
  const { file, speed } = order.now;
  const parts = [inWords(order).replace(" completed", "")];
  if (!ENDED.has(order.status))
    parts.push(text.line(file), text.speed(speed), text.line(reasonOf(order)?.text));
  return parts.filter(Boolean).join(" · ");
}
