/** How much better, as bars: digits would look like the keys of answers. */

import { element, unheard } from "./dom.js";
import { MAX_STRENGTH } from "./order.js";

/** Four bars, of which as many are filled as is said. */
export function barsOf(strength) {
  const bars = Array.from({ length: MAX_STRENGTH }, (_, i) => element("i", { class: i < strength ? "on" : "" }));
  return unheard("bars", bars);
}
