/** Links out of the service open only after a question that shows where they lead. */

import { button, element } from "./dom.js";

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-external]") : null;
  if (!link) return;
  event.preventDefault();
  ask(link.href);
});
document.addEventListener("auxclick", (event) => {
  if (event.target instanceof Element && event.target.closest("a[data-external]")) event.preventDefault();
});

function ask(address) {
  const words = document.getElementById("link-words").dataset;
  const out = { href: address, target: "_blank", rel: "noopener noreferrer nofollow" };
  const leave = element("a", { class: "button primary", ...out }, words.open);
  const stay = button({ class: "button", autofocus: true, onclick: () => dialog.close() }, words.stay);
  const dialog = element(
    "dialog",
    { "aria-labelledby": "link-question" },
    element("h2", { id: "link-question" }, words.question),
    element("p", { class: "soft" }, words.warning),
    element("p", { class: "mono address", dir: "ltr", translate: "no" }, address),
    element("div", { class: "actions" }, stay, leave),
  );
  leave.addEventListener("click", () => setTimeout(() => dialog.close(), 0));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
