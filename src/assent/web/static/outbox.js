/**
 * Judgments on their way to the server. Each is kept in the browser until the server has it, sent in order, tried again
 * with the same bytes (and so the same UUID) while the way is blocked, and shown where the server refuses it.
 */

import { keysOf, read } from "./drafts.js";

const WAITS_MS = [500, 1000, 2000, 4000, 8000, 15_000, 30_000];

export class Outbox {
  #storage;
  #prefix;
  #post;
  #changed;
  #entries = [];
  #isSending = false;
  #tries = 0;
  #timer = 0;

  /**
   * @param {Storage} storage @param {string} rater
   * @param {(body: string) => Promise<unknown>} post throws a Refusal
   * @param {(receipt?: object) => void} changed called whenever something was sent (with what the server said to it),
   *   refused or held up
   */
  constructor(storage, rater, post, changed) {
    this.#storage = storage;
    this.#prefix = `assent.outbox.${rater}.`;
    this.#post = post;
    this.#changed = changed;
    const kept = keysOf(storage, this.#prefix).map((key) => read(storage, key));
    this.#entries = kept.filter((entry) => entry?.body).sort((a, b) => a.at - b.at);
    addEventListener("online", () => this.send());
  }

  /** Not yet with the server, and not refused. */
  get waiting() {
    return this.#entries.filter((entry) => !entry.refused);
  }

  /** Tasks whose judgments wait in this browser, in any of its tabs. @returns {Set<string>} */
  get tasks() {
    const kept = keysOf(this.#storage, this.#prefix).map((key) => read(this.#storage, key));
    return new Set([...kept, ...this.#entries].filter((entry) => entry?.body && !entry.refused).map(({ task }) => task));
  }

  /** Refused for good: somebody has to look. @returns {{ id: string, task: string, refused: { what, then } }[]} */
  get refused() {
    return this.#entries.filter((entry) => entry.refused);
  }

  /** Whether the server cannot be reached just now. */
  get isHeldUp() {
    return this.#tries > 0 && this.waiting.length > 0;
  }

  /** Whether the last thing we heard was that nobody is signed in. */
  isSignedOut = false;

  /** Take a judgment; it is safe in the browser when this returns. */
  add(judgment, at = Date.now()) {
    const entry = { id: judgment.id, task: judgment.task_id, at, body: JSON.stringify(judgment), refused: null };
    this.#entries.push(entry);
    this.#keep(entry);
    this.send();
  }

  /** Try everything that waits, now. */
  async send() {
    clearTimeout(this.#timer);
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      for (let entry = this.waiting[0]; entry; entry = this.waiting[0]) {
        if (!(await this.#deliver(entry))) break;
      }
    } finally {
      this.#isSending = false;
    }
  }

  /** Try a refused one again. */
  retry(id) {
    for (const entry of this.#entries) {
      if (entry.id === id) {
        entry.refused = null;
        this.#keep(entry);
      }
    }
    this.#changed();
    return this.send();
  }

  /** Give a refused one up. */
  discard(id) {
    this.#drop(id);
    this.#changed();
  }

  /** What a refused one says, to be saved by hand. */
  bodyOf(id) {
    return this.#entries.find((entry) => entry.id === id)?.body ?? "";
  }

  async #deliver(entry) {
    let receipt;
    try {
      receipt = await this.#post(entry.body);
    } catch (error) {
      this.isSignedOut = error.status === 401;
      if (error.isPassing || this.isSignedOut) {
        const wait = WAITS_MS[Math.min(this.#tries, WAITS_MS.length - 1)];
        this.#tries += 1;
        this.#timer = setTimeout(() => this.send(), wait);
        this.#changed();
        return false;
      }
      entry.refused = { what: error.message, then: error.then ?? "" };
      this.#keep(entry);
      this.#changed();
      return true;
    }
    this.#tries = 0;
    this.isSignedOut = false;
    this.#drop(entry.id);
    this.#changed(receipt);
    return true;
  }

  #keep(entry) {
    try {
      this.#storage.setItem(this.#prefix + entry.id, JSON.stringify(entry));
    } catch {
      // no room left: it lives in this page, and leaving asks first
    }
  }

  #drop(id) {
    this.#entries = this.#entries.filter((entry) => entry.id !== id);
    this.#storage.removeItem(this.#prefix + id);
  }
}
