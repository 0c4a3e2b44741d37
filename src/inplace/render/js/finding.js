// @ts-check
// The finding: what went wrong, where in the source, in which bytes, and what to do. All of it fits one glance.

const GLANCE = 9; // lines of source shown with a finding
const HELD = 2; // tensors shown with a finding

/** @param {Board} board @returns {Pane} */
function findingPane(board) {
  const { run } = board;
  const { diagram } = run;
  const el = h("section", { class: "ip-first", "aria-label": "Finding", "aria-live": "polite" });
  /** The memory of the finding that is told.
   * @type {ReturnType<typeof memoryView>[]} */
  let memory = [];

  /** @param {any} finding */
  function told(finding) {
    const all = diagram.findings.length + diagram.findings_hidden;
    memory = memoryOf(finding);
    return [
      h("div", { class: "ip-eyebrow" }, brand(), memory.length ? filmButton() : null, all > 1 ? turner(board.state.finding, all) : null),
      headline(finding.severity, named(board, finding.headline)),
      h(
        "div",
        { class: "ip-told" },
        h("div", { class: "ip-seen" }, excerpt(board, finding), sentence("Why", finding.why)),
        h("div", { class: "ip-remedy" }, memory.map((view) => view.el), furtherOf(finding), sentence("Fix", finding.fix), change(board, finding)),
      ),
    ];
  }

  function brand() {
    return h("span", { class: "ip-brand" }, h("b", {}, "inplace"), h("span", { class: "ip-title" }, diagram.title));
  }

  function filmButton() {
    return h("button", { type: "button", class: "ip-button ip-to-film", title: "What each call does to these bytes", onclick: () => board.film.show() }, icon("play"), "Play the film");
  }

  /** @param {string} severity @param {any[]} text @param {any[]} after */
  function headline(severity, text, ...after) {
    return h("div", { class: "ip-headline" }, h("span", { class: "ip-severity" }, severity), h("h2", {}, ...text), ...after);
  }

  /** The storage that a finding is about with the names that reach it, or the first two of several, each in one row.
   * @param {any} finding */
  function memoryOf(finding) {
    const held = finding.tensors.map((/** @type {number} */ id) => run.tensors.get(id)).filter(Boolean);
    const drawn = [...finding.storages, ...held.map((/** @type {any} */ tensor) => tensor.storage)].map((id) => run.storages.get(id)).filter(Boolean);
    const own = ownOf(finding);
    const storages = own.length > 1 ? own.slice(0, HELD) : drawn.slice(0, 1);
    if (!storages.length) return [];
    const about = (/** @type {number} */ id) => (finding.tensors.includes(id) ? 2 : 0) + (run.tensors.get(id)?.names.length ? 1 : 0);
    const view = memoryView(board, "about", "Tensors of the finding");
    view.el.classList.toggle("is-several", storages.length > 1);
    for (const storage of storages) {
      const shown = [...storage.tensors].sort((one, two) => about(two) - about(one)).slice(0, storages.length > 1 ? 1 : HELD);
      view.add(storage, storage.tensors.filter((/** @type {number} */ id) => shown.includes(id)));
    }
    return [view];
  }

  /** The storages that a finding itself is about, of those that are drawn, which have a tensor.
   * @param {any} finding */
  function ownOf(finding) {
    return finding.memory.map((/** @type {number} */ id) => run.storages.get(id)).filter((/** @type {any} */ one) => one?.tensors.length);
  }

  /** @param {any} finding */
  function furtherOf(finding) {
    const rest = ownOf(finding).length - HELD;
    return rest > 0 ? h("p", { class: "ip-further" }, `… and ${counted(rest, "more tensor")}`) : null;
  }

  /** @param {number} at @param {number} all */
  function turner(at, all) {
    const turn = (/** @type {number} */ by, /** @type {string} */ label, /** @type {any} */ name) =>
      h("button", { type: "button", title: label, "aria-label": label, onclick: () => board.nextFinding(by) }, icon(name));
    return h(
      "span",
      { class: "ip-turn", role: "group", "aria-label": "Findings" },
      turn(-1, "Previous finding (p)", "back"),
      h("span", { class: "ip-of" }, `${at + 1} of ${all}`),
      turn(1, "Next finding (n)", "on"),
    );
  }

  function quiet() {
    const { ending, calls } = diagram;
    const writes = new Set(run.writeSteps).size;
    const said = `${counted(calls.count + calls.hidden, "call")}, ${writes.toLocaleString("en")} in place`;
    if (ending?.type === "KeyboardInterrupt") return [h("div", { class: "ip-eyebrow" }, brand()), headline("interrupted", [`interrupted after ${counted(calls.count + calls.hidden, "call")}`]), h("p", { class: "ip-message" }, `${said}. ${diagram.all_clear}`)];
    if (ending) return [h("div", { class: "ip-eyebrow" }, brand()), headline("raised", [`${ending.type}: ${ending.message}`]), h("p", { class: "ip-message" }, `${said}.`)];
    const open = h("button", { type: "button", class: "ip-link-button", onclick: () => board.open("all") }, "open");
    return [h("div", { class: "ip-line-only" }, brand(), h("span", { class: "ip-severity" }, "no finding"), h("span", { class: "ip-said" }, `${said}. ${diagram.all_clear}`), open)];
  }

  return {
    el,
    update(state, before) {
      if (!before || before.finding !== state.finding) {
        const finding = diagram.findings[state.finding];
        memory = [];
        board.el.dataset.severity = finding ? finding.severity : "none";
        board.el.dataset.quiet = String(!finding && !diagram.ending);
        el.replaceChildren(...(finding ? told(finding) : quiet()).filter(Boolean));
        for (const view of memory) {
          view.update(state, null);
          view.resize();
        }
      } else for (const view of memory) view.update(state, before);
    },
    relate(related) {
      for (const view of memory) view.relate(related);
    },
    resize() {
      for (const shown of el.querySelectorAll(".ip-excerpt")) fit(shown);
      for (const view of memory) view.resize();
    },
  };
}

