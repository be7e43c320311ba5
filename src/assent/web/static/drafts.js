/** Drafts of unsent verdicts, kept in the browser by rater and task: a reload loses nothing. */

const KEEP_MS = 14 * 24 * 3600 * 1000;

export class Drafts {
  #storage;
  #prefix;

  /** @param {Storage} storage @param {string} rater */
  constructor(storage, rater, now = Date.now()) {
    this.#storage = storage;
    this.#prefix = `assent.draft.${rater}.`;
    for (const key of keysOf(storage, this.#prefix)) {
      if (!(now - (read(storage, key)?.at ?? 0) < KEEP_MS)) storage.removeItem(key);
    }
  }

  /** What was kept for a task, null where nothing was. */
  load(task) {
    return read(this.#storage, this.#prefix + task)?.draft ?? null;
  }

  /** False where the browser has no room or forbids storage. */
  save(task, draft, now = Date.now()) {
    try {
      this.#storage.setItem(this.#prefix + task, JSON.stringify({ at: now, draft }));
      return true;
    } catch {
      return false;
    }
  }

  drop(task) {
    this.#storage.removeItem(this.#prefix + task);
  }
}

/** The browser's storage, or one for this page only where it is forbidden. @returns {Storage} */
export function openStorage() {
  try {
    localStorage.setItem("assent.probe", "1");
    localStorage.removeItem("assent.probe");
    return localStorage;
  } catch {
    return new PageStorage();
  }
}

export function keysOf(storage, prefix) {
  return Array.from({ length: storage.length }, (_, i) => storage.key(i)).filter((key) => key.startsWith(prefix));
}

/** The JSON under a key; null where there is none or it is broken. */
export function read(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}

/** Whether what is stored outlives the page. */
export const isLasting = (storage) => !(storage instanceof PageStorage);

class PageStorage {
  #kept = new Map();

  get length() {
    return this.#kept.size;
  }

  key(i) {
    return [...this.#kept.keys()][i] ?? null;
  }

  getItem(key) {
    return this.#kept.get(key) ?? null;
  }

  setItem(key, value) {
    this.#kept.set(key, value);
  }

  removeItem(key) {
    this.#kept.delete(key);
  }
}
