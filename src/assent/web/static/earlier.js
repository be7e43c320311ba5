/** What was submitted lately and can still be taken back: this page's own first, then what the server remembers. */

import { fromJudgment } from "./verdict.js";

const MAX = 50;

export class Earlier {
  /** Oldest first. @type {{ item: object, judgment: string, verdict: object, reading: object, at: number }[]} */
  #entries = [];
  #at = 0;
  #fetch;
  #isFetched = false;
  #seconds;

  /** @param {() => Promise<{ items: object[] }>} fetch @param {number} seconds how long it can be taken back */
  constructor(fetch, seconds) {
    this.#fetch = fetch;
    this.#seconds = seconds;
  }

  /** Something was submitted, for the first time or as a correction. */
  add(item, judgment, verdict, reading) {
    const entry = { item, judgment, verdict, reading, at: Date.now() };
    this.#entries = [...this.#entries.filter((other) => other.item.task_id !== item.task_id), entry].slice(-MAX);
    this.#at = this.#entries.length;
  }

  /** The one submitted before; null where there is none, or it is too long ago. */
  async back() {
    if (this.#at === 0 && !this.#isFetched) await this.#remember();
    const entry = this.#entries[this.#at - 1];
    if (!entry || Date.now() - entry.at > this.#seconds * 1000) return null;
    this.#at -= 1;
    return entry;
  }

  /** Stop going back: the next step begins at the newest again. */
  reset() {
    this.#at = this.#entries.length;
  }

  async #remember() {
    const { items } = await this.#fetch();
    this.#isFetched = true;
    const known = new Set(this.#entries.map(({ item }) => item.task_id));
    const older = items
      .filter((item) => item.judgment && !known.has(item.task_id))
      .reverse()
      .map((item) => rememberedOf(item));
    this.#entries = [...older, ...this.#entries];
    this.#at += older.length;
  }
}

function rememberedOf(item) {
  const { judgment } = item;
  const reading = { seconds: judgment.seconds ?? 0 };
  return { item, judgment: judgment.id, verdict: fromJudgment(judgment), reading, at: Date.now() };
}
