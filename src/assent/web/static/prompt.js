/** The conversation that the answers answer, pinned above them; folds to its last line. */

import { contentOf } from "./content.js";
import { element, part, say, set } from "./dom.js";
import { t } from "./strings.js";

export class Prompt {
  #turns = part("turns");
  #fold = part("fold");
  #section = part("prompt");

  constructor(act) {
    this.#fold.addEventListener("click", () => act({ name: "prompt" }));
    this.#turns.addEventListener("scroll", () => this.onscroll?.(), { passive: true });
  }

  onscroll = null;

  /** @param {Node[]} turns made by `turnsOf` */
  show(turns) {
    this.#turns.replaceChildren(...turns);
    this.#turns.scrollTop = this.#turns.scrollHeight;
    set(this.#section, "data-turns", turns.length);
    this.fold(false);
  }

  /** Fold or unfold; without a value, the other way than now. */
  fold(isFolded = !this.#section.classList.contains("folded")) {
    this.#section.classList.toggle("folded", isFolded);
    set(this.#fold, "aria-expanded", !isFolded);
    say(this.#fold.querySelector(".label"), t(isFolded ? "rate.prompt.unfold" : "rate.prompt.fold"));
    if (!isFolded) this.#turns.scrollTop = this.#turns.scrollHeight;
  }

  /** Where a new task is read from. */
  focus() {
    this.#turns.focus({ preventScroll: true });
  }

  /** The scrolling text, for coverage: read from its end upwards, as it is shown. */
  get text() {
    const { scrollTop, clientHeight, scrollHeight } = this.#turns;
    return { scrollTop: scrollHeight - clientHeight - scrollTop, clientHeight, scrollHeight };
  }
}

/** @param {{ role: string, html: string }[]} messages */
export function turnsOf(messages) {
  return messages.map(({ role, html }) =>
    element(
      "div",
      { class: `turn ${role}` },
      element("p", { class: "role" }, t(`rate.role.${role}`)),
      element("div", { class: "prose", translate: "no", dir: "auto" }, contentOf(html)),
    ),
  );
}
