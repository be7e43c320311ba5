/** What was looked at, and for how long: the page's events turned into honest time and coverage per answer. */

import { ActiveTime, Coverage } from "./timer.js";

const SIGNS_OF_LIFE = ["pointermove", "pointerdown", "keydown", "wheel", "scroll", "touchmove", "input"];
const THROTTLE_MS = 250;
const PROMPT = "@prompt";

export class Reading {
  #time = new ActiveTime(() => performance.now(), { isAwake: isAwake() });
  #coverage = new Map();
  #visible = new Set();
  #observer;
  #startedAt = performance.now();
  #keys = 0;
  #presses = 0;
  #lastSign = 0;

  constructor() {
    const options = { capture: true, passive: true };
    for (const sign of SIGNS_OF_LIFE) addEventListener(sign, (event) => this.#sign(event), options);
    for (const change of ["focus", "blur"]) addEventListener(change, () => this.#time.awake(isAwake()));
    document.addEventListener("visibilitychange", () => this.#time.awake(isAwake()));
    this.#observer = new IntersectionObserver((seen) => this.#intersect(seen), { threshold: 0.5 });
  }

  /**
   * A task is shown.
   * @param {{ id: string, text: HTMLElement, element: HTMLElement }[]} cards
   */
  start(cards, kept = null) {
    this.#time = new ActiveTime(() => performance.now(), { isAwake: isAwake() });
    if (kept) this.#time.resume(kept);
    this.#coverage = new Map(cards.map(({ id, text, element }) => [id, { text, element, coverage: new Coverage(kept?.seen?.[id] ?? 0) }]));
    this.#visible.clear();
    this.#observer.disconnect();
    this.#startedAt = performance.now() - (kept?.elapsed ?? 0) * 1000;
    this.#keys = this.#presses = 0;
    for (const { id, text, element } of cards) {
      element.addEventListener("pointerenter", () => this.#time.reads(id));
      element.addEventListener("focusin", () => this.#time.reads(id));
      for (const scroller of [text, element]) scroller.addEventListener("scroll", () => this.#look(id), { passive: true });
      this.#observer.observe(element);
    }
  }

  /** The pointer or the focus went to the prompt. */
  atPrompt() {
    this.#time.reads(PROMPT);
  }

  get seconds() {
    return round(this.#time.seconds);
  }

  get isRunning() {
    return this.#time.isRunning;
  }

  get elapsedMs() {
    return performance.now() - this.#startedAt;
  }

  /** For the judgment's record. */
  activity() {
    const of = this.#time.bySubject();
    const answers = [...this.#coverage].map(([id, { coverage }]) => {
      return [id, { seconds: round(of[id] ?? 0), seen: coverage.seen }];
    });
    return {
      active: this.seconds,
      elapsed: round(this.elapsedMs / 1000),
      pauses: this.#time.pauses,
      prompt: round(of[PROMPT] ?? 0),
      answers: Object.fromEntries(answers),
      keys: this.#keys,
      presses: this.#presses,
    };
  }

  /** For the draft. */
  toDraft() {
    const seen = Object.fromEntries([...this.#coverage].map(([id, { coverage }]) => [id, coverage.seen]));
    const { seconds, pauses } = this.#time;
    return { seconds, of: this.#time.bySubject(), pauses, elapsed: this.elapsedMs / 1000, seen };
  }

  #sign({ type }) {
    if (type === "keydown") this.#keys += 1;
    if (type === "pointerdown") this.#presses += 1;
    const now = performance.now();
    if (now - this.#lastSign < THROTTLE_MS) return;
    this.#lastSign = now;
    this.#time.used();
  }

  #intersect(seen) {
    for (const { target, isIntersecting } of seen) {
      const { id } = target.dataset;
      if (isIntersecting) this.#visible.add(id);
      else this.#visible.delete(id);
      this.#look(id);
    }
    if (this.#visible.size === 1) this.#time.reads([...this.#visible][0]);
  }

  #look(id) {
    const own = this.#coverage.get(id);
    if (own && this.#visible.has(id)) own.coverage.look(shownOf(own));
  }
}

/** What is shown of a text that scrolls by itself, or on narrow screens with its card. */
function shownOf({ text, element }) {
  if (element.scrollHeight <= element.clientHeight + 1) return text;
  const top = text.getBoundingClientRect().top;
  const { bottom } = element.getBoundingClientRect();
  return { scrollTop: 0, clientHeight: Math.max(1, bottom - top), scrollHeight: text.offsetHeight };
}

const isAwake = () => document.visibilityState === "visible" && document.hasFocus();

const round = (value) => Math.round(value * 100) / 100;
