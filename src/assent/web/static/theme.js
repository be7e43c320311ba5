/* Light or dark: what the system says, unless the person chose. A classic script in <head>, so that nothing flashes. */
(() => {
  const root = document.documentElement;
  const kept = () => {
    try {
      return localStorage.getItem("assent.theme");
    } catch {
      return null; // storage may be forbidden; then the system decides
    }
  };
  const isDark = () => {
    const chosen = root.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const mark = () => {
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.setAttribute("aria-pressed", String(isDark()));
    }
  };
  const chosen = kept();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  document.addEventListener("DOMContentLoaded", mark);
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-theme-toggle]")) return;
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("assent.theme", root.dataset.theme);
    } catch {
      // chosen for this page only
    }
    mark();
  });
})();
