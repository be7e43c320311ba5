/**
 * From a key press to the name of a command; and the table that the help shows.
 *
 * What a card prints is what its key is: A to I and 1 to 9 choose the card of that letter or digit. Commands have the
 * other letters, or Shift with one of those.
 */

const LAST_OF_CARDS = "i";
const BY_SHIFTED_LETTER = {
  c: "note",
  d: "shared",
  e: "edit",
  f: "wrong",
  g: "guidelines",
};
const BY_LETTER = {
  l: "lengths",
  p: "prompt",
  r: "rest",
  s: "skip",
  t: "raw",
  u: "unsafe",
  w: "why",
  x: "unusable",
  z: "undo",
};
const BY_SIGN = { "=": "tie", ">": "stronger", ".": "stronger", "<": "weaker", ",": "weaker", "?": "help" };
const TURNED = { ArrowLeft: "ArrowRight", ArrowRight: "ArrowLeft" };
const EVERYWHERE =
  "note edit raw why unsafe wrong unusable off next previous undo skip guidelines prompt lengths help submit".split(" ");
const COMPARING = [...EVERYWHERE, "place", "tie", "rest", "stronger", "weaker", "shared"];
const OF_KIND = {
  rank: [...COMPARING, "worse", "better"],
  pair: [...COMPARING, "toFirst", "toSecond"],
  rate: [...EVERYWHERE, "score"],
};

/** What the help lists: keys, and the catalog key of what they do, by kind of page. */
export const HELP = {
  rank: [
    [["A", "–", "{last}"], "place"],
    [["1", "–", "{count}"], "place.digit"],
    [["="], "tie"],
    [["R"], "rest"],
    [["K", "J"], "move"],
    [["Backspace"], "off"],
    [["<", ">"], "strength"],
    [["←", "→"], "focus"],
  ],
  pair: [
    [["A", "B"], "choose"],
    [["1", "2"], "place.digit"],
    [["="], "equal"],
    [["←", "→"], "scale"],
    [["<", ">"], "strength"],
    [["J", "K"], "focus"],
    [["Backspace"], "off"],
  ],
  rate: [
    [["1", "–", "9"], "score"],
    [["J", "K"], "criterion"],
    [["Backspace"], "unscore"],
  ],
  flags: [
    [["U"], "unsafe"],
    [["Shift+F"], "wrong"],
    [["X"], "unusable"],
  ],
  all: [
    [["Shift+C"], "note"],
    [["Shift+E"], "edit"],
    [["T"], "raw"],
    [["W"], "why"],
    [["Z"], "undo"],
    [["S"], "skip"],
    [["Shift+G"], "guidelines"],
    [["P"], "prompt"],
    [["Shift+D"], "shared"],
    [["L"], "lengths"],
    [["Enter"], "submit"],
    [["?"], "help"],
  ],
};

/** The page's layout of keys for a kind of task. */
export const layoutOf = (kind) => (kind === "rate" ? "rate" : kind === "rank" ? "rank" : "pair");

/**
 * The command of a key press, null where it is none of ours.
 * @param {KeyboardEvent} event @param {"rank" | "pair" | "rate"} layout @param {boolean} isRtl
 * @returns {{ name: string, index?: number } | null}
 */
export function commandOf(event, layout, isRtl = false) {
  if (event.isComposing || event.altKey || event.metaKey) return null;
  if (event.key === "Enter") return event.shiftKey || event.repeat ? null : { name: "submit" };
  if (event.ctrlKey) return null;
  const command = ofSign(event) ?? ofDigit(event, layout) ?? ofArrow(event, layout, isRtl) ?? ofLetter(event, layout);
  if (!command || !OF_KIND[layout].includes(command.name)) return null;
  return command;
}

/** Whether keys belong to the field that has the focus, or to a dialog. */
export function isTaken(target, { isEnter = false } = {}) {
  if (document.querySelector("dialog[open]")) return true;
  if (!(target instanceof Element)) return false;
  if (target.closest("textarea, select, [contenteditable]")) return true;
  if (target.matches("input:not([type=radio], [type=checkbox], [type=button])")) return true;
  return isEnter && target.closest("button, a[href], summary, input") !== null;
}

function ofSign({ key }) {
  return key in BY_SIGN ? { name: BY_SIGN[key] } : null;
}

/** Digits by where they are on the keyboard, too: French rows need Shift, Arabic ones write other digits. */
function ofDigit({ key, code }, layout) {
  const digit = /^[1-9]$/.test(key) ? key : /^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1];
  return digit ? { name: layout === "rate" ? "score" : "place", index: Number(digit) - 1 } : null;
}

function ofArrow({ key, target }, layout, isRtl) {
  if (target instanceof Element && target.matches("input[type=radio]")) return null;
  const arrow = isRtl ? (TURNED[key] ?? key) : key;
  if (arrow === "ArrowLeft") return { name: layout === "pair" ? "toFirst" : "previous" };
  if (arrow === "ArrowRight") return { name: layout === "pair" ? "toSecond" : "next" };
  if (arrow === "Backspace" || arrow === "Delete") return { name: "off" };
  return null;
}

/** Latin letters, or where another script is typed, the letter printed on the key. */
function ofLetter({ key, code, shiftKey, repeat }, layout) {
  const letter = /^[a-z]$/i.test(key) ? key.toLowerCase() : /^Key([A-Z])$/.exec(code)?.[1].toLowerCase();
  if (!letter || key.length > 1) return null;
  if (letter <= LAST_OF_CARDS) {
    // Where one answer stands alone its letter chooses nothing: the command is meant with Shift and without.
    if (!shiftKey && layout !== "rate") return { name: "place", index: letter.charCodeAt(0) - 97 };
    return !repeat && letter in BY_SHIFTED_LETTER ? { name: BY_SHIFTED_LETTER[letter] } : null;
  }
  if (letter === "j") return { name: layout === "rank" ? "worse" : "next" };
  if (letter === "k") return { name: layout === "rank" ? "better" : "previous" };
  return repeat && letter !== "z" ? null : letter in BY_LETTER ? { name: BY_LETTER[letter] } : null;
}