/** Take out lines that are only around the told ones, the last first, until the rest is seen without scrolling.
 * @param {any} excerpt */
function fit(excerpt) {
  const around = [...excerpt.querySelectorAll("div.ip-told-line:not(:has(.ip-mark, .is-told))")];
  for (const line of around) line.hidden = false;
  while (around.length && excerpt.scrollHeight > excerpt.clientHeight + 1) around.pop().hidden = true;
}

/** A sentence in pieces of prose and code by turns.
 * @param {string[]} pieces */
function runsOfCode(pieces) {
  return pieces.map((part, number) => (number % 2 ? h("code", {}, part) : part));
}

/** A sentence in which a name of a tensor lights it in every pane.
 * @param {Board} board @param {string[]} pieces */
function named(board, pieces) {
  const { tensors } = board.run.diagram.references;
  return pieces.map((part, number) => {
    const tensor = number % 2 ? tensors.find((/** @type {any} */ one) => one.names.includes(part)) : undefined;
    if (!tensor) return number % 2 ? h("code", {}, part) : part;
    return h("code", { class: "ip-named", onpointerenter: () => board.hover({ tensor: tensor.id }), onpointerleave: () => board.hover(null) }, part);
  });
}

/** @param {string} word @param {string[]} pieces */
function sentence(word, pieces) {
  return pieces.length ? h("p", { class: "ip-sentence" }, h("b", {}, word), ...explained(pieces.join(""), pieces)) : null;
}

// ------------------------------------------------------------------ the lines it is about

/** The lines of a finding in the source, each with what it did.
 * @param {Board} board @param {any} finding */
