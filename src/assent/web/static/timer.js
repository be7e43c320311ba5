/**
 * Honest time: it runs while the page is visible, focused and used within the last half minute, and for one answer at
 * a time. The clock is passed in, in milliseconds.
 */

export const IDLE_MS = 30_000;

export class ActiveTime {
  #now;
  #isAwake;
  #lastUse;
  #counted;
  #total = 0;
  #of = new Map();
  #subject = null;
  #pauses = 0;
  #isPaused = false;

  constructor(now, { isAwake = true } = {}) {
    this.#now = now;
    this.#isAwake = isAwake;
    this.#lastUse = this.#counted = now();
  }

  /** The person did something: moved, typed, scrolled, touched. */
  used() {
    this.#settle();
    this.#isPaused = false;
    this.#lastUse = this.#counted = this.#now();
  }

  /** The page came into sight and focus (true), or left it (false). */
  awake(isAwake) {
    if (isAwake === this.#isAwake) return;
    this.#settle();
    this.#isAwake = isAwake;
    if (!isAwake) this.#pauses += 1;
    this.#isPaused = false;
    this.#lastUse = this.#counted = this.#now();
  }

  /** From now on time counts for this answer; null for none. */
  reads(subject) {
    if (subject === this.#subject) return;
    this.#settle();
    this.#subject = subject;
  }

  /** Seconds in all. */
  get seconds() {
    this.#settle();
    return this.#total / 1000;
  }

  /** Times that it stopped: another window, or half a minute without a sign of life. */
  get pauses() {
    this.#settle();
    return this.#pauses;
  }

  /** Whether it runs now. */
  get isRunning() {
    return this.#isAwake && this.#now() - this.#lastUse < IDLE_MS;
  }

  /** Seconds of each answer. */
  bySubject() {
    this.#settle();
    return Object.fromEntries([...this.#of].map(([subject, ms]) => [subject, ms / 1000]));
  }

  /** Go on from kept figures: a draft that is taken up again. */
  resume({ seconds = 0, of = {}, pauses = 0 }) {
    this.#total += seconds * 1000;
    this.#pauses += pauses;
    for (const [subject, own] of Object.entries(of)) this.#of.set(subject, (this.#of.get(subject) ?? 0) + own * 1000);
  }

  /** Count what went by since the last time, up to half a minute after the last use. */
  #settle() {
    const until = Math.min(this.#now(), this.#lastUse + IDLE_MS);
    const gone = this.#isAwake ? Math.max(0, until - this.#counted) : 0;
    this.#total += gone;
    if (this.#subject !== null) this.#of.set(this.#subject, (this.#of.get(this.#subject) ?? 0) + gone);
    if (this.#isAwake && !this.#isPaused && this.#now() - this.#lastUse >= IDLE_MS) {
      this.#isPaused = true;
      this.#pauses += 1;
    }
    this.#counted = Math.max(this.#counted, until);
    if (!this.#isAwake) this.#counted = this.#now();
  }
}

/** How much of a scrolling text has been on the screen, from 0 to 1. */
export class Coverage {
  #seen = 0;

  constructor(seen = 0) {
    this.#seen = seen;
  }

  /** @param {{ scrollTop: number, clientHeight: number, scrollHeight: number }} text */
  look({ scrollTop, clientHeight, scrollHeight }) {
    if (clientHeight === 0) return;
    const seen = scrollHeight <= clientHeight + 1 ? 1 : (scrollTop + clientHeight) / scrollHeight;
    this.#seen = Math.min(1, Math.max(this.#seen, seen));
  }

  get seen() {
    return Math.round(this.#seen * 1000) / 1000;
  }
}
