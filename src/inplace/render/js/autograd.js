// @ts-check
// The autograd graph.

/** @param {Board} board @returns {Pane} */
function autogradPane(board) {
  const { run } = board;
  const { autograd } = run.diagram;
  const tip = `${board.uid}-tip`;
  const drawing = s("svg", {
    class: "ip-graph", viewBox: `0 0 ${autograd.width || 1} ${autograd.height || 1}`, role: "listbox", tabindex: "0", "aria-label": "Autograd nodes",
  }, s("defs", {}, arrowHead(tip, ""), arrowHead(`${tip}-bad`, "ip-bad-tip")));
  /** @type {Map<number, any>} */
  const boxes = new Map();
  const boxOf = new Map(autograd.boxes.map((/** @type {any} */ box) => [box.id, box]));
  /** @type {any[]} */
  const links = [];
  for (const link of autograd.links) addLink(link);
  for (const box of autograd.boxes) addBox(box);
  const order = autograd.boxes.filter((/** @type {any} */ box) => box.step >= 0 || box.tensor >= 0).sort((/** @type {any} */ a, /** @type {any} */ b) => a.y - b.y || a.x - b.x);
  const scroll = h("div", { class: "ip-canvas" }, autograd.boxes.length ? drawing : h("p", { class: "ip-none" }, autograd.note || "Autograd recorded no graph in this run."));
  const hidden = autograd.hidden ? `… ${counted(autograd.hidden, "more node")} of ${autograd.total.toLocaleString("en")} not drawn` : "";
  const el = pane("autograd", "Autograd graph", "leaf to loss; backward runs upwards", scroll, hidden && h("p", { class: "ip-more" }, hidden));
  let active = -1;

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
    const path = s("path", { d, class: `ip-link ip-link-${link.kind}`, "data-severity": bad ? severityOf(boxOf.get(link.tail)?.finding ?? -1) : null, "marker-end": `url(#${bad ? `${tip}-bad` : tip})` });
    links.push({ path, link });
    drawing.append(path);
  }

  /** @param {any} box */
  function addBox(box) {
    const broken = box.keeps.some((/** @type {any} */ keep) => keep.stale || keep.silent);
    const [x, y] = [box.x - box.w / 2, box.y - box.h / 2];
    const says = [box.kind === "leaf" ? "leaf" : box.kind === "culprit" ? "overwrites" : "node", box.title, box.subtitle, ...box.keeps.map(keptAs)].filter(Boolean).join(", ");
    const group = s("g", {
      class: `ip-box ip-box-${box.kind} ${broken ? "ip-broken" : ""}`, role: "option", "data-severity": severityOf(box.finding), id: `${board.uid}-node-${box.id}`, "aria-selected": "false", "aria-label": says, "data-node": box.id,
      onclick: () => choose(box), onpointerenter: () => board.hover({ node: box.id }), onpointerleave: () => board.hover(null),
    });
    const round = box.kind === "leaf" ? box.h / 2 : 6;
    group.append(s("rect", { x, y, width: box.w, height: box.h, rx: round }));
    const middle = box.keeps.length ? "start" : "middle";
    const tx = box.keeps.length ? x + 13 : box.x;
    let ty = y + 21;
    group.append(s("text", { x: tx, y: ty, "text-anchor": middle, class: "ip-box-title" }, box.title));
    if (box.subtitle) group.append(s("text", { x: tx, y: (ty += 16), "text-anchor": middle, class: "ip-box-sub" }, box.subtitle));
    if (box.keeps.length) ty += 4;
    for (const keep of box.keeps) addKeep(group, keep, x, ty += 20, box.w);
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
    const tensor = box.tensor >= 0 && run.tensors.has(box.tensor) ? box.tensor : undefined;
    board.set({ ...(box.step >= 0 ? { step: box.step } : {}), ...(tensor !== undefined ? { tensor } : {}) });
  }

  /** Draw at full size where it fits, shrunk to no less than 70 % where it does not. */
  function fit() {
    const room = scroll.clientWidth - 24;
    const scale = Math.max(0.7, Math.min(1, room / Math.max(1, autograd.width)));
    drawing.setAttribute("width", String(Math.round(autograd.width * scale)));
    drawing.setAttribute("height", String(Math.round(autograd.height * scale)));
  }

  /** @param {any} box */
  function show(box) {
    const scale = Number(drawing.getAttribute("width")) / Math.max(1, autograd.width) || 1;
    scroll.scrollTo({ left: box.x * scale - scroll.clientWidth / 2, top: box.y * scale - scroll.clientHeight / 2 });
  }

  return {
    el,
    update(state, before) {
      for (const { group, box } of boxes.values()) {
        const chosen = box.step === state.step && box.step >= 0;
        flag(group, "is-chosen", chosen);
        flag(group, "is-told", box.finding === state.finding && box.finding >= 0);
        flag(group, "is-later", box.step > state.step && box.kind !== "leaf");
        group.setAttribute("aria-selected", String(chosen));
      }
      if (before && before.finding === state.finding) return;
      const told = autograd.boxes.find((/** @type {any} */ box) => box.finding === state.finding && box.kind !== "culprit" && box.finding >= 0);
      if (told) show(told);
    },
    relate(related) {
      for (const [id, { group }] of boxes) flag(group, "is-related", related.nodes.has(id));
      for (const { path, link } of links) flag(path, "is-related", related.nodes.has(link.tail) && related.nodes.has(link.head));
    },
    move(by) {
      if (!order.length) return;
      const at = order.findIndex((/** @type {any} */ box) => box.id === active);
      const box = order[at < 0 ? 0 : Math.min(order.length - 1, Math.max(0, at + by))];
      choose(box);
      drawing.setAttribute("aria-activedescendant", `${board.uid}-node-${box.id}`);
      board.hover({ node: box.id });
      show(box);
    },
    resize() {
      fit();
      const told = autograd.boxes.find((/** @type {any} */ box) => box.finding === board.state.finding && box.kind !== "culprit" && box.finding >= 0);
      if (told) show(told);
    },
  };
}
