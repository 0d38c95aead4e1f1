/** Live messages: one WebSocket that reconnects, and its subscriptions. */

import { Emitter } from "./emitter.js";

/**
 * Position of a message in its channel: attempt and seq, or the time in ms since the epoch.
 *
 * @typedef {object} Position
 * @property {number} [attempt]
 * @property {number} [seq]
 * @property {number|null} [timestamp]
 */

/**
 * Progress of a task or an order; `speed` in bytes/s.
 *
 * @typedef {Position & {percent: number, currentFile: string|null, speed?: number|null}} Progress
 */

/**
 * A new status of a task or an order; `error`, `errorType` and the finer `errorKind` are those of a failed task.
 *
 * @typedef {object} StatusChange
 * @property {string} newStatus
 * @property {string|null} previousStatus
 * @property {number|null} [timestamp]
 * @property {string|null} [error]
 * @property {string|null} [errorType]
 * @property {string|null} [errorKind]
 * @property {number|null} [retryAt] When a task is tried again after a failure, in ms since the epoch.
 * @property {number|null} [failingSince] Since when it has been failing, likewise.
 */

/**
 * The end of an order; that of a task, which other programs may publish, has no numbers.
 *
 * @typedef {object} Completion
 * @property {number} [totalTasks]
 * @property {number} [completedTasks]
 * @property {number} [failedTasks]
 * @property {number|null} [timestamp]
 */

/**
 * A live message.
 *
 * @typedef {{scope: "task"|"order", id: number} & (
 *   {type: "progress", data: Progress} |
 *   {type: "status", data: StatusChange} |
 *   {type: "complete", data: Completion}
 * )} Message
 */

/** @typedef {{event?: unknown, id?: unknown, data?: unknown}} Frame A frame that the relay sends on `/ws`. */

/** Shortest and longest wait before a reconnect, in ms. */
const FIRST_WAIT = 250;
const LONGEST_WAIT = 15_000;
/** After a connection that lasted this long, waits start at the shortest again, in ms. */
const STEADY = 5_000;
/** Time without a frame after which the relay is probed, and longest wait for its answer, in ms. */
const PROBE_AFTER = 25_000;
const PROBE_TIMEOUT = 8_000;
/** The relay's close code for a token that is missing, wrong or has expired. */
const UNAUTHORIZED = 4401;

/**
 * Fires `message`, `open` after each connect, `refused` when the relay refuses the token, and `state` when
 * `state` or `degraded` changes.
 *
 * @extends {Emitter<{message: Message, open: void, refused: void, state: void}>}
 */
export class Live extends Emitter {
  #address;
  #token;
  /** @type {WebSocket|null} */
  #socket = null;
  /** @type {Set<string>} */
  #wanted = new Set();
  /** @type {Set<string>} */
  #subscribed = new Set();
  #calls = 0;
  #failures = 0;
  #timer = 0;
  #receivedAt = 0;
  #probedAt = 0;
  #openedAt = 0;

  /**
   * @param {URL} address Address of the relay's `/ws`.
   * @param {() => string|null} token Returns the token, or null.
   */
  constructor(address, token) {
    super();
    this.#address = address;
    this.#token = token;
    /** @type {"connecting"|"open"|"waiting"|"stopped"} */
    this.state = "stopped";
    /** Whether the relay has lost Redis. */
    this.degraded = false;
    /** Time of the next connect, in ms since the epoch. */
    this.retryAt = 0;
    setInterval(() => this.#checkConnection(), 5_000);
    window.addEventListener("online", () => this.retryNow());
    window.addEventListener("pageshow", () => this.retryNow());
    document.addEventListener("visibilitychange", () => this.retryNow());
  }

  /** Connect, and stay connected. */
  start() {
    if (this.state === "stopped") this.#connect();
  }

  /** Close the connection; `start` opens it again. */
  stop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#change("stopped");
  }

  /** Reconnect now, if a reconnect is waiting and the page is visible. */
  retryNow() {
    if (this.state === "waiting" && !document.hidden) this.#connect();
  }

  /**
   * Subscribe to these channels, and unsubscribe from all others.
   *
   * @param {Iterable<string>} names Such as `order:123` and `task:456`.
   */
  subscribe(names) {
    this.#wanted = new Set(names);
    if (this.state === "open") this.#updateSubscriptions();
  }

