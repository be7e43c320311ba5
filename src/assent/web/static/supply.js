/** Tasks ahead: two are leased and ready before they are needed, and leases are kept alive while work goes on. */

const AHEAD = 3;
/** The task at hand and two more. */

export class Supply {
  #get;
  #renew;
  #unsent;
  #changed;
  #items = [];
  #gone = new Set();
  /** When a lease was last known to be fresh, by task, in seconds. */
  #kept = new Map();
  #isAsking = false;
  #asksAgain = false;

  /**
   * @param {(limit: number) => Promise<{ items: object[], project: object }>} get
   * @param {(token: string) => Promise<{ expires_at: number }>} renew
   * @param {() => Set<string>} unsent tasks whose judgments have not reached the server: it still counts them as lent
   * @param {(answer: object) => void} changed called with each answer of the server
   */
  constructor(get, renew, unsent, changed) {
    this.#get = get;
    this.#renew = renew;
    this.#unsent = unsent;
    this.#changed = changed;
  }

  /** The tasks at hand, the current one first. */
  get items() {
    return this.#items;
  }

  /** Whether more may come without asking again. */
  get isAsking() {
    return this.#isAsking || this.#asksAgain;
  }

  /** A task is done with: never show it again, even if the server has not heard of it yet. */
  done(task) {
    this.#gone.add(task);
    this.#drop(task);
  }

  /** Let all tasks go but the one of this id, and whatever was asked for. @returns {string[]} their tokens */
  leave(kept) {
    const left = this.#items.filter((item) => item.task_id !== kept);
    for (const item of left) this.#drop(item.task_id);
    return left.map((item) => item.token);
  }

  /** Ask for as many as are missing. */
  async refill() {
    if (this.#items.length >= AHEAD) return;
    if (this.#isAsking) {
      this.#asksAgain = true;
      return;
    }
    this.#isAsking = true;
    try {
      do {
        this.#asksAgain = false;
        // Who waited when we asked may be with the server when it answers, and not have been when it looked.
        const unsent = this.#unsent();
        const answer = await this.#get(Math.min(AHEAD + unsent.size, 12));
        this.#take(answer, new Set([...unsent, ...this.#unsent()]));
      } while (this.#asksAgain && this.#items.length < AHEAD);
    } finally {
      this.#isAsking = this.#asksAgain = false;
    }
    if (!this.#items.length) this.#changed(null);
  }

  /**
   * Renew what was lent more than a third of its time ago; a task ahead whose lease is lost is let go.
   * @param {number} now seconds @param {number} lease seconds
   */
  async keep(now, lease) {
    for (const item of [...this.#items]) {
      if (now - this.#kept.get(item.task_id) < lease / 3) continue;
      try {
        item.expires_at = (await this.#renew(item.token)).expires_at;
        this.#kept.set(item.task_id, now);
      } catch (error) {
        if (error.isPassing) return;
        if (item !== this.#items[0]) this.#drop(item.task_id);
      }
    }
  }

  #take(answer, unsent) {
    const now = Date.now() / 1000;
    const lease = answer.project.lease_seconds ?? 900;
    for (const item of answer.items) {
      if (this.#gone.has(item.task_id) || unsent.has(item.task_id)) continue;
      const mine = this.#items.find((other) => other.task_id === item.task_id);
      // Under the same id there may be other content since: what is shown is what its token is for.
      if (mine && mine.content !== item.content) this.#items = this.#items.map((other) => (other === mine ? item : other));
      else if (mine) Object.assign(mine, { token: item.token, expires_at: item.expires_at });
      else this.#items.push(item);
      // One that was lent before this page came is renewed at the next chance.
      const isFresh = item.expires_at - now > lease * 0.9;
      if (isFresh) this.#kept.set(item.task_id, now);
      else if (!mine) this.#kept.set(item.task_id, 0);
    }
    this.#changed(answer);
  }

  #drop(task) {
    this.#items = this.#items.filter((item) => item.task_id !== task);
    this.#kept.delete(task);
  }
}
