/** Values of the API and of live messages, which may be of any type. */

/**
 * Return a moment in ms since the epoch, or null for what is none.
 *
 * @param {string|null|undefined} value ISO 8601 with its zone.
 */
export function moment(value) {
  return number(Date.parse(value ?? ""));
}

/**
 * Return a finite number, or null for any other value.
 *
 * @param {unknown} value
 */
export function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/**
 * Return an array, empty for any other value.
 *
 * @template T
 * @param {T[]|null|undefined} value
 * @returns {T[]}
 */
export function list(value) {
  return Array.isArray(value) ? value : [];
}

/**
 * Whether an object of the API has a valid id.
 *
 * @template {{id: unknown}} T
 * @param {T|null|undefined} raw
 * @returns {raw is T}
 */
export function hasId(raw) {
  return (
    raw !== null && typeof raw === "object" && Number.isSafeInteger(Number(raw.id)) && Number(raw.id) > 0
  );
}
