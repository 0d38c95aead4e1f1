/** Events that carry a value, typed. */

/**
 * Base class of what fires events.
 *
 * @template {Record<string, unknown>} Events The type of the value of each event, by the event's name; `void`: none.
 */
export class Emitter {
  #target = new EventTarget();

  /**
   * Call a function for each event of that name, with the event's value.
   *
   * @template {keyof Events & string} Name
   * @param {Name} name
   * @param {(value: Events[Name]) => unknown} listener
   */
  on(name, listener) {
    this.#target.addEventListener(name, (event) =>
      listener(/** @type {CustomEvent<Events[Name]>} */ (event).detail),
    );
  }

  /**
   * Fire an event. A listener that fails does not keep the others from being called.
   *
   * @template {keyof Events & string} Name
   * @param {Name} name
   * @param {Events[Name] extends void ? [] : [value: Events[Name]]} value
   */
  emit(name, ...value) {
    this.#target.dispatchEvent(new CustomEvent(name, { detail: value[0] }));
  }
}
