/** Dragging a letter to a spot of the rail, with mouse, pen or finger. */

const SLOP = 6;
/** Pixels before a press becomes a drag. */

/**
 * Elements with data-drag can be picked up; elements with data-gap or data-tier take them.
 * @param {(id: string, spot: { gap: number } | { tier: number }) => void} dropped
 */
export function watchDrags(root, dropped) {
  root.addEventListener("pointerdown", (press) => {
    const handle = press.target instanceof Element ? press.target.closest("[data-drag]") : null;
    if (handle && press.button === 0) new Drag(handle, press, dropped);
  });
}

class Drag {
  #handle;
  #from;
  #dropped;
  #ghost = null;
  #spot = null;
  #until = new AbortController();

  constructor(handle, press, dropped) {
    this.#handle = handle;
    this.#from = press;
    this.#dropped = dropped;
    const options = { signal: this.#until.signal };
    addEventListener("pointermove", (event) => this.#move(event), options);
    addEventListener("pointerup", () => this.#end(true), options);
    addEventListener("pointercancel", () => this.#end(false), options);
    addEventListener("keydown", (event) => event.key === "Escape" && this.#end(false), options);
  }

  #move({ clientX, clientY }) {
    const { clientX: x, clientY: y } = this.#from;
    if (!this.#ghost) {
      if (Math.hypot(clientX - x, clientY - y) < SLOP) return;
      this.#lift();
    }
    this.#ghost.style.translate = `${clientX}px ${clientY}px`;
    const under = document.elementFromPoint(clientX, clientY)?.closest("[data-gap], [data-tier]") ?? null;
    if (under === this.#spot) return;
    this.#spot?.classList.remove("over");
    under?.classList.add("over");
    this.#spot = under;
  }

  #lift() {
    this.#ghost = this.#handle.cloneNode(true);
    this.#ghost.className = "letter ghost";
    this.#ghost.removeAttribute("data-drag");
    this.#ghost.setAttribute("aria-hidden", "true");
    document.body.append(this.#ghost);
    document.body.classList.add("dragging");
  }

  #end(isDrop) {
    this.#until.abort();
    if (!this.#ghost) return;
    this.#ghost.remove();
    this.#spot?.classList.remove("over");
    document.body.classList.remove("dragging");
    // The click that follows a drop on the same element is not a click.
    const swallow = (event) => event.stopPropagation();
    addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => removeEventListener("click", swallow, { capture: true }), 0);
    if (!isDrop || !this.#spot) return;
    const { gap, tier } = this.#spot.dataset;
    this.#dropped(this.#handle.dataset.drag, gap === undefined ? { tier: Number(tier) } : { gap: Number(gap) });
  }
}
