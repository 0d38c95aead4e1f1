/** The state of the connection: a short text in the header, and a banner when there is a problem. */

/** @import { Live } from "./live.js" */

import { write } from "./dom.js";

export class Pill {
  #live;
  #pill;
  #banner;
  /** @type {string|null} */
  #failure = null;

  /**
   * @param {HTMLElement} pill Shows the state.
   * @param {HTMLElement} banner Shown when there is a problem.
   * @param {Live} live
   */
  constructor(pill, banner, live) {
    this.#pill = pill;
    this.#banner = banner;
    this.#live = live;
    live.on("state", () => this.show());
    setInterval(() => live.state === "waiting" && this.show(), 1000);
    this.show();
  }

  /**
   * Error of the last request; null when it succeeded.
   *
   * @param {string|null} error
   */
  set failure(error) {
    this.#failure = error;
    this.show();
  }

  show() {
    const [state, label] = this.#stateText();
    this.#pill.dataset.state = state;
    write(this.#pill, label);
    const message = this.#message();
    this.#banner.hidden = message === "";
    write(this.#banner, message);
  }

  /** @returns {[state: string, label: string]} */
  #stateText() {
    const { state, degraded } = this.#live;
    if (state === "open") return degraded ? ["degraded", "Paused"] : ["live", "Live"];
    if (state === "waiting") return ["lost", "Reconnecting"];
    return ["connecting", "Connecting"];
  }

  #message() {
    if (this.#failure) return `The page may be out of date: ${this.#failure}. Retrying…`;
    if (this.#live.state === "waiting")
      return `The connection to the relay is lost. ${when(this.#live.retryAt)}`;
    if (this.#live.degraded)
      return "The relay cannot reach Redis. Live progress is paused; the orders themselves are up to date.";
    return "";
  }
}

/** @param {number} moment In ms since the epoch. */
function when(moment) {
  const seconds = Math.ceil((moment - Date.now()) / 1000);
  return seconds > 1 ? `Retrying in ${seconds} s.` : "Retrying…";
}
