/** The rating page: tasks come in, the rater's commands go to the task at work, judgments go out. */

import { Carousel } from "./carousel.js";
import { Task } from "./task.js";
import { Shortcuts, showHelp, Skip, Trouble, wireDialogs } from "./dialogs.js";
import { part, say, set } from "./dom.js";
import { Drafts, isLasting, openStorage, read } from "./drafts.js";
import { watchDrags } from "./drag.js";
import { Earlier } from "./earlier.js";
import { Guidelines } from "./guidelines.js";
import { getJson, postJson, postLeaving } from "./http.js";
import { commandOf, isTaken } from "./keys.js";
import { EMPTY } from "./order.js";
import { Prompt } from "./prompt.js";
import { Outbox } from "./outbox.js";
import { Rail } from "./rail.js";
import { Reading } from "./reading.js";
import { Scale } from "./scale.js";
import { dimShared } from "./similarity.js";
import { boot, number, t } from "./strings.js";
import { Supply } from "./supply.js";
import { watchTranslation } from "./translation.js";
import { toJudgment, withOrder } from "./verdict.js";
import { Views } from "./view.js";

const SETTLE_MS = 250;
/** An Enter so soon after a task appeared, before any other key, belonged to the one before. */
const LOOK_MS = 30_000;
const LEFT = `assent.left.${boot.rater}`;
/** Where the tokens of tasks are kept that were left last. */
/** What happens while somebody writes, or by itself, leaves the last message standing. */
const QUIET = new Set(["noted", "edited", "critique", "written", "look", "undo"]);

