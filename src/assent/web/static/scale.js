/** The scale between two answers: much better on either side, equal in the middle, nothing chosen at first. */

import { barsOf } from "./bars.js";
import { button, element, part, set, unheard } from "./dom.js";
import { MAX_STRENGTH } from "./order.js";
import { t } from "./strings.js";

export class Scale {
  #host = part("scale");
  #buttons = [];
  #shape = "";
  #act;

  constructor(act) {
    this.#act = act;
  }

  /** @param {import("./task.js").Task} task */
  update(task) {
    const isPair = task.layout === "pair";
    set(this.#host, "hidden", isPair ? null : "");
    if (!isPair) return;
    if (this.#shape !== String(task.settings.strengths)) this.#draw(task.settings.strengths);
    const at = task.scale;
    for (const { value, button: step } of this.#buttons) {
      const isOn = at !== null && (at === value || (Math.abs(value) === 1 && at === value / 2));
      set(step, "aria-pressed", isOn);
      step.classList.toggle("unsaid", isOn && at !== value && task.settings.strengths);
    }
  }

  #draw(hasStrengths) {
    this.#shape = String(hasStrengths);
    const most = hasStrengths ? MAX_STRENGTH : 1;
    const values = Array.from({ length: 2 * most + 1 }, (_, i) => most - i);
    this.#buttons = values.map((value) => {
      const letter = value > 0 ? "A" : "B";
      const strength = t(`rate.strength.${hasStrengths ? Math.abs(value) : 0}`);
      const label = value === 0 ? t("rate.scale.equal") : t("rate.scale.of", { letter, strength });
      const kind = value === 0 ? "step middle" : "step";
      const face = value === 0 ? "=" : hasStrengths ? barsOf(Math.abs(value)) : letter;
      const chosen = hasStrengths ? value : value / 2;
      const onclick = () => this.#act({ name: "scale", value: chosen, by: "pointer" });
      return { value, button: button({ class: kind, "aria-pressed": "false", label, onclick }, face) };
    });
    const steps = this.#buttons.map((one) => one.button);
    const group = element("div", { class: "steps", role: "group", "aria-label": t("rate.scale") }, steps);
    this.#host.replaceChildren(unheard("letter end", "A"), group, unheard("letter end", "B"));
  }
}
