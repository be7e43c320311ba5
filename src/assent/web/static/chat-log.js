/** The conversation on the chat page: what was said, the two answers to compare, and who spoke once it is over. */

import { contentOf } from "./content.js";
import { element, part, set } from "./dom.js";
import { number, t } from "./strings.js";

const LETTERS = ["A", "B"];

/** Text of a person or a model; an empty one says so. */
function prose(html) {
  const text = element("div", { class: "prose", translate: "no", dir: "auto" }, contentOf(html));
  return text.textContent.trim() ? text : element("p", { class: "soft" }, t("chat.empty"));
}

/** @param {{ messages: { role: string, html: string }[], turns: Turn[] }} talk */
export function showLog(talk) {
  const nodes = [];
  let turn = 0;
  for (const { role, html } of talk.messages) {
    nodes.push(element("div", { class: `said-turn ${role}` }, element("p", { class: "role" }, t(`chat.role.${role}`)), prose(html)));
    if (role !== "assistant") continue;
    nodes.push(...howItWentOn(talk.turns[turn]).map((line) => element("p", { class: "went-on" }, line)));
    turn += 1;
  }
  part("log").replaceChildren(...nodes);
}

/** Why the conversation goes on from this answer. */
export function howItWentOn({ choice, place, drawn, void: isVoid }) {
  if (choice === null) return [];
  const letter = LETTERS[place];
  const lines = [t(drawn ? `chat.went.${choice}` : "chat.went.better", { letter })];
  if (isVoid) lines.push(t("chat.void"));
  return lines;
}

/** Put both answers on the page at once. @returns {{ id: string, text: HTMLElement, element: HTMLElement }[]} */
export function showVoices(answers) {
  const cards = answers.map(({ id, html }, i) => {
    const text = element("div", { class: "voice-text" }, prose(html));
    const heading = element("h2", { class: "voice-head" }, element("span", { class: "letter", "aria-hidden": "true" }, LETTERS[i]), element("kbd", { "aria-hidden": "true" }, String(i + 1)), element("span", { class: "only-heard" }, t("rate.answer", { letter: LETTERS[i] })));
    return { id, text, element: element("article", { class: "voice", "data-id": id }, heading, text) };
  });
  part("voices").replaceChildren(...cards.map((card) => card.element));
  set(part("voices"), "hidden", cards.length ? null : "");
  return cards;
}

/** Which answer is preferred so far. */
export function markVoices(choice) {
  [...part("voices").children].forEach((card, i) => card.classList.toggle("current", choice === ["first", "second"][i]));
}

/** Name the models, turn by turn. @param {{ phase: string, turns: Turn[] }} talk */
export function showReveal(talk) {
  const rows = talk.turns
    .map((turn, i) => ({ ...turn, n: i + 1 }))
    .filter(({ models }) => models.length)
    .map(({ n, models, choice, place }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, number(n)),
        models.map((name, i) => element("td", {}, i === place && choice !== "tie" && choice !== "bad" ? element("b", { translate: "no" }, name) : element("span", { translate: "no" }, name))),
        element("td", {}, choice === null ? t("chat.reveal.none") : t(`chat.reveal.${choice}`)),
      ),
    );
  part("reveal-rows").replaceChildren(...rows);
  set(part("reveal"), "hidden", talk.phase === "ended" ? null : "");
}