  #connect() {
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    this.#subscribed.clear();
    this.degraded = false;
    this.#change("connecting");
    const isCurrent = () => this.#socket === socket;
    socket.addEventListener("open", () => isCurrent() && this.#authenticate());
    socket.addEventListener("message", ({ data }) => isCurrent() && this.#receive(data));
    socket.addEventListener(
      "close",
      ({ code }) => isCurrent() && this.#reconnectLater(code === UNAUTHORIZED),
    );
    this.#receivedAt = performance.now();
  }

  #authenticate() {
    const token = this.#token();
    if (token === null) this.#begin();
    else this.#send("auth", { token }, "auth");
  }

  #begin() {
    this.#openedAt = performance.now();
    this.#change("open");
    this.#updateSubscriptions();
    this.emit("open");
  }

  #updateSubscriptions() {
    for (const name of this.#subscribed) if (!this.#wanted.has(name)) this.#call("unsubscribe", name);
    for (const name of this.#wanted) if (!this.#subscribed.has(name)) this.#call("subscribe", name);
    this.#subscribed = new Set(this.#wanted);
  }

  /**
   * @param {"subscribe"|"unsubscribe"} action
   * @param {string} name
   */
  #call(action, name) {
    const [scope, id] = name.split(":");
    this.#send(`${action}:${scope}`, { [`${scope}Id`]: Number(id) }, ++this.#calls);
  }

  /**
   * @param {string} event
   * @param {Record<string, unknown>} data
   * @param {number|string} id Id of the call, which the answer repeats.
   */
  #send(event, data, id) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ event, data, id }));
  }

  /** @param {string} text */
  #receive(text) {
    this.#receivedAt = performance.now();
    this.#probedAt = 0;
    const frame = parse(text);
    if (frame === null) return;
    if (frame.id === "auth") this.#handleAuthentication(frame);
    else if (frame.event === "relay:degraded" || frame.event === "relay:restored")
      this.#degrade(frame.event === "relay:degraded");
    else if (isMessage(frame)) this.emit("message", frame.data);
  }

  /** @param {Frame} frame */
  #handleAuthentication(frame) {
    if (frame.event === "ack") this.#begin();
    else this.#reconnectLater(true);
  }

  /** @param {boolean} degraded */
  #degrade(degraded) {
    this.degraded = degraded;
    this.emit("state");
  }

  #reconnectLater(refused = false) {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    const steady = this.state === "open" && performance.now() - this.#openedAt > STEADY;
    this.#failures = steady ? 0 : this.#failures + 1;
    const wait =
      Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(this.#failures, 10)) * (0.5 + Math.random() / 2);
    this.retryAt = Date.now() + wait;
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#change("waiting");
    if (refused) this.emit("refused");
  }

  /** Detect a connection that ended without a close, as after sleep or a change of the network. */
  #checkConnection() {
    const now = performance.now();
    if (this.state === "connecting" && now - this.#receivedAt > PROBE_TIMEOUT) this.#reconnectLater();
    if (this.state !== "open") return;
    if (this.#probedAt && now - this.#probedAt > PROBE_TIMEOUT) this.#reconnectLater();
    else if (!this.#probedAt && now - this.#receivedAt > PROBE_AFTER) this.#probe(now);
  }

  /** @param {number} now */
  #probe(now) {
    this.#probedAt = now;
    // The relay answers every call, also with an error.
    const [name] = this.#subscribed;
    if (name) this.#call("subscribe", name);
    else this.#send("unsubscribe:order", { orderId: 1 }, ++this.#calls);
  }

  /** @param {Live["state"]} state */
  #change(state) {
    this.state = state;
    this.emit("state");
  }
}

/**
 * @param {string} text
 * @returns {Frame|null}
 */
function parse(text) {
  try {
    const frame = JSON.parse(text);
    return frame && typeof frame === "object" ? frame : null;
  } catch {
    return null;
  }
}

/**
 * Whether a frame carries a live message. The relay has validated its fields.
 *
 * @param {Frame} frame
 * @returns {frame is {data: Message}}
 */
function isMessage(frame) {
  const { event, data } = frame;
  return typeof data === "object" && data !== null && "type" in data && event === data.type;
}
