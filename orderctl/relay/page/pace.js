/** How long a download will take, from the percentages of the last minute and a half. */

const WINDOW = 90_000;
const MOST = 24;
/** Less than this between two looks says nothing. */
const SHORTEST = 1_500;

export class Pace {
  /** @type {{percent: number, now: number}[]} */
  #looks = [];

  /**
   * Note a percentage. A fall begins anew: that is another attempt.
   *
   * @param {number} percent
   * @param {number} now In ms.
   */
  note(percent, now) {
    const last = this.#looks.at(-1);
    if (last && percent < last.percent) this.#looks = [];
    if (last && now - last.now < 250) return;
    this.#looks.push({ percent, now });
    this.#looks = this.#looks.slice(-MOST).filter((look) => now - look.now <= WINDOW);
  }

  /** Seconds left, or null while there is no telling. */
  left() {
    const first = this.#looks[0];
    const last = this.#looks.at(-1);
    if (!(first && last) || last.now - first.now < SHORTEST || last.percent <= first.percent) return null;
    const rate = (last.percent - first.percent) / (last.now - first.now);
    return (100 - last.percent) / rate / 1000;
  }
}
