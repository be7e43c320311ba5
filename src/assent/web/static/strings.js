/** Words of the page: every visible string comes from the catalog that the server put into the boot data. */

/** What the server told the page at its start. */
export const boot = JSON.parse(document.getElementById("boot")?.textContent || "{}");

/**
 * The text of a key, with {name} placeholders filled. A key without text shows itself, so that a gap is seen.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const text = boot.t?.[pluralOf(key, values.count)] ?? boot.t?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The key's form for a number: key.one, key.few … key.other, by the language's rules. */
function pluralOf(key, count) {
  if (typeof count !== "number") return key;
  const form = `${key}.${new Intl.PluralRules(boot.lang || "en").select(count)}`;
  return form in (boot.t ?? {}) ? form : `${key}.other`;
}

/** A number as the reader's language writes it. */
export const number = (value) => new Intl.NumberFormat(boot.lang || "en").format(value);
