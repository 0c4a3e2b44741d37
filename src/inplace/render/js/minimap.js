// @ts-check
// The map beside a long graph: all of it, small, with what is in sight framed; a press on it goes there.

const MAP = [132, 190]; // its largest width and height, in pixels
const ROOM = 560; // pixels of a pane that a map does not crowd
const LONG = 1.5; // times the pane: a graph that needs a map

/** @param {any} autograd @param {HTMLElement} scroll @param {() => number} scale how large the graph is drawn
 * @param {(box: any) => boolean} isTold */
function miniMap(autograd, scroll, scale, isTold) {
  const fit = Math.min(MAP[0] / Math.max(1, autograd.width), MAP[1] / Math.max(1, autograd.height));
  const sight = s("rect", { class: "ip-map-sight" });
  const boxes = autograd.boxes.map((/** @type {any} */ box) => ({ box, el: s("rect", { x: box.x - box.w / 2, y: box.y - box.h / 2, width: box.w, height: box.h, rx: 8 }) }));
  const el = s("svg", { class: "ip-map", viewBox: `0 0 ${autograd.width || 1} ${autograd.height || 1}`, width: Math.max(12, autograd.width * fit), height: Math.max(12, autograd.height * fit), "aria-hidden": "true", hidden: true },
    boxes.map((/** @type {any} */ one) => one.el), sight);
  scroll.addEventListener("scroll", () => draw());
  el.addEventListener("pointerdown", (/** @type {PointerEvent} */ start) => {
    const go = (/** @type {PointerEvent} */ event) => {
      const area = el.getBoundingClientRect();
      const at = [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
      scroll.scrollTo({ left: at[0] * autograd.width * scale() - scroll.clientWidth / 2, top: at[1] * autograd.height * scale() - scroll.clientHeight / 2 });
    };
    start.preventDefault();
    go(start);
    el.setPointerCapture(start.pointerId);
    el.addEventListener("pointermove", go);
    for (const end of ["pointerup", "pointercancel"]) el.addEventListener(end, () => el.removeEventListener("pointermove", go), { once: true });
  });

  /** Frame what is in sight; there is no map where that is nearly all, or where it would hide the graph. */
  function draw() {
    const [width, height] = [autograd.width * scale(), autograd.height * scale()];
    el.toggleAttribute("hidden", scroll.clientWidth < ROOM || (width <= LONG * scroll.clientWidth && height <= LONG * scroll.clientHeight));
    for (const { box, el: mark } of boxes) flag(mark, "is-told", isTold(box));
    const [left, top] = [scroll.scrollLeft / scale(), scroll.scrollTop / scale()];
    const given = { x: left, y: top, width: Math.min(autograd.width - left, scroll.clientWidth / scale()), height: Math.min(autograd.height - top, scroll.clientHeight / scale()) };
    for (const [name, value] of Object.entries(given)) sight.setAttribute(name, String(Math.max(0, value)));
  }

  return { el, draw };
}