function excerpt(board, finding) {
  const { diagram } = board.run;
  const spots = finding.culprits.slice(0, 3).map((/** @type {any} */ spot, /** @type {number} */ at) => ({ spot, role: at ? furtherRole(board, spot) : finding.role, said: at ? finding.also[at - 1] : finding.did }));
  if (finding.victim) spots.push({ spot: finding.victim, role: "victim", said: finding.needs });
  finding.bounds.forEach((/** @type {any} */ spot, /** @type {number} */ at) => spots.push({ spot, role: "bound", said: finding.bounds_are[at] }));
  if (diagram.ending?.spot && finding.severity === "error") spots.push({ spot: diagram.ending.spot, role: "raised", said: "raised here" });
  const el = h("div", { class: "ip-excerpt" });
  /** @type {Map<string, any[]>} */
  const files = new Map();
  for (const one of [...spots].sort((a, b) => (a.spot.step ?? Infinity) - (b.spot.step ?? Infinity))) {
    const key = `${one.spot.source} ${one.spot.label}`;
    files.set(key, [...(files.get(key) ?? []), one]);
  }
  for (const [, told] of files) {
    const [{ spot }] = told;
    const where = lineOf(spot, diagram).split("line ")[0].trim();
    if (where || files.size > 1) el.append(h("div", { class: "ip-excerpt-file" }, where || spot.label || diagram.title));
    el.append(...excerptLines(board, told, Math.floor(GLANCE / files.size)));
  }
  return el;
}

/** What a culprit after the first is marked as in the source.
 * @param {Board} board @param {any} spot */
function furtherRole(board, spot) {
  const marks = board.run.diagram.sources[spot.source]?.marks ?? [];
  return marks.find((/** @type {any} */ mark) => mark.finding === board.state.finding && mark.line === spot.line && mark.column === spot.column)?.role ?? "culprit";
}

/** The lines of some places in one source, with a line around each where there is room.
 * @param {Board} board @param {any[]} told @param {number} room */
function excerptLines(board, told, room) {
  const source = board.run.diagram.sources[told[0].spot.source];
  const own = new Set(told.flatMap(({ spot }) => upTo(spot.line, Math.min(spot.end_line, spot.line + 2))));
  const near = new Set([...own].flatMap((line) => [line - 1, line, line + 1]));
  const there = (/** @type {number} */ line) => source && line >= source.first && line < source.first + source.lines.length;
  const wide = [...near].filter(there);
  const lines = (wide.length <= room ? wide : [...own]).sort((a, b) => a - b).slice(0, room);
  /** @type {HTMLElement[]} */
  const rows = [];
  const textOf = (/** @type {number} */ line) => (there(line) ? source.lines[line - source.first] : "");
  const cut = Math.min(...lines.filter((line) => textOf(line).trim()).map((line) => textOf(line).length - textOf(line).trimStart().length), 40);
  lines.forEach((line, i) => {
    if (i && line > lines[i - 1] + 1) rows.push(h("div", { class: "ip-gap", "aria-hidden": "true" }, "⋯"));
    const at = told.filter(({ spot }) => spot.line <= line && line <= spot.end_line);
    const bare = told.find(({ spot }) => spot.line === line)?.spot.code.split("\n")[0] ?? "";
    rows.push(there(line) ? excerptLine(board, line, textOf(line).slice(cut), at, cut) : excerptLine(board, line, bare, at, null));
  });
  return rows;
}

/** @param {number} from @param {number} to */
function upTo(from, to) {
  return Array.from({ length: Math.max(0, to - from) + 1 }, (_, i) => from + i);
}

/** A line of a finding; `cut` letters of its indentation are left out, null where nothing but a piece of it is known.
 * @param {Board} board @param {number} line @param {string} text @param {any[]} told @param {number | null} cut */
