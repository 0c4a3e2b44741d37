
// ------------------------------------------------------------------ the source

const TOKEN = /(#.*$)|('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|\b(import|from|as|for|in|if|else|elif|def|class|return|with|while|lambda|not|and|or|None|True|False|del|try|except|raise|yield|is|pass|break|continue|global|assert|async|await)\b|\b(\d[\w.]*)/g;
const WORDS = ["", "comment", "string", "keyword", "number"];
const RANK = ["culprit", "cut", "victim", "raised", "alias", "write"];
const SAID = {
  culprit: "wrote what autograd still needed", victim: "needed the old values", write: "writes in place",
  cut: "the autograd path ends here", alias: "the same bytes", raised: "raised here",
};

/** @param {Board} board @returns {Pane} */
function sourcePane(board) {
  const { run } = board;
  const body = h("div", { class: "ip-code", role: "listbox", tabindex: "0", "aria-label": "Source lines" });
  const counts = callCounts(run);
  /** @type {Map<string, any>} */
  const rows = new Map();
  run.diagram.sources.forEach((/** @type {any} */ source, /** @type {number} */ number) => addSource(source, number));
  const shown = run.diagram.sources[0];
  const el = pane("source", "Source", shown ? shown.label : "no source", body);
  let active = "";

  /** @param {any} source @param {number} number */
  function addSource(source, number) {
    if (number) body.append(h("div", { class: "ip-file", role: "presentation" }, source.label));
    if (source.first > 1) body.append(h("div", { class: "ip-more", role: "presentation" }, `… ${counted(source.first - 1, "line")} above`));
    source.lines.forEach((/** @type {string} */ text, /** @type {number} */ i) => {
      const line = source.first + i;
      const row = lineRow(text, number, line, source.marks.filter((/** @type {any} */ mark) => mark.line <= line && line <= mark.end_line));
      rows.set(`${number}:${line}`, row);
      body.append(row);
    });
    const below = source.hidden - (source.first - 1);
    if (below > 0) body.append(h("div", { class: "ip-more", role: "presentation" }, `… ${counted(below, "line")} below`));
  }

  /** @param {string} text @param {number} source @param {number} line @param {any[]} marks */
  function lineRow(text, source, line, marks) {
    const key = `${source}:${line}`;
    const roles = RANK.filter((role) => marks.some((mark) => mark.role === role && mark.line === line));
    const kept = roles.filter((role) => role !== "write" || roles.length === 1).slice(0, 2);
    const times = counts.get(key) ?? 0;
    const row = h(
      "div",
      {
        class: `ip-line ${kept.map((role) => `ip-has-${role}`).join(" ")}`, role: "option", id: `${board.uid}-line-${source}-${line}`,
        "aria-selected": "false", "data-line": key, title: kept.map((role) => SAID[/** @type {keyof typeof SAID} */ (role)]).join("; ") || null,
        onclick: () => chooseLine(key), onpointerenter: () => board.hover({ line: key }), onpointerleave: () => board.hover(null),
      },
      h("span", { class: "ip-no" }, String(line)),
      h("span", { class: "ip-gutter" }, kept.map((role) => h("i", { class: `ip-mark ip-role-${role}` }, icon(/** @type {any} */ (role), SAID[/** @type {keyof typeof SAID} */ (role)])))),
      h("code", {}, pieces(text, line, marks)),
      h("span", { class: "ip-times" }, times > 1 ? `${times.toLocaleString("en")} calls` : ""),
    );
    return row;
  }

  /** A line of text in runs of equal colour and underline. @param {string} text @param {number} line @param {any[]} marks */
  function pieces(text, line, marks) {
    const letters = Array.from(text);
    const look = letters.map(() => ["", ""]);
    for (const match of text.matchAll(TOKEN)) {
      const word = WORDS[match.slice(1).findIndex((part) => part !== undefined) + 1];
      const start = Array.from(text.slice(0, match.index)).length;
      Array.from(match[0]).forEach((_, i) => { look[start + i][0] = word; });
    }
    for (const role of [...RANK].reverse()) {
      for (const mark of marks) {
        if (mark.role !== role) continue;
        const from = mark.line === line ? mark.column : letters.length - text.trimStart().length;
        const to = mark.end_line === line ? mark.end_column : letters.length;
        for (let i = from; i < Math.min(to, letters.length); i += 1) look[i][1] = role;
      }
    }
    return runsOf(letters, look);
  }

  /** @param {string[]} letters @param {string[][]} look */
  function runsOf(letters, look) {
    const found = [];
    for (let start = 0, i = 1; i <= letters.length; i += 1) {
      if (i < letters.length && look[i][0] === look[start][0] && look[i][1] === look[start][1]) continue;
      const [word, role] = look[start];
      const text = letters.slice(start, i).join("");
      found.push(word || role ? h("span", { class: `${word && `ip-t-${word}`} ${role && `ip-u ip-u-${role}`}` }, text) : text);
      start = i;
    }
    return found.length ? found : ["\u200b"];
  }

  /** The call of a line that comes next after the chosen one, else its first. @param {string} key */
  function chooseLine(key) {
    active = key;
    const steps = board.stepsOfLine(key);
    if (!steps.length) return;
    const after = steps.find((step) => step > board.state.step);
    board.choose(run.lineKey(board.state.step) === key && after !== undefined ? after : steps[0]);
  }

  /** @param {State} state */
  function update(state) {
    const chosen = run.count ? run.lineKey(state.step) : "";
    const words = state.query.toLowerCase();
    for (const [key, row] of rows) {
      flag(row, "is-chosen", key === chosen);
      row.setAttribute("aria-selected", String(key === chosen));
      flag(row, "is-found", words.length > 1 && row.textContent.toLowerCase().includes(words));
    }
    const row = rows.get(chosen);
    if (row) {
      body.setAttribute("aria-activedescendant", row.id);
      intoSight(body, row);
    }
    active = chosen;
  }

  return {
    el,
    update(state, before) {
      if (!before || before.step !== state.step || before.query !== state.query) update(state);
    },
    relate(related) {
      for (const [key, row] of rows) flag(row, "is-related", related.lines.has(key));
    },
    move(by) {
      const keys = [...rows.keys()].filter((key) => counts.has(key));
      if (keys.length) chooseLine(keys[Math.min(keys.length - 1, Math.max(0, keys.indexOf(active) + by))]);
    },
  };
}

/** How many calls each line made. @param {Run} run @returns {Map<string, number>} */
function callCounts(run) {
  const byForm = new Map();
  for (const form of run.calls.form) byForm.set(form, (byForm.get(form) ?? 0) + 1);
  const found = new Map();
  for (const [form, times] of byForm) {
    const place = run.calls.places[run.calls.forms[form].place];
    const key = `${place.source}:${place.line}`;
    found.set(key, (found.get(key) ?? 0) + times);
  }
  return found;
}

/** Scroll a row into the sight of its pane, without moving the page. @param {HTMLElement} body @param {HTMLElement} row */
function intoSight(body, row) {
  const top = row.offsetTop - body.offsetTop;
  if (top < body.scrollTop || top + row.offsetHeight > body.scrollTop + body.clientHeight) {
    body.scrollTop = Math.max(0, top - body.clientHeight / 3);
  }
}

/** @param {string} name @param {string} title @param {string} note @param {...any} children */
function pane(name, title, note, ...children) {
  return h("section", { class: `ip-pane ip-${name}`, "aria-label": title }, h("header", {}, h("h3", {}, title), h("span", { class: "ip-note" }, note)), ...children);
}

// ------------------------------------------------------------------ the references

/** @param {Board} board @returns {Pane} */
function referencesPane(board) {
  const { run } = board;
  const { references } = run.diagram;
  const wires = s("svg", { class: "ip-wires", "aria-hidden": "true" });
  const list = h("div", { class: "ip-stores", role: "listbox", tabindex: "0", "aria-label": "Tensors" }, wires);
  /** @type {Map<number, any>} */
  const rows = new Map();
  /** @type {number[]} */
  const order = [];
  for (const storage of references.storages) list.append(store(storage));
  const loose = references.tensors.filter((/** @type {any} */ tensor) => tensor.storage < 0);
  if (loose.length) list.append(h("div", { class: "ip-store" }, loose.flatMap((/** @type {any} */ tensor) => row(tensor, null, 2))));
  if (!references.storages.length) list.append(h("p", { class: "ip-none" }, "No name of yours reached a tensor."));
  const hidden = [];
  if (references.storages_hidden) hidden.push(counted(references.storages_hidden, "more storage"));
  if (references.tensors_hidden) hidden.push(counted(references.tensors_hidden, "more tensor"));
  if (hidden.length) list.append(h("p", { class: "ip-more" }, `… ${hidden.join(", ")} not drawn: no name reaches them`));
  const el = pane("references", "Names and memory", "names → tensors → bytes", list);

  /** @param {any} storage */
  function store(storage) {
    const tensors = storage.tensors.map((/** @type {number} */ id) => run.tensors.get(id));
    const frame = h("div", { class: "ip-frame" });
    frame.style.gridRow = `1 / ${tensors.length + 2}`;
    for (const [start, stop] of storage.shared) {
      const hatch = h("span", { class: "ip-shared", title: `bytes ${start} to ${stop} are shared` });
      place(hatch, start, stop, storage.bytes);
      frame.append(hatch);
    }
    const dead = storage.external ? " · memory of another library" : "";
    return h(
      "div",
      { class: "ip-store", "data-storage": storage.id },
      frame,
      h("div", { class: "ip-store-head" }, `${size(storage.bytes)} on ${storage.device}${dead}`),
      tensors.flatMap((/** @type {any} */ tensor, /** @type {number} */ i) => row(tensor, storage, i + 2)),
      ruler(storage, tensors.length + 2),
      storage.tensors_hidden ? h("div", { class: "ip-more ip-wide" }, `… ${counted(storage.tensors_hidden, "more tensor")} over these bytes, unnamed`) : null,
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
    const chips = tensor.names.map((/** @type {string} */ name) => h("span", { class: "ip-name" }, name));
    if (tensor.names_hidden) chips.push(h("span", { class: "ip-name ip-name-more" }, `… ${tensor.names_hidden} more`));
    if (!chips.length) chips.push(h("span", { class: "ip-name ip-name-was", title: "no name reaches it at the end" }, tensor.was || "no name"));
    const badge = h("span", { class: "ip-badge" });
    const shape = tensor.shape.length ? tensor.shape.join(" × ") : "scalar";
    const facts = [tensor.base >= 0 ? "view" : "", tensor.requires_grad ? (tensor.is_leaf ? "leaf, requires grad" : "requires grad") : ""].filter(Boolean);
    const card = h(
      "div", { class: "ip-card" },
      h("span", { class: "ip-card-top" }, h("span", { class: "ip-shape" }, shape), badge),
      h("span", { class: "ip-card-sub" }, [tensor.dtype, ...facts].join(" · ")),
    );
    const lane = h("div", { class: "ip-lane" });
    const cells = storage ? fillLane(lane, tensor, storage) : [];
    const names = h("div", { class: "ip-names" }, chips);
    const hit = h("div", { class: "ip-row", role: "option", id: `${board.uid}-tensor-${tensor.id}`, "aria-selected": "false", "data-tensor": tensor.id,
      onclick: () => board.set({ tensor: board.state.tensor === tensor.id ? -1 : tensor.id }),
      onpointerenter: () => board.hover({ tensor: tensor.id }), onpointerleave: () => board.hover(null) }, names, card, lane);
    for (const part of [names, card, lane]) part.style.gridRow = String(at);
    rows.set(tensor.id, { hit, chips, card, lane, badge, cells, tensor, storage, names });
    order.push(tensor.id);
    return hit;
  }

  /** @param {any} lane @param {any} tensor @param {any} storage */
  function fillLane(lane, tensor, storage) {
    if (tensor.cells.length && storage.elements) {
      return tensor.cells.slice(0, 64).map((/** @type {number} */ element) => {
        const cell = h("span", { class: "ip-cell" });
        place(cell, element * storage.itemsize, (element + 1) * storage.itemsize, storage.bytes);
        lane.append(cell);
        return { cell, element };
      });
    }
    for (const [start, stop] of tensor.pieces) {
      const piece = h("span", { class: `ip-piece ${tensor.exact ? "" : "ip-gaps"}`, title: `bytes ${start} to ${stop}${tensor.exact ? "" : ", with gaps"}` });
      place(piece, start, stop, storage.bytes);
      lane.append(piece);
    }
    return [];
  }

  /** @param {any} el @param {number} start @param {number} stop @param {number} all */
  function place(el, start, stop, all) {
    el.style.left = `${(100 * start) / Math.max(1, all)}%`;
    el.style.width = `${(100 * (stop - start)) / Math.max(1, all)}%`;
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
    badge.textContent = now === null ? (tensor.counter < 0 ? "no version" : "–") : moved ? `v${then} → v${now}` : `v${now}`;
    flag(badge, "is-moved", moved);
    flag(hit, "is-away", !run.lives(tensor, state.step));
    flag(hit, "is-written", written.includes(tensor.id));
    let other = false;
    for (const { cell, element } of one.cells) other = fillCell(cell, contents, element, state.compare) || other;
    flag(hit, "is-other", other && !written.includes(tensor.id));
    flag(hit, "is-chosen", state.tensor === tensor.id);
    hit.setAttribute("aria-selected", String(state.tensor === tensor.id));
    const said = [...tensor.names, tensor.dtype, badge.textContent, written.includes(tensor.id) ? "written by this call" : other ? "reads other values now" : ""];
    hit.setAttribute("aria-label", said.filter(Boolean).join(", "));
  }

  /** @param {any} cell @param {Map<number, any>[]} contents @param {number} element @param {boolean} compare */
  function fillCell(cell, [before, after], element, compare) {
    const [old, value] = [before.get(element), after.get(element)];
    const changed = old !== undefined && value !== undefined && old !== value;
    const wide = one(cell) >= 26;
    flag(cell, "is-changed", changed);
    flag(cell, "is-empty", value === undefined);
    cell.title = value === undefined ? "not seen yet" : changed ? `${short(old)} → ${short(value)}` : short(value);
    if (!wide) cell.replaceChildren();
    else if (compare && changed) cell.replaceChildren(h("del", {}, short(old)), h("b", {}, short(value)));
    else cell.replaceChildren(value === undefined ? "" : short(value));
    return changed;
  }

  /** Width of a cell in pixels, from its share of the lane: measured once for all. @param {any} cell */
  function one(cell) {
    return (parseFloat(cell.style.width) / 100) * laneWidth;
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
    for (const { hit, chips, card, lane, tensor } of narrow ? [] : rows.values()) {
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
      void hit;
    }
  }

  return {
    el,
    update(state, before) {
      if (!before || before.step !== state.step || before.compare !== state.compare || before.tensor !== state.tensor || before.from !== state.from) update(state);
      if (before && before.tensor !== state.tensor && rows.has(state.tensor)) intoSight(list, rows.get(state.tensor).card);
      else if (before && before.finding !== state.finding) {
        const about = run.diagram.findings[state.finding]?.tensors.find((/** @type {number} */ id) => rows.has(id));
        if (about !== undefined) intoSight(list, rows.get(about).card);
      }
    },
    relate(related) {
      for (const [id, row] of rows) flag(row.hit, "is-related", related.tensors.has(id));
      for (const path of wires.querySelectorAll("[data-of]")) flag(path, "is-related", related.tensors.has(Number(path.getAttribute("data-of"))));
    },
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
