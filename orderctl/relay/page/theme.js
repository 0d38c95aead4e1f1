/** Dark or light: as the system has it, unless chosen here. Loaded before the first paint. */

const KEY = "orderctl.theme";

/** @typedef {"auto"|"light"|"dark"} Theme */

/** @type {Record<Theme, Theme>} */
const NEXT = { auto: "light", light: "dark", dark: "auto" };

/** The theme. */
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

/** Go on to the next theme, and return it. */
export function change() {
  const theme = NEXT[current()];
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage is forbidden here: the choice lasts until the page is loaded again.
  }
  return theme;
}

document.documentElement.dataset.theme = current();
