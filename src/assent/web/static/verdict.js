/**
 * What a rater says about one task: order, flags, scores, notes, edits. Untouched is absent, never a default.
 *
 * @typedef {object} Verdict
 * @property {import("./order.js").Order} order
 * @property {Record<string, string[]>} flags answer -> flags
 * @property {Record<string, Record<string, number>>} scores answer -> criterion -> 1 … anchors
 * @property {{ key: string, id: string, quote: string, text: string }[]} notes
 * @property {Record<string, string>} edits answer -> what it should have said
 * @property {string} critique about the answers together
 */

import * as orders from "./order.js";

export const UNUSABLE = "unusable";

/** @type {Verdict} */
export const NOTHING = Object.freeze({ order: orders.EMPTY, flags: {}, scores: {}, notes: [], edits: {}, critique: "" });

export const withOrder = (verdict, order) => (order === verdict.order ? verdict : { ...verdict, order });

/** Place an answer below all placed ones, or tied with the last tier. Placing one takes "unusable" back. */
export function place(verdict, id, isTied = false) {
  const { order } = verdict;
  const next = isTied && order.tiers.length ? orders.join(order, id, order.tiers.length - 1) : orders.append(order, id);
  return usable({ ...verdict, order: next }, id);
}

/** Place an answer at a spot of the rail: before tier `gap`, or tied with tier `tier`. */
export function placeAt(verdict, id, spot) {
  const { order } = verdict;
  const next = "tier" in spot ? orders.join(order, id, spot.tier) : orders.insert(order, id, spot.gap);
  return orders.isSame(order, next) ? verdict : usable({ ...verdict, order: next }, id);
}

/** Set or take back a flag. What is unusable has no place in the order. */
export function toggleFlag(verdict, id, flag) {
  const had = verdict.flags[id] ?? [];
  const isSet = !had.includes(flag);
  const next = { ...verdict, flags: entry(verdict.flags, id, isSet ? [...had, flag] : had.filter((f) => f !== flag)) };
  return isSet && flag === UNUSABLE ? { ...next, order: orders.remove(next.order, id) } : next;
}

/** Score an answer by a criterion; null takes the score back. */
export function score(verdict, id, criterion, value) {
  if ((verdict.scores[id]?.[criterion] ?? null) === value) return verdict;
  const own = { ...verdict.scores[id] };
  if (value === null) delete own[criterion];
  else own[criterion] = value;
  return { ...verdict, scores: entry(verdict.scores, id, own) };
}

/** Write a note; an empty text takes it away. */
export function note(verdict, written) {
  const notes = verdict.notes.filter((other) => other.key !== written.key);
  const at = verdict.notes.findIndex((other) => other.key === written.key);
  if (written.text.trim()) notes.splice(at < 0 ? notes.length : at, 0, written);
  else if (at < 0) return verdict;
  return { ...verdict, notes };
}

/** Say what an answer should have said; the text as it was, or nothing, is no edit. */
export function edit(verdict, id, text, original) {
  const isEdit = text.trim() !== "" && text !== original;
  if (!isEdit && !(id in verdict.edits)) return verdict;
  return { ...verdict, edits: entry(verdict.edits, id, isEdit ? text : "") };
}

export const critique = (verdict, text) => (text === verdict.critique ? verdict : { ...verdict, critique: text });

export const hasFlag = (verdict, id, flag) => Boolean(verdict.flags[id]?.includes(flag));

export const isPlaced = (verdict, id) => orders.tierOf(verdict.order, id) >= 0;

/** Answers that are neither placed nor unusable. @param {{ id: string }[]} answers */
export const open = (verdict, answers) =>
  answers.filter(({ id }) => !isPlaced(verdict, id) && !hasFlag(verdict, id, UNUSABLE)).map(({ id }) => id);

/**
 * Whether it may be sent, and whether all that was asked is said.
 * @param {{ kind: string, answers: { id: string }[] }} item @param {{ name: string }[]} criteria
 */
export function standing(verdict, item, criteria) {
  if (item.kind !== "rate") {
    const isWhole = open(verdict, item.answers).length === 0;
    return { canSubmit: isWhole, isWhole };
  }
  const [{ id }] = item.answers;
  const isUnusable = hasFlag(verdict, id, UNUSABLE);
  const scored = Object.keys(verdict.scores[id] ?? {}).length;
  return { canSubmit: isUnusable || scored > 0, isWhole: isUnusable || scored === criteria.length };
}

/** The verdict in the server's words. */
export function toJudgment(verdict, kind) {
  const { tiers, strengths } = verdict.order;
  const isRanked = kind !== "rate" && tiers.length > 0;
  return {
    ranking: isRanked ? { tiers, strengths: strengths.some((s) => s !== null) ? strengths : null } : null,
    flags: verdict.flags,
    scores: verdict.scores,
    critique: verdict.critique.trim() || null,
    notes: verdict.notes.map(({ id, quote, text }) => ({ completion_id: id, quote, text: text.trim() })),
    edits: verdict.edits,
  };
}

/** A submitted judgment as a verdict again. */
export function fromJudgment(judgment) {
  const { ranking } = judgment;
  const order = ranking
    ? { tiers: ranking.tiers, strengths: ranking.strengths ?? ranking.tiers.slice(1).map(() => null) }
    : orders.EMPTY;
  return {
    order,
    flags: judgment.flags ?? {},
    scores: judgment.scores ?? {},
    notes: (judgment.notes ?? []).map(({ completion_id: id, quote, text }, i) => ({ key: `n${i}`, id, quote, text })),
    edits: judgment.edits ?? {},
    critique: judgment.critique ?? "",
  };
}

const usable = (verdict, id) => (hasFlag(verdict, id, UNUSABLE) ? toggleFlag(verdict, id, UNUSABLE) : verdict);

function entry(record, id, value) {
  const { [id]: _, ...rest } = record;
  return Object.keys(value).length ? { ...rest, [id]: value } : rest;
}
