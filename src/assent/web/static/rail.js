/** The rail of places: letters still open on one side, places from best to worst on the other. It starts empty. */

import { barsOf } from "./bars.js";
import { button, element, part, say, set, unheard } from "./dom.js";
import { exampleOf, MAX_STRENGTH, sentence } from "./order.js";
import { t } from "./strings.js";
import { hasFlag, UNUSABLE } from "./verdict.js";

export class Rail {
  #tray = part("tray");
  #places = part("places");
  #sentence = part("sentence");
  #hint = part("hint");
  #act;
  #drawn = "";

  constructor(act) {
    this.#act = act;
  }

  /** @param {import("./task.js").Task} task */
  update(task) {
    const isRanked = task.layout === "rank";
    set(this.#tray, "hidden", isRanked ? null : "");
    set(this.#places, "hidden", isRanked ? null : "");
    // A press begins with the end of writing elsewhere: what is pressed must still be there when the finger lifts.
    if (isRanked && this.#isNews(task)) {
      const focused = document.activeElement?.getAttribute("data-key");
      this.#drawTray(task);
      this.#drawPlaces(task);
      requestAnimationFrame(() => this.#follow());
      if (focused && document.activeElement === document.body) {
        document.querySelector(`.dock [data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
      }
    }
    say(this.#sentence, task.layout === "rate" ? "" : sentence(task.verdict.order, task.letterOf));
    say(this.#hint, hintOf(task));
    this.#hint.classList.toggle("first", isFresh(task));
  }

  /** Whether anything has changed that places and tray show. */
  #isNews({ item, verdict, current, isTying, open }) {
    const before = this.#drawn;
    this.#drawn = JSON.stringify([item.task_id, verdict.order, current, isTying, open]);
    return this.#drawn !== before;
  }

  #drawTray(task) {
    const { open, isTying, verdict } = task;
    const letters = open.map((id) => {
      const letter = task.letterOf(id);
      const label = t(isTying ? "rate.place.tie" : "rate.place.do", { letter });
      const onclick = () => this.#act({ name: "place", id, by: "pointer" });
      return button({ class: "letter", "data-key": `open-${id}`, "data-drag": id, label, onclick }, letter);
    });
    const tie = button(
      {
        class: "letter tie",
        "data-key": "tie",
        "aria-pressed": isTying,
        disabled: !verdict.order.tiers.length,
        label: t("rate.tie.do"),
        tip: t("rate.key.tie"),
        onclick: () => this.#act({ name: "tie", by: "pointer" }),
      },
      "=",
    );
    const key = element("kbd", { "aria-hidden": "true" }, "R");
    const onclick = () => this.#act({ name: "rest", by: "pointer" });
    const rest = button({ class: "button quiet small", "data-key": "rest", tip: t("rate.key.rest"), onclick }, t("rate.rest"), key);
    this.#tray.replaceChildren(...(open.length ? [...letters, tie, rest] : []));
  }

  #drawPlaces(task) {
    const { tiers } = task.verdict.order;
    const parts = [gap(0)];
    tiers.forEach((tier, at) => {
      parts.push(this.#tier(task, tier, at));
      if (at < tiers.length - 1) parts.push(this.#between(task, at));
    });
    if (tiers.length) parts.push(gap(tiers.length));
    task.open.forEach((_, i) => {
      const kind = i === 0 && !task.isTying ? "hole next" : "hole";
      const place = unheard("nth", `${tiers.length + i + 1}.`);
      const end = isFresh(task) ? { 0: "rate.place.best", [task.open.length - 1]: "rate.place.worst" }[i] : null;
      parts.push(element("div", { class: kind, "data-gap": tiers.length }, place, end ? unheard("end", t(end)) : null));
    });
    const out = task.item.answers.filter(({ id }) => hasFlag(task.verdict, id, UNUSABLE));
    if (out.length) {
      const name = element("span", { class: "nth" }, t("rate.flag.unusable"));
      parts.push(element("div", { class: "out" }, name, out.map(({ id }) => this.#chip(task, id))));
    }
    this.#places.replaceChildren(...parts);
  }

  /** Where there are more places than fit, the next and the one at hand stay in sight. */
  #follow() {
    const places = this.#places;
    if (places.scrollWidth <= places.clientWidth) return;
    const { left: from, right: to } = places.getBoundingClientRect();
    const atHand = places.querySelector(".chip.current") ?? [...places.querySelectorAll(".tier")].at(-1);
    for (const spot of [places.querySelector(".hole.next"), atHand]) {
      const { left, right } = spot?.getBoundingClientRect() ?? { left: from, right: to };
      if (left < from) places.scrollLeft += left - from;
      else if (right > to) places.scrollLeft += right - to;
    }
  }

  #tier(task, tier, at) {
    const isLast = at === task.verdict.order.tiers.length - 1;
    const chips = tier.flatMap((id, i) => [i ? unheard("equals", "=") : null, this.#chip(task, id)]);
    if (task.isTying && isLast) chips.push(unheard("equals", "="), unheard("slot"));
    return element("div", { class: "tier", "data-tier": at }, unheard("nth", `${at + 1}.`), chips);
  }

  #chip(task, id) {
    const letter = task.letterOf(id);
    const kind = task.current === id ? "letter chip current" : "letter chip";
    const label = t("rate.show", { letter });
    const onclick = () => this.#act({ name: "look", id, by: "pointer" });
    return button({ class: kind, "data-key": `chip-${id}`, "data-drag": id, label, onclick }, letter);
  }

  /** ">" between two tiers; with strengths it is a button that counts from "not said" to 4 and around. */
  #between(task, at) {
    const spot = { class: "between", "data-gap": at + 1 };
    const { tiers, strengths } = task.verdict.order;
    if (!task.settings.strengths) return element("div", spot, unheard("more", ">"));
    const value = strengths[at] ?? 0;
    const [better, worse] = [at, at + 1].map((tier) => tiers[tier].map(task.letterOf).join(" = "));
    const label = t("rate.strength.of", { better, worse, strength: t(`rate.strength.${value}`) });
    const next = value === MAX_STRENGTH ? null : value + 1;
    const onclick = () => this.#act({ name: "strength", at, value: next });
    const attributes = { class: "strength", "data-key": `strength-${at}`, label, onclick };
    return element("div", spot, button(attributes, unheard("more", ">"), barsOf(value)));
  }
}

const gap = (at) => element("div", { class: "gap", "data-gap": at, "aria-hidden": "true" });

/** Whether nothing has been said of the task. */
const isFresh = ({ verdict, open, item }) => !verdict.order.tiers.length && open.length === item.answers.length;

/** What is still to do, or that all is done. */
function hintOf(task) {
  const { canSubmit, isWhole } = task.standing;
  if (task.layout === "rate") {
    if (isWhole) return t("rate.hint.done");
    return t(canSubmit ? "rate.hint.someScores" : startingHint(task));
  }
  if (isWhole) return doneHint(task);
  if (isFresh(task)) return startingHint(task);
  const letters = task.open.map(task.letterOf).join(", ");
  return t(task.isTying ? "rate.hint.tying" : "rate.hint.open", { letters });
}

/** Of a pair, the strength is said too. */
function doneHint({ layout, verdict, letterOf }) {
  const { tiers, strengths } = verdict.order;
  if (layout !== "pair" || !strengths[0]) return t("rate.hint.done");
  return t("rate.hint.doneBy", { letter: letterOf(tiers[0][0]), strength: t(`rate.strength.${strengths[0]}`) });
}

function startingHint({ layout, item }) {
  const key = layout === "rate" ? "rate.hint.score" : `rate.hint.${layout}`;
  return matchMedia("(pointer: coarse)").matches ? t(`${key}.touch`) : t(key, exampleOf(item.answers.length));
}
