/** The chat page: say something, compare two blind answers, say which is better, go on. */

import { markVoices, showLog, showReveal, showVoices } from "./chat-log.js";
import { NOTHING, shifted, stronger, VoteScale } from "./chat-vote.js";
import { Shortcuts } from "./dialogs.js";
import { part, say, set } from "./dom.js";
import { openStorage } from "./drafts.js";
import { getJson, postJson } from "./http.js";
import { Reading } from "./reading.js";
import { boot, t } from "./strings.js";
import { watchTranslation } from "./translation.js";

const FIRST_LOOK_MS = 300;
const LAST_LOOK_MS = 2_000;
const fresh = () => ({ conversation: uuid(), phase: "new", turn: 0, messages: [], answers: [], turns: [] });
const PREFERRED = { 1: "first", 2: "second" };

class ChatPage {
  #storage = openStorage();
  #draft = `assent.chat.${boot.rater}.${boot.project}.${boot.purpose}`;
  #path = `/chat/${encodeURIComponent(boot.project)}`;
  #talk = null;
  #verdict = NOTHING;
  #judgment = "";
  #isBusy = false;
  #looks = 0;
  #shortcuts = new Shortcuts(this.#storage);
  #timer = 0;
  #reading = new Reading();
  #scale = new VoteScale(boot.strengths, (verdict) => this.#choose(verdict));
  #isTranslated = watchTranslation(() => set(part("translated"), "hidden", null));
  #words = part("words");

