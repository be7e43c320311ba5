/** Moments in the reader's own time and language; the server writes them in UTC. */

const language = document.documentElement.lang || "en";
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric" });
const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
export const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });

/** Rewrite every <time datetime> below a node. @param {ParentNode} node */
export function localize(node) {
  for (const time of node.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = at.toISOString();
    time.textContent = (time.hasAttribute("data-day") ? day : moment).format(at);
  }
}
