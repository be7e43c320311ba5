/** The dashboard stays what it is and its panels change: asked for every few seconds while somebody looks. */

import { getJson } from "./http.js";
import { clock, localize } from "./moments.js";

const board = document.querySelector("[data-board]");
const live = document.querySelector("[data-live]");
const shown = new Map();
let wait = Number(board.dataset.every) * 1000;
let timer = 0;

for (const part of board.querySelectorAll("[data-panel]")) localize(part);

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const answer = await getJson(board.dataset.board);
    for (const part of board.querySelectorAll("[data-panel]")) change(part, answer.panels[part.dataset.panel] ?? "");
    live.textContent = live.dataset.text.replace("{time}", clock.format(new Date(answer.counted_at * 1000)));
    wait = answer.every * 1000;
  } catch (error) {
    live.textContent = live.dataset.lost;
    if (error.status === 401 || error.status === 403) return;
    wait = Math.min(wait * 2, 60_000);
  }
  timer = setTimeout(look, wait);
}

/** Replace a panel that is different now, except under the reader's hands: focus, a selection, or a place scrolled to. */
function change(part, html) {
  if (shown.get(part) === html) return;
  const selection = getSelection();
  const isSelected = selection !== null && !selection.isCollapsed && part.contains(selection.anchorNode);
  if (part.contains(document.activeElement) || isSelected) return;
  const scrolled = [...part.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
  const open = [...part.querySelectorAll("details")].map((box) => box.open);
  // Made and escaped by our own server, like the page itself.
  part.innerHTML = html;
  part.querySelectorAll(".scroll").forEach((box, i) => (box.scrollLeft = scrolled[i] ?? 0));
  part.querySelectorAll("details").forEach((box, i) => (box.open = open[i] ?? false));
  localize(part);
  shown.set(part, html);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
look();
