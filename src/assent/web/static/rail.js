/** The rail of places: letters still open on one side, places from best to worst on the other. It starts empty. */

import { button, element, part, say, set, unheard } from "./dom.js";
import { MAX_STRENGTH, sentence } from "./order.js";
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

  /** @param {import("./desk.js").Desk} desk */
  update(desk) {
    const isRanked = desk.layout === "rank";
    set(this.#tray, "hidden", isRanked ? null : "");
    set(this.#places, "hidden", isRanked ? null : "");
    // A press begins with the end of writing elsewhere: what is pressed must still be there when the finger lifts.
    if (isRanked && this.#isNews(desk)) {
      const focused = document.activeElement?.getAttribute("data-key");
      this.#drawTray(desk);
      this.#drawPlaces(desk);
      requestAnimationFrame(() => this.#follow());
      if (focused && document.activeElement === document.body) {
        document.querySelector(`.dock [data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
      }
    }
    say(this.#sentence, desk.layout === "rate" ? "" : sentence(desk.verdict.order, desk.letterOf));
    say(this.#hint, hintOf(desk));
  }

  /** Whether anything has changed that places and tray show. */
  #isNews({ item, verdict, current, isTying, open }) {
    const before = this.#drawn;
    this.#drawn = JSON.stringify([item.task_id, verdict.order, current, isTying, open]);
    return this.#drawn !== before;
  }

  #drawTray(desk) {
    const { open, isTying, verdict } = desk;
    const letters = open.map((id) => {
      const letter = desk.letterOf(id);
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
        onclick: () => this.#act({ name: "tie", by: "pointer" }),
      },
      "=",
    );
    const key = element("kbd", { "aria-hidden": "true" }, "R");
    const onclick = () => this.#act({ name: "rest", by: "pointer" });
    const rest = button({ class: "button quiet small", "data-key": "rest", onclick }, t("rate.rest"), key);
    this.#tray.replaceChildren(...(open.length ? [...letters, tie, rest] : []));
  }

  #drawPlaces(desk) {
    const { tiers } = desk.verdict.order;
    const parts = [gap(0)];
    tiers.forEach((tier, at) => {
      parts.push(this.#tier(desk, tier, at));
      if (at < tiers.length - 1) parts.push(this.#between(desk, at));
    });
    if (tiers.length) parts.push(gap(tiers.length));
    desk.open.forEach((_, i) => {
      const kind = i === 0 && !desk.isTying ? "hole next" : "hole";
      parts.push(element("div", { class: kind, "data-gap": tiers.length }, unheard("nth", String(tiers.length + i + 1))));
    });
    const out = desk.item.answers.filter(({ id }) => hasFlag(desk.verdict, id, UNUSABLE));
    if (out.length) {
      const name = element("span", { class: "nth" }, t("rate.flag.unusable"));
      parts.push(element("div", { class: "out" }, name, out.map(({ id }) => this.#chip(desk, id))));
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

  #tier(desk, tier, at) {
    const isLast = at === desk.verdict.order.tiers.length - 1;
    const chips = tier.flatMap((id, i) => [i ? unheard("equals", "=") : null, this.#chip(desk, id)]);
    if (desk.isTying && isLast) chips.push(unheard("equals", "="), unheard("slot"));
    return element("div", { class: "tier", "data-tier": at }, unheard("nth", String(at + 1)), chips);
  }

  #chip(desk, id) {
    const letter = desk.letterOf(id);
    const kind = desk.current === id ? "letter chip current" : "letter chip";
    const label = t("rate.show", { letter });
    const onclick = () => this.#act({ name: "look", id, by: "pointer" });
    return button({ class: kind, "data-key": `chip-${id}`, "data-drag": id, label, onclick }, letter);
  }

  /** ">" between two tiers; with strengths it is a button that counts from "not said" to 4 and around. */
  #between(desk, at) {
    const spot = { class: "between", "data-gap": at + 1 };
    const { tiers, strengths } = desk.verdict.order;
    if (!desk.settings.strengths) return element("div", spot, unheard("more", ">"));
    const value = strengths[at] ?? 0;
    const [better, worse] = [at, at + 1].map((tier) => tiers[tier].map(desk.letterOf).join(" = "));
    const label = t("rate.strength.of", { better, worse, strength: t(`rate.strength.${value}`) });
    const next = value === MAX_STRENGTH ? null : value + 1;
    const bars = Array.from({ length: MAX_STRENGTH }, (_, i) => element("i", { class: i < value ? "on" : "" }));
    const onclick = () => this.#act({ name: "strength", at, value: next });
    const attributes = { class: "strength", "data-key": `strength-${at}`, label, onclick };
    return element("div", spot, button(attributes, unheard("more", ">"), unheard("bars", bars)));
  }
}

const gap = (at) => element("div", { class: "gap", "data-gap": at, "aria-hidden": "true" });

/** What is still to do, or that all is done. */
function hintOf(desk) {
  const { canSubmit, isWhole } = desk.standing;
  if (desk.layout === "rate") {
    if (isWhole) return t("rate.hint.done");
    return t(canSubmit ? "rate.hint.someScores" : startingHint(desk));
  }
  if (isWhole) return doneHint(desk);
  if (!desk.verdict.order.tiers.length && desk.open.length === desk.item.answers.length) return startingHint(desk);
  const letters = desk.open.map(desk.letterOf).join(", ");
  return t(desk.isTying ? "rate.hint.tying" : "rate.hint.open", { letters });
}

/** Of a pair, the strength is said too. */
function doneHint({ layout, verdict, letterOf }) {
  const { tiers, strengths } = verdict.order;
  if (layout !== "pair" || !strengths[0]) return t("rate.hint.done");
  return t("rate.hint.doneBy", { letter: letterOf(tiers[0][0]), strength: t(`rate.strength.${strengths[0]}`) });
}

function startingHint({ layout }) {
  const key = layout === "rate" ? "rate.hint.score" : `rate.hint.${layout}`;
  return t(matchMedia("(pointer: coarse)").matches ? `${key}.touch` : key);
}
