/** What the rater says of two answers: which is better and by how much, equal, or neither of use. Nothing at first. */

import { barsOf } from "./bars.js";
import { element, part, say, set } from "./dom.js";
import { t } from "./strings.js";

const MOST = 4;
/** @typedef {{ choice: "first" | "second" | "tie" | "bad" | null, strength: number | null }} Verdict */
/** @type {Verdict} */
export const NOTHING = Object.freeze({ choice: null, strength: null });

/** One step toward the first answer (-1) or the second (+1) on the scale. @param {Verdict} verdict */
export function shifted({ choice, strength }, step, hasStrengths) {
  const most = hasStrengths ? MOST : 1;
  const at = choice === "first" ? -(strength ?? 1) : choice === "second" ? (strength ?? 1) : 0;
  const to = Math.max(-most, Math.min(most, at + step));
  if (to === 0) return { choice: "tie", strength: null };
  return { choice: to < 0 ? "first" : "second", strength: hasStrengths ? Math.abs(to) : null };
}

/** Say more (+1) or less (-1) of how much better; less than slightly is not said. @param {Verdict} verdict */
export function stronger(verdict, step) {
  if (verdict.choice !== "first" && verdict.choice !== "second") return verdict;
  const to = Math.min(MOST, (verdict.strength ?? 0) + step);
  return { choice: verdict.choice, strength: to < 1 ? null : to };
}

/** The verdict in words. @param {Verdict} verdict */
export function inWords({ choice, strength }) {
  if (choice === null) return t("chat.verdict.open");
  if (choice === "tie" || choice === "bad") return t(`chat.verdict.${choice}`);
  const letter = choice === "first" ? "A" : "B";
  return strength === null ? t("chat.verdict.better", { letter }) : t("chat.verdict.strength", { letter, strength: t(`rate.strength.${strength}`) });
}

/** The buttons from A to B. */
export class VoteScale {
  #buttons;
  #hasStrengths;

  /** @param {(verdict: Verdict) => void} chosen */
  constructor(hasStrengths, chosen) {
    this.#hasStrengths = hasStrengths;
    const most = hasStrengths ? MOST : 1;
    const values = Array.from({ length: 2 * most + 1 }, (_, i) => i - most);
    this.#buttons = values.map((value) => this.#button(value, chosen));
    const face = [t("chat.bad"), " ", element("kbd", { "aria-hidden": "true" }, "X")];
    const bad = this.#made("step bad", face, t("chat.bad.long"), { choice: "bad", strength: null }, chosen);
    this.#buttons.push(bad);
    const end = (letter) => element("span", { class: "letter end", "aria-hidden": "true" }, letter);
    part("vote-scale").replaceChildren(
      end("A"),
      element("div", { class: "steps", role: "group", "aria-label": t("chat.scale") }, this.#buttons.slice(0, -1).map(({ button }) => button)),
      end("B"),
      bad.button,
    );
  }

  /** @param {Verdict} verdict */
  update(verdict) {
    for (const { button, own } of this.#buttons) {
      const isOn = own.choice === verdict.choice && (own.strength === verdict.strength || (verdict.strength === null && own.strength === 1));
      set(button, "aria-pressed", isOn);
      button.classList.toggle("unsaid", isOn && verdict.strength !== own.strength);
    }
    say(part("verdict"), inWords(verdict));
  }

  #button(value, chosen) {
    if (value === 0) return this.#made("step middle", "=", t("chat.verdict.tie"), { choice: "tie", strength: null }, chosen);
    const strength = this.#hasStrengths ? Math.abs(value) : null;
    const own = { choice: value < 0 ? "first" : "second", strength };
    const letter = value < 0 ? "A" : "B";
    return this.#made(`step ${own.choice}`, strength === null ? letter : barsOf(strength), inWords(own), own, chosen);
  }

  #made(kind, face, label, own, chosen) {
    const button = element("button", { type: "button", class: kind, "aria-pressed": "false", "aria-label": label, title: label, onclick: () => chosen(own) }, face);
    return { button, own };
  }
}
