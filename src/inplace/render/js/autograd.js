// @ts-check
// The autograd graph.

const ZOOM = 1.25;
const [SMALLEST, LARGEST] = [0.05, 3];

/** @param {Board} board @returns {Pane} */
function autogradPane(board) {
  const { run } = board;
  const { autograd } = run.diagram;
  const tip = `${board.uid}-tip`;
  const drawing = s("svg", { class: "ip-graph", role: "listbox", tabindex: "0", "aria-label": "Autograd nodes" });
  const paths = modulesOf(run, autograd);
  const blocks = blocksOf(paths);
  const broken = new Set(autograd.boxes.filter((/** @type {any} */ box) => box.finding >= 0).flatMap((/** @type {any} */ box) => paths.get(box.id) ?? []));
  const closed = new Set(autograd.boxes.length > MANY ? blocks.filter((path) => !broken.has(path)) : []);
  /** What is drawn: the graph, with the closed modules as one box each. */
  let graph = autograd;
  /** @type {Map<number, any>} */
  const boxes = new Map();
  /** @type {any[]} */
  const links = [];
  /** @type {any[]} */
  let order = [];
  const scroll = h("div", { class: "ip-canvas" }, autograd.boxes.length ? drawing : h("p", { class: "ip-none" }, autograd.note || "Autograd recorded no graph in this run."));
  const hidden = autograd.hidden ? `… ${counted(autograd.hidden, "more node")} of ${autograd.total.toLocaleString("en")} not drawn` : "";
  let active = -1;
  /** What was brought into sight last.
   * @type {any[]} */
  let inSight = [];
  let scale = 1;
  const map = miniMap(() => graph, scroll, () => scale, (box) => box.finding >= 0 && box.finding === board.state.finding);
  const chips = h("div", { class: "ip-modules", role: "group", "aria-label": "Modules: folded or not" });
  const asking = h("span", { role: "status" });
  const more = board.given.more && autograd.hidden ? h("button", { type: "button", class: "ip-link-button", onclick: () => {
    asking.textContent = "drawing …";
    board.given.more?.();
  } }, "draw more") : null;
  const el = pane("autograd", "Autograd graph", "leaf to loss; backward runs upwards", chips, h("div", { class: "ip-canvas-frame" }, scroll, map.el), hidden && h("p", { class: "ip-more" }, hidden, more, asking));
  const unprinted = h("p", { class: "ip-more ip-paper-note" });
  el.append(unprinted);
  let byHand = false; // a size that the reader chose stays
  const zooming = (/** @type {string} */ label, /** @type {string} */ sign, /** @type {() => void} */ onclick) => h("button", { type: "button", "aria-label": label, title: label, onclick }, sign);
  if (autograd.boxes.length) {
    el.querySelector("header")?.append(h(
      "span",
      { class: "ip-zoom", role: "group", "aria-label": "Size of the graph" },
      zooming("Smaller (−)", "−", () => around(1 / ZOOM)), zooming("Larger (+)", "+", () => around(ZOOM)), zooming("Fit (0)", "fit", () => whole()),
    ));
    scroll.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
      if (!event.ctrlKey) return; // a pinch arrives as this too
      event.preventDefault();
      inSight = [];
      const box = scroll.getBoundingClientRect();
      zoom(Math.exp(-event.deltaY / 200), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    scroll.addEventListener("pointerdown", drag);
  }

  redraw();

  /** Draw the graph anew, after modules were folded or opened. */
  function redraw() {
    graph = folded(autograd, paths, closed);
    boxes.clear();
    links.length = 0;
    drawing.setAttribute("viewBox", `0 0 ${graph.width || 1} ${graph.height || 1}`);
    drawing.replaceChildren(s("defs", {}, arrowHead(tip, ""), arrowHead(`${tip}-bad`, "ip-bad-tip")));
    for (const link of graph.links) addLink(link);
    for (const box of graph.boxes) addBox(box);
    order = graph.boxes.filter((/** @type {any} */ box) => box.step >= 0 || box.tensor >= 0 || box.members).sort((/** @type {any} */ a, /** @type {any} */ b) => a.y - b.y || a.x - b.x);
    map.set();
    nameModules();
  }

  /** The modules that can be folded, each a button; those within an open one behind it where they are few. */
  function nameModules() {
    const chip = (/** @type {string} */ path) => h("button", { type: "button", class: "ip-module", "aria-expanded": String(!closed.has(path)), title: closed.has(path) ? `Open ${path}` : `Fold ${path}`, onclick: () => turn([path]) },
      closed.has(path) ? "+ " : "− ", h("code", {}, path.length > 26 ? `…${path.slice(-25)}` : path));
    const shown = blocks.flatMap((path) => [path, ...(closed.has(path) || blocks.length > 2 ? [] : blocksOf(paths, path))]);
    const others = blocks.filter((path) => !broken.has(path)); // what is told stays to be seen
    const open = others.some((path) => !closed.has(path));
    const all = h("button", { type: "button", class: "ip-module ip-module-all", onclick: () => turn(others, open) }, `${open ? "fold" : "open"} ${others.length < blocks.length ? "the others" : "all"}`);
    chips.hidden = !blocks.length;
    chips.replaceChildren(...(others.length > 1 ? [all] : []), ...shown.map(chip));
  }

  /** How many boxes a module has.
   * @param {string} path */
  function holds(path) {
    return [...paths.values()].filter((one) => one.includes(path)).length;
  }

  /** Fold modules, or open them; what one was in the middle of stays in sight.
   * @param {string[]} modules @param {boolean} [fold] the other way round if not told */
  function turn(modules, fold = !closed.has(modules[0])) {
    const focused = chips.contains(chips.ownerDocument.activeElement) || chips.matches(":focus-within") ? modules[0] : "";
    for (const path of modules) fold ? closed.add(path) : closed.delete(path);
    // A large one that is opened alone shows its parts, not hundreds of nodes at once.
    const inner = !fold && modules.length === 1 && holds(modules[0]) > MANY ? blocksOf(paths, modules[0]) : [];
    for (const path of inner) if (!broken.has(path)) closed.add(path);
    redraw();
    mark(board.state);
    fit();
    const inside = graph.boxes.filter((/** @type {any} */ box) => modules.length === 1 && (box.module === modules[0] || paths.get(box.id)?.includes(modules[0])));
    show(inside.length ? inside : told());
    if (inside.length) active = inside[0].id;
    map.draw();
    if (focused) /** @type {HTMLElement | null} */ ([...chips.querySelectorAll(".ip-module")].find((one) => one.getAttribute("title")?.endsWith(` ${focused}`)) ?? chips.querySelector(".ip-module"))?.focus();
  }

  /** Fold the innermost module of a box that has others in it, or open the folded one.
   * @param {any} box */
  function turnAt(box) {
    if (box?.module) return turn([box.module]);
    const module = [...(paths.get(box?.id) ?? [])].reverse().find((path) => holds(path) > 1);
    if (module !== undefined) turn([module]);
  }

  /** @param {string} id @param {string} name */
  function arrowHead(id, name) {
    return s("marker", { id, class: name, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse", markerUnits: "userSpaceOnUse" }, s("path", { d: "M0 .500 8 4 0 7.500z" }));
  }

  /** @param {number} finding */
  function severityOf(finding) {
    return finding >= 0 ? run.diagram.findings[finding]?.severity : null;
  }

  /** @param {any} link */
  function addLink(link) {
    const [first, ...rest] = link.points;
    let d = `M${first.join(" ")}`;
    for (let i = 0; i + 2 < rest.length; i += 3) d += `C${rest.slice(i, i + 3).map((/** @type {number[]} */ point) => point.join(" ")).join(" ")}`;
    const bad = link.kind === "overwrite";
    const path = s("path", { d, class: `ip-link ip-link-${link.kind}`, "data-severity": bad ? severityOf(graph.boxes.find((/** @type {any} */ box) => box.id === link.tail)?.finding ?? -1) : null, "marker-end": `url(#${bad ? `${tip}-bad` : tip})` });
    links.push({ path, link });
    drawing.append(path);
  }

  /** @param {any} box */
  function addBox(box) {
    const broken = [box, ...(box.members ?? [])].some((one) => one.keeps.some((/** @type {any} */ keep) => keep.stale || keep.silent));
    const [x, y] = [box.x - box.w / 2, box.y - box.h / 2];
    const says = [box.kind === "leaf" ? "leaf" : box.kind === "culprit" ? "overwrites" : box.members ? "folded module" : "node", box.module ?? box.title, box.subtitle, ...box.keeps.map(keptAs)].filter(Boolean).join(", ");
    const group = s("g", {
      class: `ip-box ip-box-${box.kind} ${broken ? "ip-broken" : ""}`, role: "option", "data-severity": severityOf(box.finding), id: `${board.uid}-node-${box.id}`, "aria-selected": "false", "aria-label": says, "data-node": box.id,
      onclick: () => (box.members ? turnAt(box) : choose(box)), ondblclick: () => box.members || turnAt(box),
      onpointerenter: () => box.members || board.hover({ node: box.id }), onpointerleave: () => board.hover(null),
    });
    const round = box.kind === "leaf" ? box.h / 2 : 6;
    group.append(s("rect", { x, y, width: box.w, height: box.h, rx: round }));
    const middle = box.keeps.length ? "start" : "middle";
    const tx = box.keeps.length ? x + 13 : box.x;
    let ty = y + 21;
    if (box.members) group.append(s("rect", { x: x + 3, y: y + 3, width: box.w - 6, height: box.h - 6, rx: 4, class: "ip-box-inner" }));
    group.append(s("text", { x: tx, y: ty, "text-anchor": middle, class: "ip-box-title" }, box.members ? `+ ${box.title}` : box.title));
    if (box.subtitle) group.append(s("text", { x: tx, y: (ty += 16), "text-anchor": middle, class: "ip-box-sub" }, box.subtitle));
    if (box.keeps.length) ty += 4;
    for (const keep of box.keeps) addKeep(group, keep, x, ty += 20, box.w);
    if (box.members) group.append(s("title", {}, `${box.module}: ${box.subtitle} folded; a press opens it`));
    if (box.kind === "rebase") group.append(s("title", {}, "CopySlices: a write to a slice replaced this tensor's history"));
    boxes.set(box.id, { group, box });
    drawing.append(group);
  }

  /** @param {any} keep */
  function keptAs(keep) {
    const moved = keep.stale ? `: version ${keep.saved} was saved, ${keep.now} is there now` : keep.silent ? ": its bytes were changed unseen" : "";
    return `keeps ${keep.text}${moved}`;
  }

  /** @param {any} group @param {any} keep @param {number} x @param {number} y @param {number} w */
  function addKeep(group, keep, x, y, w) {
    const bad = keep.stale || keep.silent;
    group.append(s("rect", { x: x + 6, y: y - 13, width: w - 12, height: 18, rx: 3, class: `ip-keep ${bad ? "ip-keep-bad" : ""}` }));
    group.append(s("text", { x: x + 13, y, class: `ip-box-keep ${bad ? "ip-keep-bad" : ""}` }, keep.text));
    if (!bad) return;
    const moved = keep.stale && keep.saved !== null && keep.now !== null ? `✕ v${keep.saved} → v${keep.now}` : "✕ changed";
    group.append(s("text", { x: x + w - 13, y, "text-anchor": "end", class: "ip-box-keep ip-keep-bad ip-moved" }, moved));
  }

  /** @param {any} box */
  function choose(box) {
    active = box.id;
    if (box.members) return;
    const tensor = box.tensor >= 0 && run.tensors.has(box.tensor) ? box.tensor : undefined;
    board.set({ ...(box.step >= 0 ? { step: box.step } : {}), ...(tensor !== undefined ? { tensor } : {}) });
  }

  /** @param {number} size */
  function draw(size) {
    scale = Math.max(SMALLEST, Math.min(LARGEST, size));
    drawing.setAttribute("width", String(Math.round(graph.width * scale)));
    drawing.setAttribute("height", String(Math.round(graph.height * scale)));
    map.draw();
  }

  /** Draw at full size where it fits, shrunk to no less than 70 % where it does not; smaller where what is told needs it. */
  function fit() {
    if (byHand) return;
    const room = scroll.clientWidth - 24;
    const [x0, y0, x1, y1] = extent(told());
    const both = Math.min(1, room / Math.max(1, x1 - x0), (scroll.clientHeight - 24) / Math.max(1, y1 - y0));
    draw(Math.min(Math.max(0.7, Math.min(1, room / Math.max(1, graph.width))), Math.max(0.5, both)));
  }

  /** All of it, as large as there is room. */
  function whole() {
    byHand = true;
    draw(Math.min(1, (scroll.clientWidth - 24) / Math.max(1, graph.width), (scroll.clientHeight - 18) / Math.max(1, graph.height)));
    scroll.scrollTo({ left: 0, top: 0 });
  }

  /** Larger or smaller around a point of the pane, its middle if not told otherwise.
   * @param {number} by @param {number} [x] @param {number} [y] */
  function zoom(by, x = scroll.clientWidth / 2, y = scroll.clientHeight / 2) {
    byHand = true;
    const before = scale;
    const [left, top] = [(scroll.scrollLeft + x) / before, (scroll.scrollTop + y) / before];
    draw(scale * by);
    scroll.scrollTo({ left: left * scale - x, top: top * scale - y });
  }

  /** Larger or smaller around what was brought into sight last, unless the reader has moved on from there.
   * @param {number} by */
  function around(by) {
    zoom(by);
    show(inSight);
  }

  /** Move the graph with the pointer that is down on it.
   * @param {PointerEvent} start */
  function drag(start) {
    if (start.button || /** @type {Element} */ (start.target).closest(".ip-box")) return;
    const [left, top] = [scroll.scrollLeft + start.clientX, scroll.scrollTop + start.clientY];
    const move = (/** @type {PointerEvent} */ event) => scroll.scrollTo({ left: left - event.clientX, top: top - event.clientY });
    const stop = () => {
      scroll.removeEventListener("pointermove", move);
      flag(scroll, "is-dragged", false);
    };
    inSight = [];
    scroll.setPointerCapture(start.pointerId);
    flag(scroll, "is-dragged", true);
    scroll.addEventListener("pointermove", move);
    for (const end of ["pointerup", "pointercancel"]) scroll.addEventListener(end, stop, { once: true });
  }

  /** The boxes of the finding that is told: the save and what overwrote it. */
  function told() {
    const { finding } = board.state;
    return graph.boxes.filter((/** @type {any} */ box) => finding >= 0 && [box, ...(box.members ?? [])].some((one) => one.finding === finding));
  }

  /** The rectangle around some boxes: left, top, right, bottom.
   * @param {any[]} some @returns {number[]} */
  function extent(some) {
    const sides = some.map((box) => [box.x - box.w / 2, box.y - box.h / 2, box.x + box.w / 2, box.y + box.h / 2]);
    return [0, 1, 2, 3].map((side) => (side < 2 ? Math.min : Math.max)(...sides.map((one) => one[side]), ...(sides.length ? [] : [0])));
  }

  /** Whether a search found a node: its call, its name, or the name of a tensor that it keeps.
   * @param {any} box @param {string} query */
  function found(box, query) {
    if (box.members) return box.members.some((/** @type {any} */ one) => found(one, query));
    if (box.step >= 0 && board.matches?.has(box.step)) return true;
    return [box.title, ...box.keeps.map((/** @type {any} */ keep) => keep.text)].some((text) => text.toLowerCase().includes(query));
  }

  /** Bring some boxes into the middle of the pane.
   * @param {any[]} some */
  function show(some) {
    if (!some.length) return;
    inSight = some;
    const [x0, y0, x1, y1] = extent(some);
    scroll.scrollTo({ left: ((x0 + x1) / 2) * scale - scroll.clientWidth / 2, top: ((y0 + y1) / 2) * scale - scroll.clientHeight / 2 });
  }

  /** What one page shows: all of it where that can be read, else what is around the finding; gives the part as a view box. */
  function onPage() {
    const size = Math.max(PAPER.smallest, Math.min(1, PAPER.width / Math.max(1, graph.width), PAPER.height / Math.max(1, graph.height)));
    const sides = [Math.min(graph.width, PAPER.width / size), Math.min(graph.height, PAPER.height / size)];
    const some = told();
    const [x0, y0, x1, y1] = extent(some.length ? some : order.slice(-1)); // the last node is the loss
    const begins = [(x0 + x1 - sides[0]) / 2, (y0 + y1 - sides[1]) / 2];
    const [left, top] = begins.map((at, i) => Math.max(0, Math.min((i ? graph.height : graph.width) - sides[i], at)));
    drawing.setAttribute("width", String(Math.round(sides[0] * size)));
    drawing.setAttribute("height", String(Math.round(sides[1] * size)));
    unprinted.textContent = sides[0] < graph.width || sides[1] < graph.height ? `What is around ${some.length ? "the finding" : "its end"}; the whole graph is larger than a page.` : "";
    return [left, top, Math.max(1, sides[0]), Math.max(1, sides[1])].join(" ");
  }

  /** Mark what is chosen, told and found.
   * @param {any} state */
  function mark(state) {
    const shown = new Set(told());
    for (const { group, box } of boxes.values()) {
      const members = box.members ?? [box];
      const chosen = members.some((/** @type {any} */ one) => one.step === state.step && one.step >= 0);
      flag(group, "is-chosen", chosen);
      flag(group, "is-told", shown.has(box));
      flag(group, "is-later", members.every((/** @type {any} */ one) => one.step > state.step && one.kind !== "leaf"));
      flag(group, "is-found", Boolean(state.query) && found(box, state.query));
      group.setAttribute("aria-selected", String(chosen));
    }
  }

  return {
    el,
    update(state, before) {
      mark(state);
      if (before && before.finding === state.finding) {
        const chosen = before.step !== state.step ? graph.boxes.filter((/** @type {any} */ box) => (box.members ?? [box]).some((/** @type {any} */ one) => one.step === state.step && one.step >= 0)) : [];
        if (chosen.length && state.query) show(chosen);
        return;
      }
      fit();
      show(told());
      map.draw();
    },
    relate(related) {
      const near = new Set([...boxes.values()].filter(({ box }) => (box.members ?? [box]).some((/** @type {any} */ one) => related.nodes.has(one.id))).map(({ box }) => box.id));
      for (const [id, { group }] of boxes) flag(group, "is-related", near.has(id));
      for (const { path, link } of links) flag(path, "is-related", near.has(link.tail) && near.has(link.head));
    },
    move(by) {
      if (!order.length) return;
      const at = order.findIndex((/** @type {any} */ box) => box.id === active);
      const box = order[at < 0 ? 0 : Math.min(order.length - 1, Math.max(0, at + by))];
      choose(box);
      drawing.setAttribute("aria-activedescendant", `${board.uid}-node-${box.id}`);
      board.hover(box.members ? null : { node: box.id });
      for (const [id, { group }] of boxes) flag(group, "is-active", id === box.id && Boolean(box.members));
      show([box]);
    },
    key(key, target) {
      if (!scroll.contains(target)) return false;
      if (key === "+" || key === "=") around(ZOOM);
      else if (key === "-") around(1 / ZOOM);
      else if (key === "0") whole();
      else if (key === "Enter" && boxes.has(active)) turnAt(boxes.get(active).box);
      else return false;
      return true;
    },
    paper(on) {
      drawing.setAttribute("viewBox", on ? onPage() : `0 0 ${graph.width || 1} ${graph.height || 1}`);
      if (!on) draw(scale);
    },
    resize() {
      if (board.el.dataset.paper !== undefined) return;
      fit();
      if (!byHand) show(inSight.length ? inSight : told());
      map.draw();
    },
  };
}
