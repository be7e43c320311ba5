/** Scores by criterion: rows of native radio buttons, nothing chosen until touched, and taken back by a second click. */

import { element, set } from "./dom.js";
import { t } from "./strings.js";

/**
 * @param {{ id: string, letter: string }} answer
 * @param {{ name: string, question: string, anchors: string[] }[]} criteria
 * @param {boolean} isWide whether the anchors stand beside the buttons, or appear when asked for
 * @param {(command: object) => void} act
 */
export class Scores {
  element;
  #rows = new Map();

  constructor(answer, criteria, isWide, act) {
    const rows = criteria.map((criterion) => this.#row(answer, criterion, act));
    this.element = element("div", { class: isWide ? "scores wide" : "scores" }, rows);
  }

  /** @param {Record<string, number>} scores */
  update(scores = {}) {
    for (const [name, { inputs, row }] of this.#rows) {
      const value = scores[name] ?? null;
      inputs.forEach((input, i) => {
        if (input.checked !== (value === i + 1)) input.checked = value === i + 1;
      });
      set(row, "data-scored", value);
    }
  }

  /** Mark the criterion that digits speak of. */
  point(name) {
    for (const [other, { row }] of this.#rows) row.classList.toggle("pointed", other === name);
    this.#rows.get(name)?.row.scrollIntoView({ block: "nearest" });
  }

  #row({ id, letter }, { name, question, anchors }, act) {
    const group = `score-${id}-${name}`;
    const inputs = anchors.map((anchor, i) =>
      element("input", {
        type: "radio",
        name: group,
        value: i + 1,
        "aria-label": t("rate.score.option", { n: i + 1, anchor }),
        onclick: (event) => this.#clicked(event, id, name, i + 1, act),
        onkeydown: (event) => this.#typed(event, id, name, anchors.length, act),
      }),
    );
    const options = anchors.map((anchor, i) =>
      element(
        "label",
        { class: "option" },
        inputs[i],
        element("span", { class: "dot", "aria-hidden": "true" }, String(i + 1)),
        element("span", { class: "anchor", "aria-hidden": "true" }, anchor),
      ),
    );
    const row = element(
      "div",
      { class: "score", role: "radiogroup", "aria-label": t("rate.score.label", { name, letter, question }) },
      element("span", { class: "criterion", "aria-hidden": "true", title: question }, name),
      element("span", { class: "question", "aria-hidden": "true" }, question),
      element("span", { class: "options" }, options),
    );
    this.#rows.set(name, { row, inputs, value: () => row.getAttribute("data-scored") });
    return row;
  }

  /** A click fires after the radio changed by itself: what was scored before tells whether it is taken back. */
  #clicked({ detail, target }, id, criterion, n, act) {
    const before = Number(this.#rows.get(criterion).value());
    act({ name: "scored", id, criterion, value: before === n ? null : n });
    // After a press of the mouse digits speak of places again; who came by keys stays among the scores.
    if (detail > 0) target.closest(".answer")?.querySelector(".answer-text").focus({ preventScroll: true });
  }

  #typed(event, id, criterion, most, act) {
    const n = Number(event.key);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (Number.isInteger(n) && n >= 1 && n <= most) act({ name: "scored", id, criterion, value: n });
    else if (event.key === "Backspace" || event.key === "Delete") act({ name: "scored", id, criterion, value: null });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
