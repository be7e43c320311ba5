/** Moments in the reader's language: in the time zone of a project where one is named, else in the reader's own. */

const language = document.documentElement.lang || "en";
const DAY = { day: "numeric", month: "short", year: "numeric" };
const MOMENT = { ...DAY, hour: "2-digit", minute: "2-digit" };
const formats = new Map();
export const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });

/** Rewrite every <time datetime> below a node. @param {ParentNode} node */
export function localize(node) {
  for (const time of node.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = at.toISOString();
    time.textContent = formatOf(time.hasAttribute("data-day"), time.dataset.zone).format(at);
  }
}

function formatOf(isDay, zone) {
  const key = `${isDay} ${zone}`;
  if (!formats.has(key)) formats.set(key, made(isDay, zone));
  return formats.get(key);
}

/** Where this browser does not know the zone: in UTC, and said. */
function made(isDay, zone) {
  const how = isDay ? DAY : { ...MOMENT, ...(zone ? { timeZoneName: "short" } : {}) };
  try {
    return new Intl.DateTimeFormat(language, { ...how, timeZone: zone });
  } catch {
    return new Intl.DateTimeFormat(language, { ...how, timeZone: "UTC", timeZoneName: "short" });
  }
}
