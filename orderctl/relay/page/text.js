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

/**
 * Format a customer's address. The relay sends three stars in place of one that the token does not show.
 *
 * @param {string} address
 */
export function email(address) {
  return address === "***" ? "e-mail hidden" : address;
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
 * Format a number of bytes in the words of the command line (orderctl/terminal/render.py): "512 B", "1.5 MiB".
 *
 * @param {number} bytes
 */
export function size(bytes) {
  if (bytes < 1024) return `${rounded(bytes, 0)} B`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length);
  return `${rounded(bytes / 1024 ** power, 1)} ${UNITS[power - 1]}`;
}

const UNITS = ["KiB", "MiB", "GiB", "TiB"];

/**
 * Round a half to the even digit, as the command line does.
 *
 * @param {number} value
 * @param {number} decimals
 */
function rounded(value, decimals) {
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return new Intl.NumberFormat("en", { ...digits, roundingMode: "halfEven", useGrouping: false }).format(
    value,
  );
}

/**
 * Format a speed: "1.5 MiB/s"; empty when it is unknown or zero.
 *
 * @param {number|null} value In bytes/s.
 */
export function speed(value) {
  return isKnown(value) && value > 0 ? `${size(value)}/s` : "";
}

/**
 * Format a length of time in its largest unit, in the words of the command line: "45s", "3m", "2h", "12d".
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  const [unit, length] = LENGTHS.find(([, least]) => seconds >= least) ?? ["s", 1];
  return `${Math.floor(seconds / length)}${unit}`;
}

/** @type {[unit: string, seconds: number][]} */
const LENGTHS = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
];

/**
 * Format an amount of money.
 *
 * @param {number|null} amount
 * @param {string} currency
 */
export function money(amount, currency) {
  if (!isKnown(amount)) return UNKNOWN;
  try {
    return formatOf(currency).format(amount);
  } catch {
    return `${number(amount)} ${line(currency ?? "")}`.trim();
  }
}

/**
 * The format of a currency. Making one takes 25 times longer than using it.
 *
 * @param {string} currency
 */
function formatOf(currency) {
  const format = FORMATS.get(currency) ?? new Intl.NumberFormat(undefined, { style: "currency", currency });
  FORMATS.set(currency, format);
  return format;
}

/** @type {Map<string, Intl.NumberFormat>} */
const FORMATS = new Map();

/**
 * Format how long ago a moment was, or how far ahead it is, in the words of the command line: "3m ago", "in 2h".
 *
 * @param {number} seconds
 */
export function relative(seconds) {
  return seconds >= 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
}

/**
 * Format a time relative to now; one that is a week ago or longer as its date.
 *
 * @param {Date} date
 * @param {number} now In ms since the epoch.
 */
export function ago(date, now = Date.now()) {
  const seconds = (now - date.getTime()) / 1000;
  if (Number.isNaN(seconds)) return UNKNOWN;
  // Clocks differ: what has just been written may seem to lie ahead.
  return seconds < WEEK ? relative(Math.max(0, seconds)) : day(date);
}

const WEEK = 7 * 86_400;

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
