/** Retry and cancel a task: confirm the action, carry it out, report the result. */

/** @import { Action, Api } from "./api.js" */
/** @import { Task } from "./order.js" */

import { button, h, write } from "./dom.js";
import * as text from "./text.js";
import { ApiError } from "./transport.js";

/**
 * The question, its consequence, the button that confirms, and the results: success, failure.
 *
 * @type {Record<Action, [question: string, consequence: string, yes: string, done: string, failed: string]>}
 */
const TEXTS = {
  retry: [
    "Retry this task?",
    "The task is queued again. If its order has ended, the order is reopened.",
    "Retry",
    "Task queued again.",
    "The task was not retried",
  ],
  cancel: [
    "Cancel this task?",
    "The task will not be downloaded. A worker that is downloading it stops.",
    "Cancel task",
    "Task cancelled.",
    "The task was not cancelled",
  ],
};

/** What a retry of a task of the shop's own workers does besides. */
const HANDED_OVER =
  "It was added by the shop: from now on orderctl's workers run it, and not the shop's own.";

/**
 * Ask the user to confirm an action on a task, then carry it out.
 *
 * @param {Api} api
 * @param {Task} task
 * @param {Action} action
 * @param {(message: string, failed: boolean) => void} report Shows the result.
 */
export async function act(api, task, action, report) {
  const [question, consequence, yes, done, failed] = TEXTS[action];
  const take = action === "retry" && !task.managed;
  const consequences = take ? `${consequence} ${HANDED_OVER}` : consequence;
  if (!(await confirm(question, `Task ${task.id}: ${text.line(task.title)}`, consequences, yes, action)))
    return;
  try {
    const { note } = (await api.act(task.id, action, take)).data;
    report(note ? `Nothing was changed: the task is ${text.line(note)}.` : done, false);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    report(`${failed}: ${text.line(error.message)}.`, true);
  }
}

/**
 * @param {string} question
 * @param {string} subject
 * @param {string} consequence
 * @param {string} yes
 * @param {Action} action
 * @returns {Promise<boolean>}
 */
function confirm(question, subject, consequence, yes, action) {
  return new Promise((resolve) => {
    /** @type {HTMLDialogElement} */
    const dialog = h(
      "dialog",
      {
        class: "dialog",
        role: "alertdialog",
        "aria-labelledby": "confirm-title",
        "aria-describedby": "confirm-text",
      },
      h("h2", { id: "confirm-title" }, question),
      h("p", { class: "confirm-subject" }, subject),
      h("p", { id: "confirm-text", class: "quiet" }, `${consequence} This is written to the audit log.`),
      h(
        "div",
        { class: "dialog-buttons" },
        button("Go back", () => dialog.close(""), { autofocus: true }),
        button(yes, () => dialog.close("yes"), { class: action === "cancel" ? "primary danger" : "primary" }),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Shows the result of an action for a few seconds. */
export class Notice {
  #element;
  #timer = 0;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
  }

  /**
   * @param {string} message
   * @param {boolean} failed Whether the action failed.
   */
  show(message, failed = false) {
    write(this.#element, message);
    this.#element.classList.toggle("is-wrong", failed);
    this.#element.classList.add("is-shown");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#element.classList.remove("is-shown"), failed ? 10_000 : 4_000);
  }
}
