/** The card of one task: its progress, the time left, its links and its error. */

/** @import { Action } from "./api.js" */
/** @import { Task } from "./order.js" */
/** @import { Context } from "./panel.js" */

import { bar, ofTask } from "./bar.js";
import { badge, button, externalLink, fill, h, setStatus, webAddress, write } from "./dom.js";
import { Reason } from "./hints.js";
import { ACTIVE } from "./order.js";
import * as text from "./text.js";

/** Time without progress after which a running task is shown as stalled, in seconds. */
const STALLED_AFTER = 60;
const RETRYABLE = new Set(["failed", "cancelled"]);
const CANCELLABLE = new Set(["pending", "enrolled", "downloading", "failed"]);
/** @type {Action[]} */
const ACTIONS = ["retry", "cancel"];

export class TaskCard {
  #task;
  #context;
  #title = h("h4", { class: "task-title" });
  #status = badge("");
  #bar;
  #percent = h("span", { class: "task-percent" });
  #now = h("p", { class: "task-now" });
  #reason = new Reason();
  #error = h("p", { class: "task-error", tabindex: 0 });
  #links = h("div", { class: "task-links" });
  #events;
  #shown = "";

  /**
   * @param {Task} task
   * @param {Context} context
   * @param {() => void} events Shows the events of this task.
   */
  constructor(task, context, events) {
    this.#task = task;
    this.#context = context;
    this.#bar = bar(`Progress of task ${task.id}`);
    this.#events = button("Events", events, { class: "link", "aria-label": `Events of task ${task.id}` });
    this.element = h(
      "li",
      { class: "task", "data-task": task.id },
      h("div", { class: "task-head" }, this.#title, this.#status),
      h("div", { class: "task-progress" }, this.#bar.element, this.#percent),
      this.#now,
      this.#reason.element,
      this.#error,
      this.#links,
    );
  }

  show() {
    const task = this.#task;
    setStatus(this.element, task.status);
    setStatus(this.#status, task.status);
    write(this.#title, task.title);
    write(this.#status, text.words(task.status));
    this.#bar.set(ofTask(task));
    write(this.#percent, text.percent(task.percent));
    this.#error.hidden = !task.error;
    const error = task.error ? text.block(task.error) : "";
    if (this.#error.textContent !== error) this.#error.textContent = error;
    this.#reason.show(task);
    this.#showLinks();
    this.tick();
  }

  tick() {
    const task = this.#task;
    write(
      this.#now,
      (ACTIVE.has(task.status) ? progressTexts(task) : [name(task), ...waitTexts(task)])
        .filter(Boolean)
        .join(" · "),
    );
    this.#now.classList.toggle(
      "is-quiet",
      ACTIVE.has(task.status) && secondsSinceProgress(task) >= STALLED_AFTER,
    );
  }

  #showLinks() {
    const task = this.#task;
    const shown = [
      task.url,
      task.link,
      task.status,
      ...ACTIONS.filter((one) => this.#context.allowed(one)),
    ].join("\n");
    if (shown === this.#shown) return;
    this.#shown = shown;
    fill(
      this.#links,
      webAddress(task.link) && externalLink(task.link, "Files", { class: "link-files" }),
      task.link && !webAddress(task.link) && h("span", { class: "quiet" }, task.link),
      webAddress(task.url) && !task.url?.includes("***") && externalLink(task.url, "Course"),
      this.#events,
      this.#action("retry", "Retry", RETRYABLE),
      this.#action("cancel", "Cancel", CANCELLABLE),
    );
  }

  /**
   * @param {Action} action
   * @param {string} label
   * @param {Set<string>} statuses Statuses that allow the action.
   */
  #action(action, label, statuses) {
    if (!(this.#context.allowed(action) && statuses.has(this.#task.status))) return null;
    const attributes = { class: `action action-${action}`, "aria-label": `${label} task ${this.#task.id}` };
    return button(label, () => this.#context.act(this.#task, action), attributes);
  }
}

/** @param {Task} task */
function progressTexts(task) {
  const left = task.pace.left();
  const stalled = secondsSinceProgress(task);
  if (stalled >= STALLED_AFTER)
    return [name(task), text.line(task.file), `no progress for ${text.duration(stalled)}`];
  return [
    name(task),
    text.line(task.file),
    text.speed(task.speed),
    left === null ? "" : `${text.duration(left)} left`,
  ];
}

/**
 * When a task that waits after a failure is tried again.
 *
 * @param {Task} task
 */
function waitTexts(task) {
  if (task.status !== "pending" || task.retryAt === null) return [];
  const left = (task.retryAt - Date.now()) / 1000;
  const since =
    task.failingSince === null
      ? ""
      : `failing for ${text.duration(Math.max(0, Date.now() - task.failingSince) / 1000)}`;
  return [left > 0 ? `next try in ${text.duration(left)}` : "next try soon", since];
}

/** @param {Task} task */
function name(task) {
  return task.attempt !== null && task.attempt > 1
    ? `task ${task.id}, attempt ${task.attempt}${task.attempts === null ? "" : ` of ${task.attempts}`}`
    : `task ${task.id}`;
}

/** @param {Task} task */
function secondsSinceProgress(task) {
  return task.reportedAt === null ? 0 : (Date.now() - task.reportedAt) / 1000;
}
