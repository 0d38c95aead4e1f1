/** Dark or light: as the system has it, unless chosen here. Loaded before the first paint. */

const KEY = "orderctl.theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };

/** The theme: "auto", "light" or "dark". */
export function current() {
  try {
    const stored = localStorage.getItem(KEY);
    return stored in NEXT ? stored : "auto";
  } catch {
    return document.documentElement.dataset.theme ?? "auto";
  }
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
