/**
 * Cards side by side while each has room for 38 characters, else a carousel that shows as many as have it and says how
 * many there are beside them. Up to four stand side by side with room for 33: four at 1280 pixels, three at 1024.
 */

import { button, part, say, set, unheard } from "./dom.js";
import { t } from "./strings.js";

const CHARACTERS = 38;
const FEWEST_CHARACTERS = 33;
const USUAL_CARDS = 4;
const WIDEST = 760;
const WIDEST_ALONE = 1080;
/** Pixels; longer lines are hard to read. */
const SAMPLE = "a good answer says what is true and helps the one who asked, in plain words";

export class Carousel {
  #host = part("answers");
  #dots = part("page-dots");
  #more = part("dots-more");
  #cards = [];
  #columns = 0;
  #isAlone = false;

  /** @param {(id: string) => void} turned called with the answer in sight, where one fills the view */
  constructor(turned) {
    this.turned = turned;
    new ResizeObserver(() => this.#fit()).observe(this.#host);
    this.#host.addEventListener("scrollend", () => this.#mark(), { passive: true });
    this.#host.addEventListener("scroll", () => this.#mark(), { passive: true });
  }

  /** @param {{ id: string, letter: string, element: HTMLElement }[]} cards */
  show(cards, isAlone) {
    this.#cards = cards;
    this.#isAlone = isAlone;
    this.#host.replaceChildren(...cards.map((card) => card.element));
    this.#host.scrollLeft = 0;
    const dots = cards.map(({ id, letter }) => {
      const label = t("rate.show", { letter });
      return button({ class: "page-dot", "data-id": id, label, onclick: () => this.look(id) }, unheard("face", letter));
    });
    this.#dots.replaceChildren(...dots);
    this.#columns = 0;
    this.#fit();
  }

  /** Bring a card into sight, by as little as that takes. */
  look(id) {
    const at = this.#cards.findIndex((one) => one.id === id);
    if (at < 0 || !this.isCarousel) return;
    const first = this.#first;
    if (at >= first && at < first + this.#columns) return;
    const start = this.#cards[at < first ? at : at - this.#columns + 1].element;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const left = start.offsetLeft - this.#cards[0].element.offsetLeft;
    this.#host.scrollTo({ left, behavior: isCalm ? "instant" : "smooth" });
  }

  get isCarousel() {
    return this.#columns < this.#cards.length;
  }

  /** Index of the first card in sight. */
  get #first() {
    const [first, second] = this.#cards;
    const step = Math.abs(second.element.offsetLeft - first.element.offsetLeft) || 1;
    return Math.round(Math.abs(this.#host.scrollLeft) / step);
  }

  #fit() {
    if (!this.#cards.length) return;
    const style = getComputedStyle(this.#host);
    const gap = parseFloat(style.columnGap) || 0;
    const width = this.#host.clientWidth - parseFloat(style.paddingInlineStart) - parseFloat(style.paddingInlineEnd);
    const fitting = (characters) => Math.floor((width + gap) / (this.#room(characters) + gap));
    const many = Math.max(fitting(CHARACTERS), Math.min(USUAL_CARDS, fitting(FEWEST_CHARACTERS)));
    const columns = Math.max(1, Math.min(this.#cards.length, many));
    const widest = this.#isAlone ? WIDEST_ALONE : WIDEST;
    const inset = Math.max(0, (width - columns * widest - (columns - 1) * gap) / 2);
    document.body.style.setProperty("--inset", `${inset}px`);
    if (columns === this.#columns) return;
    this.#columns = columns;
    this.#host.style.setProperty("--columns", columns);
    this.#host.classList.toggle("carousel", this.isCarousel);
    this.#host.classList.toggle("alone", this.#isAlone);
    set(part("dots"), "hidden", this.isCarousel ? null : "");
    this.#mark();
  }

  /** Width of a card whose lines hold so many characters. */
  #room(characters) {
    const text = this.#cards[0].text;
    const style = getComputedStyle(text);
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${style.fontSize} ${style.fontFamily}`;
    const character = pen.measureText(SAMPLE).width / SAMPLE.length;
    return characters * character + parseFloat(style.paddingInlineStart) + parseFloat(style.paddingInlineEnd) + 2;
  }

  /** Which dots stand for what is in sight. */
  #mark() {
    if (!this.isCarousel) return;
    const first = this.#first;
    [...this.#dots.children].forEach((dot, i) => {
      set(dot, "aria-current", i >= first && i < first + this.#columns ? "true" : null);
    });
    say(this.#more, t("rate.beside", { n: this.#cards.length - this.#columns }));
    if (this.#columns === 1 && this.#cards[first]) this.turned(this.#cards[first].id);
  }
}
