/** Elements. Text from a store becomes a text node; there is no way here to make markup of it. */

import * as text from "./text.js";

const KNOWN = new Set([
  "pending",
  "processing",
  "enrolled",
  "downloading",
  "completed",
  "failed",
  "cancelled",
]);
const SEVERITIES = new Set(["debug", "info", "warning", "error", "critical"]);

/**
 * A new element.
 *
 * @param {string} name Its tag.
 * @param {object} attributes Attributes; `on` holds listeners by event; null, undefined and false are left out.
 * @param {...(Node|string|null|undefined|false)} children Nodes, or texts, which are made safe to look at.
 */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") listen(element, value);
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(key, value === true ? "" : value);
  }
  fill(element, ...children);
  return element;
}

function listen(element, listeners) {
  for (const [event, listener] of Object.entries(listeners)) element.addEventListener(event, listener);
}

/** Give an element these children and no others. */
export function fill(element, ...children) {
  const present = children.filter(
    (child) => child !== null && child !== undefined && child !== false && child !== "",
  );
  element.replaceChildren(...present.map((child) => (child instanceof Node ? child : text.line(child))));
}

/** Give an element a text, unless it has it. */
export function write(element, value) {
  const shown = text.line(value);
  if (element.textContent !== shown) element.textContent = shown;
}

/** The URL, if it is one that may be followed: http or https, whole. */
export function webAddress(value) {
  try {
    const url = new URL(value);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

/** A link to elsewhere; plain text where the address is none that may be followed. */
export function outside(address, label, attributes = {}) {
  const href = webAddress(address);
  if (href === null) return h("span", attributes, label);
  return h(
    "a",
    { href, target: "_blank", rel: "noopener noreferrer", title: text.line(href), ...attributes },
    label,
  );
}

/** The word of a status, in its colour. */
export function badge(status) {
  const element = h("span", { class: "badge" });
  setStatus(element, status);
  write(element, text.words(status));
  return element;
}

/** Colour an element by a status; an unknown one is neutral. */
export function setStatus(element, status) {
  element.dataset.status = KNOWN.has(status) ? status : "other";
}

/** Colour an element by a severity; an unknown one is neutral. */
export function setSeverity(element, severity) {
  element.dataset.severity = SEVERITIES.has(severity) ? severity : "other";
}

/** A bar: `element`, and `set(percent, status)`. */
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
  );
  function set(percent, status) {
    const shown = Math.min(100, Math.max(0, Number.isFinite(percent) ? percent : 0));
    element.style.setProperty("--share", String(shown / 100));
    element.setAttribute("aria-valuenow", String(Math.floor(shown)));
    setStatus(element, status);
  }
  return { element, set };
}

/** A moment, told relative to now; `refreshTimes` keeps it so. */
export function since(iso, attributes = {}) {
  const date = new Date(iso ?? Number.NaN);
  if (Number.isNaN(date.getTime())) return h("span", attributes, "–");
  const element = h("time", {
    datetime: date.toISOString(),
    title: text.moment(date),
    "data-relative": true,
    ...attributes,
  });
  write(element, text.ago(date));
  return element;
}

/** Tell all relative moments anew. */
export function refreshTimes() {
  for (const element of document.querySelectorAll("time[data-relative]"))
    write(element, text.ago(new Date(element.dateTime)));
}

/** A button. */
export function button(label, click, attributes = {}) {
  return h("button", { type: "button", ...attributes, on: { click } }, label);
}
