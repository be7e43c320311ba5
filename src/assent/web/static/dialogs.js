/** The page's dialogs: the keys, skipping with a reason, and judgments that the server refused. */

import { button, element, part, say, set } from "./dom.js";
import { below } from "./http.js";
import { HELP } from "./keys.js";
import { exampleOf, letterAt } from "./order.js";
import { t } from "./strings.js";

/** Where texts run from right to left, onwards is the other way round. */
const TURNED_SIGN = { "←": "→", "→": "←" };
const REASONS = ["cannot_judge", "unclear", "language", "upsetting", "broken"];

/** Show what the keys do on this kind of page, with so many answers. @param {"rank" | "pair" | "rate"} layout */
export function showHelp(layout, count) {
  const own = { "{last}": letterAt(count - 1), "{count}": String(count) };
  const row = ([keys, what]) => {
    const pressed = keys.map((key) => own[key] ?? (document.dir === "rtl" ? (TURNED_SIGN[key] ?? key) : key));
    const drawn = pressed.map((key) => (key === "–" ? " – " : element("kbd", {}, key)));
    return element("div", {}, element("dt", {}, drawn), element("dd", {}, t(`rate.key.${what}`)));
  };
  const isOurs = ([, what]) => layout !== "rate" || what !== "shared";
  part("help-keys").replaceChildren(...[...HELP[layout], ...HELP.flags].map(row));
  part("help-more").replaceChildren(...HELP.all.filter(isOurs).map(row));
  const { typed, order } = exampleOf(count);
  set(part("help-example"), "hidden", layout === "rank" ? null : "");
  part("help-typed").replaceChildren(...typed.split(" ").flatMap((key) => [element("kbd", {}, key), " "]));
  say(part("help-reads"), t("rate.help.example", { order }));
  part("help").showModal();
}

/** Whether single keys are shortcuts: some people's tools type letters that nobody meant. */
export class Shortcuts {
  #box = part("shortcuts");

  /** @param {Storage} storage */
  constructor(storage) {
    this.#box.checked = storage.getItem("assent.shortcuts") !== "off";
    this.#box.addEventListener("change", () => storage.setItem("assent.shortcuts", this.areOn ? "on" : "off"));
  }

  get areOn() {
    return this.#box.checked;
  }
}

/** Close a dialog by its buttons and by a click beside it. */
export function wireDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
    });
  }
}

/** Ask why a task is skipped. */
export class Skip {
  #dialog = part("skip");
  #text = part("skip-text");
  #list = part("skip-reasons");
  #skipped;

  /** @param {(reason: string) => void} skipped */
  constructor(skipped) {
    this.#skipped = skipped;
    this.#list.replaceChildren(...REASONS.map((reason, i) => this.#choice(reason, i)));
    this.#dialog.addEventListener("keydown", (event) => this.#typed(event));
    part("skip-other").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#text.value.trim()) this.#choose(this.#text.value.trim());
    });
  }

  ask() {
    this.#text.value = "";
    this.#dialog.showModal();
    this.#list.querySelector("button").focus();
  }

  #choice(reason, i) {
    const key = element("kbd", { "aria-hidden": "true" }, String(i + 1));
    return button({ class: "choice", onclick: () => this.#choose(reason) }, key, t(`rate.skip.${reason}`));
  }

  #typed(event) {
    if (event.target === this.#text || event.ctrlKey || event.altKey || event.metaKey) return;
    const reason = REASONS[Number(event.key) - 1];
    if (!reason) return;
    event.preventDefault(); // the page must not take the digit for a place in the next task
    this.#choose(reason);
  }

  #choose(reason) {
    this.#dialog.close();
    this.#skipped(reason);
  }
}

/** What could not be saved, why, and what can be done about it. */
export class Trouble {
  #line = part("trouble");
  #text = part("trouble-text");
  #button = part("trouble-show");
  #dialog = part("refused");
  #outbox;

  /** @param {import("./outbox.js").Outbox} outbox */
  constructor(outbox) {
    this.#outbox = outbox;
    this.#button.addEventListener("click", () => this.#show());
  }

  /** Called whenever the outbox changed. */
  update() {
    const { refused, waiting, isSignedOut, isHeldUp } = this.#outbox;
    const isBad = refused.length > 0 || isSignedOut;
    set(this.#line, "hidden", isBad || isHeldUp ? null : "");
    this.#line.classList.toggle("bad", isBad);
    if (refused.length) say(this.#text, t("rate.trouble.refused", { n: refused.length }));
    else if (isSignedOut) say(this.#text, t("rate.trouble.signedOut"));
    else if (isHeldUp) say(this.#text, t("rate.trouble.waiting", { n: waiting.length }));
    set(this.#button, "hidden", isBad ? null : "");
    say(this.#button, t(refused.length ? "rate.trouble.show" : "rate.trouble.signIn"));
    if (this.#dialog.open) this.#fill();
  }

  #show() {
    if (!this.#outbox.refused.length) {
      open(below("/sign-in"), "_blank", "noopener");
      return;
    }
    this.#fill();
    this.#dialog.showModal();
  }

  #fill() {
    const entries = this.#outbox.refused.map(({ id, refused: { what, then } }) => {
      const choice = (name, kind, onclick) => button({ class: `button small ${kind}`, onclick }, t(`rate.trouble.${name}`));
      return element(
        "li",
        {},
        element("p", {}, element("b", {}, what)),
        then && element("p", { class: "soft" }, then),
        element(
          "div",
          { class: "row" },
          choice("retry", "", () => this.#outbox.retry(id)),
          choice("save", "", () => save(id, this.#outbox.bodyOf(id))),
          choice("discard", "danger", () => this.#outbox.discard(id)),
        ),
      );
    });
    part("refused-list").replaceChildren(...entries);
    if (!entries.length) this.#dialog.close();
  }
}

/** Hand a judgment over as a file. */
function save(id, body) {
  const url = URL.createObjectURL(new Blob([body], { type: "application/json" }));
  const link = element("a", { href: url, download: `judgment-${id}.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