function excerptLine(board, line, text, told, cut) {
  const at = (/** @type {any} */ spot) => (cut === null ? { column: 0, end_column: text.length, end_line: line } : { column: spot.column - cut, end_column: spot.end_column - cut });
  const marks = told.map(({ spot, role }) => ({ ...spot, ...at(spot), role, told: true }));
  const first = told.filter(({ spot }) => spot.line === line).sort((a, b) => RANK.indexOf(a.role) - RANK.indexOf(b.role));
  const step = first[0]?.spot.step ?? null;
  const inner = [
    h("span", { class: "ip-no" }, String(line)),
    h("span", { class: "ip-gutter" }, first.slice(0, 1).map(({ role, said }) => badge({ role, told: true }, said || SAID[/** @type {keyof typeof SAID} */ (role)]))),
    h(
      "span",
      { class: "ip-told-text" },
      codeOf(text, line, marks),
      h("span", { class: `ip-role ip-role-${first[0]?.role ?? "none"}` }, first.map(({ said }) => said).filter(Boolean).join(", ")),
    ),
  ];
  if (step === null) return h("div", { class: "ip-told-line" }, inner);
  return h("button", { class: "ip-told-line", type: "button", title: "Show this call", onclick: () => board.go(step) }, inner);
}

// ------------------------------------------------------------------ the change it needs

/** The proposed change with its buttons.
 * @param {Board} board @param {any} finding */
function change(board, finding) {
  const { diff } = finding;
  const said = h("span", { class: "ip-copied", role: "status" });
  const button = (/** @type {string} */ label, /** @type {() => void} */ onclick) => h("button", { type: "button", class: "ip-button", onclick }, label);
  const copy = (/** @type {string} */ label, /** @type {() => string} */ text) => button(label, () => copyText(text()).then((done) => { said.textContent = done ? "Copied." : "The browser does not let us copy."; }));
  const buttons = [copy("Copy as Markdown", () => markdown(board, finding))];
  if (diff) {
    buttons.unshift(copy("Copy the change", () => diff.lines.join("\n")));
    const place = cellPlace(board, finding);
    if (place) buttons.unshift(button("Apply to the cell", () => { said.textContent = place.apply() ? "Changed; Ctrl+Z takes it back. Nothing was run." : "The cell has other lines now."; }));
    if (diff.proof) buttons.push(button(diff.verified ? "Show the proof" : diff.verified === false ? "Why there is no proof" : "How it is known", () => board.open("evidence")));
  }
  return h(
    "div",
    { class: "ip-change" },
    diff && h(
      "pre",
      { class: "ip-diff", tabindex: "0", "aria-label": `Proposed change of line ${diff.line}` },
      ...diff.lines.flatMap((/** @type {string} */ line, /** @type {number} */ number) => [
        number ? "\n" : "",
        h(line.startsWith("-") ? "del" : line.startsWith("+") ? "ins" : "span", {}, line.replace("-", "−")),
      ]),
    ),
    h("div", { class: "ip-buttons" }, buttons, said),
  );
}

/** A finding as text for an issue or a forum.
 * @param {Board} board @param {any} finding */
