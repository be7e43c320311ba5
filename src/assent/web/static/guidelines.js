/** The guidelines beside the task, with their version; a version not seen before opens by itself where there is room. */

import { contentOf } from "./content.js";
import { part, say, set } from "./dom.js";
import { t } from "./strings.js";

const ROOMY = "(min-width: 1100px)";

export class Guidelines {
  #panel = part("guidelines");
  #button = part("guidelines-open");
  #storage;
  #key;
  #version = null;

  /** @param {Storage} storage */
  constructor(storage, rater, project) {
    this.#storage = storage;
    this.#key = `assent.guidelines.${rater}.${project}`;
    this.#button.addEventListener("click", () => this.toggle());
    for (const id of ["guidelines-close", "guidelines-done"]) {
      part(id).addEventListener("click", () => this.toggle(false));
    }
    this.#panel.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle(false));
  }

  /** @param {{ version: number, html: string } | null} guideline */
  show(guideline) {
    set(this.#button, "hidden", guideline ? null : "");
    if (!guideline || guideline.version === this.#version) return;
    this.#version = guideline.version;
    part("guidelines-text").replaceChildren(contentOf(guideline.html));
    say(part("guidelines-version"), t("rate.guidelines.version", { n: guideline.version }));
    const isNew = Number(this.#storage.getItem(this.#key)) < guideline.version;
    this.#button.classList.toggle("news", isNew);
    if (isNew && matchMedia(ROOMY).matches) this.toggle(true, { takesFocus: false });
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  toggle(isOpen = !this.isOpen, { takesFocus = true } = {}) {
    if (this.#version === null) return;
    set(this.#panel, "hidden", isOpen ? null : "");
    set(this.#button, "aria-expanded", isOpen);
    if (isOpen) {
      this.#button.classList.remove("news");
      try {
        this.#storage.setItem(this.#key, String(this.#version));
      } catch {
        // then it counts as new again
      }
      if (takesFocus) part("guidelines-text").focus();
    } else if (takesFocus && this.#panel.contains(document.activeElement)) this.#button.focus();
  }
}
