/** Commands for a shell, each with a button that copies it. */

import { button, fill, h, write } from "./dom.js";
import * as text from "./text.js";

/** Words that a shell takes as they are. */
const PLAIN = /^[\w@%+=:,./-]+$/;
/** What the relay says, and the command that helps. */
const ENDS_IN_COMMAND = /^(.*?)(?:: (orderctl [^:]+))?$/su;
/** How long the button says that the command is copied, in ms. */
const SAID = 2_000;

/**
 * Quote a word for a POSIX shell.
 *
 * @param {string} word
 */
export function quote(word) {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

/**
 * The words by which a command names an order: its code, or its id where the code could mean something else.
 *
 * @param {{id: number, code: string}} order
 */
export function reference({ id, code }) {
  const safe = code !== "" && !code.startsWith("-") && !code.startsWith("#") && text.line(code) === code;
  return safe ? quote(code) : String(id);
}

/**
 * Show a command, and a button that copies it.
 *
 * @param {string} line As it is typed. It must be quoted; see `quote`.
 */
export function command(line) {
  const code = h("code", {}, ...wordsOf(line));
  const said = h("span", { class: "unseen", role: "status" });
  const copy = button("Copy", () => onCopy(), { class: "copy", "aria-label": `Copy: ${text.line(line)}` });
  let timer = 0;
  async function onCopy() {
    const copied = await put(line, code);
    const label = copied ? "Copied" : "Selected";
    write(copy, label);
    write(said, copied ? "Copied" : "The command is selected. Copy it with Ctrl+C.");
    clearTimeout(timer);
    timer = setTimeout(() => {
      write(copy, "Copy");
      write(said, "");
    }, SAID);
  }
  return h("span", { class: "command" }, code, copy, said);
}

/**
 * The words of a command: a line may break between them, and not behind the hyphens of `--order`.
 *
 * @param {string} line
 */
function wordsOf(line) {
  return line.split(" ").flatMap((word, at) => [at > 0 && " ", h("span", {}, word)]);
}

/**
 * Show a command with a few words about it.
 *
 * @param {string} about
 * @param {string} line
 */
export function explained(about, line) {
  return h("p", { class: "explained" }, h("span", { class: "quiet" }, about), command(line));
}

/**
 * Say what went wrong. The relay's answer may end in the command that helps.
 *
 * @param {string} what
 * @param {string} why
 * @returns {HTMLElement[]}
 */
export function failure(what, why) {
  const [, reason, line] = ENDS_IN_COMMAND.exec(why) ?? ["", why];
  return [h("p", {}, `${what}: ${text.line(reason)}.`), ...(line ? [command(line)] : [])];
}

/**
 * Put a text on the clipboard, or select it where that is not possible; return whether it was copied.
 *
 * Browsers have `navigator.clipboard` in secure contexts only, and so not at http://192.168.1.5.
 *
 * @param {string} line
 * @param {HTMLElement} shown Shows the same text.
 */
async function put(line, shown) {
  try {
    await navigator.clipboard.writeText(line);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return document.execCommand("copy");
  }
}

/**
 * Show these commands in an element; equal ones are not shown again.
 *
 * @param {HTMLElement} element
 * @param {[about: string, line: string][]} commands
 */
export function list(element, commands) {
  const shown = JSON.stringify(commands);
  if (element.dataset.shown === shown) return;
  element.dataset.shown = shown;
  fill(element, ...commands.map(([about, line]) => h("li", {}, explained(about, line))));
}
