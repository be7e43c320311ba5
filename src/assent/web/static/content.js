/** Text that the server sanitized, as elements: a second wall behind the first, in an inert document. */

const NEVER =
  "script, style, link, meta, base, title, iframe, frame, frameset, object, embed, applet, form, input, textarea, " +
  "select, option, button, dialog, template, slot, portal, svg, img, picture, source, video, audio, track, canvas, " +
  "map, area, maction, noscript";
const KEPT = new Set(
  ("class title lang dir translate start reversed value colspan rowspan scope align href rel target tabindex role " +
    "data-external data-plain data-language data-table data-image data-marker data-tight data-written data-info data-open " +
    "data-closed data-blank data-mark data-source display displaystyle scriptlevel mathvariant stretchy fence separator accent accentunder columnalign form " +
    "linethickness lspace rspace minsize maxsize movablelimits width xmlns").split(" "),
);
const LINK = /^(https?:|mailto:|#)/i;

/**
 * A fragment from the server's HTML. Whatever could run, load or escape is dropped, should it ever get this far.
 * @param {string} html
 */
export function contentOf(html) {
  const inert = new DOMParser().parseFromString(html, "text/html");
  for (const bad of inert.body.querySelectorAll(NEVER)) bad.remove();
  for (const node of inert.body.querySelectorAll("*")) {
    for (const { name, value } of [...node.attributes]) {
      const isKept = KEPT.has(name) || name.startsWith("aria-");
      if (!isKept || (name === "href" && !LINK.test(value.trim()))) node.removeAttribute(name);
    }
    if (node.localName === "a") node.setAttribute("rel", "noopener noreferrer nofollow");
  }
  const fragment = document.createDocumentFragment();
  fragment.append(...[...inert.body.childNodes].map((node) => document.importNode(node, true)));
  return fragment;
}
