/** Payments: the list of an order's, and the view of those that wait for a decision. */

/** @import { Api, Payment } from "./api.js" */

import { explained } from "./command.js";
import { badge, button, byId, fill, h, relativeTime, write } from "./dom.js";
import * as text from "./text.js";
import { hasId, list, number } from "./values.js";

/** Number of payments that one request reads. */
const PAGE = 50;
/** The API counts each outcome up to this number. */
const COUNTED = 10_000;
/** The highest number beside the link to the view: the header of a phone has no room for a longer one. */
const BESIDE_LINK = 999;
/** Order codes that are safe in a command that users copy into a shell. */
const PLAIN = /^\w[\w.-]{0,63}$/;
/** What an admin decides about. */
const WAITING = new Set(["unmatched", "mismatch", "surplus"]);

/** Shows the payments that wait for a decision, newest first. */
export class Payments {
  #api;
  #list;
  #note;
  #older;
  #currency;
  /** @type {Payment[]} */
  #payments = [];
  /** @type {number|null} Id before which the next page begins. */
  #before = null;
  #run = 0;

  /**
   * @param {HTMLElement} element Container of the payments.
   * @param {HTMLElement} note Shows how many wait.
   * @param {HTMLElement} end Element after the payments.
   * @param {Api} api
   * @param {() => string} currency Currency of amounts without one.
   */
  constructor(element, note, end, api, currency) {
    this.#list = element;
    this.#note = note;
    this.#api = api;
    this.#currency = currency;
    this.#older = button("Load older payments", () => this.#read(this.#before));
    this.#older.hidden = true;
    end.append(this.#older);
  }

  /** Read how many payments wait, and show that beside the link to their view. */
  async count() {
    const { data } = await this.#api.payments({ open: 1, limit: 1 });
    const waiting = total(data?.waiting);
    const element = byId("payments-waiting");
    element.hidden = !waiting;
    fill(element, waiting, waiting && h("span", { class: "unseen" }, " waiting for a decision"));
  }

  /** Read the newest payments again. */
  async refresh() {
    await this.#read(null);
  }

  /** @param {number|null} before Read payments with a lower id; null: the newest. */
  async #read(before) {
    this.#run += 1;
    const run = this.#run;
    const { data } = await this.#api.payments({ open: 1, limit: PAGE, before });
    if (run !== this.#run) return;
    const found = list(data?.payments).filter(hasId);
    this.#payments = before === null ? found : [...this.#payments, ...found];
    this.#before = number(data?.before);
    this.#older.hidden = this.#before === null;
    write(this.#note, counts(data?.waiting));
    this.#show();
  }

  #show() {
    const shown = JSON.stringify([this.#payments, this.#currency()]);
    if (this.#list.dataset.shown === shown) return;
    this.#list.dataset.shown = shown;
    fill(this.#list, ...this.#payments.map((raw) => h("li", {}, payment(raw, this.#currency(), true))));
  }
}

/**
 * Return how many payments wait, and why.
 *
 * @param {Record<string, number>|null|undefined} waiting
 */
function counts(waiting) {
  const pairs = Object.entries(waiting ?? {}).filter(([, count]) => number(count));
  if (!pairs.length) return "No payment waits for a decision.";
  return `Waiting for a decision: ${pairs.map(([outcome, count]) => `${counted(count)} ${text.words(outcome)}`).join(", ")}.`;
}

/**
 * Return the number of payments that wait, for the link to their view; an empty text for none.
 *
 * @param {Record<string, number>|null|undefined} waiting
 */
function total(waiting) {
  const sum = Object.values(waiting ?? {}).reduce((all, count) => all + (number(count) ?? 0), 0);
  if (sum > BESIDE_LINK) return `${BESIDE_LINK}+`;
  return sum ? text.number(sum) : "";
}

/** @param {number} count */
function counted(count) {
  return count > COUNTED ? `${text.number(COUNTED)}+` : text.number(count);
}

/**
 * Create the card of a payment: what came in, what became of it and why, and the commands that decide about it.
 *
 * @param {Payment} raw
 * @param {string} currency Currency of the amount if the payment has none.
 * @param {boolean} linked Whether its order is named, with a link.
 */
export function payment(raw, currency, linked) {
  const waits = WAITING.has(raw.outcome);
  return h(
    "div",
    { class: "payment", "data-payment": raw.id },
    h(
      "p",
      { class: "payment-head" },
      h("strong", { class: "payment-amount" }, text.money(number(raw.amount), raw.currency ?? currency)),
      badge(raw.outcome),
    ),
    raw.reason && h("p", { class: "payment-reason" }, raw.reason),
    raw.content && h("p", { class: "payment-content" }, raw.content),
    h("p", { class: "payment-facts quiet" }, ...facts(raw, linked)),
    raw.decided_by && h("p", { class: "quiet" }, decision(raw)),
    waits && explained("Give it to an order:", command(raw, order(raw))),
    waits && explained("Set it aside:", command(raw, "--refuse")),
  );
}

/**
 * @param {Payment} raw
 * @param {boolean} linked
 */
function facts(raw, linked) {
  const id = Number(raw.order_id);
  const link =
    linked &&
    Number.isSafeInteger(id) &&
    id > 0 &&
    h("a", { href: `#/orders/${id}` }, `Order ${text.line(raw.order_code ?? `#${id}`)}`);
  const words = [raw.bank, raw.reference ?? raw.provider_id, raw.provider].filter(Boolean);
  return [
    h("span", {}, `Payment ${raw.id}`),
    link,
    ...words.map((word) => h("span", {}, word)),
    relativeTime(raw.told_at),
  ];
}

/** @param {Payment} raw */
function decision(raw) {
  const by = `Decided by ${text.line(raw.decided_by)}`;
  return raw.decision ? `${by}: ${text.line(raw.decision)}` : by;
}

/**
 * The order that a payment is to be given to, for a command: its own one if only the amount differs.
 *
 * @param {Payment} raw
 */
function order(raw) {
  const code = raw.order_code ?? "";
  return raw.outcome === "mismatch" && PLAIN.test(code) ? code : "ORDER";
}

/**
 * @param {Payment} raw
 * @param {string} decided
 */
function command(raw, decided) {
  return `orderctl payments match ${Number(raw.id)} ${decided} --reason WHY`;
}
