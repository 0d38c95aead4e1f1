/** The access token. It is kept while the tab is open; the user is asked for it when the relay needs one. */

import { command } from "./command.js";
import { h, write } from "./dom.js";
import { Emitter } from "./emitter.js";

const KEY = "orderctl.token";

/**
 * Fires `wanted` when the user is asked for a token, and `given` when the user has entered one.
 *
 * @extends {Emitter<{wanted: void, given: void}>}
 */
export class Token extends Emitter {
  /** @type {Promise<void>|null} */
  #asking = null;
  /** @type {string|null} */
  #kept = null;

  /** The token, or null. */
  get value() {
    try {
      return sessionStorage.getItem(KEY);
    } catch {
      return this.#kept;
    }
  }

  set value(token) {
    this.#kept = token;
    try {
      if (token === null) sessionStorage.removeItem(KEY);
      else sessionStorage.setItem(KEY, token);
    } catch {
      // Storage is not allowed: the token lasts until the page is reloaded.
    }
  }

  /**
   * Ask the user for a new token. Requests that are refused at the same time share one form.
   *
   * @param {string|null} refused The token that the relay refused.
   * @param {string} why Why the relay refused it.
   */
  async renew(refused, why) {
    if (this.value !== refused) return;
    this.value = null;
    this.#asking ??= this.#ask(why);
    await this.#asking;
  }

  /** @param {string} why */
  async #ask(why) {
    this.emit("wanted");
    this.value = await ask(why);
    this.#asking = null;
    this.emit("given");
  }
}

/**
 * Show a form until the user enters a token.
 *
 * @param {string} why
 * @returns {Promise<string>}
 */
function ask(why) {
  const input = h("input", {
    id: "token",
    name: "token",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    autofocus: true,
  });
  const reason = h("p", { class: "dialog-error", role: "alert" });
  write(reason, why && `The last token was refused: ${why}.`);
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "token-title" }, "Token needed"),
    h(
      "p",
      {},
      "This relay shows orders to admins and viewers only. Create a token on the host of the relay:",
    ),
    command("orderctl relay token --scope admin --ttl 12h"),
    reason,
    h("label", { for: "token" }, "Token"),
    input,
    h("div", { class: "dialog-buttons" }, h("button", { type: "submit", class: "primary" }, "Continue")),
  );
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "token-title" }, form);
  return new Promise((resolve) => {
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      const token = input.value.trim();
      dialog.remove();
      resolve(token || ask(""));
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
