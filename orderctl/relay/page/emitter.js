/** Typed events. */

/**
 * Base class of objects that fire events.
 *
 * @template {Record<string, unknown>} Events Type of the value of each event, by name; `void`: no value.
 */
export class Emitter {
  #target = new EventTarget();

  /**
   * Call a function with the value of each event of this name.
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
   * Fire an event. An exception in one listener does not affect the others.
   *
   * @template {keyof Events & string} Name
   * @param {Name} name
   * @param {Events[Name] extends void ? [] : [value: Events[Name]]} value
   */
  emit(name, ...value) {
    this.#target.dispatchEvent(new CustomEvent(name, { detail: value[0] }));
  }
}
