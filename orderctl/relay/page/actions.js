/** Retry and cancel: asked for, confirmed, carried out, told. */

import { ApiError } from "./api.js";
import { button, h, write } from "./dom.js";
import * as text from "./text.js";

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
 * @param {import("./api.js").Api} api Carries it out.
 * @param {import("./order.js").Task} task The task.
 * @param {"retry"|"cancel"} action What to do.
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

function confirm(question, subject, consequence, yes, action) {
  return new Promise((resolve) => {
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

  constructor(element) {
    this.#element = element;
  }

  say(words, wrong = false) {
    write(this.#element, words);
    this.#element.classList.toggle("is-wrong", wrong);
    this.#element.classList.add("is-shown");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#element.classList.remove("is-shown"), wrong ? 10_000 : 4_000);
  }
}
