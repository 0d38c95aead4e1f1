/** Helpers for DOM elements. Text always becomes a text node: none of these functions parses markup. */

import * as text from "./text.js";

const KNOWN = new Set([
  "pending",
  "processing",
  "enrolled",
  "downloading",
  "completed",
  "failed",
  "cancelled",
  "paid",
  "partial",
  "surplus",
  "mismatch",
  "unmatched",
]);
const SEVERITIES = new Set(["debug", "info", "warning", "error", "critical"]);

/** @typedef {Record<string, string|number|boolean|null|undefined>} Attributes */
/** @typedef {Node|string|number|null|undefined|false} Child */

/**
 * Create an element.
 *
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name Tag name.
 * @param {Attributes} attributes Null, undefined and false are left out.
 * @param {...Child} children Nodes, or texts, in which unsafe characters are escaped.
 */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(key, value === true ? "" : String(value));
  }
  fill(element, ...children);
  return element;
}

/**
 * An element of index.html.
 *
 * @param {string} id
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`no element with id ${id}`);
  return element;
}

/**
 * Replace the children of an element.
 *
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  const present = children.filter(
    (child) => child !== null && child !== undefined && child !== false && child !== "",
  );
  element.replaceChildren(...present.map((child) => (child instanceof Node ? child : text.line(child))));
}

/**
 * Set the text of an element. An equal text is not set again.
 *
 * @param {Element} element
 * @param {unknown} value
 */
export function write(element, value) {
  const shown = text.line(value);
  if (element.textContent !== shown) element.textContent = shown;
}

/**
 * Return the URL if it is safe as a link (absolute, http or https), else null.
 *
 * @param {unknown} value
 */
export function webAddress(value) {
  try {
    const url = new URL(String(value));
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

/**
 * Create a link to another site, or plain text if the address is not a safe link.
 *
 * @param {unknown} address
 * @param {string} label
 * @param {Attributes} attributes
 */
export function externalLink(address, label, attributes = {}) {
  const href = webAddress(address);
  if (href === null) return h("span", attributes, label);
  return h(
    "a",
    { href, target: "_blank", rel: "noopener noreferrer", title: text.line(href), ...attributes },
    label,
  );
}

/**
 * Create a badge: the name of a status, in its colour.
 *
 * @param {string} status
 */
export function badge(status) {
  const element = h("span", { class: "badge" });
  setStatus(element, status);
  write(element, text.words(status));
  return element;
}

/**
 * Colour an element by a status. An unknown one is neutral.
 *
 * @param {HTMLElement} element
 * @param {string} status
 */
export function setStatus(element, status) {
  element.dataset.status = KNOWN.has(status) ? status : "other";
}

/**
 * Colour an element by a severity. An unknown one is neutral.
 *
 * @param {HTMLElement} element
 * @param {string} severity
 */
export function setSeverity(element, severity) {
  element.dataset.severity = SEVERITIES.has(severity) ? severity : "other";
}

/**
 * Create an element with a time relative to now; `refreshTimes` updates it.
 *
 * @param {string|null} iso
 * @param {Attributes} attributes
 */
export function relativeTime(iso, attributes = {}) {
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

/** Update the text of all relative times. */
export function refreshTimes() {
  for (const element of document.querySelectorAll("time"))
    if (element.dataset.relative !== undefined) write(element, text.ago(new Date(element.dateTime)));
}

/**
 * Create a button.
 *
 * @param {string} label
 * @param {() => unknown} click
 * @param {Attributes} attributes
 */
export function button(label, click, attributes = {}) {
  const element = h("button", { type: "button", ...attributes }, label);
  element.addEventListener("click", click);
  return element;
}

/**
 * Return the element on which an event happened, or null.
 *
 * @param {Event} event
 */
export function targetOf(event) {
  return event.target instanceof Element ? event.target : null;
}
