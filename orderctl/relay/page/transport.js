/** Requests to the relay, and what goes wrong with them. */

/** Longest wait for an answer, in ms. */
const TIMEOUT = 15_000;

/** The relay refused a request, or did not answer it. `status` is the HTTP status; 0: no answer. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/**
 * The header that proves who asks.
 *
 * @param {string|null} token
 * @returns {Record<string, string>}
 */
export function authorization(token) {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

/**
 * Send a request; wait for the head of its answer.
 *
 * @param {string} path
 * @param {RequestInit} options
 */
export async function send(path, options) {
  try {
    return await fetch(path, {
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT),
      ...options,
    });
  } catch (error) {
    const late = error instanceof Error && error.name === "TimeoutError";
    throw new ApiError(
      0,
      late ? "the relay did not answer within 15 seconds" : "the relay cannot be reached",
    );
  }
}

/**
 * Read the body of an answer; null where it has none.
 *
 * @param {Response} response
 */
export async function parse(response) {
  try {
    return await response.json();
  } catch {
    if (response.ok) throw new ApiError(response.status, "the relay's answer is not JSON");
    return null;
  }
}
