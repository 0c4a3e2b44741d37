// @ts-check
// The map beside a long graph: all of it, small, with what is in sight framed; a press on it goes there.

const MAP = [132, 190]; // its largest width and height, in pixels
const ROOM = 560; // pixels of a pane that a map does not crowd
const CORNERS = ["bottom-right", "bottom-left", "top-right", "top-left"];
const LONG = 1.5; // times the pane: a graph that needs a map

/** @param {() => any} graph what is drawn @param {HTMLElement} scroll @param {() => number} scale how large the graph is drawn
 * @param {(box: any) => boolean} isTold */
function miniMap(graph, scroll, scale, isTold) {
  const sight = s("rect", { class: "ip-map-sight" });
  /** @type {{ box: any, el: any }[]} */
  let boxes = [];
  const el = s("svg", { class: "ip-map", "aria-hidden": "true", hidden: true });
  scroll.addEventListener("scroll", () => draw());
  el.addEventListener("pointerdown", (/** @type {PointerEvent} */ start) => {
    const go = (/** @type {PointerEvent} */ event) => {
      const area = el.getBoundingClientRect();
      const at = [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
      scroll.scrollTo({ left: at[0] * graph().width * scale() - scroll.clientWidth / 2, top: at[1] * graph().height * scale() - scroll.clientHeight / 2 });
    };
    start.preventDefault();
    go(start);
    el.setPointerCapture(start.pointerId);
    el.addEventListener("pointermove", go);
    for (const end of ["pointerup", "pointercancel"]) el.addEventListener(end, () => el.removeEventListener("pointermove", go), { once: true });
  });

  /** Keep to the first corner in which nothing that is told lies under the map. */
  function stand() {
    const frame = scroll.getBoundingClientRect();
    const drawing = scroll.querySelector(".ip-graph")?.getBoundingClientRect();
    if (!drawing || !frame.width) return;
    const sides = [el.clientWidth + 24, el.clientHeight + 20];
    const told = boxes.filter(({ box }) => isTold(box)).map(({ box }) => [
      drawing.left - frame.left + (box.x - box.w / 2) * scale(), drawing.top - frame.top + (box.y - box.h / 2) * scale(), box.w * scale(), box.h * scale(),
    ]);
    const free = (/** @type {string} */ corner) => {
      const left = corner.endsWith("left") ? 0 : frame.width - sides[0];
      const top = corner.startsWith("top") ? 0 : frame.height - sides[1];
      return !told.some(([x, y, w, h]) => x < left + sides[0] && x + w > left && y < top + sides[1] && y + h > top);
    };
    el.setAttribute("data-corner", CORNERS.find(free) ?? CORNERS[0]);
  }

  /** Frame what is in sight; there is no map where that is nearly all, or where it would hide the graph. */
  function draw() {
    const [width, height] = [graph().width * scale(), graph().height * scale()];
    el.toggleAttribute("hidden", scroll.clientWidth < ROOM || (width <= LONG * scroll.clientWidth && height <= LONG * scroll.clientHeight));
    for (const { box, el: mark } of boxes) flag(mark, "is-told", isTold(box));
    const [left, top] = [scroll.scrollLeft / scale(), scroll.scrollTop / scale()];
    const given = { x: left, y: top, width: Math.min(graph().width - left, scroll.clientWidth / scale()), height: Math.min(graph().height - top, scroll.clientHeight / scale()) };
    for (const [name, value] of Object.entries(given)) sight.setAttribute(name, String(Math.max(0, value)));
    stand();
  }

  /** Draw the boxes, which are others now. */
  function set() {
    const { width, height } = graph();
    const fit = Math.min(MAP[0] / Math.max(1, width), MAP[1] / Math.max(1, height));
    boxes = graph().boxes.map((/** @type {any} */ box) => ({ box, el: s("rect", { x: box.x - box.w / 2, y: box.y - box.h / 2, width: box.w, height: box.h, rx: 8 }) }));
    el.setAttribute("viewBox", `0 0 ${width || 1} ${height || 1}`);
    el.setAttribute("width", String(Math.max(12, width * fit)));
    el.setAttribute("height", String(Math.max(12, height * fit)));
    el.replaceChildren(...boxes.map((one) => one.el), sight);
  }

  return { el, draw, set };
}
