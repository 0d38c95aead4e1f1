/** Shortcuts, and the dialog that lists them. */

import { button, h } from "./dom.js";

const TYPING = "input, select, textarea, dialog, [contenteditable]";

/**
 * Listen to keys.
 *
 * @param {Array<[string[], string, (event: KeyboardEvent) => unknown]>} shortcuts Keys, what they do in words, and the doing.
 */
export function listen(shortcuts) {
  const acts = new Map(shortcuts.flatMap(([keys, , act]) => keys.map((key) => [key, act])));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const act = acts.get(event.key);
    if (
      !act ||
      (event.key !== "Escape" && event.target.closest(TYPING)) ||
      document.querySelector("dialog[open]")
    )
      return;
    if (act(event) !== false) event.preventDefault();
  });
}

/** Show which keys do what. */
export function explain(shortcuts) {
  const rows = shortcuts.map(([keys, does]) =>
    h(
      "div",
      {},
      h("dt", {}, ...keys.flatMap((key) => [h("kbd", {}, NAMES[key] ?? key), " "])),
      h("dd", {}, does),
    ),
  );
  const close = button("Close", () => dialog.close(), { class: "primary" });
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "keys-title", on: { close: () => dialog.remove() } },
    h("h2", { id: "keys-title" }, "Keyboard shortcuts"),
    h("dl", { class: "keys" }, ...rows),
    h("div", { class: "dialog-buttons" }, close),
  );
  document.body.append(dialog);
  dialog.showModal();
}

const NAMES = { ArrowDown: "↓", ArrowUp: "↑", Escape: "Esc" };
