/** The theme: that of the system ("auto"), or the chosen one. This module runs before the first paint. */

const KEY = "orderctl.theme";

/** @typedef {"auto"|"light"|"dark"} Theme */

/** @type {Record<Theme, Theme>} */
const NEXT = { auto: "light", light: "dark", dark: "auto" };

/** Return the theme. */
export function current() {
  const stored = read();
  return isTheme(stored) ? stored : "auto";
}

function read() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return document.documentElement.dataset.theme;
  }
}

/**
 * @param {unknown} value
 * @returns {value is Theme}
 */
function isTheme(value) {
  return typeof value === "string" && Object.hasOwn(NEXT, value);
}

/** Switch to the next theme. */
export function change() {
  const theme = NEXT[current()];
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage is not allowed: the choice lasts until the page is reloaded.
  }
  show();
}

/** Show the theme on its button. */
export function show() {
  const name = current();
  const [label, element] = [document.getElementById("theme-name"), document.getElementById("theme")];
  if (label) label.textContent = name.charAt(0).toUpperCase() + name.slice(1);
  element?.setAttribute("aria-label", `Change the theme, now ${name}`);
}

document.documentElement.dataset.theme = current();
