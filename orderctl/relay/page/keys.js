/** Keyboard shortcuts, and the dialog that lists them. */

import { button, h, targetOf } from "./dom.js";

const TYPING = "input, select, textarea, dialog, [contenteditable]";

/**
 * Keys, a description, and a function. When the function returns false, the browser handles the key as well.
 *
 * @typedef {[keys: string[], description: string, act: (event: KeyboardEvent) => unknown]} Shortcut
 */

/**
 * Call the functions of shortcuts when their keys are pressed.
 *
 * @param {Shortcut[]} shortcuts
 */
export function listen(shortcuts) {
  const acts = new Map(
    shortcuts.flatMap(([keys, , act]) => keys.map((key) => /** @type {const} */ ([key, act]))),
  );
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const act = acts.get(event.key);
    if (
      !act ||
      (event.key !== "Escape" && targetOf(event)?.closest(TYPING)) ||
      document.querySelector("dialog[open]")
    )
      return;
    if (act(event) !== false) event.preventDefault();
  });
}

/**
 * Show a dialog with the shortcuts.
 *
 * @param {Shortcut[]} shortcuts
 */
export function explain(shortcuts) {
  const rows = shortcuts.map(([keys, description]) =>
    h(
      "div",
      {},
      h("dt", {}, ...keys.flatMap((key) => [h("kbd", {}, NAMES[key] ?? key), " "])),
      h("dd", {}, description),
    ),
  );
  const close = button("Close", () => dialog.close(), { class: "primary" });
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "keys-title" },
    h("h2", { id: "keys-title" }, "Keyboard shortcuts"),
    h("dl", { class: "keys" }, ...rows),
    h("div", { class: "dialog-buttons" }, close),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** @type {Record<string, string>} */
const NAMES = { ArrowDown: "↓", ArrowUp: "↑", Escape: "Esc" };
