/** Elements from data, never from strings of HTML. */

/**
 * element("button", { class: "button", onclick: f, "aria-pressed": "true", disabled: false }, "text", child)
 * Functions become listeners; true sets an empty attribute; false, null and undefined set nothing.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, String(value));
  }
  made.append(...children.flat().filter((child) => child != null && child !== false));
  return made;
}

/**
 * A button. `label` is what it says to those who do not see it, and its tooltip; without one its text says it all.
 * button({ class: "tool", label: "Unsafe: answer A", onclick: f }, "Unsafe")
 */
export function button({ label = null, tip = label, ...attributes }, ...children) {
  return element("button", { type: "button", "aria-label": label, title: tip, ...attributes }, ...children);
}

/** Something to see that says nothing to a screen reader. */
export const unheard = (kind, ...children) => element("span", { class: kind, "aria-hidden": "true" }, ...children);

/** Set an attribute only where it differs: an unchanged page is not laid out again. */
export function set(target, name, value) {
  if (value === null || value === false) {
    if (target.hasAttribute(name)) target.removeAttribute(name);
  } else if (target.getAttribute(name) !== String(value)) target.setAttribute(name, String(value));
}

/** Set the text only where it differs: a live region that says the same again is not read again. */
export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** @returns {HTMLElement} the element with this id, which the page must have */
export function part(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}
