/** Notes on an answer and its edited copy: what is written stays at its card. */

import { button, element, set } from "./dom.js";
import { t } from "./strings.js";

/** The list of an answer's notes, each open to be changed. */
export class Notes {
  element = element("ul", { class: "notes", hidden: true });
  #rows = new Map();
  #act;
  #letter;

  constructor(letter, act) {
    this.#letter = letter;
    this.#act = act;
  }

  /** @param {{ key: string, id: string, quote: string, text: string }[]} notes of this answer; an open one may be empty */
  update(notes) {
    const keys = new Set(notes.map((note) => note.key));
    for (const [key, row] of this.#rows) {
      if (!keys.has(key)) {
        row.remove();
        this.#rows.delete(key);
      }
    }
    for (const note of notes) {
      const row = this.#rows.get(note.key) ?? this.#add(note);
      const field = row.querySelector("textarea");
      if (field.value !== note.text) field.value = note.text;
    }
    set(this.element, "hidden", notes.length ? null : "");
  }

  focus(key) {
    this.#rows.get(key)?.querySelector("textarea").focus();
  }

  #add({ key, id, quote, text }) {
    const field = element("textarea", {
      rows: 2,
      "aria-label": t(quote ? "rate.note.about" : "rate.note.label", { letter: this.#letter, quote }),
      placeholder: t("rate.note.placeholder"),
      oninput: () => this.#act({ name: "noted", note: { key, id, quote, text: field.value } }),
      onblur: () => this.#act({ name: "written", key }),
    });
    field.value = text;
    const remove = () => this.#act({ name: "noted", note: { key, id, quote, text: "" }, isFinal: true });
    const label = t("rate.note.remove", { letter: this.#letter });
    const row = element(
      "li",
      {},
      quote && element("blockquote", { translate: "no", dir: "auto" }, quote),
      field,
      button({ class: "tool", label, onclick: remove }, t("rate.remove")),
    );
    this.#rows.set(key, row);
    this.element.append(row);
    return row;
  }
}

/** The answer as the rater would have it: a copy to change, in place of the text. */
export class Edit {
  element;
  #field;
  #original;

  constructor({ id, letter, text }, act) {
    this.#original = text;
    this.#field = element("textarea", {
      "aria-label": t("rate.edit.label", { letter }),
      translate: "no",
      dir: "auto",
      spellcheck: "true",
      oninput: () => act({ name: "edited", id, text: this.#field.value }),
      onblur: () => act({ name: "written", key: `edit-${id}` }),
    });
    const drop = () => act({ name: "edited", id, text: this.#original, isFinal: true });
    this.element = element(
      "div",
      { class: "edit", hidden: true },
      element("p", { class: "edit-head" }, t("rate.edit.head")),
      this.#field,
      element(
        "div",
        { class: "row" },
        button({ class: "tool", onclick: () => act({ name: "edit", id }) }, t("rate.edit.done")),
        button({ class: "tool", onclick: drop }, t("rate.edit.drop")),
      ),
    );
  }

  /** @param {string | undefined} text the edit, undefined where there is none */
  update(text) {
    const shown = text ?? this.#original;
    const isTyping = document.activeElement === this.#field && text !== undefined;
    if (this.#field.value !== shown && !isTyping) this.#field.value = shown;
  }

  open(isOpen) {
    set(this.element, "hidden", isOpen ? null : "");
    if (isOpen) this.#field.focus({ preventScroll: true });
  }
}
