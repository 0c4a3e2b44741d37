// @ts-check
// The references.

/** @param {Board} board @returns {Pane} */
function referencesPane(board) {
  const { references } = board.run.diagram;
  const view = memoryView(board, "tensor", "Tensors");
  for (const storage of references.storages) view.add(storage, storage.tensors);
  view.addLoose(references.tensors.filter((/** @type {any} */ tensor) => tensor.storage < 0));
  if (!references.storages.length) view.el.append(h("p", { class: "ip-none" }, "No name of yours reached a tensor."));
  const hidden = [];
  if (references.storages_hidden) hidden.push(counted(references.storages_hidden, "more storage"));
  if (references.tensors_hidden) hidden.push(counted(references.tensors_hidden, "more tensor"));
  if (hidden.length) view.el.append(h("p", { class: "ip-more" }, `… ${hidden.join(", ")} not drawn: no name reaches them`));
  const stores = [...view.el.querySelectorAll(".ip-store")];
  const left = stores.length - PAPER_STORES;
  if (left > 0) view.el.append(h("p", { class: "ip-more ip-paper-note" }, `… ${counted(left, "more storage")} not printed`));
  const paper = (/** @type {boolean} */ on) => stores.slice(PAPER_STORES).forEach((one) => { one.hidden = on; });
  /** Light what a search is for, and bring the first of it into sight.
   * @param {State} state @param {State | null} before */
  function update(state, before) {
    view.update(state, before);
    if ((before?.query ?? "") !== state.query) view.find(state.query);
  }
  return { ...view, update, paper, el: pane("references", "Names and memory", "names → tensors → bytes", view.el) };
}

/**
 * Storages with the tensors and names that reach them; `role` tells the ids of its rows from another view's.
 * @param {Board} board @param {string} role @param {string} label
 */
