/** A task drawn outside the page, ready to be put into it at once. */

import { Card } from "./cards.js";
import { letterAt } from "./order.js";
import { turnsOf } from "./prompt.js";

export class View {
  content;
  turns;
  cards;

  /** @param {object} item @param {object} settings @param {(command: object) => void} act */
  constructor(item, settings, act) {
    this.content = item.content;
    this.turns = turnsOf(item.prompt);
    this.cards = item.answers.map((answer, i) => {
      const letter = letterAt(i);
      const card = new Card(answer, { letter, digit: String(i + 1), kind: item.kind }, settings, act);
      return Object.assign(card, { id: answer.id, letter });
    });
  }

  cardOf(id) {
    return this.cards.find((card) => card.id === id) ?? null;
  }
}

/** Views of the tasks ahead, drawn when the browser has nothing better to do. */
export class Views {
  #made = new Map();
  #settings;
  #act;

  constructor(act) {
    this.#act = act;
  }

  /** @param {object[]} items */
  prepare(items, settings) {
    this.#settings = settings;
    const wanted = new Set(items.map((item) => item.task_id));
    for (const task of this.#made.keys()) if (!wanted.has(task)) this.#made.delete(task);
    const idle = globalThis.requestIdleCallback ?? ((work) => setTimeout(work, 30));
    for (const item of items) if (!this.#made.has(item.task_id)) idle(() => this.of(item));
  }

  of(item) {
    const known = this.#made.get(item.task_id);
    const made = known?.content === item.content ? known : new View(item, this.#settings, this.#act);
    this.#made.set(item.task_id, made);
    return made;
  }

  /** A fresh view: of a task that is shown again. */
  anew(item) {
    this.#made.delete(item.task_id);
    return this.of(item);
  }
}