  start() {
    this.#words.value = this.#storage.getItem(this.#draft) ?? "";
    this.#words.addEventListener("input", () => this.#keep());
    this.#words.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.#send();
      }
    });
    part("speak").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    part("submit").addEventListener("click", () => this.#vote());
    part("again").addEventListener("click", () => this.#post("again", {}));
    part("end").addEventListener("click", () => this.#end());
    part("anew").addEventListener("click", () => this.#anew());
    document.getElementById("why")?.addEventListener("click", () => this.#toggleWhy());
    for (const button of document.querySelectorAll("[data-end]")) button.addEventListener("click", () => part("ending").showModal());
    for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
    document.addEventListener("keydown", (event) => this.#pressed(event));
    this.#show(boot.talk ?? fresh());
  }

  /** Bring the page to where the conversation stands. */
  #show(talk) {
    const before = this.#talk;
    const isNews = ["phase", "turn", "conversation"].some((name) => before?.[name] !== talk[name]);
    this.#talk = talk;
    if (!isNews) return this.#wait();
    part("welcome").classList.toggle("only-heard", talk.phase !== "new");
    showLog(talk);
    const isVoting = talk.phase === "rating";
    const cards = showVoices(talk.answers);
    if (isVoting) {
      this.#judgment = uuid();
      part("critique").value = "";
      this.#choose(NOTHING);
      this.#reading.start(cards);
    }
    showReveal(talk);
    const isOver = talk.phase === "ended";
    set(part("dock"), "hidden", isOver ? "" : null);
    const isSpeaking = talk.phase === "new" || talk.phase === "ready";
    for (const [id, isShown] of [["speak", isSpeaking], ["vote", isVoting], ["waiting", talk.phase === "waiting"], ["failed", talk.phase === "failed"]]) {
      set(part(id), "hidden", isShown ? null : "");
    }
    set(part("speak").querySelector("[data-end]"), "hidden", talk.phase === "ready" ? null : "");
    say(part("said"), { waiting: t("chat.waiting"), rating: t("chat.rating") }[talk.phase] ?? "");
    this.#focus(before);
    this.#looks = 0;
    return this.#wait();
  }

  /** The focus goes where the next step is, unless the page has just opened. */
  #focus(before) {
    const { phase } = this.#talk;
    if (before === null && phase !== "new") return;
    if (phase === "rating") part("voices").focus({ preventScroll: true });
    if (phase === "ready" || phase === "new") this.#words.focus();
    if (phase === "failed") part("again").focus();
    if (phase === "ended") part("reveal").focus();
    const last = phase === "rating" ? part("log").querySelector(".said-turn:last-of-type") : phase === "ended" ? part("reveal") : null;
    (last ?? document.body).scrollIntoView({ block: last ? "start" : "end" });
  }

  /** Ask again soon whether the answers are there, ever more slowly. */
  #wait() {
    clearTimeout(this.#timer);
    if (this.#talk.phase !== "waiting") return;
    const wait = Math.min(LAST_LOOK_MS, FIRST_LOOK_MS * 1.3 ** this.#looks);
    this.#looks += 1;
    this.#timer = setTimeout(() => this.#look(), wait);
  }

  async #look() {
    const { conversation, turn } = this.#talk;
    try {
      const talk = await getJson(`${this.#path}/state?conversation=${conversation}`);
      this.#calm();
      if (this.#talk.conversation === conversation && this.#talk.turn === turn) this.#show(talk);
    } catch (error) {
      this.#alarm(error);
      if (error.isPassing) this.#wait();
    }
  }

  async #send() {
    const text = this.#words.value;
    if (!text.trim() || (this.#talk.phase !== "new" && this.#talk.phase !== "ready")) return;
    const done = await this.#post("say", { turn: this.#talk.turn + 1, text, purpose: boot.purpose });
    if (!done) return;
    this.#words.value = "";
    this.#keep();
  }

  async #vote() {
    if (this.#talk.phase !== "rating") return;
    if (this.#verdict.choice === null) {
      say(part("said"), t("chat.verdict.open"));
      return;
    }
    const critique = part("critique").value.trim();
    await this.#post("vote", {
      turn: this.#talk.turn,
      judgment: this.#judgment,
      ...this.#verdict,
      critique: critique || null,
      seconds: this.#reading.seconds,
      activity: this.#reading.activity(),
      translated: this.#isTranslated(),
    });
  }

  async #end() {
    part("ending").close();
    await this.#post("end", {});
  }

  #anew() {
    this.#show(fresh());
  }

  /** One request at a time; what it changed is shown. @returns {Promise<boolean>} whether it was accepted */
  async #post(what, body) {
    if (this.#isBusy) return false;
    this.#isBusy = true;
    try {
      const talk = await postJson(`${this.#path}/${what}`, { conversation: this.#talk.conversation, ...body });
      this.#calm();
      this.#show(talk);
      if (talk.no_longer_asked?.length) say(part("said"), t("chat.unasked"));
      return true;
    } catch (error) {
      this.#alarm(error);
      return false;
    } finally {
      this.#isBusy = false;
    }
  }

  #choose(verdict) {
    this.#verdict = verdict;
    this.#scale.update(verdict);
    markVoices(verdict.choice);
    set(part("submit"), "aria-disabled", verdict.choice === null ? "true" : null);
  }

  #toggleWhy() {
    const isOpen = part("why").getAttribute("aria-expanded") !== "true";
    set(part("why"), "aria-expanded", isOpen);
    set(part("why-panel"), "hidden", isOpen ? null : "");
    if (isOpen) part("critique").focus();
  }

  #pressed(event) {
    if (this.#talk.phase !== "rating" || event.altKey || event.metaKey || event.isComposing || isTyped(event)) return;
    const command = this.#command(event);
    if (!command || (!this.#shortcuts.areOn && !event.ctrlKey)) return;
    event.preventDefault();
    command();
  }

  /** What a key does while two answers are compared; null where it is none of ours. */
  #command({ key, code, ctrlKey, repeat, shiftKey }) {
    if (key === "Enter") return repeat || shiftKey ? null : () => this.#vote();
    if (ctrlKey) return null;
    const digit = /^[12]$/.test(key) ? key : /^(?:Digit|Numpad)([12])$/.exec(code)?.[1];
    const letter = /^[a-z]$/i.test(key) ? key.toLowerCase() : /^Key([A-Z])$/.exec(code)?.[1]?.toLowerCase();
    const arrow = { ArrowLeft: -1, ArrowRight: 1 }[key];
    const more = { ">": 1, ".": 1, "<": -1, ",": -1 }[key];
    if (key === "=" || key === "0") return () => this.#choose({ choice: "tie", strength: null });
    if (more) return boot.strengths ? () => this.#choose(stronger(this.#verdict, more)) : null;
    if (digit) return () => this.#choose({ choice: PREFERRED[digit], strength: null });
    if (arrow) return () => this.#choose(shifted(this.#verdict, boot.dir === "rtl" ? -arrow : arrow, boot.strengths));
    if (letter === "a" || letter === "b") return () => this.#choose({ choice: PREFERRED[letter === "a" ? 1 : 2], strength: null });
    if (letter === "x") return () => this.#choose({ choice: "bad", strength: null });
    if (letter === "w" && document.getElementById("why")) return () => this.#toggleWhy();
    if (key === "Backspace") return () => this.#choose(NOTHING);
    return null;
  }

  #keep() {
    try {
      if (this.#words.value) this.#storage.setItem(this.#draft, this.#words.value);
      else this.#storage.removeItem(this.#draft);
    } catch {
      // no room left: the message lives in this page only
    }
  }

  #alarm(error) {
    const what = error.status === 0 ? t("chat.unreachable") : [error.message, error.then].filter(Boolean).join(". ");
    say(part("alarm"), what);
    set(part("alarm"), "hidden", null);
  }

  #calm() {
    set(part("alarm"), "hidden", "");
  }
}

/** Whether a key belongs to a field, a dialog, or with Enter to a button or link. */
function isTyped({ target, key, ctrlKey }) {
  if (document.querySelector("dialog[open]")) return true;
  if (!(target instanceof Element)) return false;
  if (target.closest("textarea, input, select")) return !(ctrlKey && key === "Enter");
  return key === "Enter" && target.closest("button, a[href], summary") !== null && !target.closest(".steps, .scale");
}

/** A random UUID; crypto.randomUUID is missing where a page is served without TLS to another machine. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

if (document.getElementById("dock")) new ChatPage().start();
