/** One task at work: commands in, a verdict with its undo history out. Knows nothing of the page. */

import { History } from "./history.js";
import { layoutOf } from "./keys.js";
import * as orders from "./order.js";
import * as verdicts from "./verdict.js";

const FLAG_OF = { unsafe: "unsafe", wrong: "factually_wrong", unusable: "unusable" };
const MAX_EVENTS = 400;

export class Task {
  item;
  settings;
  layout;
  /** Id of the answer that flags, notes, edits and moves speak of. */
  current = null;
  /** Whether the next answer placed ties with the last one. */
  isTying = false;
  /** Name of the criterion that digits speak of, where one answer is scored. */
  criterion = null;
  /** Id of the judgment that this one corrects. */
  supersedes = null;
  events = [];
  #history = new History(verdicts.NOTHING);
  #openNote = null;
  #notes = 0;
  #clock;

  /** @param {object} item @param {object} settings @param {() => number} clock milliseconds since the task was shown */
  constructor(item, settings, clock) {
    this.item = item;
    this.settings = settings;
    this.layout = layoutOf(item.kind);
    this.#clock = clock;
    if (this.layout === "rate") {
      this.current = item.answers[0].id;
      this.criterion = settings.criteria[0]?.name ?? null;
    }
  }

  /** @returns {import("./verdict.js").Verdict} */
  get verdict() {
    return this.#history.present;
  }

  get canUndo() {
    return this.isTying || this.#history.canUndo;
  }

  get isTouched() {
    return JSON.stringify(this.verdict) !== JSON.stringify(verdicts.NOTHING); // one from a draft is another object
  }

  get open() {
    return verdicts.open(this.verdict, this.item.answers);
  }

  get standing() {
    return verdicts.standing(this.verdict, this.item, this.settings.criteria);
  }

  letterOf = (id) => orders.letterAt(this.item.answers.findIndex((answer) => answer.id === id));

  /** Notes of an answer as they are shown: with the one just opened, though it says nothing yet. */
  notesOf(id) {
    const notes = this.verdict.notes.filter((note) => note.id === id);
    const opened = this.#openNote;
    return opened?.id === id && !notes.some(({ key }) => key === opened.key) ? [...notes, opened] : notes;
  }

  /**
   * Do what a command says.
   * @returns {string | null} catalog key of something the rater should be told, null where the page shows it
   */
  act(command) {
    const id = command.id ?? this.item.answers[command.index]?.id ?? null;
    const handler = this[`do_${command.name}`];
    return handler ? (handler.call(this, { ...command, id }) ?? null) : null;
  }

