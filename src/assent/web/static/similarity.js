/** Sentences that all answers share, dimmed on request: what differs stands out. Marks, never changes, the text. */

const NAME = "shared";

/** Whether the browser can mark text without touching it. */
export const canDim = typeof Highlight === "function" && "highlights" in CSS && "Segmenter" in Intl;

/** @param {HTMLElement[]} texts @param {boolean} isOn */
export function dimShared(texts, isOn) {
  if (!canDim) return;
  CSS.highlights.delete(NAME);
  if (!isOn || texts.length < 2) return;
  const answers = texts.map(sentencesOf);
  const shared = answers
    .map((sentences) => new Set(sentences.map(({ said }) => said)))
    .reduce((common, own) => new Set([...common].filter((said) => own.has(said))));
  const ranges = answers.flat().filter(({ said }) => shared.has(said));
  CSS.highlights.set(NAME, new Highlight(...ranges.map(({ range }) => range)));
}

/** Sentences of a text's blocks, with where they stand. */
function sentencesOf(text) {
  const segmenter = new Intl.Segmenter(undefined, { granularity: "sentence" });
  const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.data.length > 20_000) continue;
    for (const { segment, index } of segmenter.segment(node.data)) {
      const said = segment.trim().replace(/\s+/g, " ").toLowerCase();
      if (said.length < 2) continue;
      const [from, to] = [index, index + segment.length];
      const range = new StaticRange({ startContainer: node, startOffset: from, endContainer: node, endOffset: to });
      found.push({ said, range });
    }
  }
  return found;
}
