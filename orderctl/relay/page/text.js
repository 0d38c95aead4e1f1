/** Turns values into texts. These functions do not use the document. */

const UNKNOWN = "–";

/** Control, invisible and bidirectional characters, as on terminals (orderctl/terminal/sanitise.py). */
const UNSAFE =
  /[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]/gu;

/** Longest text that is shown; longer ones are cut. */
const MAX_LENGTH = 20_000;

/**
 * Format a value as text on one line. Unsafe characters are escaped.
 *
 * @param {unknown} value
 */
export function line(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return cut(text).replace(UNSAFE, escaped);
}

/**
 * Format a value as `line` does, but keep line breaks.
 *
 * @param {unknown} value
 */
export function block(value) {
  return cut(typeof value === "string" ? value : line(value))
    .replaceAll("\r\n", "\n")
    .split("\n")
    .map((part) => line(part.replaceAll("\t", "    ")))
    .join("\n");
}

/** @param {string} text */
function cut(text) {
  return text.length > MAX_LENGTH
    ? `${text.slice(0, MAX_LENGTH)}… (${text.length - MAX_LENGTH} more characters)`
    : text;
}

/** @param {string} character */
function escaped(character) {
  const code = character.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${hex(code, 2)}`;
  return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

/**
 * @param {number} code
 * @param {number} digits
 */
function hex(code, digits) {
  return code.toString(16).padStart(digits, "0");
}

/**
 * Format a status or the type of an event: "download failed" for `download_failed`.
 *
 * @param {unknown} name
 */
export function words(name) {
  return line(name).replaceAll("_", " ");
}

/**
 * Format a number with separators.
 *
 * @param {number|null|undefined} value
 */
export function number(value) {
  return isKnown(value) ? value.toLocaleString() : UNKNOWN;
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isKnown(value) {
  return Number.isFinite(value);
}

/**
 * Format a number with its noun: "1 task", "3 tasks".
 *
 * @param {number} count
 * @param {string} noun
 */
export function plural(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * Format a percentage, rounded down: 99.9 is not "100 %".
 *
 * @param {number|null} value
 */
export function percent(value) {
  return isKnown(value) ? `${Math.floor(value)} %` : UNKNOWN;
}

/**
 * Format a speed, in kB/s or MB/s.
 *
 * @param {number|null} value In bytes/s.
 */
export function speed(value) {
  if (!isKnown(value) || value <= 0) return "";
  if (value < 1e5) return `${(value / 1e3).toFixed(1)} kB/s`;
  return `${(value / 1e6).toFixed(value < 1e7 ? 1 : 0)} MB/s`;
}

/**
 * Format a duration, roughly: an exact number would change too often.
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds < 10) return "a few seconds";
  if (seconds < 55) return `${Math.ceil(seconds / 5) * 5} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} d`;
}

/**
 * Format an amount of money.
 *
 * @param {number|null} amount
 * @param {string} currency
 */
export function money(amount, currency) {
  if (!isKnown(amount)) return UNKNOWN;
  try {
    return new Intl.NumberFormat(undefined, { style: "currency", currency }).format(amount);
  } catch {
    return `${number(amount)} ${line(currency ?? "")}`.trim();
  }
}

/**
 * Format a time relative to now.
 *
 * @param {Date} date
 * @param {number} now In ms since the epoch.
 */
export function ago(date, now = Date.now()) {
  const seconds = Math.round((now - date.getTime()) / 1000);
  if (Number.isNaN(seconds)) return UNKNOWN;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return seconds < 7 * 86_400 ? `${Math.round(seconds / 86_400)} d ago` : day(date);
}

/**
 * Format a date.
 *
 * @param {Date} date
 */
export function day(date) {
  return date.toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

/**
 * Format a time of day, with seconds.
 *
 * @param {Date} date
 */
export function time(date) {
  return date.toLocaleTimeString(undefined, { hour12: false });
}

/**
 * Format a date with its time and zone.
 *
 * @param {Date} date
 */
export function moment(date) {
  return date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
}
