/** Estimates the time left of a download from its progress in the last 90 seconds. */

/** Age of the oldest sample, in ms. */
const WINDOW = 90_000;
/** Most samples. */
const MAX_SAMPLES = 24;
/** Shortest time between two samples for an estimate, in ms. */
const MIN_SPAN = 1_500;

export class Pace {
  /** @type {{percent: number, now: number}[]} */
  #samples = [];

  /**
   * Add a sample. A lower percentage is a new attempt and removes the samples of the last one.
   *
   * @param {number} percent
   * @param {number} now Time, in ms.
   */
  note(percent, now) {
    const last = this.#samples.at(-1);
    if (last && percent < last.percent) this.#samples = [];
    if (last && now - last.now < 250) return;
    this.#samples.push({ percent, now });
    this.#samples = this.#samples.slice(-MAX_SAMPLES).filter((sample) => now - sample.now <= WINDOW);
  }

  /** Seconds left, or null while there are too few samples. */
  left() {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!(first && last) || last.now - first.now < MIN_SPAN || last.percent <= first.percent) return null;
    const rate = (last.percent - first.percent) / (last.now - first.now);
    return (100 - last.percent) / rate / 1000;
  }
}
