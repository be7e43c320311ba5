/**
 * A weak order of answers: tiers best first, ids within a tier tied, and how much better each tier is than the next.
 *
 * Orders are values: every function gives a new one back. A strength stays only while the two tiers it was said about
 * stay the same; it is never carried over to a comparison that nobody made.
 *
 * @typedef {{ tiers: readonly (readonly string[])[], strengths: readonly (number | null)[] }} Order
 */

/** @type {Order} */
export const EMPTY = Object.freeze({ tiers: Object.freeze([]), strengths: Object.freeze([]) });

export const MAX_STRENGTH = 4;

/** All placed ids, best first. @param {Order} order */
export const placed = (order) => order.tiers.flat();

/** Index of the tier that holds an id, -1 where it is not placed. */
export const tierOf = (order, id) => order.tiers.findIndex((tier) => tier.includes(id));

/** Put an id into a tier of its own below all others; one already placed moves there. */
export const append = (order, id) => insert(order, id, order.tiers.length);

/** Put an id into a tier of its own before tier `gap` (counted in the order as given). */
export function insert(order, id, gap) {
  const tiers = without(order, id);
  tiers.splice(gap, 0, [id]);
  return rebuilt(order, tiers);
}

/** Tie an id with tier `at` (counted in the order as given). */
export function join(order, id, at) {
  if (tierOf(order, id) === at) return order;
  const tiers = without(order, id);
  tiers[at] = [...tiers[at], id];
  return rebuilt(order, tiers);
}

/** Tie ids with each other below all others. */
export function appendTied(order, ids) {
  return ids.length ? rebuilt(order, [...order.tiers, [...ids]]) : order;
}

/** Take an id off. */
export const remove = (order, id) => (tierOf(order, id) < 0 ? order : rebuilt(order, without(order, id)));

/** One step better: out of a tie, or past the tier above. */
export function raise(order, id) {
  const at = tierOf(order, id);
  if (at < 0) return order;
  if (order.tiers[at].length > 1) return insert(order, id, at);
  return at === 0 ? order : insert(order, id, at - 1);
}

/** One step worse: out of a tie, or past the tier below. */
export function lower(order, id) {
  const at = tierOf(order, id);
  if (at < 0) return order;
  if (order.tiers[at].length > 1) return insert(order, id, at + 1);
  return at === order.tiers.length - 1 ? order : insert(order, id, at + 2);
}

/** Tie an id, and all it is tied with, with the tier above. */
export function tieAbove(order, id) {
  const at = tierOf(order, id);
  if (at < 1) return order;
  const tiers = order.tiers.map((tier) => [...tier]);
  tiers[at - 1].push(...tiers[at]);
  tiers[at] = [];
  return rebuilt(order, tiers);
}

/** Say how much better tier `at` is than the next: 1 slightly … 4 much, null not said. */
export function withStrength(order, at, strength) {
  if (at < 0 || at >= order.strengths.length || order.strengths[at] === strength) return order;
  return { tiers: order.tiers, strengths: order.strengths.with(at, strength) };
}

/** One more (+1) or one less (-1); less than slightly is not said, more than much stays much. */
export function stepped(strength, step) {
  const next = Math.min((strength ?? 0) + step, MAX_STRENGTH);
  return next < 1 ? null : next;
}

/** "A" for the first answer shown, "B" for the second … */
export const letterAt = (index) => String.fromCharCode(65 + index);

/** What one may type where there are so many answers, and how it reads; of two answers there is no tie to show. */
export function exampleOf(count) {
  if (count < 3) return { typed: "B A", order: "B > A" };
  return count === 3 ? { typed: "B A = C", order: "B > A = C" } : { typed: "B A = D C", order: "B > A = D > C" };
}

/** "B > A = D > C". */
export const sentence = (order, letterOf) => order.tiers.map((tier) => tier.map(letterOf).join(" = ")).join(" > ");

/** Whether two orders say the same. */
export const isSame = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);

const without = (order, id) => order.tiers.map((tier) => tier.filter((other) => other !== id));

const nameOf = (tier) => JSON.stringify([...tier].sort());

function rebuilt(old, tiers) {
  const said = new Map();
  for (let i = 0; i < old.strengths.length; i++) {
    said.set(nameOf(old.tiers[i]) + nameOf(old.tiers[i + 1]), old.strengths[i]);
  }
  const kept = tiers.filter((tier) => tier.length);
  const strengths = kept.slice(1).map((tier, i) => said.get(nameOf(kept[i]) + nameOf(tier)) ?? null);
  return { tiers: kept, strengths };
}
