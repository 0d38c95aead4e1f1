/** The way of live messages: one WebSocket, kept open, with what the page wants to hear. */

import { Emitter } from "./emitter.js";

/**
 * Where a message stands among those of its channel: by attempt and seq, or by its time in ms since the epoch.
 *
 * @typedef {object} Position
 * @property {number} [attempt]
 * @property {number} [seq]
 * @property {number|null} [timestamp]
 */

/**
 * How far a task or an order is; `speed` in bytes/s.
 *
 * @typedef {Position & {percent: number, currentFile: string|null, speed?: number|null}} Progress
 */

/**
 * A move of a task or an order; `error` and `errorType` come with a task's failure.
 *
 * @typedef {object} StatusChange
 * @property {string} newStatus
 * @property {string|null} previousStatus
 * @property {number|null} [timestamp]
 * @property {string|null} [error]
 * @property {string|null} [errorType]
 */

/**
 * The end of an order.
 *
 * @typedef {object} Completion
 * @property {number} totalTasks
 * @property {number} completedTasks
 * @property {number} failedTasks
 * @property {number|null} [timestamp]
 */

/**
 * A live message.
 *
 * @typedef {{scope: "task"|"order", id: number} & (
 *   {type: "progress", data: Progress} | {type: "status", data: StatusChange} | {type: "complete", data: Completion}
 * )} Message
 */

/** @typedef {{event?: unknown, id?: unknown, data?: unknown}} Frame What the relay sends on `/ws`. */

const FIRST_WAIT = 250;
const LONGEST_WAIT = 15_000;
/** A connection that held so long begins with short waits again. */
const STEADY = 5_000;
/** Silence after which the relay is asked whether it is there, and how long it may take to answer. */
const SILENCE = 25_000;
const ANSWER = 8_000;
/** The relay's close code for a token that is missing, wrong or has expired. */
const UNAUTHORIZED = 4401;

/**
 * Fires `message`, `open` when (again) connected, `refused` when the token is not taken, and `state` when `state`
 * or `degraded` changes.
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
  #held = new Set();
  #calls = 0;
  #failures = 0;
  #timer = 0;
  #heard = 0;
  #probed = 0;
  #opened = 0;

  /**
   * @param {URL} address Of the relay's `/ws`.
   * @param {() => string|null} token The token to show, if there is one.
   */
  constructor(address, token) {
    super();
    this.#address = address;
    this.#token = token;
    /** @type {"connecting"|"open"|"waiting"|"stopped"} */
    this.state = "stopped";
    /** Whether the relay has told that Redis is away. */
    this.degraded = false;
    /** When the next attempt is due, in ms since the epoch. */
    this.retryAt = 0;
    setInterval(() => this.#watch(), 5_000);
    window.addEventListener("online", () => this.hurry());
    window.addEventListener("pageshow", () => this.hurry());
    document.addEventListener("visibilitychange", () => this.hurry());
  }

  /** Connect, and stay connected. */
  start() {
    if (this.state === "stopped") this.#connect();
  }

  /** End the connection until `start`. */
  stop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#change("stopped");
  }

  /** Try now what would be tried later. */
  hurry() {
    if (this.state === "waiting" && !document.hidden) this.#connect();
  }

  /**
   * Hear these and no others.
   *
   * @param {Iterable<string>} names Such as `order:123` and `task:456`.
   */
  want(names) {
    this.#wanted = new Set(names);
    if (this.state === "open") this.#settle();
  }

  #connect() {
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    this.#held.clear();
    this.degraded = false;
    this.#change("connecting");
    const mine = () => this.#socket === socket;
    socket.addEventListener("open", () => mine() && this.#greet());
    socket.addEventListener("message", ({ data }) => mine() && this.#hear(data));
    socket.addEventListener("close", ({ code }) => mine() && this.#lose(code === UNAUTHORIZED));
    this.#heard = performance.now();
  }

  #greet() {
    const token = this.#token();
    if (token === null) this.#begin();
    else this.#send("auth", { token }, "auth");
  }

  #begin() {
    this.#opened = performance.now();
    this.#change("open");
    this.#settle();
    this.emit("open");
  }

  #settle() {
    for (const name of this.#held) if (!this.#wanted.has(name)) this.#tell("unsubscribe", name);
    for (const name of this.#wanted) if (!this.#held.has(name)) this.#tell("subscribe", name);
    this.#held = new Set(this.#wanted);
  }

  /**
   * @param {"subscribe"|"unsubscribe"} action
   * @param {string} name
   */
  #tell(action, name) {
    const [scope, id] = name.split(":");
    this.#send(`${action}:${scope}`, { [`${scope}Id`]: Number(id) }, ++this.#calls);
  }

  /**
   * @param {string} event
   * @param {Record<string, unknown>} data
   * @param {number|string} id Of the call; the answer has it.
   */
  #send(event, data, id) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ event, data, id }));
  }

  /** @param {string} text */
  #hear(text) {
    this.#heard = performance.now();
    this.#probed = 0;
    const frame = parse(text);
    if (frame === null) return;
    if (frame.id === "auth") this.#answered(frame);
    else if (frame.event === "relay:degraded" || frame.event === "relay:restored")
      this.#degrade(frame.event === "relay:degraded");
    else if (isMessage(frame)) this.emit("message", frame.data);
  }

  /** @param {Frame} frame */
  #answered(frame) {
    if (frame.event === "ack") this.#begin();
    else this.#lose(true);
  }

  /** @param {boolean} degraded */
  #degrade(degraded) {
    this.degraded = degraded;
    this.emit("state");
  }

  #lose(refused = false) {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    const steady = this.state === "open" && performance.now() - this.#opened > STEADY;
    this.#failures = steady ? 0 : this.#failures + 1;
    const wait =
      Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(this.#failures, 10)) * (0.5 + Math.random() / 2);
    this.retryAt = Date.now() + wait;
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#change("waiting");
    if (refused) this.emit("refused");
  }

  /** Notice a connection that died without a word: a laptop that slept, a network that changed. */
  #watch() {
    const now = performance.now();
    if (this.state === "connecting" && now - this.#heard > ANSWER) this.#lose();
    if (this.state !== "open") return;
    if (this.#probed && now - this.#probed > ANSWER) this.#lose();
    else if (!this.#probed && now - this.#heard > SILENCE) this.#probe(now);
  }

  /** @param {number} now */
  #probe(now) {
    this.#probed = now;
    // Whatever is asked is answered, be it with an error.
    const [name] = this.#held;
    if (name) this.#tell("subscribe", name);
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
 * Whether a frame carries a live message; the relay has checked what is in it.
 *
 * @param {Frame} frame
 * @returns {frame is {data: Message}}
 */
function isMessage(frame) {
  const { event, data } = frame;
  return typeof data === "object" && data !== null && "type" in data && event === data.type;
}