function markdown(board, finding) {
  const { diagram } = board.run;
  const prose = (/** @type {string[]} */ pieces) => pieces.map((part, number) => (number % 2 ? `\`${part}\`` : part)).join("");
  const spots = [...finding.culprits.slice(0, 3).map((/** @type {any} */ spot, /** @type {number} */ at) => [spot, at ? finding.also[at - 1] : finding.did]), ...(finding.victim ? [[finding.victim, finding.needs]] : [])];
  const lines = spots.map(([spot, said]) => `${lineOf(spot, diagram)}: ${spot.code.split("\n")[0]}${said && `  # ${said}`}`);
  const parts = [`**${finding.kind}** (${diagram.title}, PyTorch ${diagram.torch}): ${prose(finding.headline)}`, `\`\`\`\n${lines.join("\n")}\n\`\`\``];
  if (finding.why.length) parts.push(`**Why:** ${prose(finding.why)}`);
  if (finding.fix.length) parts.push(`**Fix:** ${prose(finding.fix)}`);
  if (finding.diff) parts.push(`\`\`\`diff\n${finding.diff.lines.join("\n")}\n\`\`\``);
  return `${parts.join("\n\n")}\n`;
}

/** @param {string} text @returns {Promise<boolean>} */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A page that is not served over https has no clipboard of its own.
    const area = document.body.appendChild(h("textarea", { style: "position: fixed; opacity: 0" }));
    area.value = text;
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

// ------------------------------------------------------------------ the cell around us

/** Where the change of a finding goes in the editor of the cell that shows us; null where there is no such place.
 * @param {Board} board @param {any} finding */
function cellPlace(board, finding) {
  const [culprit] = finding.culprits;
  const { diagram } = board.run;
  if (!culprit || !(diagram.sources[culprit.source]?.is_cell ?? false) || lineOf(culprit, diagram) !== `line ${culprit.line}`) return null;
  const lines = finding.diff.lines;
  const old = lines.filter((/** @type {string} */ line) => !line.startsWith("+ ")).map((/** @type {string} */ line) => line.slice(2));
  const fresh = lines.filter((/** @type {string} */ line) => !line.startsWith("- ")).map((/** @type {string} */ line) => line.slice(2));
  const found = () => {
    const view = editorAround(board.host);
    const at = view ? linesAt(view.state.doc.toString().split("\n"), old, finding.diff.line) : -1;
    return at < 0 ? null : { view, at };
  };
  if (!found()) return null;
  return {
    apply() {
      const place = found();
      if (!place) return false;
      const { view, at } = place;
      view.dispatch({ changes: { from: view.state.doc.line(at + 1).from, to: view.state.doc.line(at + old.length).to, insert: fresh.join("\n") }, scrollIntoView: true });
      return true;
    },
  };
}

/** The CodeMirror of the notebook cell that an element is an output of.
 * @param {HTMLElement} host @returns {any} */
function editorAround(host) {
  const cell = host.closest(".jp-CodeCell");
  return cell && editorIn(/** @type {HTMLElement} */ (cell));
}

/** The CodeMirror of a notebook's cell.
 * @param {HTMLElement} cell @returns {any} */
function editorIn(cell) {
  const content = /** @type {any} */ (cell.querySelector(".jp-Editor .cm-content"));
  return content?.cmTile?.view ?? content?.cmView?.view ?? content?.cmView?.rootView?.view ?? null; // names of releases from 6.39 and before
}

/** Put a text into the cell below the one that an element is an output of: that one if it is empty, else a new one.
 * @param {HTMLElement} host @param {string} text @returns {Promise<boolean>} */
async function intoNextCell(host, text) {
  const cell = host.closest(".jp-Cell");
  const below = () => /** @type {HTMLElement | null} */ (cell?.nextElementSibling ?? null);
  const empty = () => {
    const view = below() && editorIn(/** @type {HTMLElement} */ (below()));
    return view && !view.state.doc.toString().trim() ? view : null;
  };
  if (!empty()) {
    // A cell in which somebody has clicked is the chosen one; the notebook's own button puts one below it.
    const insert = /** @type {HTMLElement | null | undefined} */ (cell?.closest(".jp-NotebookPanel")?.querySelector("[data-jp-item-name='insert'] :is(jp-button, button)"));
    if (!insert || !cell?.classList.contains("jp-mod-active")) return false;
    // JupyterLab's buttons act when the mouse goes down, those of other releases on a click.
    for (const press of [() => insert.dispatchEvent(new MouseEvent("mousedown", { bubbles: true })), () => insert.click()]) {
      if (!empty()) press();
      for (let i = 0; i < 60 && !empty(); i += 1) await new Promise((done) => requestAnimationFrame(done));
    }
  }
  const view = empty();
  view?.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
  return Boolean(view);
}

/** Where some lines stand in a text, as near to a line as can be; -1 for nowhere.
 * @param {string[]} text @param {string[]} wanted @param {number} near */
function linesAt(text, wanted, near) {
  const places = text.map((_, at) => at).filter((at) => wanted.every((line, i) => text[at + i] === line));
  return places.sort((one, two) => Math.abs(one + 1 - near) - Math.abs(two + 1 - near))[0] ?? -1;
}
