/** Progress bars: what is done from the left, what has failed or was cancelled from the right. */

/** @import { Order } from "./order.js" */

import { h, setStatus } from "./dom.js";
import * as text from "./text.js";

/**
 * What a bar shows. The shares are of the whole bar, from 0 to 1; what remains waits.
 *
 * @typedef {object} Shown
 * @property {string} status Its colour is that of what is done.
 * @property {number} percent Percent done, for screen readers.
 * @property {number} done
 * @property {number} failed
 * @property {number} cancelled
 * @property {string} [words] The same in words, for screen readers.
 */

/**
 * Create a progress bar: its element, and a function that sets what it shows.
 *
 * @param {string} label
 */
export function bar(label) {
  const element = h(
    "div",
    {
      class: "bar",
      role: "progressbar",
      "aria-label": text.line(label),
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    },
    h("span", { class: "bar-fill" }),
    h("span", { class: "bar-failed" }),
    h("span", { class: "bar-cancelled" }),
  );
  /** @param {Shown} shown */
  function set({ status, percent, done, failed, cancelled, words }) {
    element.style.setProperty("--done", String(between(done)));
    element.style.setProperty("--failed", String(between(failed)));
    element.style.setProperty("--cancelled", String(between(cancelled)));
    element.setAttribute("aria-valuenow", String(Math.floor(100 * between(percent / 100))));
    if (words) element.setAttribute("aria-valuetext", text.line(words));
    setStatus(element, status);
  }
  return { element, set };
}

/** @param {number} share */
function between(share) {
  return Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0));
}

/**
 * What the bar of an order shows.
 *
 * @param {Order} order
 * @returns {Shown}
 */
export function ofOrder(order) {
  const { total, failed, cancelled } = order.counts;
  const all = Math.max(1, total + cancelled);
  const [lost, dropped] = [failed / all, cancelled / all];
  return {
    status: order.status === "failed" ? "completed" : order.status,
    percent: order.percent,
    done: Math.min(((order.percent / 100) * total) / all, 1 - lost - dropped),
    failed: lost,
    cancelled: dropped,
    words: inWords(order),
  };
}

/**
 * The numbers of an order's tasks: "2 of 3 tasks completed, 1 failed".
 *
 * @param {Order} order
 */
export function inWords(order) {
  const { total, completed, failed, cancelled } = order.counts;
  const parts = [
    total && `${text.number(completed)} of ${text.plural(total, "task")} completed`,
    failed && `${text.number(failed)} failed`,
    cancelled && `${text.number(cancelled)} cancelled`,
  ];
  return parts.filter(Boolean).join(", ") || "no tasks";
}

/**
 * What the bar of a task shows. One that has failed is red where it was not done.
 *
 * @param {{status: string, percent: number}} task
 * @returns {Shown}
 */
export function ofTask({ status, percent }) {
  const done = between(percent / 100);
  return {
    status,
    percent,
    done,
    failed: status === "failed" ? 1 - done : 0,
    cancelled: status === "cancelled" ? 1 - done : 0,
  };
}
