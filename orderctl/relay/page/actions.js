/** Retry and cancel: asked for, confirmed, carried out, told. */

/** @import { Action, Api } from "./api.js" */
/** @import { Task } from "./order.js" */

import { ApiError } from "./api.js";
import { button, h, write } from "./dom.js";
import * as text from "./text.js";

/** @type {Record<Action, [question: string, consequence: string, yes: string, done: string, failed: string]>} */
const WORDS = {
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

/**
 * Act on a task, if that is confirmed.
 *
 * @param {Api} api Carries it out.
 * @param {Task} task The task.
 * @param {Action} action What to do.
 * @param {(words: string, wrong: boolean) => void} tell Told how it went.
 */
export async function act(api, task, action, tell) {
  const [question, consequence, yes, done, failed] = WORDS[action];
  if (!(await confirm(question, `Task ${task.id}: ${text.line(task.title)}`, consequence, yes, action)))
    return;
  try {
    await api.act(task.id, action);
    tell(done, false);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    tell(`${failed}: ${text.line(error.message)}.`, true);
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

/** A word about what was done, for a few seconds. */
export class Notice {
  #element;
  #timer = 0;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
  }

  /**
   * @param {string} words
   * @param {boolean} wrong
   */
  say(words, wrong = false) {
    write(this.#element, words);
    this.#element.classList.toggle("is-wrong", wrong);
    this.#element.classList.add("is-shown");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#element.classList.remove("is-shown"), wrong ? 10_000 : 4_000);
  }
}