function memoryView(board, role, label) {
  const { run } = board;
  const { references } = run.diagram;
  const wires = s("svg", { class: "ip-wires", "aria-hidden": "true" });
  const list = h("div", { class: "ip-stores", role: "listbox", tabindex: "0", "aria-label": label }, wires);
  /** @type {Map<number, any>} */
  const rows = new Map();
  /** @type {number[]} */
  const order = [];

  /** @param {any} storage @param {number[]} ids those of its tensors that are drawn */
  function store(storage, ids) {
    const tensors = ids.map((/** @type {number} */ id) => run.tensors.get(id));
    const frame = h("div", { class: "ip-frame" });
    frame.style.gridRow = `1 / ${tensors.length + 2}`;
    for (const [start, stop] of storage.shared) {
      const hatch = h("span", { class: "ip-shared", title: `bytes ${start} to ${stop} are shared` });
      placed(hatch, start, stop, storage.bytes);
      frame.append(hatch);
    }
    const dead = storage.external ? " · memory of another library" : "";
    const rest = storage.tensors.length - ids.length;
    const more = rest ? `… ${counted(rest, "more tensor")}` : ""; // those that no name reaches are in the film
    return h(
      "div",
      { class: "ip-store", "data-storage": storage.id },
      frame,
      h("div", { class: "ip-store-head" }, `${size(storage.bytes)} on ${storage.device}${dead}`, more && h("span", {}, more)),
      tensors.flatMap((/** @type {any} */ tensor, /** @type {number} */ i) => row(tensor, storage, i + 2)),
      ruler(storage, tensors.length + 2),
    );
  }

  /** @param {any} storage @param {number} at */
  function ruler(storage, at) {
    const el = h("div", { class: "ip-ruler", "aria-hidden": "true" });
    el.style.gridRow = String(at);
    const ends = storage.bytes ? [0, ...new Set(storage.shared.flat().filter((/** @type {number} */ at) => at > 0 && at < storage.bytes)), storage.bytes] : [0];
    let last = -1;
    for (const at of ends.slice(0, 8)) {
      const far = storage.bytes ? at / storage.bytes : 0;
      if (last >= 0 && far - last < 0.12) continue;
      last = far;
      const tick = h("span", {}, at === storage.bytes ? `byte ${at}` : String(at));
      if (at === storage.bytes) tick.classList.add("is-end");
      tick.style.left = `${100 * far}%`;
      el.append(tick);
    }
    return el;
  }

  /** @param {any} tensor @param {any} storage @param {number} at */
  function row(tensor, storage, at) {
    const chips = tensor.names.map((/** @type {string} */ name) => namePill(name));
    if (tensor.names_hidden) chips.push(h("span", { class: "ip-name ip-name-more" }, `… ${tensor.names_hidden} more`));
    if (!chips.length) chips.push(h("span", { class: "ip-name ip-name-was", title: "no name reaches it at the end" }, tensor.was || "no name"));
    const badge = h("span", { class: "ip-badge" });
    const shape = tensor.shape.length ? `[${tensor.shape.join(", ")}]` : "scalar";
    const facts = [tensor.base >= 0 ? "view" : "", tensor.requires_grad ? (tensor.is_leaf ? "leaf, requires grad" : "requires grad") : ""].filter(Boolean);
    const card = h(
      "div", { class: "ip-card" },
      h("span", { class: "ip-card-top" }, h("span", { class: "ip-shape" }, shape), badge),
      h("span", { class: "ip-card-sub" }, [tensor.dtype, ...facts].join(" · ")),
      run.diagram.runs.length ? h("span", { class: "ip-card-past" }, pastOf(tensor)) : null,
    );
    const lane = h("div", { class: "ip-lane" });
    const cells = storage ? fillLane(lane, tensor, storage) : [];
    const names = h("div", { class: "ip-names" }, chips);
    const hit = h("div", { class: "ip-row", role: "option", id: `${board.uid}-${role}-${tensor.id}`, "aria-selected": "false", "data-tensor": tensor.id,
      onclick: () => board.set({ tensor: board.state.tensor === tensor.id ? -1 : tensor.id }),
      onpointerenter: () => board.hover({ tensor: tensor.id }), onpointerleave: () => board.hover(null) }, names, card, lane);
    hit.style.gridRow = String(at);
    rows.set(tensor.id, { hit, chips, card, lane, badge, cells, tensor, storage, names });
    order.push(tensor.id);
    return hit;
  }

  /** In a session: the run of a cell that made a tensor, and those in which its version moved since.
   * @param {any} tensor */
  function pastOf(tensor) {
    const { diagram } = run;
    const moves = [...summed(run.counters.get(tensor.counter)?.steps ?? [])].slice(1);
    const moved = [...new Set(moves.map((step) => runOf(diagram, step)))].filter(Boolean).slice(0, 4);
    return [tensor.born >= 0 ? `made in ${runOf(diagram, tensor.born)}` : "", moved.length ? `version moved in ${moved.join(", ")}` : ""].filter(Boolean).join(" · ");
  }

  /** @param {any} lane @param {any} tensor @param {any} storage */
  function fillLane(lane, tensor, storage) {
    if (tensor.cells.length && storage.elements) {
      return tensor.cells.slice(0, 64).map((/** @type {number} */ element) => {
        const cell = h("span", { class: "ip-cell" });
        placed(cell, element * storage.itemsize, (element + 1) * storage.itemsize, storage.bytes);
        lane.append(cell);
        return { cell, element };
      });
    }
    for (const [start, stop] of tensor.pieces) {
      const piece = h("span", { class: `ip-piece ${tensor.exact ? "" : "ip-gaps"}`, title: `bytes ${start} to ${stop}${tensor.exact ? "" : ", with gaps"}` });
      placed(piece, start, stop, storage.bytes);
      lane.append(piece);
    }
    return [];
  }

  /** @param {State} state */
  function update(state) {
    const from = state.compare ? (state.from >= 0 && state.from < state.step ? state.from : state.step - 1) : state.step - 1;
    const written = run.count ? run.writes(state.step).map((write) => write.tensor) : [];
    const contents = new Map(references.storages.map((/** @type {any} */ one) => [one.id, [run.contents(one, from), run.contents(one, state.step)]]));
    for (const one of rows.values()) updateRow(one, state, from, written, contents.get(one.tensor.storage));
  }

  /** @param {any} one @param {State} state @param {number} from @param {number[]} written @param {any} contents */
  function updateRow(one, state, from, written, contents) {
    const { tensor, badge, hit } = one;
    const now = run.version(tensor, state.step);
    const then = run.version(tensor, from);
    const moved = now !== null && then !== null && now !== then;
    badge.textContent = now === null ? (tensor.counter < 0 ? "no version" : "version not kept") : moved ? `v${then} → v${now}` : `v${now}`;
    flag(badge, "is-moved", moved);
    flag(hit, "is-away", !run.lives(tensor, state.step));
    flag(hit, "is-written", written.includes(tensor.id));
    const lives = run.lives(tensor, state.step);
    if (!lives) badge.textContent = tensor.born > state.step ? "not made yet" : "gone";
    const other = fillCells(one, contents, state.compare, lives);
    flag(hit, "is-other", other && !written.includes(tensor.id));
    flag(hit, "is-chosen", state.tensor === tensor.id);
    hit.setAttribute("aria-selected", String(state.tensor === tensor.id));
    const said = [...tensor.names, tensor.dtype, badge.textContent, written.includes(tensor.id) ? "written by this call" : other ? "reads other values now" : ""];
    hit.setAttribute("aria-label", said.filter(Boolean).join(", "));
  }

  /** Write the values into the cells of a tensor; whether any of them changed.
   * @param {{cells: {cell: any, element: number}[]}} one @param {Map<number, any>[]} contents @param {boolean} compare @param {boolean} lives */
  function fillCells({ cells }, contents, compare, lives) {
    if (!cells.length) return false;
    const [before, after] = contents;
    const room = ((parseFloat(cells[0].cell.style.width) / 100) * laneWidth - 6) / 7.3;
    const values = cells.map(({ element }) => (lives ? (after.get(element) ?? undefined) : undefined));
    const olds = cells.map(({ element }) => (lives ? (before.get(element) ?? undefined) : undefined));
    const digits = [3, 2, 1].find((count) => [...values, ...olds].every((value) => value === undefined || short(value, count).length <= room));
    let any = false;
    flag(cells[0].cell.parentNode, "is-unknown", lives && values.every((value) => value === undefined));
    const highest = Math.max(...values.map((value) => (typeof value === "number" ? Math.abs(value) : 0)), 1e-30);
    cells.forEach(({ cell }, i) => {
      const [old, value] = [olds[i], values[i]];
      const changed = old !== undefined && value !== undefined && old !== value;
      any ||= changed;
      flag(cell, "is-changed", changed);
      flag(cell, "is-empty", value === undefined);
      flag(cell, "is-bar", digits === undefined && typeof value === "number");
      flag(cell, "is-below", typeof value === "number" && value < 0);
      cell.style.setProperty("--size", `${typeof value === "number" ? (44 * Math.abs(value)) / highest : 0}%`);
      cell.title = value === undefined ? "value not recorded at this call" : changed ? `${old} → ${value}` : String(value);
      if (digits === undefined || value === undefined) cell.replaceChildren();
      else if (compare && changed) cell.replaceChildren(h("del", {}, short(old, digits)), h("b", {}, short(value, digits)));
      else cell.replaceChildren(short(value, digits));
    });
    return any;
  }

  let laneWidth = 240;

  /** Lines from names to tensors and from tensors to bytes. */
  function wire() {
    const first = rows.values().next().value;
    if (first) laneWidth = first.lane.clientWidth || laneWidth;
    const origin = list.getBoundingClientRect();
    wires.replaceChildren();
    wires.setAttribute("width", String(list.clientWidth));
    wires.setAttribute("height", String(list.scrollHeight));
    const narrow = getComputedStyle(wires).display === "none";
    for (const { chips, card, lane, tensor } of narrow ? [] : rows.values()) {
      const box = card.getBoundingClientRect();
      const y = box.top + box.height / 2 - origin.top + list.scrollTop;
      for (const chip of chips) {
        const at = chip.getBoundingClientRect();
        const from = at.top + at.height / 2 - origin.top + list.scrollTop;
        const [x0, x1] = [at.right - origin.left, box.left - origin.left];
        const bend = (x1 - x0) / 2;
        wires.append(s("path", { d: `M${x0} ${from}C${x0 + bend} ${from} ${x1 - bend} ${y} ${x1 - 1} ${y}`, "data-of": tensor.id }));
        wires.append(s("path", { class: "ip-tip", d: `M${x1 - 5} ${y - 3.5}L${x1} ${y}L${x1 - 5} ${y + 3.5}` }));
      }
      const to = lane.getBoundingClientRect().left - origin.left;
      wires.append(s("path", { class: "ip-tie", d: `M${box.right - origin.left} ${y}H${to}`, "data-of": tensor.id }));
    }
  }

  return {
    el: list,
    /** @param {any} storage @param {number[]} ids */
    add(storage, ids) {
      list.append(store(storage, ids));
    },
    /** Tensors of which no storage is known.
     * @param {any[]} loose */
    addLoose(loose) {
      if (loose.length) list.append(h("div", { class: "ip-store" }, loose.flatMap((/** @type {any} */ tensor) => row(tensor, null, 2))));
    },
    /** @param {State} state @param {State | null} before */
    update(state, before) {
      if (!before || before.step !== state.step || before.compare !== state.compare || before.tensor !== state.tensor || before.from !== state.from) update(state);
      if (before && before.tensor !== state.tensor && rows.has(state.tensor)) intoSight(list, rows.get(state.tensor).card);
      else if (before && before.finding !== state.finding) {
        const about = run.diagram.findings[state.finding]?.tensors.find((/** @type {number} */ id) => rows.has(id));
        if (about !== undefined) intoSight(list, rows.get(about).card);
      }
    },
    /** Mark the tensors one of whose names has a word in it.
     * @param {string} word */
    find(word) {
      const found = (/** @type {any} */ { tensor }) => Boolean(word) && [...tensor.names, tensor.was].some((name) => name.toLowerCase().includes(word));
      for (const row of rows.values()) flag(row.hit, "is-found", found(row));
      const first = [...rows.values()].find(found);
      if (first) intoSight(list, first.card);
    },
    /** @param {Related} related */
    relate(related) {
      for (const [id, row] of rows) flag(row.hit, "is-related", related.tensors.has(id));
      for (const path of wires.querySelectorAll("[data-of]")) flag(path, "is-related", related.tensors.has(Number(path.getAttribute("data-of"))));
    },
    /** @param {number} by */
    move(by) {
      const at = order.indexOf(board.state.tensor);
      if (order.length) board.set({ tensor: order[at < 0 ? 0 : Math.min(order.length - 1, Math.max(0, at + by))] });
    },
    resize() {
      wire();
      update(board.state);
    },
  };
}
