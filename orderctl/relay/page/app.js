/** Entry point: creates the parts of the page and connects them. */

/** @import { Session } from "./api.js" */
/** @import { Shortcut } from "./keys.js" */
/** @import { Query } from "./listing.js" */

import { act, Notice } from "./actions.js";
import { Api } from "./api.js";
import { Cards } from "./cards.js";
import { byId, refreshTimes, targetOf } from "./dom.js";
import { Errors } from "./errors.js";
import { explain, listen } from "./keys.js";
import { List } from "./list.js";
import { Listing } from "./listing.js";
import { Live } from "./live.js";
import { Note } from "./note.js";
import { Panel } from "./panel.js";
import { Payments } from "./payments.js";
import { Pill } from "./pill.js";
import { Store } from "./store.js";
import * as text from "./text.js";
import * as theme from "./theme.js";
import { Token } from "./token.js";
import { ApiError } from "./transport.js";
import { Views } from "./views.js";

/** How often data without live messages is read again, in ms. */
const REFRESH_INTERVAL = 15_000;
/** Delay before a changed order is read again, so that one request covers several changes, in ms. */
const STALE_DELAY = 400;
/** Most subscriptions at a time. The relay allows 1,000. */
const MAX_SUBSCRIPTIONS = 900;
/** From this width on, the order is shown beside the list and not on top of it. */
const WIDE = matchMedia("(min-width: 68rem)");

/** What the search looks at, for those who see the addresses of customers, and for the others. */
const EVERYWHERE = "Order code, id or e-mail";
const IN_CODES = "Order code or id";

const token = new Token();
const api = new Api(token);
const store = new Store();
/** @type {Pick<Session, "reads"|"emails"|"allowed"|"currency">} */
const session = { reads: false, emails: false, allowed: [], currency: "VND" };
const live = new Live(new URL("ws", location.href.replace(/^http/, "ws")), () => token.value);
const listing = new Listing(api, store);
const list = new List(byId("list"), byId("list-end"), listing, store, () => session.currency);
const cards = new Cards(byId("cards"), byId("task-numbers"));
const errors = new Errors(byId("errors"), byId("errors-note"), api);
const payments = new Payments(
  byId("payments"),
  byId("payments-note"),
  byId("payments-end"),
  api,
  () => session.currency,
);
const pill = new Pill(byId("connection"), byId("banner"), live);
const notice = new Notice(byId("notice"));
const panel = new Panel(byId("panel"), api, store, {
  currency: () => session.currency,
  allowed: (action) => session.allowed.includes(action),
  act: (task, action) => act(api, task, action, (message, failed) => notice.show(message, failed)),
  close: () => closePanel(),
});
const views = new Views();
const note = new Note(
  () => listing.next(),
  () => refresh(),
);
const search = /** @type {HTMLInputElement} */ (byId("search"));

// Subscriptions.

/** Subscribe to the orders and tasks that are visible. */
function updateSubscriptions() {
  live.subscribe([...new Set([...panel.channels(), ...list.channels()])].slice(0, MAX_SUBSCRIPTIONS));
}

list.on("visible", updateSubscriptions);
live.on("message", (message) => store.apply(message));
live.on("open", () => started && refresh(() => listing.renew()));
live.on("refused", () => refresh());
token.on("wanted", () => live.stop());
token.on("given", () => started && errorOf(readSession));

// Refreshing.

/** @type {Set<number>} */
const stale = new Set();
let staleTimer = 0;
let started = false;
let refreshing = false;

store.on("stale", (id) => {
  stale.add(id);
  if (!staleTimer) staleTimer = setTimeout(readStale, STALE_DELAY);
});

async function readStale() {
  const ids = [...stale];
  stale.clear();
  for (const id of ids) await errorOf(() => (id === panel.id ? panel.refresh() : panel.read(id)));
  staleTimer = 0;
  if (stale.size) staleTimer = setTimeout(readStale, STALE_DELAY);
  await errorOf(readStats);
}

/** Read what the token allows. Ask for another token when it does not show all orders. */
async function readSession() {
  for (;;) {
    const used = token.value;
    Object.assign(session, (await api.session()).data);
    if (session.reads) break;
    await token.renew(used, "its scope is not admin or viewer");
  }
  search.placeholder = session.emails ? EVERYWHERE : IN_CODES;
  live.start();
}

async function readStats() {
  const failed = cards.show((await api.stats()).data ?? {});
  document.title = failed ? `${text.number(failed)} failed · orderctl` : "orderctl";
}

/**
 * Read the visible data again.
 *
 * @param {() => unknown} readList Reads the first page of the list, or all pages after a lost connection.
 */
