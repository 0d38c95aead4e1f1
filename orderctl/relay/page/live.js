/** The way of live messages: one WebSocket, kept open, with what the page wants to hear. */

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
 * Fires `message` with `detail` = `{scope, id, type, data}`, `open` when (again) connected, `refused` when the
 * token is not taken, and `state` when `state` ("connecting", "open", "waiting", "stopped") or `degraded`
 * changes.
 */
export class Live extends EventTarget {
  #address;
  #token;
  #socket = null;
  #wanted = new Set();
  #held = new Set();
  #calls = 0;
  #failures = 0;
  #timer = 0;
  #heard = 0;
  #probed = 0;
  #opened = 0;

  /**
   * @param {string} address Of the relay's `/ws`.
   * @param {() => string|null} token The token to show, if there is one.
   */
  constructor(address, token) {
    super();
    this.#address = address;
    this.#token = token;
    this.state = "stopped";
    /** Whether the relay has told that Redis is away. */
    this.degraded = false;
    /** When the next attempt is due, in ms since the epoch. */
    this.retryAt = 0;
    setInterval(() => this.#watch(), 5_000);
    for (const [target, event] of [
      [window, "online"],
      [document, "visibilitychange"],
      [window, "pageshow"],
    ]) {
      target.addEventListener(event, () => this.hurry());
    }
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

  /** Hear these and no others: names such as `order:123` and `task:456`. */
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
    const mine = (act) => (event) => this.#socket === socket && act(event);
    socket.addEventListener(
      "open",
      mine(() => this.#greet()),
    );
    socket.addEventListener(
      "message",
      mine((event) => this.#hear(event.data)),
    );
    socket.addEventListener(
      "close",
      mine((event) => this.#lose(event.code === UNAUTHORIZED)),
    );
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
    this.dispatchEvent(new Event("open"));
  }

  #settle() {
    for (const name of this.#held) if (!this.#wanted.has(name)) this.#tell("unsubscribe", name);
    for (const name of this.#wanted) if (!this.#held.has(name)) this.#tell("subscribe", name);
    this.#held = new Set(this.#wanted);
  }

  #tell(action, name) {
    const [scope, id] = name.split(":");
    this.#send(`${action}:${scope}`, { [`${scope}Id`]: Number(id) }, ++this.#calls);
  }

  #send(event, data, id) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ event, data, id }));
  }

  #hear(text) {
    this.#heard = performance.now();
    this.#probed = 0;
    const frame = parse(text);
    if (frame === null) return;
    if (frame.id === "auth") this.#answered(frame);
    else if (frame.event === "relay:degraded" || frame.event === "relay:restored")
      this.#degrade(frame.event === "relay:degraded");
    else if (frame.data && typeof frame.data === "object" && frame.event === frame.data.type) {
      this.dispatchEvent(new CustomEvent("message", { detail: frame.data }));
    }
  }

  #answered(frame) {
    if (frame.event === "ack") this.#begin();
    else this.#lose(true);
  }

  #degrade(degraded) {
    this.degraded = degraded;
    this.dispatchEvent(new Event("state"));
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
    if (refused) this.dispatchEvent(new Event("refused"));
  }

  /** Notice a connection that died without a word: a laptop that slept, a network that changed. */
  #watch() {
    const now = performance.now();
    if (this.state === "connecting" && now - this.#heard > ANSWER) this.#lose();
    if (this.state !== "open") return;
    if (this.#probed && now - this.#probed > ANSWER) this.#lose();
    else if (!this.#probed && now - this.#heard > SILENCE) this.#probe(now);
  }

  #probe(now) {
    this.#probed = now;
    // Whatever is asked is answered, be it with an error.
    const [name] = this.#held;
    if (name) this.#tell("subscribe", name);
    else this.#send("unsubscribe:order", { orderId: 1 }, ++this.#calls);
  }

  #change(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

function parse(text) {
  try {
    const frame = JSON.parse(text);
    return frame && typeof frame === "object" ? frame : null;
  } catch {
    return null;
  }
}
