/** Unlimited undo: the present and everything before it. */

export class History {
  #past = [];
  #present;

  constructor(present) {
    this.#present = present;
  }

  get present() {
    return this.#present;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  /**
   * Go on from here. Steps of one `burst` (typing in one field) count as one.
   * @returns {boolean} whether anything changed
   */
  go(next, burst = null) {
    if (next === this.#present) return false;
    const last = this.#past.at(-1);
    if (!burst || last?.burst !== burst) this.#past.push({ state: this.#present, burst });
    this.#present = next;
    return true;
  }

  /** The next step begins a burst of its own. */
  settle() {
    const last = this.#past.at(-1);
    if (last) last.burst = null;
  }

  /** Back by one step; false where there is nothing before. */
  undo() {
    const last = this.#past.pop();
    if (!last) return false;
    this.#present = last.state;
    return true;
  }

  /** As plain data; the past is left out where it would not fit into `budget` characters. */
  toDraft(budget = 100_000) {
    const whole = { present: this.#present, past: this.#past.map((step) => step.state) };
    return JSON.stringify(whole).length <= budget ? whole : { present: this.#present, past: [] };
  }

  static from({ present, past }, start) {
    const history = new History(present);
    const isStart = JSON.stringify(present) === JSON.stringify(start);
    history.#past = (past.length || isStart ? past : [start]).map((state) => ({ state, burst: null }));
    return history;
  }
}