async function refresh(readList = () => listing.refresh()) {
  if (refreshing) return;
  refreshing = true;
  const failures = [];
  for (const read of [
    () => session.reads || readSession(),
    readStats,
    readList,
    () => payments.count(),
    readView,
    () => panel.refresh(),
  ])
    failures.push(await errorOf(read));
  refreshing = false;
  pill.failure = failures.find(Boolean) ?? listing.failure;
  updateSubscriptions();
}

/** Read the data of the shown view, except the orders. */
async function readView() {
  if (views.name === "errors") await errors.refresh();
  if (views.name === "payments") await payments.refresh();
}

/**
 * Run a request, and return the message of its error, or null when it succeeds.
 *
 * @param {() => unknown} request
 */
async function errorOf(request) {
  try {
    await request();
    return null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.message;
  }
}

// The list.

listing.on("change", () => {
  const { ids, loading } = listing;
  store.keep(new Set([...listing.kept, panel.id]));
  note.show(listing);
  byId("list").setAttribute("aria-busy", String(loading && !ids.length));
});
list.on("end", () => listing.query.search || listing.next());

/** @param {Query} query */
function choose(query) {
  cards.mark(query.status);
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  history.replaceState(
    null,
    "",
    `${location.pathname}${parameters.size ? `?${parameters}` : ""}${location.hash}`,
  );
  return listing.search(query);
}

cards.on("choose", (status) => {
  if (views.name !== "orders") location.hash = "#/";
  choose({ ...listing.query, status });
});

let typing = 0;
search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => choose({ ...listing.query, search: search.value.trim() }), 250);
});
byId("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  list.step(0);
});

// Views.

views.on("change", (id) => {
  errorOf(readView);
  list.mark(id);
  panel.open(id, !WIDE.matches).then(updateSubscriptions);
  updateSubscriptions();
  updateInert();
});

/** Make the list inert while the order covers it. */
function updateInert() {
  byId("main").inert = panel.id !== null && !WIDE.matches;
}

function closePanel() {
  if (panel.id === null) return;
  views.replace(views.name === "orders" ? "#/" : `#/${views.name}`);
  if (views.name === "orders") list.step(0);
}

WIDE.addEventListener("change", updateInert);

// Keys and buttons.

/** @type {Shortcut[]} */
const SHORTCUTS = [
  [["/"], "Search", () => focusSearch()],
  [["j", "ArrowDown"], "Next order", (event) => moveFocus(1, event)],
  [["k", "ArrowUp"], "Previous order", (event) => moveFocus(-1, event)],
  [["Escape"], "Close the order, or clear the search", () => closeOrClear()],
  [["1", "2", "3", "4", "5", "6"], "Filter by status", ({ key }) => cards.choose(Number(key))],
  [["o"], "Show the orders", () => views.open("#/")],
  [["p"], "Show the payments that wait for a decision", () => views.open("#/payments")],
  [["e"], "Show the errors", () => views.open("#/errors")],
  [["r"], "Reload the data", () => refresh()],
  [["t"], "Change the theme: auto, light or dark", () => theme.change()],
  [["?"], "Show these shortcuts", () => explain(SHORTCUTS)],
];

/**
 * Move the focus in the list; false where the key has another meaning.
 *
 * @param {number} by Number of rows.
 * @param {KeyboardEvent} event
 */
function moveFocus(by, event) {
  // Outside the list, arrow keys scroll.
  const inList = targetOf(event)?.closest("#list");
  const arrows = event.key.startsWith("Arrow");
  if (views.name !== "orders" || byId("main").inert || (arrows && !inList)) return false;
  const id = list.step(inList ? by : 0);
  if (id !== null && panel.id !== null) views.replace(`#/orders/${id}`);
  return true;
}

function focusSearch() {
  if (panel.id !== null && !WIDE.matches) closePanel();
  if (views.name !== "orders") location.hash = "#/";
  views.route();
  search.select();
  search.focus();
}

function closeOrClear() {
  if (document.activeElement === search && search.value) {
    search.value = "";
    choose({ ...listing.query, search: "" });
  } else if (panel.id !== null) closePanel();
  else if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
}

listen(SHORTCUTS);
byId("theme").addEventListener("click", theme.change);
byId("help").addEventListener("click", () => explain(SHORTCUTS));

// Start.

async function start() {
  theme.show();
  const asked = new URLSearchParams(location.search);
  search.value = asked.get("search") ?? "";
  await errorOf(readSession);
  views.route();
  const chosen = choose({ status: asked.get("status") ?? "", search: search.value });
  const failure = await errorOf(readStats);
  await chosen;
  await errorOf(() => payments.count());
  pill.failure = failure ?? listing.failure;
  started = true;
  setInterval(() => !document.hidden && refresh(), REFRESH_INTERVAL);
  document.addEventListener("visibilitychange", () => !document.hidden && refresh());
  setInterval(() => panel.tick(), 1000);
  setInterval(refreshTimes, 5000);
}

start();