class RatingPage {
  #act = (command) => this.act(command);
  #storage = openStorage();
  #drafts = new Drafts(this.#storage, boot.rater);
  #where = `project=${encodeURIComponent(boot.project)}&purpose=${encodeURIComponent(boot.purpose)}`;
  #outbox = new Outbox(this.#storage, boot.rater, (body) => postJson("/rating/submit", body), (said) => this.#sent(said));
  #supply = new Supply(
    (limit) => getJson(`/rating/next?${this.#where}&limit=${limit}`),
    (token) => postJson("/rating/renew", { token }),
    () => this.#outbox.tasks,
    (answer) => this.#supplied(answer),
  );
  #views = new Views(this.#act);
  #prompt = new Prompt(this.#act);
  #rail = new Rail(this.#act);
  #scale = new Scale(this.#act);
  #reading = new Reading();
  #carousel = new Carousel((id) => this.#turned(id));
  #guidelines = new Guidelines(this.#storage, boot.rater, boot.project);
  #skip = new Skip((reason) => this.#skipped(reason));
  #trouble = new Trouble(this.#outbox);
  #shortcuts = new Shortcuts(this.#storage);
  #isTranslated = watchTranslation(() => set(part("translated"), "hidden", null));
  #earlier = null;
  #settings = null;
  #progress = null;
  #before = 0;
  #hasGrown = false;
  #task = null;
  #view = null;
  #shownAt = 0;
  #saving = 0;
  #dims = false;
  #isUntouched = true;
  #picked = null;

  start() {
    document.addEventListener("keydown", (event) => this.#pressed(event));
    watchDrags(document.body, (id, spot) => this.act({ name: "spot", id, spot }));
    for (const button of document.querySelectorAll("[data-do]")) {
      button.addEventListener("click", () => this.act({ name: button.dataset.do, by: "pointer" }));
    }
    part("critique").addEventListener("input", ({ target }) => this.act({ name: "critique", text: target.value }));
    part("critique").addEventListener("blur", () => this.act({ name: "written", key: "critique" }));
    part("answers").addEventListener("pointerdown", (event) => this.#touched(event));
    part("answers").addEventListener("focusin", (event) => this.#touched(event));
    part("prompt").addEventListener("pointerenter", () => this.#reading.atPrompt());
    part("again").addEventListener("click", () => this.#fetch());
    part("answers").addEventListener("pointerdown", () => (this.#picked = selectionIn(part("answers"))), true);
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", ({ persisted }) => persisted && this.#comeBack());
    addEventListener("beforeunload", (event) => {
      if (this.#outbox.waiting.length && !isLasting(this.#storage)) event.preventDefault();
    });
    document.addEventListener("visibilitychange", () => document.hidden && this.#save());
    setInterval(() => this.#look(), LOOK_MS);
    wireDialogs();
    this.#outbox.send();
    this.#trouble.update();
    this.#arrive();
  }

  /** Do what a key, a button or a drag asked for. */
  act(command) {
    if (command.name !== "submit") this.#isUntouched = false;
    const own = this[`do_${command.name}`];
    const said = own ? own.call(this, command) : this.#task?.act(command);
    if (typeof said === "string") this.#tell(t(said, { letter: this.#task?.letterOf(this.#task.current) ?? "" }));
    else if (!QUIET.has(command.name)) this.#tell("");
    if (!this.#task) return;
    // What a press away from a field ends is drawn with what the press does: nothing moves under the finger.
    if (command.name !== "written") this.#update();
    this.#after(command);
    this.#saveSoon();
  }

  do_undo() {
    this.#tell("");
    if (this.#task?.undo()) return;
    this.#takeBack();
  }

  do_submit() {
    if (!this.#task) return null;
    if (this.#isUntouched && performance.now() - this.#shownAt < SETTLE_MS) return null;
    if (this.#task.standing.canSubmit) {
      this.#submit({});
      return "rate.said.submitted";
    }
    return this.#task.layout === "rate" ? "rate.said.scoreFirst" : "rate.said.placeAll";
  }

  do_skip() {
    if (this.#task) this.#skip.ask();
  }

  do_leave() {
    this.#earlier.reset();
    this.#drafts.drop(this.#task.item.task_id);
    this.#show(this.#supply.items[0] ?? null);
  }

  do_guidelines() {
    this.#guidelines.toggle();
  }

  do_help() {
    showHelp(this.#task?.layout ?? "rank", this.#task?.item.answers.length ?? 4);
  }

  do_prompt() {
    this.#prompt.fold();
  }

  do_shared() {
    this.#dims = !this.#dims;
    this.#dim();
  }

  do_lengths({ target = part("lengths") }) {
    const isOn = document.body.classList.toggle("with-lengths");
    set(target, "aria-pressed", isOn);
  }

  do_why() {
    if (!this.#settings.critique) return "rate.said.noNotes";
    const panel = part("critique-panel");
    const isOpen = panel.hidden;
    set(panel, "hidden", isOpen ? null : "");
    set(part("why"), "aria-expanded", isOpen);
    if (isOpen) part("critique").focus();
    return null;
  }

  do_edit({ id }) {
    const answer = id ?? this.#task?.current;
    if (!answer) return "rate.said.chooseFirst";
    if (!this.#settings.edits) return "rate.said.noEdits";
    const card = this.#view.cardOf(answer);
    this.#task.current = answer;
    card.edit();
    if (!card.isEditing) card.focus();
    return null;
  }

  do_raw({ id }) {
    const answer = id ?? this.#task?.current;
    if (!answer) return "rate.said.chooseFirst";
    if (this.#settings.texts !== "plain") this.#view.cardOf(answer).showRaw();
    return null;
  }

  do_note({ id, by }) {
    if (!this.#settings.critique) return "rate.said.noNotes";
    // A press of the mouse drops the selection before the button hears of it.
    const picked = selectionIn(part("answers")) ?? (by === "pointer" ? this.#picked : null);
    const answer = by === "pointer" ? id : (picked?.id ?? id);
    const isAbout = picked !== null && picked.id === (answer ?? picked.id);
    return this.#task.act({ name: "note", id: answer, quote: isAbout ? picked.quote : "" });
  }

  // Keys and pointers

  #pressed(event) {
    const { target } = event;
    if (event.defaultPrevented) return;
    if (target instanceof Element && target.matches("textarea, input[type=text]")) {
      if (event.key === "Escape" || (event.key === "Enter" && event.ctrlKey)) this.#leaveField(event);
      return;
    }
    const isPlainEnter = event.key === "Enter" && !event.ctrlKey;
    if (isTaken(target, { isEnter: isPlainEnter })) return;
    const command = commandOf(event, this.#task?.layout ?? "rank", document.dir === "rtl");
    if (!command || (!this.#shortcuts.areOn && !event.ctrlKey)) return;
    event.preventDefault();
    if (isPlainEnter && !this.#task?.standing.isWhole) return;
    this.act({ ...command, by: "key" });
  }

  /** Escape and Ctrl+Enter end writing; the card has the focus again. */
  #leaveField(event) {
    if (event.target.closest("dialog")) return;
    event.preventDefault();
    const card = this.#view?.cardOf(event.target.closest(".answer")?.dataset.id);
    if (card?.isEditing && event.target.closest(".edit")) card.edit(false);
    if (card) card.focus();
    else event.target.blur();
    this.#update();
  }

  /** A press or the focus in a card makes it the one that marks and notes speak of. */
  #touched({ target }) {
    const id = target.closest(".answer")?.dataset.id;
    if (!id || !this.#task || this.#task.current === id) return;
    this.#task.current = id;
    this.#update();
  }

  #turned(id) {
    if (!this.#task || this.#task.current === id) return;
    this.#task.current = id;
    this.#update();
  }

  // Tasks

  async #fetch() {
    try {
      await this.#supply.refill();
      set(part("alarm"), "hidden", "");
    } catch (error) {
      if (error.status === undefined) throw error;
      if (error.status === 401) this.#outbox.isSignedOut = true;
      this.#trouble.update();
      if (this.#task) return;
      say(part("alarm"), error.status ? `${error.message}. ${error.then ?? ""}` : t("rate.alarm.offline"));
      set(part("alarm"), "hidden", null);
      this.#show(null);
    }
  }

  /** Others get what is not begun at once, and not when its time has run out. */
  #leave() {
    this.#save({ isLeaving: true });
    const [first] = this.#supply.items;
    const isBegun = this.#task?.item === first ? this.#task?.isTouched : this.#drafts.load(first?.task_id);
    const tokens = this.#supply.leave(isBegun ? first.task_id : null);
    if (!tokens.length) return;
    if (this.#task?.item === first && !isBegun) this.#task = null;
    postLeaving("/rating/leave", { tokens });
    try {
      this.#storage.setItem(LEFT, JSON.stringify(tokens));
    } catch {
      // no room left: it matters only where the request is slower than the next page
    }
  }

  /** What this tab left may still be on its way: it must not arrive after the tasks were taken again. */
  async #arrive() {
    const tokens = read(this.#storage, LEFT) ?? [];
    if (tokens.length) await postJson("/rating/leave", { tokens }).catch(() => null);
    this.#storage.removeItem(LEFT);
    return this.#fetch();
  }

  /** The page is shown again as it was left, without what others may have taken since. */
  #comeBack() {
    if (!this.#task) this.#show(null);
    this.#arrive();
  }

  /** @param {{ project: object, progress: object } | null} answer null: that was all */
  #supplied(answer) {
    if (answer) {
      const { project, progress } = answer;
      this.#settings = { ...project, criteria: project.criteria ?? [], flags: project.flags ?? [] };
      this.#earlier ??= new Earlier(() => getJson(`/rating/recent?${this.#where}`), project.undo_seconds ?? 600);
      this.#progress = progress;
      this.#end(answer.over);
      set(part("why"), "hidden", project.critique ? null : "");
      this.#guidelines.show(project.guideline);
      this.#views.prepare(this.#supply.items, this.#settings);
      this.#count();
      this.#compare();
    }
    const [first] = this.#supply.items;
    const at = this.#task?.supersedes ? null : this.#task?.item;
    const isReplaced = at && first?.task_id === at.task_id && first.content !== at.content;
    if (!this.#task || isReplaced) this.#show(first ?? null);
    if (isReplaced) this.#tell(t("rate.said.replaced"));
  }

  /** What a rater whose part is over is told, and takes along. @param {{ why, code, url } | null} over */
  #end(over) {
    set(part("over"), "hidden", over ? null : "");
    set(part("not-over"), "hidden", over ? "" : null);
    if (!over) return;
    say(part("over-why"), t(`rate.over.${over.why}`));
    say(part("over-code"), over.code);
    set(part("over-code-line"), "hidden", over.code ? null : "");
    set(part("over-link"), "href", over.url || "/");
    set(part("over-go"), "hidden", over.url ? null : "");
  }

  /** Put a task into the page; null says that there is none. */
  #show(item, { verdict = null, supersedes = null, reading = null } = {}) {
    set(part("loading"), "hidden", item || !this.#supply.isAsking ? "" : null);
    set(part("empty"), "hidden", item || this.#supply.isAsking ? "" : null);
    set(part("task"), "hidden", item ? null : "");
    set(part("reopened"), "hidden", supersedes ? null : "");
    if (!item) {
      this.#task = this.#view = null;
      part("answers").replaceChildren();
      return;
    }
    this.#view = supersedes ? this.#views.anew(item) : this.#views.of(item);
    this.#task = new Task(item, this.#settings, () => this.#reading.elapsedMs);
    if (supersedes) this.#task.reopen(verdict, supersedes);
    const kept = this.#drafts.load(item.task_id);
    const isSame = (kept?.content ?? item.content) === item.content;
    const isOurs = kept && isSame && (kept.desk.supersedes ?? null) === supersedes;
    if (isOurs) this.#task.resume(kept.desk);
    document.body.dataset.layout = this.#task.layout;
    this.#prompt.show(this.#view.turns);
    this.#carousel.show(this.#view.cards, this.#task.layout === "rate");
    this.#reading.start(this.#view.cards, isOurs ? kept.reading : reading);
    part("critique").value = this.#task.verdict.critique;
    set(part("critique-panel"), "hidden", this.#task.verdict.critique ? null : "");
    set(part("why"), "aria-expanded", Boolean(this.#task.verdict.critique));
    set(part("shared"), "hidden", this.#task.layout === "rate" ? "" : null);
    this.#shownAt = performance.now();
    this.#isUntouched = true;
    this.#update();
    this.#dim();
    if (!document.querySelector("dialog[open]")) this.#prompt.focus();
  }

  #submit({ skip_reason = null }) {
    const { item, verdict, supersedes, events } = this.#task;
    const said = toJudgment(skip_reason ? withOrder(verdict, EMPTY) : verdict, item.kind);
    const judgment = {
      id: uuid(),
      task_id: item.task_id,
      token: item.token,
      ...said,
      skip_reason,
      supersedes,
      seconds: this.#reading.seconds,
      activity: this.#reading.activity(),
      translated: this.#isTranslated(),
      events,
    };
    for (const read of ["trained", "grown"]) set(part(read), "hidden", "");
    this.#outbox.add(judgment);
    this.#drafts.drop(item.task_id);
    this.#supply.done(item.task_id);
    this.#earlier.add(item, judgment.id, verdict, this.#reading.toDraft());
    this.#fetch();
    this.#show(this.#supply.items[0] ?? null);
    this.#views.prepare(this.#supply.items, this.#settings);
    this.#count();
  }

  #skipped(reason) {
    this.#submit({ skip_reason: reason });
    this.#tell(t("rate.said.skipped"));
  }

  async #takeBack() {
    if (!this.#earlier) return;
    this.#save({ isLeaving: true });
    const entry = await this.#earlier.back().catch(() => null);
    if (!entry) {
      this.#tell(t("rate.said.nothingToUndo"));
      return;
    }
    this.#show(entry.item, { verdict: entry.verdict, supersedes: entry.judgment, reading: entry.reading });
    this.#tell(t("rate.said.takenBack"));
  }

  #sent(said) {
    this.#trouble.update();
    this.#count();
    const unasked = said?.no_longer_asked ?? [];
    if (said) set(part("unasked"), "hidden", unasked.length ? null : "");
    if (unasked.length) say(part("unasked"), t("rate.said.unasked", { what: unasked.map(inWords).join(", ") }));
    if (!this.#outbox.waiting.length) this.#fetch();
  }

  /** Every half minute: leases of a rater at work are kept, an empty queue is asked again. */
  #look() {
    if (document.hidden) return;
    const lease = this.#settings?.lease_seconds ?? 900;
    if (!this.#supply.items.length) this.#fetch();
    else if (this.#reading.isRunning) this.#supply.keep(Date.now() / 1000, lease);
  }

  // The page

  #update() {
    const task = this.#task;
    for (const card of this.#view.cards) card.update(task);
    this.#rail.update(task);
    this.#scale.update(task);
    if (task.layout === "rate") this.#view.cards[0].point(task.criterion);
    const { canSubmit } = task.standing;
    set(part("submit"), "aria-disabled", canSubmit ? null : "true");
    const { critique } = task.verdict;
    const field = part("critique");
    if (field.value !== critique && document.activeElement !== field) field.value = critique;
    part("why").classList.toggle("said", critique !== "");
  }

  /** What a command does to focus and sight. */
  #after({ name, by }) {
    const card = this.#view?.cardOf(this.#task.current);
    if (name === "note" && this.#task.noteKey) card?.focusNote(this.#task.noteKey);
    else if (["next", "previous", "look", "place"].includes(name) && this.#task.layout !== "rate") {
      this.#carousel.look(this.#task.current);
      if (by === "key" || name === "look") card?.focus();
    }
  }

  #dim() {
    set(part("shared"), "aria-pressed", this.#dims);
    dimShared(this.#view?.cards.map((card) => card.text) ?? [], this.#dims);
  }

  #count() {
    if (!this.#progress) return;
    const unsent = this.#outbox.waiting.length;
    say(part("today"), t("rate.progress.today", { n: number(this.#progress.today + unsent) }));
    say(part("waiting"), t("rate.progress.waiting", { n: number(this.#left) }));
  }

  get #left() {
    return this.#progress.waiting + this.#supply.items.length;
  }

  /** Says once, with an answer of the server, why more waits than with the one before. */
  #compare() {
    const left = this.#left;
    if (left > this.#before && this.#before > 0 && !this.#hasGrown) {
      this.#hasGrown = true;
      say(part("grown"), t("rate.grown"));
      set(part("grown"), "hidden", null);
    }
    this.#before = left;
  }

  #tell(text) {
    say(part("said"), text);
  }

  #saveSoon() {
    // After the frame that shows the change: a key is answered first, kept a moment later.
    this.#saving ||= requestAnimationFrame(() => setTimeout(() => this.#save(), 0));
  }

  #save({ isLeaving = false } = {}) {
    this.#saving = 0;
    if (!this.#task) return;
    const { item, isTouched, canUndo } = this.#task;
    if (!isTouched && !canUndo && !isLeaving) return;
    const { content } = item;
    this.#drafts.save(item.task_id, { content, desk: this.#task.toDraft(), reading: this.#reading.toDraft() });
  }
}

/** The text selected in one answer, and whose it is. */
function selectionIn(host) {
  const selection = getSelection();
  if (!selection || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const node = range.commonAncestorContainer;
  const text = (node instanceof Element ? node : node.parentElement)?.closest(".answer-text");
  const quote = selection.toString().trim();
  if (!text || !host.contains(text) || !quote) return null;
  return { id: text.closest(".answer").dataset.id, quote: quote.slice(0, 2000) };
}

const WORDS = { edits: "rate.edit.head", critique: "rate.why", strengths: "rate.scale" };

/** What is no longer asked, as the page calls it: "criterion helpful", "flag unsafe", edits, critique, strengths. */
function inWords(part) {
  const [kind, ...name] = part.split(" ");
  if (kind === "criterion") return name.join(" ");
  return t(kind === "flag" ? `rate.flag.${name.join(" ")}` : WORDS[kind]);
}

/** A random UUID; crypto.randomUUID is missing where a page is served without TLS to another machine. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

new RatingPage().start();
