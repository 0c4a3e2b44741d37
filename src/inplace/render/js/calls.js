// @ts-check
// The list of calls.

/** A row of the list: the name of a run, an iteration of a loop, a run of calls of one line, one of calls within a module, or one call.
 * @typedef {{start: number, stop: number, depth: number, name?: string}} Extent
 * @typedef {{kind: "module" | "built", at: string} & Extent} ModuleRow
 * @typedef {{kind: "call", at: number} & Extent} CallRow
 * @typedef {{kind: "run", at: number, name: string} & Extent} RunRow
 * @typedef {{kind: "round" | "line", at: number} & Extent | ModuleRow} FoldRow
 * @typedef {FoldRow | CallRow | RunRow} Row */

/** @param {Board} board @returns {Pane & {reveal: (step: number) => void}} */
function callsPane(board) {
  const { run } = board;
  const space = h("div", { class: "ip-space" });
  const view = h("div", { class: "ip-list", role: "listbox", tabindex: "0", "aria-label": "Calls", onscroll: () => paint() }, space);
  const all = h("button", { type: "button", class: "ip-link-button", onclick: () => unfold() }, "unfold all");
  const el = pane("calls", "Calls", "", view);
  el.querySelector("header")?.append(all);
  if (run.calls.hidden) el.append(h("p", { class: "ip-more" }, `… ${counted(run.calls.hidden, "more call")} not shown`));
  /** What is unfolded, of each kind of row.
   * @type {Set<any>[]} */
  const [openRounds, openLines, openModules, openBuilt] = [new Set(), new Set(), new Set(), new Set()];
  const opened = { round: openRounds, line: openLines, module: openModules, built: openBuilt };
  /** @type {Row[]} */
  let rows = [];
  /** @type {Map<number, HTMLElement>} */
  let painted = new Map();
  let unfolded = run.count <= 40;
  let [onPaper, wasUnfolded] = [false, unfolded];
  const unprinted = h("p", { class: "ip-more ip-paper-note" });
  /** @type {Map<number, number>} */
  const iterations = new Map();
  for (const [, loop] of run.rounds) if (loop) iterations.set(loop, (iterations.get(loop) ?? 0) + 1);
  const many = (/** @type {number} */ loop) => iterations.get(loop) ?? 0;

  /** The rows that are there with what is folded now. */
  function rebuild() {
    rows = [];
    const given = run.rounds.length ? run.rounds : [[0, 0, 0]];
    for (let i = 0; i < given.length; i += 1) {
      const [start, loop] = given[i];
      const stop = i + 1 < given.length ? given[i + 1][0] : run.count;
      const folded = loop > 0 && many(loop) > 1;
      const begun = run.diagram.runs.find((/** @type {any} */ one) => one.begin === start);
      if (begun) rows.push({ kind: "run", at: i, start, stop: start, depth: 0, name: begun.title });
      if (folded) rows.push({ kind: "round", at: i, start, stop, depth: 0 });
      if (!folded || unfolded || openRounds.has(i)) addBuilt(start, stop, folded ? 1 : 0);
    }
    space.style.height = `${rows.length * ROW}px`;
    view.style.setProperty("--tall", space.style.height); // a few calls leave no empty room
    for (const child of painted.values()) child.remove();
    painted = new Map();
    const note = el.querySelector(".ip-note");
    if (note) note.textContent = `${run.count.toLocaleString("en")}${rows.length < run.count ? ` in ${counted(rows.length, "row")}` : ""}`;
    all.textContent = unfolded ? "fold all" : "unfold all";
    paint();
  }

  /** What the constructors of a library's classes called, such as those of modules, folds into one row.
   * @param {number} start @param {number} stop @param {number} depth */
  function addBuilt(start, stop, depth) {
    let told = start;
    for (let step = start; step < stop; ) {
      const built = Boolean(run.builder(step));
      let end = step + 1;
      while (end < stop && Boolean(run.builder(end)) === built) end += 1;
      if (built && end - step > SOME) {
        addModules(told, step, depth, 0);
        const at = `${step}/built`;
        const names = [...new Set(Array.from({ length: end - step }, (_, i) => run.builder(step + i)))];
        rows.push({ kind: "built", at, start: step, stop: end, depth, name: `built by ${names.slice(0, 3).join(", ")}${names.length > 3 ? ` and ${names.length - 3} more` : ""}` });
        const next = run.lineStarts[lastAtMost(run.lineStarts, step) + 1] ?? Infinity;
        if ((unfolded && !onPaper) || openBuilt.has(at)) (next < end ? addLines : addCallsOfLine)(step, end, depth + 1);
        told = end;
      }
      step = end;
    }
    addModules(told, stop, depth, 0);
  }

  /** @param {number} start @param {number} stop @param {number} depth */
  function addCallsOfLine(start, stop, depth) {
    addCalls(start, stop, depth, Infinity);
  }

  /** A module whose code is several lines of the cell folds them; `level` parts of the path to it are told already.
   * @param {number} start @param {number} stop @param {number} depth @param {number} level */
  function addModules(start, stop, depth, level) {
    let told = start;
    for (let step = start; step < stop; ) {
      const end = endOfModule(step, stop, level);
      const next = run.lineStarts[lastAtMost(run.lineStarts, step) + 1] ?? Infinity;
      if (end - step > SOME && next < end) {
        addLines(told, step, depth);
        addModule(step, end, depth, level, addModules);
        told = end;
      }
      step = Math.max(end, step + 1);
    }
    addLines(told, stop, depth);
  }

  /** Where the calls end that have the same part of a module's path as the one at `step`.
   * @param {number} step @param {number} stop @param {number} level */
  function endOfModule(step, stop, level) {
    const name = run.modulePath(step)[level];
    let end = step + 1;
    while (name !== undefined && end < stop && run.modulePath(end)[level] === name) end += 1;
    return end;
  }

  /** @param {number} start @param {number} stop @param {number} depth @param {number} level @param {typeof addModules} add */
  function addModule(start, stop, depth, level, add) {
    const at = `${start}/${level}`;
    rows.push({ kind: "module", at, start, stop, depth, name: run.modulePath(start).slice(0, level + 1).join("") });
    if (unfolded || openModules.has(at)) add(start, stop, depth + 1, level + 1);
  }

  /** @param {number} start @param {number} stop @param {number} depth */
  function addLines(start, stop, depth) {
    for (let i = Math.max(0, lastAtMost(run.lineStarts, start)); i < run.lineStarts.length && run.lineStarts[i] < stop; i += 1) {
      const from = Math.max(start, run.lineStarts[i]);
      const to = Math.min(stop, i + 1 < run.lineStarts.length ? run.lineStarts[i + 1] : stop);
      if (to - from > 1) rows.push({ kind: "line", at: i, start: from, stop: to, depth });
      if (to - from > 1 && !unfolded && !openLines.has(i)) continue;
      addCalls(from, to, depth + Number(to - from > 1), to - from > FEW ? Number(hasOneModel(from, to)) : Infinity);
    }
  }

  /** Whether the modules of some calls all belong to one, which then need not be told.
   * @param {number} from @param {number} to */
  function hasOneModel(from, to) {
    let root;
    for (let step = from; step < to; step += 1) {
      const [name] = run.modulePath(step);
      if (name !== undefined && root !== undefined && name !== root) return false;
      root ??= name;
    }
    return true;
  }

  /** The calls of a line, those within a module folded by the path to it, of which `level` parts are told already.
   * @param {number} from @param {number} to @param {number} depth @param {number} level */
  function addCalls(from, to, depth, level) {
    for (let step = from; step < to; step += 1) {
      const stop = endOfModule(step, to, level);
      if (stop === to && step === from && stop - step > 1) {
        addCalls(from, to, depth, level + 1); // all of them: that part of the path tells nothing apart
        return;
      }
      if (stop - step > 1) {
        addModule(step, stop, depth, level, addCalls);
        step = stop - 1;
      } else rows.push({ kind: "call", at: step, start: step, stop, depth });
    }
  }

  /** Put the rows in sight on the page, and take the others away. */
  function paint() {
    const first = onPaper ? 0 : Math.max(0, Math.floor(view.scrollTop / ROW) - 6);
    const last = Math.min(rows.length, onPaper ? PAPER_ROWS : Math.ceil((view.scrollTop + view.clientHeight) / ROW) + 7) - 1;
    paintOnly(painted, space, first, last, (at) => rowElement(rows[at], at));
  }

  /** @param {Row} row @param {number} at */
  function rowElement(row, at) {
    const el = row.kind === "call" ? callRow(row) : row.kind === "run" ? runRow(row) : foldRow(row);
    el.style.top = `${at * ROW}px`;
    el.style.setProperty("--depth", String(row.depth));
    el.id = `${board.uid}-row-${at}`;
    mark(el, row, board.state, board.related);
    return el;
  }

  /** The name of a run of a cell above its calls.
   * @param {RunRow} row */
  function runRow(row) {
    return h("div", { class: "ip-call ip-call-run", role: "presentation" }, h("span", {}, row.name));
  }

  /** @param {FoldRow} row */
  function foldRow(row) {
    const open = isOpen(row);
    const place = run.place(row.start);
    const round = row.kind === "round" ? run.rounds[row.at] : null;
    const text = round ? `iteration ${round[2]} of ${many(round[1])}` : row.name ?? (cellText(place) || run.text(run.form(row.start).code));
    return h(
      "div",
      { class: `ip-call ip-fold ip-fold-${row.kind}`, role: "option", onclick: () => toggle(row) },
      h("span", { class: "ip-no" }, icon(open ? "open" : "shut", open ? "unfolded" : "folded")),
      h("span", { class: "ip-where" }, round ? `${round[1]}` : row.kind === "module" || row.kind === "built" ? "" : String(place.cell_line || place.line || "")),
      h(round ? "span" : "code", { class: "ip-what" }, text),
      h("span", { class: "ip-badges" }, h("span", { class: "ip-dim" }, counted(row.stop - row.start, "call"))),
    );
  }

  /** @param {any} place */
  function cellText(place) {
    const source = run.diagram.sources[place.source];
    const line = place.cell_line || place.line;
    return source && source.is_cell ? (source.lines[line - source.first] ?? "").trim() : "";
  }

  /** @param {CallRow} row */
  function callRow(row) {
    const step = row.at;
    const form = run.form(step);
    const place = run.place(step);
    const code = run.text(form.code);
    const label = run.text(form.label);
    const badges = [];
    for (const write of run.writes(step).slice(0, 1)) {
      badges.push(h("span", { class: "ip-badge is-moved" }, icon("write", "writes"), write.from < 0 ? "written" : write.moved ? `v${write.from} → v${write.from + write.moved}` : `v${write.from}`));
    }
    if (form.flags & FLAG.RAISED) badges.push(h("span", { class: "ip-badge ip-bad" }, icon("raised"), "raised"));
    if (MODES[form.mode]) badges.push(h("span", { class: "ip-tag" }, MODES[form.mode]));
    return h(
      "div",
      { class: "ip-call", role: "option", "data-step": step, onclick: () => board.choose(step), onpointerenter: () => board.hover({ step }), onpointerleave: () => board.hover(null) },
      h("span", { class: "ip-no" }, String(step + 1)),
      h("span", { class: "ip-where" }, place.line ? String(place.line) : ""),
      h("span", { class: "ip-what" }, h("b", {}, label), code && !code.startsWith(`${label}(`) ? h("code", {}, code) : h("code", {}, code.slice(label.length))),
      h("span", { class: "ip-badges" }, badges),
    );
  }

  /** @param {any} el @param {Row} row @param {State} state @param {Related} related */
  function mark(el, row, state, related) {
    const holds = row.start <= state.step && state.step < row.stop;
    const chosen = row.kind === "call" ? holds : holds && !isOpen(row);
    flag(el, "is-chosen", chosen);
    el.setAttribute("aria-selected", String(chosen));
    flag(el, "is-later", row.start > state.step);
    flag(el, "is-related", row.kind === "call" && related.steps.has(row.at));
    const finding = run.diagram.findings[state.finding];
    flag(el, "is-culprit", Boolean(finding) && finding.culprits.some((/** @type {any} */ spot) => spot.step !== null && row.start <= spot.step && spot.step < row.stop));
    flag(el, "is-victim", Boolean(finding?.victim) && finding.victim.step !== null && row.start <= finding.victim.step && finding.victim.step < row.stop);
    flag(el, "is-found", board.matches !== null && row.kind === "call" && board.matches.has(row.at));
  }

  /** @param {Row} row */
  function isOpen(row) {
    return (unfolded && !(onPaper && row.kind === "built")) || (row.kind !== "call" && row.kind !== "run" && opened[row.kind].has(row.at));
  }

  /** @param {Row} row */
  function toggle(row) {
    if (row.kind === "call" || row.kind === "run") return;
    if (unfolded) for (const one of rows) if (one.kind !== "call" && one.kind !== "run") opened[one.kind].add(one.at);
    unfolded = false;
    const open = opened[row.kind];
    if (!open.delete(row.at)) open.add(row.at);
    rebuild();
  }

  function unfold() {
    unfolded = !unfolded;
    rebuild();
    reveal(board.state.step);
  }

  /** Open what hides a call and scroll to it.
   * @param {number} step */
  function reveal(step) {
    if (!run.count) return;
    const round = lastAtMost(run.roundStarts, step);
    const line = lastAtMost(run.lineStarts, step);
    const before = openRounds.size + openLines.size;
    if (round >= 0 && run.rounds[round][1] && !unfolded) openRounds.add(round);
    if (line >= 0 && !unfolded) openLines.add(line);
    if (openRounds.size + openLines.size !== before) rebuild();
    for (let row = rows[rowOf(step)]; (row.kind === "module" || row.kind === "built") && !isOpen(row); row = rows[rowOf(step)]) {
      opened[row.kind].add(row.at);
      rebuild();
    }
    bring(step);
  }

  /** Scroll to the row of a call.
   * @param {number} step */
  function bring(step) {
    if (!run.count) return;
    const at = rowOf(step);
    const top = at * ROW;
    if (top < view.scrollTop + ROW || top + 2 * ROW > view.scrollTop + view.clientHeight) view.scrollTop = Math.max(0, top - view.clientHeight / 2 + ROW);
    view.setAttribute("aria-activedescendant", `${board.uid}-row-${at}`);
    paint();
  }

  /** The row of a call: the last row that begins at or before it.
   * @param {number} step */
  function rowOf(step) {
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].start <= step) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  el.append(unprinted);
  rebuild();
  return {
    el,
    reveal,
    update(state, before) {
      if (!before || before.step !== state.step) reveal(state.step);
      for (const [at, child] of painted) mark(child, rows[at], state, board.related);
    },
    relate(related) {
      for (const [at, child] of painted) mark(child, rows[at], board.state, related);
    },
    move(by) {
      let at = rowOf(board.state.step) + by;
      while (by < 0 && at > 0 && rows[at].kind !== "call" && (rows[at].kind === "run" || isOpen(rows[at]))) at -= 1; // the head of a group is left with it
      const row = rows[Math.min(rows.length - 1, Math.max(0, at))];
      if (by < 0 && row && row.kind !== "call" && isOpen(row)) return;
      if (!row) return;
      const step = row.kind === "call" ? row.at : by > 0 ? row.start : Math.max(0, row.stop - 1);
      board.choose(step === board.state.step ? Math.min(run.count - 1, Math.max(0, step + by)) : step);
    },
    key(key) {
      if (key !== "f") return false;
      const at = rowOf(board.state.step);
      for (let i = at; i >= 0; i -= 1) {
        const row = rows[i];
        if (row.kind === "call" || row.kind === "run" || row.start > board.state.step || board.state.step >= row.stop) continue;
        toggle(row);
        break;
      }
      return true;
    },
    paper(on) {
      if (on) wasUnfolded = unfolded;
      onPaper = on;
      unfolded = on || wasUnfolded;
      rebuild();
      if (on && !wasUnfolded && rows.length > PAPER_ROWS) {
        unfolded = false; // what is folded tells more of it than its beginning does
        rebuild();
      }
      unprinted.textContent = on && rows.length > PAPER_ROWS ? `… ${counted(rows.length - PAPER_ROWS, "more row")} not printed` : "";
    },
    resize() {
      if (onPaper) return;
      bring(board.state.step); // what the reader has folded stays so
      for (const [at, child] of painted) mark(child, rows[at], board.state, board.related);
    },
  };
}
