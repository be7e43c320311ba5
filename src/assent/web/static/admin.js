/** What admin pages do better with scripts: local times, added rows, files, an order in words, copying. */

import { localize } from "./moments.js";

localize(document);

/* rows of criteria and attributes: a copy of the last, empty row under the next number */
for (const table of document.querySelectorAll("[data-rows]")) {
  const add = table.querySelector("[data-add]");
  add.hidden = false;
  add.addEventListener("click", () => {
    const rows = [...table.querySelectorAll("[data-row]")];
    const copy = rows.at(-1).cloneNode(true);
    const name = table.dataset.rows;
    for (const part of copy.querySelectorAll("[id], [name], [for], [aria-describedby]")) {
      for (const attribute of ["id", "name", "for", "aria-describedby"]) {
        const value = part.getAttribute(attribute);
        if (value) part.setAttribute(attribute, value.replaceAll(`${name}.${rows.length - 1}.`, `${name}.${rows.length}.`));
      }
      if ("value" in part && part.name) part.value = "";
      part.removeAttribute("aria-invalid");
    }
    for (const error of copy.querySelectorAll(".error")) error.remove();
    for (const field of copy.querySelectorAll(".wrong")) field.classList.remove("wrong");
    rows.at(-1).after(copy);
    copy.querySelector("input, textarea").focus();
  });
}

/* files: the body of one request, so that a large one need not pass through a form */
for (const form of document.querySelectorAll("[data-upload]")) {
  const place = form.querySelector("[data-file]");
  const input = place.querySelector("input");
  const said = form.querySelector("[data-said]");
  place.hidden = false;
  form.addEventListener("submit", async (event) => {
    const [file] = input.files;
    if (!file) return;
    event.preventDefault();
    const fields = new FormData(form);
    const [purpose, replace] = [fields.get("purpose") ?? "reward", fields.get("replace") ?? ""];
    const button = form.querySelector("button");
    button.disabled = true;
    said.textContent = "…";
    said.classList.remove("error");
    try {
      const query = new URLSearchParams({ file: file.name, purpose, replace });
      const answer = await fetch(`${form.dataset.upload}?${query}`, {
        method: "POST",
        body: file,
        headers: {
          "Content-Type": "application/octet-stream",
          "X-CSRF-Token": document.querySelector('meta[name="csrf"]').content,
          Accept: "application/json",
        },
      });
      const found = await answer.json();
      if (!answer.ok) throw new Error([found.error?.what, found.error?.do].filter(Boolean).join(". "));
      const here = new URL(location.href);
      const counts = { changed: found.changed, aside: found.set_aside, gold: found.gold_dropped };
      const said = replace ? { done: "replaced", n: found.added, ...counts } : { done: "added", n: found.added };
      here.search = new URLSearchParams({ purpose, ...said });
      location.assign(here);
    } catch (error) {
      said.textContent = error.message;
      said.classList.add("error");
      button.disabled = false;
      input.value = "";
    }
  });
}

/* an order of places, said as a sentence while it is made */
for (const group of document.querySelectorAll("[data-order]")) {
  const sentence = group.parentElement.querySelector("[data-sentence]");
  const say = () => {
    const places = new Map();
    for (const box of group.querySelectorAll("input:checked")) {
      places.set(Number(box.value), [...(places.get(Number(box.value)) ?? []), box.dataset.letter]);
    }
    const tiers = [...places].sort(([a], [b]) => a - b).map(([, letters]) => letters.join(" = "));
    sentence.textContent = tiers.join(" > ");
    sentence.hidden = tiers.length === 0;
  };
  group.addEventListener("change", say);
  say();
}

/* secrets that are told once: one press selects and copies */
async function copy(input) {
  input.select();
  if (navigator.clipboard) return navigator.clipboard.writeText(input.value);
  if (!document.execCommand("copy")) throw new Error("not copied"); // pages of a plain http address have no clipboard
}
for (const input of document.querySelectorAll("[data-copy]")) {
  input.addEventListener("focus", () => input.select());
  input.addEventListener("click", () => copy(input).catch(() => {}));
}
for (const button of document.querySelectorAll("[data-copy-of]")) {
  const before = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await copy(document.getElementById(button.dataset.copyOf)).then(
      () => (button.textContent = button.dataset.done),
      () => {}, // the text stays selected, so that the keyboard copies it
    );
    setTimeout(() => (button.textContent = before), 2000);
  });
}
