/** Answers as cards: the text, its letter and place, flags, scores, notes and an edited copy. */

import { contentOf } from "./content.js";
import { button, element, say, set, unheard } from "./dom.js";
import { Edit, Notes } from "./notes.js";
import { tierOf } from "./order.js";
import { Scores } from "./scores.js";
import { number, t } from "./strings.js";
import { hasFlag, UNUSABLE } from "./verdict.js";

const COMMAND_OF_FLAG = { unsafe: "unsafe", factually_wrong: "wrong", unusable: "unusable" };
const KEY_OF_FLAG = { unsafe: "U", factually_wrong: "Shift+F", unusable: "X" };

export class Card {
  element;
  text;
  #answer;
  #settings;
  #letter;
  #standing;
  #flags = new Map();
  #notes;
  #edit;
  #scores;
  #tools = {};

  /**
   * @param {{ id: string, html: string, written: string, text: string, words: number }} answer
   * @param {{ letter: string, digit: string, kind: string }} place letter and digit are its keys
   * @param {{ criteria: object[], flags: string[], critique: boolean, edits: boolean }} settings
   * @param {(command: object) => void} act
   */
  constructor(answer, { letter, digit, kind }, settings, act) {
    this.#answer = { ...answer, letter, digit };
    this.#settings = settings;
    const isAlone = kind === "rate";
    const name = t("rate.answer", { letter });
    const kindOfText = { class: "prose answer-text", tabindex: 0, role: "group", "aria-label": name };
    this.text = element("div", { ...kindOfText, translate: "no", dir: "auto" }, contentOf(answer.html));
    this.#notes = new Notes(letter, act);
    this.#edit = settings.edits ? new Edit(this.#answer, act) : null;
    this.#scores = settings.criteria.length ? new Scores(this.#answer, settings.criteria, isAlone, act) : null;
    this.element = element(
      "article",
      { class: "answer", "data-id": answer.id, "aria-label": name },
      this.#head(kind, act),
      this.text,
      this.#edit?.element,
      this.#notes.element,
      isAlone ? null : this.#scores?.element,
      this.#foot(act),
    );
    if (isAlone && this.#scores) this.element.append(this.#scores.element);
  }

  /** @param {import("./task.js").Task} task */
  update(task) {
    const { verdict } = task;
    const { id } = this.#answer;
    const at = tierOf(verdict.order, id);
    const isUnusable = hasFlag(verdict, id, UNUSABLE);
    this.element.classList.toggle("placed", at >= 0);
    this.element.classList.toggle("unusable", isUnusable);
    this.element.classList.toggle("current", task.current === id);
    say(this.#standing, this.#standingOf(verdict.order, at, isUnusable));
    if (this.#letter.localName === "button") set(this.#letter, "aria-pressed", at >= 0);
    for (const [flag, button] of this.#flags) set(button, "aria-pressed", hasFlag(verdict, id, flag));
    this.#notes.update(task.notesOf(id));
    this.#scores?.update(verdict.scores[id]);
    if (this.#edit) {
      const isEdited = id in verdict.edits;
      this.#edit.update(verdict.edits[id]);
      this.element.classList.toggle("edited", isEdited);
      set(this.#tools.edit, "aria-pressed", isEdited || this.isEditing);
    }
    if (this.#tools.tie) set(this.#tools.tie, "disabled", at < 1 ? "" : null);
  }

  /** Whether the copy is open in place of the text. */
  get isEditing() {
    return this.element.classList.contains("editing");
  }

  /** Every sign of the text in place of its formatting, and back. */
  showRaw() {
    const isOn = this.element.classList.toggle("written");
    this.text.replaceChildren(contentOf(isOn ? this.#answer.written : this.#answer.html));
    set(this.#tools.raw, "aria-pressed", isOn);
  }

  edit(isOpen = !this.isEditing) {
    this.element.classList.toggle("editing", isOpen);
    this.#edit?.open(isOpen);
  }

  point(criterion) {
    this.#scores?.point(criterion);
  }

  focusNote(key) {
    this.#notes.focus(key);
  }

  focus() {
    this.text.focus({ preventScroll: true });
  }

  #standingOf(order, at, isUnusable) {
    if (isUnusable) return t("rate.flag.unusable");
    if (at < 0) return "";
    return t(order.tiers[at].length > 1 ? "rate.standing.tied" : "rate.standing", { n: number(at + 1) });
  }

  #head(kind, act) {
    const { id, letter, digit, words } = this.#answer;
    this.#standing = element("span", { class: "standing" });
    const label = t("rate.place.do", { letter });
    const tip = t("rate.place.hint", { letter, digit });
    const place = () => act({ name: "place", id, by: "pointer" });
    this.#letter =
      kind === "rate"
        ? unheard("letter", letter)
        : button({ class: "letter", "data-drag": kind === "rank" && id, label, tip, onclick: place }, letter);
    const key = kind === "rate" ? null : element("kbd", { "aria-hidden": "true" }, digit);
    const length = element("span", { class: "words" }, t("rate.words", { n: number(words) }));
    const moves = kind === "rank" ? this.#moves(act) : null;
    return element("header", { class: "answer-head" }, this.#letter, key, this.#standing, length, moves);
  }

  /** What keys do to a placed answer, for pointers, touch and screen readers. */
  #moves(act) {
    const { id, letter } = this.#answer;
    const move = (name, sign) => {
      const label = t(`rate.move.${name}`, { letter });
      return button({ class: "tool", label, onclick: () => act({ name, id, by: "pointer" }) }, unheard("sign", sign));
    };
    this.#tools.tie = move("above", "=");
    const [better, worse, off] = [move("better", "\u2191"), move("worse", "\u2193"), move("off", "\u00d7")];
    return element("span", { class: "moves" }, better, worse, this.#tools.tie, off);
  }

  #foot(act) {
    const { id, letter } = this.#answer;
    const flags = this.#settings.flags.map((flag) => {
      const label = t(`rate.flag.${flag}.long`, { letter });
      const onclick = () => act({ name: COMMAND_OF_FLAG[flag], id, by: "pointer" });
      const attributes = { class: `tool flag ${flag}`, "aria-pressed": "false", label, tip: `${label} (${KEY_OF_FLAG[flag]})` };
      this.#flags.set(flag, button({ ...attributes, onclick }, t(`rate.flag.${flag}`)));
      return this.#flags.get(flag);
    });
    const tool = (name, key, isOn) => {
      if (!isOn) return null;
      const label = t(`rate.${name}.do`, { letter });
      const onclick = () => act({ name, id, by: "pointer" });
      this.#tools[name] = button({ class: "tool", label, tip: `${label} (${key})`, onclick }, t(`rate.${name}`));
      return this.#tools[name];
    };
    const name = t("rate.flags", { letter });
    const [note, edit] = [tool("note", "Shift+C", this.#settings.critique), tool("edit", "Shift+E", this.#settings.edits)];
    const raw = tool("raw", "T", this.#settings.texts !== "plain");
    if (raw) set(raw, "aria-pressed", false);
    return element(
      "footer",
      { class: "answer-foot" },
      element("span", { class: "flags", role: "group", "aria-label": name }, flags),
      element("span", { class: "tools" }, raw, note, edit),
    );
  }
}
