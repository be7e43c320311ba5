/**
 * Notices that the browser translates the page: what is judged then is not the text in the store.
 *
 * Chromium's translator sets class translated-ltr or -rtl on <html> and wraps text into <font>; others change `lang`,
 * the title, or leave marks of their own.
 */

const MARKS = "font, [_msttexthash], [msthash], .goog-text-highlight";

/** Calls `found` once, when it is noticed. @returns {() => boolean} whether it was */
export function watchTranslation(found, page = document) {
  const root = page.documentElement;
  const { lang } = root;
  const { title } = page;
  let isTranslated = false;
  const observer = new MutationObserver((changes) => {
    if (changes.some(isMark) || /\btranslated-(ltr|rtl)\b/.test(root.className) || root.lang !== lang || page.title !== title) {
      isTranslated = true;
      observer.disconnect();
      found();
    }
  });
  observer.observe(root, { attributes: true, attributeFilter: ["lang", "class", "_msttexthash"], subtree: false });
  observer.observe(page.head, { childList: true, characterData: true, subtree: true });
  observer.observe(page.body, { childList: true, subtree: true });
  return () => isTranslated;
}

function isMark({ type, addedNodes }) {
  if (type !== "childList") return false;
  return [...addedNodes].some((node) => node instanceof Element && (node.matches(MARKS) || node.querySelector(MARKS)));
}
