/**
 * Notices that the browser translates the page: what is judged then is not the text in the store.
 *
 * Chromium's translator sets class translated-ltr or -rtl on <html> and wraps text into <font>; others change `lang`,
 * the title, or leave marks of their own.
 */

const HASHES = ["_msttexthash", "_msthash", "msthash"];
const MARKS = "font, [_msttexthash], [msthash], .goog-text-highlight";

/** Calls `found` once, when it is noticed. @returns {() => boolean} whether it was */
export function watchTranslation(found, page = document) {
  const root = page.documentElement;
  const { lang } = root;
  const { title } = page;
  let isTranslated = false;
  const isMarked = () => /\btranslated-(ltr|rtl)\b/.test(root.className) || root.lang !== lang || page.title !== title;
  const observer = new MutationObserver((changes) => {
    if (isTranslated || !(changes.some(isMark) || isMarked())) return;
    isTranslated = true;
    observer.disconnect();
    found();
  });
  observer.observe(root, { attributes: true, attributeFilter: ["lang", "class", ...HASHES] });
  observer.observe(page.head, { childList: true, characterData: true, subtree: true });
  observer.observe(page.body, { childList: true, subtree: true, attributeFilter: HASHES });
  return () => isTranslated;
}

function isMark({ type, addedNodes, attributeName }) {
  if (type !== "childList") return HASHES.includes(attributeName);
  return [...addedNodes].some((node) => node instanceof Element && (node.matches(MARKS) || node.querySelector(MARKS)));
}