  /** Back by one step; false at the beginning. */
  undo() {
    if (this.isTying) {
      this.isTying = false;
      return true;
    }
    this.#openNote = null;
    if (!this.#history.undo()) return false;
    this.#log("undo", null, "key");
    return true;
  }

  toDraft() {
    const { current, supersedes, events } = this;
    return { history: this.#history.toDraft(), current, supersedes, events };
  }

  /** Take a kept draft up again. */
  resume({ history, current, supersedes, events }) {
    this.#history = History.from(history, verdicts.NOTHING);
    this.#notes = Math.max(0, ...this.verdict.notes.map(({ key }) => Number(key.slice(1)) + 1));
    this.current = this.item.answers.some((answer) => answer.id === current) ? current : this.current;
    this.supersedes = supersedes ?? null;
    this.events = events ?? [];
  }

  /** Begin from a submitted judgment, to correct it. */
  reopen(verdict, judgmentId) {
    this.#history = new History(verdict);
    this.#notes = verdict.notes.length;
    this.supersedes = judgmentId;
  }

  // Order

  do_place({ id, by }) {
    if (!id) return null;
    this.current = id;
    if (this.layout === "pair") return this.#choose([[id], this.#others(id)], null, by, id);
    if (verdicts.isPlaced(this.verdict, id)) {
      if (!this.isTying) return "rate.said.placed";
      this.isTying = false;
      const order = orders.join(this.verdict.order, id, this.verdict.order.tiers.length - 1);
      return this.#go(verdicts.withOrder(this.verdict, order), "tie", id, by);
    }
    const isTied = this.isTying;
    this.isTying = false;
    return this.#go(verdicts.place(this.verdict, id, isTied), isTied ? "tie" : "place", id, by);
  }

  do_tie({ by }) {
    if (this.layout === "pair") return this.#choose([this.item.answers.map((answer) => answer.id)], null, by, null);
    if (!this.verdict.order.tiers.length) return "rate.said.tieNothing";
    if (this.open.length) {
      this.isTying = !this.isTying;
      return null;
    }
    return this.do_above({ id: this.current, by });
  }

  do_above({ id = this.current, by }) {
    if (!id) return "rate.said.chooseFirst";
    this.current = id;
    const order = orders.tieAbove(this.verdict.order, id);
    return this.#go(verdicts.withOrder(this.verdict, order), "tie", id, by);
  }

  do_rest({ by }) {
    if (this.layout === "pair") return this.do_tie({ by });
    this.isTying = false;
    const order = orders.appendTied(this.verdict.order, this.open);
    return this.#go(verdicts.withOrder(this.verdict, order), "rest", null, by);
  }

  do_better({ id, by }) {
    return this.#move(orders.raise, id ?? this.current, "better", by);
  }

  do_worse({ id, by }) {
    return this.#move(orders.lower, id ?? this.current, "worse", by);
  }

  do_spot({ id, spot }) {
    this.current = id;
    this.isTying = false;
    return this.#go(verdicts.placeAt(this.verdict, id, spot), "drop", id, "pointer");
  }

  do_off({ id, by }) {
    if (this.layout === "rate") return this.do_scored({ id: this.current, criterion: this.criterion, value: null });
    const answer = id ?? this.current;
    if (!answer) return "rate.said.chooseFirst";
    const order = this.layout === "pair" ? orders.EMPTY : orders.remove(this.verdict.order, answer);
    return this.#go(verdicts.withOrder(this.verdict, order), "off", answer, by);
  }

  // Strength

  do_stronger({ by }) {
    return this.#strengthen(1, by);
  }

  do_weaker({ by }) {
    return this.#strengthen(-1, by);
  }

  do_strength({ at, value }) {
    if (!this.settings.strengths) return null;
    const order = orders.withStrength(this.verdict.order, at, value);
    return this.#go(verdicts.withOrder(this.verdict, order), "strength", null, "pointer");
  }

  /** Where a pair stands between its answers: 4 first much better … 0 equal … -4, ±0.5 without a strength, null open. */
  get scale() {
    const { tiers, strengths } = this.verdict.order;
    if (tiers.flat().length < 2) return null;
    if (tiers.length === 1) return 0;
    return (strengths[0] ?? 0.5) * (tiers[0][0] === this.item.answers[0].id ? 1 : -1);
  }

  do_scale({ value, by }) {
    const [first, second] = this.item.answers.map((answer) => answer.id);
    const tiers = value === 0 ? [[first, second]] : value > 0 ? [[first], [second]] : [[second], [first]];
    const strength = Number.isInteger(value) && value !== 0 && this.settings.strengths ? Math.abs(value) : null;
    return this.#choose(tiers, strength, by, null);
  }

  do_toFirst({ by }) {
    return this.#slide(1, by);
  }

  do_toSecond({ by }) {
    return this.#slide(-1, by);
  }

  // Focus

  do_next() {
    return this.layout === "rate" ? this.#pointCriterion(1) : this.#focus(1);
  }

  do_previous() {
    return this.layout === "rate" ? this.#pointCriterion(-1) : this.#focus(-1);
  }

  do_look({ id }) {
    this.current = id;
  }

  // Marks

  do_unsafe(command) {
    return this.#flag(command);
  }

  do_wrong(command) {
    return this.#flag(command);
  }

  do_unusable(command) {
    return this.#flag(command);
  }

  do_score({ index, by }) {
    const criterion = this.settings.criteria.find(({ name }) => name === this.criterion);
    if (!criterion || index >= criterion.anchors.length) return null;
    this.do_scored({ id: this.current, criterion: criterion.name, value: index + 1, by });
    this.#pointCriterion(1);
    return null;
  }

  do_scored({ id, criterion, value, by }) {
    if (!id || !criterion) return null;
    this.current = id;
    if (this.layout === "rate") this.criterion = criterion;
    return this.#go(verdicts.score(this.verdict, id, criterion, value), "score", id, by ?? "pointer");
  }

  // Words

  /** Open a note on an answer; returns null and leaves its key in `noteKey`. */
  do_note({ id, quote = "" }) {
    const answer = id ?? this.current;
    if (!answer) return "rate.said.chooseFirst";
    this.current = answer;
    this.#openNote = { key: `n${this.#notes++}`, id: answer, quote, text: "" };
    return null;
  }

  get noteKey() {
    return this.#openNote?.key ?? null;
  }

  do_noted({ note, isFinal = false }) {
    if (isFinal || note.text.trim()) this.#openNote = null;
    else this.#openNote = note;
    return this.#go(verdicts.note(this.verdict, note), "note", note.id, "key", isFinal ? null : note.key);
  }

  do_edited({ id, text, isFinal = false }) {
    const original = this.item.answers.find((answer) => answer.id === id).text;
    return this.#go(verdicts.edit(this.verdict, id, text, original), "edit", id, "key", isFinal ? null : `edit-${id}`);
  }

  do_critique({ text }) {
    return this.#go(verdicts.critique(this.verdict, text), "critique", null, "key", "critique");
  }

  /** A field was left: what is typed there next is a step of its own. A note left empty was none. */
  do_written({ key }) {
    this.#history.settle();
    if (this.#openNote?.key === key) this.#openNote = null;
  }

  #go(next, what, id, by = "key", burst = null) {
    if (this.#history.go(next, burst) && !(burst && this.events.at(-1)?.what === what)) this.#log(what, id, by);
    return null;
  }

  #log(what, id, by = "key") {
    if (this.events.length < MAX_EVENTS) {
      this.events.push({ at: Math.round(this.#clock()) / 1000, what, by, ...(id ? { answer: id } : {}) });
    }
  }

  #others(id) {
    return this.item.answers.map((answer) => answer.id).filter((other) => other !== id && this.#isUsable(other));
  }

  #isUsable(id) {
    return !verdicts.hasFlag(this.verdict, id, verdicts.UNUSABLE);
  }

  /** Say the whole order of a pair at once; an answer placed is not unusable. */
  #choose(tiers, strength, by, id) {
    const kept = tiers.filter((tier) => tier.length);
    let next = this.verdict;
    for (const placed of kept.flat()) {
      if (verdicts.hasFlag(next, placed, verdicts.UNUSABLE)) next = verdicts.toggleFlag(next, placed, verdicts.UNUSABLE);
    }
    const isSaid = orders.isSame(next.order.tiers, kept) && strength === null;
    const order = isSaid ? next.order : { tiers: kept, strengths: kept.slice(1).map(() => strength) };
    if (orders.isSame(next.order, order)) return this.#go(next, "choose", id, by);
    return this.#go({ ...next, order }, kept.length > 1 ? "choose" : "tie", id, by);
  }

  #move(step, id, what, by) {
    if (!id) return "rate.said.chooseFirst";
    this.current = id;
    if (!verdicts.isPlaced(this.verdict, id)) return "rate.said.notPlaced";
    const order = step(this.verdict.order, id);
    return this.#go(verdicts.withOrder(this.verdict, order), what, id, by);
  }

  /** Against the next tier; for what is last, against the one above it. */
  #strengthen(step, by) {
    const { order } = this.verdict;
    if (!this.settings.strengths) return "rate.said.noStrengths";
    if (!order.strengths.length) return "rate.said.strengthNothing";
    const own = this.current ? orders.tierOf(order, this.current) : -1;
    const at = Math.min(own < 0 ? order.strengths.length - 1 : own, order.strengths.length - 1);
    const next = orders.withStrength(order, at, orders.stepped(order.strengths[at], step));
    return this.#go(verdicts.withOrder(this.verdict, next), "strength", this.current, by);
  }

  #slide(step, by) {
    const most = this.settings.strengths ? orders.MAX_STRENGTH : 1;
    const at = this.scale;
    const from = at === null ? 0 : step > 0 ? Math.floor(at) : Math.ceil(at);
    const value = Math.max(-most, Math.min(most, from + step));
    return this.do_scale({ value: this.settings.strengths ? value : value / 2, by });
  }

  #focus(step) {
    const { answers } = this.item;
    const at = answers.findIndex((answer) => answer.id === this.current);
    const next = at < 0 ? (step > 0 ? 0 : answers.length - 1) : at + step;
    this.current = answers[Math.max(0, Math.min(answers.length - 1, next))].id;
    return null;
  }

  #pointCriterion(step) {
    const { criteria } = this.settings;
    const at = criteria.findIndex(({ name }) => name === this.criterion);
    this.criterion = criteria[Math.max(0, Math.min(criteria.length - 1, at + step))]?.name ?? null;
    return null;
  }

  #flag({ name, id, by }) {
    const flag = FLAG_OF[name];
    const answer = id ?? this.current;
    if (!this.settings.flags.includes(flag)) return "rate.said.noFlag";
    if (!answer) return "rate.said.chooseFirst";
    this.current = answer;
    return this.#go(verdicts.toggleFlag(this.verdict, answer, flag), flag, answer, by);
  }
}
