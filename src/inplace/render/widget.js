// @ts-check
/**
 * The picture of one run: a finding, the source, the references, the autograd graph and the timeline, all linked.
 *
 * It draws the Diagram it is given (`panes_model.py` says what each field means) and reports the chosen step back.
 * Text of the user's is only ever put into the page as text, nothing is fetched, and nothing is evaluated.
 */

const SVG = "http://www.w3.org/2000/svg";
const FLAG = { WRITES: 1, RAISED: 2, BACKWARD: 4, TO_PYTHON: 8, WITHIN: 16, LIBRARY: 32 };
const MODES = ["", "no-grad", "inference"];
const SOME = 3; // calls of several lines that are listed without the module they are in
const FEW = 6; // calls of one line that are listed without their modules
const ROW = 26; // height of a row of the list of calls, in pixels: the same as in widget.css
const PLAY_MS = 700;

/** @typedef {{step: number, tensor: number, finding: number, compare: boolean, from: number, query: string}} State */
/** @typedef {{steps: Set<number>, tensors: Set<number>, lines: Set<string>, nodes: Set<number>}} Related */
/** @typedef {{el: HTMLElement, update: (state: State, before: State | null) => void, relate?: (related: Related) => void,
 *   move?: (by: number) => void, resize?: () => void}} Pane */

// ------------------------------------------------------------------ elements

/**
 * An element with attributes and children; strings become text, never markup.
 * @param {string} tag @param {Record<string, any>} [given] @param {...any} children @returns {any}
 */
function h(tag, given = {}, ...children) {
  return filled(document.createElement(tag), given, children);
}

/** The same for SVG. @param {string} tag @param {Record<string, any>} [given] @param {...any} children @returns {any} */
function s(tag, given = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), given, children);
}

/** @param {any} el @param {Record<string, any>} given @param {any[]} children */
function filled(el, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  el.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return el;
}

const ICONS = {
  culprit: "M10.9 1.9a1.5 1.5 0 0 1 2.1 0l1.1 1.1a1.5 1.5 0 0 1 0 2.1L6 13.2l-4 1 1-4z",
  victim: "M8 1 15 8 8 15 1 8zM8 4 4 8l4 4 4-4z",
  write: "M10.9 1.9a1.5 1.5 0 0 1 2.1 0l1.1 1.1a1.5 1.5 0 0 1 0 2.1L6 13.2l-4 1 1-4z",
  cut: "M2 7h5v2H2zm7 0h5v2H9zM6 2h1.6l-1 12H5zm3.4 0H11l-1 12H8.400z",
  alias: "M2 2h8v3H5v5H2zm4 4h8v8H6zm2 2v4h4V8z",
  raised: "M3.500 2 8 6.500 12.500 2 14 3.500 9.500 8l4.500 4.500-1.500 1.500L8 9.500 3.500 14 2 12.500 6.500 8 2 3.500z",
  play: "M4 2.500v11l9-5.500z",
  pause: "M4 3h3v10H4zm5 0h3v10H9z",
  back: "M10.500 3 5.500 8l5 5z",
  on: "M5.500 3l5 5-5 5z",
  fix: "M6.300 12.800 2 8.500l1.500-1.500 2.800 2.800L12.500 3.500 14 5z",
  why: "M7 7h2v6H7zm0-4h2v2.200H7z",
  open: "M3 5.500 8 10.500 13 5.500z",
  shut: "M5.500 3 10.500 8 5.500 13z",
};

/** @param {keyof typeof ICONS} name @param {string} [label] @returns {any} */
function icon(name, label) {
  const given = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return s("svg", { class: `ip-icon ip-icon-${name}`, viewBox: "0 0 16 16", ...given }, s("path", { d: ICONS[name], "fill-rule": "evenodd" }));
}

/** @param {any} el @param {string} name @param {boolean} on */
function flag(el, name, on) {
  if (el.classList.contains(name) !== on) el.classList.toggle(name, on);
}

// ------------------------------------------------------------------ words and numbers

/** @param {number} bytes */
function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  let count = Math.abs(bytes);
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${bytes < 0 ? "−" : ""}${unit && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

/** A number in few letters. @param {any} value @param {number} [digits] */
function short(value, digits = 3) {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e5) return String(value);
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(Math.max(digits, size >= 1 ? String(Math.trunc(size)).length : 0))));
  return value.toExponential(Math.min(1, digits - 1));
}

/** @param {number} count @param {string} one @param {string} [many] */
function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** @param {any} spot @param {any} diagram */
function lineOf(spot, diagram) {
  const own = diagram.sources[spot.source]?.is_cell ?? false; // then the title says which
  return `${own || !spot.label ? "" : `${spot.label} `}line ${spot.line}`;
}

/** The last index whose value is at most `wanted`; -1 where there is none. @param {ArrayLike<number>} sorted @param {number} wanted */
function lastAtMost(sorted, wanted) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= wanted) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Running sums: columns of steps are sent as differences. @param {number[]} steps */
function summed(steps) {
  const found = new Int32Array(steps.length);
  let at = 0;
  for (let i = 0; i < steps.length; i += 1) found[i] = at += steps[i];
  return found;
}

// ------------------------------------------------------------------ what the diagram says, indexed

/** The iterations of loops: first step, line of the loop (0 outside), number from 1. @param {any} folds @returns {[number, number, number][]} */
function roundsOf(folds) {
  const starts = summed(folds.rounds);
  let number = 0;
  return folds.loops.map((/** @type {number} */ loop, /** @type {number} */ i) => {
    number = loop && i && folds.loops[i - 1] === loop ? number + 1 : Number(loop > 0);
    return [starts[i], loop, number];
  });
}

class Run {
  /** @param {any} diagram */
  constructor(diagram) {
    this.diagram = diagram;
    this.calls = diagram.calls;
    this.count = diagram.calls.count;
    this.tensors = new Map(diagram.references.tensors.map((/** @type {any} */ one) => [one.id, one]));
    this.storages = new Map(diagram.references.storages.map((/** @type {any} */ one) => [one.id, one]));
    this.counters = new Map(diagram.references.counters.map((/** @type {any} */ one) => [one.id, one]));
    this.raised = new Map(diagram.calls.raised);
    this.results = new Map(diagram.calls.results);
    this.writeSteps = summed(diagram.calls.write_steps);
    this.lineStarts = summed(diagram.calls.folds.lines);
    this.rounds = roundsOf(diagram.calls.folds);
    this.roundStarts = this.rounds.map((round) => round[0]);
    /** @type {Map<number, Int32Array>} */
    this.touched = new Map();
    /** @type {Map<number, number[]>} */
    this.touching = new Map();
    for (const tensor of diagram.references.tensors) this.indexTensor(tensor);
    this.contentsAt = { step: NaN, held: new Map() };
    /** @type {Map<number, string[]>} */
    this.modulePaths = new Map();
  }

  /** @param {any} tensor */
  indexTensor(tensor) {
    const steps = summed(tensor.touched);
    this.touched.set(tensor.id, steps);
    for (const step of steps) {
      const list = this.touching.get(step);
      if (list) list.push(tensor.id);
      else this.touching.set(step, [tensor.id]);
    }
  }

  /** @param {number} step */
  form(step) {
    return this.calls.forms[this.calls.form[step]];
  }

  /** @param {number} step */
  place(step) {
    return this.calls.places[this.form(step).place];
  }

  /** The parts of the path of the module that made a call: `net`, `.layers`, `[0]`. @param {number} step @returns {string[]} */
  modulePath(step) {
    const { module } = this.form(step);
    let parts = this.modulePaths.get(module);
    if (!parts) this.modulePaths.set(module, (parts = this.text(module).match(/^[^.[]+|\.[^.[]+|\[[^\]]*\]/g) ?? []));
    return parts;
  }

  /** @param {number} text */
  text(text) {
    return text < 0 ? "" : this.calls.texts[text];
  }

  /** What a call wrote: tensor, version before, how far it moved. @param {number} step */
  writes(step) {
    const found = [];
    for (let i = lastAtMost(this.writeSteps, step); i >= 0 && this.writeSteps[i] === step; i -= 1) {
      found.unshift({ tensor: this.calls.write_tensors[i], from: this.calls.write_from[i], moved: this.calls.write_moved[i] });
    }
    return found;
  }

  /** The version of a tensor after a call; null where none was seen yet. @param {any} tensor @param {number} step */
  version(tensor, step) {
    const counter = this.counters.get(tensor.counter);
    if (!counter || (counter.until >= 0 && step > counter.until)) return null;
    const { steps, versions } = counter.summed ??= { steps: summed(counter.steps), versions: summed(counter.versions) };
    const at = lastAtMost(steps, step);
    return at < 0 ? null : versions[at];
  }

  /** The elements of a small storage after a call. @param {any} storage @param {number} step @returns {Map<number, any>} */
  contents(storage, step) {
    const held = new Map();
    if (storage.until >= 0 && step > storage.until) return held;
    for (const [since, changes] of storage.values) {
      if (since > step) break;
      for (const [element, value] of changes) held.set(element, value);
    }
    return held;
  }

  /** Whether a tensor is there after a call. @param {any} tensor @param {number} step */
  lives(tensor, step) {
    return tensor.born <= step && (tensor.died < 0 || step <= tensor.died);
  }

  /** What the user calls a tensor. @param {number} id */
  nameOf(id) {
    const tensor = this.tensors.get(id);
    if (!tensor) return "an unnamed tensor";
    return tensor.names[0] ?? (tensor.was || "an unnamed tensor");
  }

  /** The tensors that read other bytes after a write to some: those that share a byte. @param {number[]} written */
  readers(written) {
    const found = [];
    for (const tensor of this.tensors.values()) {
      if (written.includes(tensor.id)) continue;
      const touched = written.some((id) => {
        const other = this.tensors.get(id);
        return other && other.storage === tensor.storage && tensor.storage >= 0 && overlap(other.pieces, tensor.pieces);
      });
      if (touched) found.push(tensor);
    }
    return found;
  }

  /** @param {number} step @returns {string} */
  lineKey(step) {
    const place = this.place(step);
    return `${place.source}:${place.line}`;
  }
}

/** @param {number[][]} one @param {number[][]} two */
function overlap(one, two) {
  return one.some(([start, stop]) => two.some(([from, to]) => start < to && from < stop));
}

// ------------------------------------------------------------------ the finding

/** @param {Board} board @returns {Pane} */
function bannerPane(board) {
  const { diagram } = board.run;
  const el = h("section", { class: "ip-banner", "aria-label": "Finding", "aria-live": "polite" });
  let openLesson = false; // the banner is drawn anew for each step; what the reader has opened stays open

  /** @param {string} role @param {any} spot @param {string} said */
  function place(role, spot, said) {
    const go = () => spot.step !== null && board.choose(spot.step);
    return h(
      "button",
      { class: `ip-place ip-role-${role}`, type: "button", onclick: go, disabled: spot.step === null },
      h("span", { class: "ip-place-said" }, icon(/** @type {any} */ (role)), `${said} · ${lineOf(spot, diagram)}`),
      h("code", {}, spot.code.split("\n")[0]),
    );
  }

  /** @param {any} finding */
  function story(finding) {
    const cut = finding.kind === "graph-detached";
    const parts = [];
    if (finding.culprits.length) parts.push(place(cut ? "cut" : "culprit", finding.culprits[0], finding.did));
    if (finding.victim) parts.push(h("span", { class: "ip-arrow", "aria-hidden": "true" }), place("victim", finding.victim, finding.needs));
    else if (board.run.diagram.ending?.spot && finding.severity === "error") {
      parts.push(h("span", { class: "ip-arrow", "aria-hidden": "true" }), place("raised", board.run.diagram.ending.spot, "raised at"));
    }
    return h("div", { class: "ip-story" }, parts);
  }

  /** A sentence in pieces of prose and code by turns. @param {string[]} pieces */
  const runs = (pieces) => pieces.map((part, number) => (number % 2 ? h("code", {}, part) : part));

  /** A sentence in which code stands in backticks. @param {string} text */
  const prose = (text) => runs(text.split("`"));

  /** The worked example that teaches what a finding is about. @param {any} one */
  function lesson(one) {
    if (!one) return null;
    const box = /** @type {HTMLDetailsElement} */ (h(
      "details",
      { class: "ip-lesson" },
      h("summary", {}, h("b", {}, "Worked example"), ` ${one.id}: ${one.title}`),
      h("div", { class: "ip-lesson-body" },
        h("pre", { tabindex: "0", "aria-label": `Code of example ${one.id}` }, one.code.trimEnd()),
        h("div", {},
          h("p", {}, h("b", {}, "One hears"), h("span", {}, ...prose(one.claim))),
          h("p", {}, h("b", {}, "PyTorch"), h("span", {}, ...prose(one.lesson))),
          h("p", { class: "ip-verdict" }, h("b", {}, "So it is"), h("span", {}, one.verdict)),
        ),
      ),
    ));
    box.open = openLesson;
    box.addEventListener("toggle", () => { openLesson = box.open; });
    return box;
  }

  /** @param {any} finding */
  function remedy(finding) {
    const diff = finding.diff;
    return h(
      "div",
      { class: "ip-remedy" },
      h("p", {}, h("b", {}, "Why"), h("span", {}, ...runs(finding.why))),
      h("p", {}, h("b", {}, "Fix"), h("span", {}, ...runs(finding.fix))),
      finding.facts.length ? h("p", { class: "ip-facts" }, h("b", {}, "Seen"), h("span", {}, ...runs(finding.facts))) : null,
      diff && h(
        "pre",
        { class: "ip-diff", "aria-label": `Proposed change of line ${diff.line}` },
        ...diff.lines.flatMap((/** @type {string} */ line, /** @type {number} */ number) => [
          number ? "\n" : "",
          h(line.startsWith("-") ? "del" : line.startsWith("+") ? "ins" : "span", {}, line.replace("-", "−")),
        ]),
      ),
      diff?.proof && h("p", { class: diff.verified ? "ip-proved" : "ip-unproved" }, h("b", {}, diff.verified ? "Proof" : "No proof"), h("span", {}, diff.proof)),
      lesson(diagram.lessons?.find((/** @type {any} */ one) => one.id === finding.example)),
    );
  }

  /** @param {State} state */
  function told(state) {
    const finding = diagram.findings[state.finding];
    const all = diagram.findings.length + diagram.findings_hidden;
    return [
      h(
        "div",
        { class: "ip-headline" },
        h("span", { class: "ip-severity" }, finding.severity),
        h("h2", {}, ...runs(finding.headline)),
        all > 1 ? turner(state.finding, all) : null,
      ),
      story(finding),
      remedy(finding),
    ];
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
    const text = ending ? `${ending.type}: ${ending.message}` : "Nothing found: no overwritten tensor was still needed.";
    const writes = new Set(board.run.writeSteps).size;
    return [
      h("div", { class: "ip-headline" }, h("span", { class: "ip-severity" }, ending ? "raised" : "no finding"), h("h2", {}, text)),
      h("p", { class: "ip-message" }, `${counted(calls.count + calls.hidden, "call")} recorded; ${counted(writes, "call")} wrote to a tensor in place.`),
    ];
  }

  return {
    el,
    update(state, before) {
      if (before && before.finding === state.finding) return;
      const finding = diagram.findings[state.finding];
      board.el.dataset.severity = finding ? finding.severity : "none";
      el.replaceChildren(...(finding ? told(state) : quiet()).filter(Boolean));
    },
  };
}

// ------------------------------------------------------------------ the timeline's scrubber

/** @param {Board} board @returns {Pane} */
function scrubberPane(board) {
  const { run } = board;
  const last = Math.max(0, run.count - 1);
  const play = h("button", { type: "button", class: "ip-play", "aria-label": "Play", title: "Play (space)", onclick: () => board.play() }, icon("play"));
  const range = h("input", {
    type: "range", min: 0, max: last, step: 1, class: "ip-range", "aria-label": "Step",
    oninput: () => board.choose(Number(range.value)),
  });
  const head = h("span", { class: "ip-head" });
  const marks = s("svg", { class: "ip-curve", viewBox: "0 0 1000 40", preserveAspectRatio: "none", "aria-hidden": "true" });
  const track = h("div", { class: "ip-track" }, marks, head, range);
  const peak = h("div", { class: "ip-peak" });
  const told = h("div", { class: "ip-did", "aria-live": "polite" });
  const compare = h("button", { type: "button", class: "ip-toggle", "aria-pressed": "false", title: "Before and after (c)", onclick: () => board.set({ compare: !board.state.compare }) }, "before → after");
  const stepper = (/** @type {number} */ by, /** @type {string} */ label, /** @type {any} */ name) =>
    h("button", { type: "button", "aria-label": label, title: `${label} (${by < 0 ? "←" : "→"})`, onclick: () => board.step(by) }, icon(name));
  const el = h(
    "section",
    { class: "ip-scrubber", "aria-label": "Timeline" },
    h("div", { class: "ip-transport" }, stepper(-1, "Previous call", "back"), play, stepper(1, "Next call", "on")),
    track,
    compare,
    h("div", { class: "ip-under" }, told, peak),
  );
  const x = (/** @type {number} */ step) => (1000 * (Math.max(-0.5, step) + 0.5)) / Math.max(1, run.count);
  drawCurve();
  for (const finding of run.diagram.findings) for (const step of finding.steps.slice(0, 1)) addTick(step, finding.severity);

  function drawCurve() {
    const { memory, kept } = run.calls;
    const top = (/** @type {number[][]} */ points) => Math.max(0, ...points.map((point) => point[1]));
    const highest = Math.max(1, top(memory));
    const area = (/** @type {number[][]} */ points, /** @type {string} */ name) => {
      let path = "M0 40";
      for (const [step, bytes] of points) path += `H${x(Math.min(step, run.count)).toFixed(1)}V${(38 - (34 * bytes) / highest).toFixed(1)}`;
      marks.append(s("path", { d: `${path}H1000V40Z`, class: name }));
    };
    area(memory, "ip-memory");
    peak.append(h("span", {}, h("i", { class: "ip-key" }), `live bytes, peak ${size(top(memory))}`));
    if (!top(kept)) return;
    area(kept, "ip-kept");
    peak.append(h("span", {}, h("i", { class: "ip-key ip-key-kept" }), `kept for backward, peak ${size(top(kept))}`));
  }

  /** @param {number} step @param {string} severity */
  function addTick(step, severity) {
    const tick = h("span", { class: "ip-tick", "data-severity": severity });
    tick.style.left = `${x(step) / 10}%`;
    track.insertBefore(tick, head);
  }

  /** One line on what the chosen call did. @param {number} step */
  function did(step) {
    if (!run.count) return [h("span", { class: "ip-dim" }, "No call was recorded.")];
    const form = run.form(step);
    const place = run.place(step);
    const writes = run.writes(step);
    const parts = [
      h("span", { class: "ip-step" }, `call ${(step + 1).toLocaleString("en")} of ${(run.count + run.calls.hidden).toLocaleString("en")}`),
      h("code", {}, run.text(form.code) || run.text(form.label)),
      run.text(form.code).includes(run.text(form.label).replace(/^__|__$/g, "")) || form.label < 0 || !(form.flags & FLAG.LIBRARY) ? null : h("span", { class: "ip-dim" }, "through ", h("code", {}, run.text(form.label))),
      place.line ? h("span", { class: "ip-dim" }, `line ${place.line}`) : null,
    ];
    if (run.raised.has(step)) parts.push(h("span", { class: "ip-say ip-bad" }, icon("raised"), run.raised.get(step)));
    else if (writes.length) parts.push(h("span", { class: "ip-say" }, icon("write"), wrote(writes)));
    else if (form.flags & FLAG.BACKWARD) parts.push(h("span", { class: "ip-dim" }, "reads what the graph kept"));
    const readers = run.readers(writes.map((write) => write.tensor)).filter((tensor) => tensor.names.length && run.lives(tensor, step));
    if (readers.length) {
      const names = readers.flatMap((tensor) => tensor.names).slice(0, 6);
      parts.push(h("span", { class: "ip-say" }, icon("alias"), "also changes what ", h("b", {}, names.join(", ")), names.length > 1 ? " read" : " reads"));
    }
    if (form.allocated) parts.push(h("span", { class: "ip-dim" }, `+${size(form.allocated)}`));
    if (MODES[form.mode]) parts.push(h("span", { class: "ip-tag" }, MODES[form.mode]));
    return parts;
  }

  /** @param {{tensor: number, from: number, moved: number}[]} writes */
  function wrote(writes) {
    const [write] = writes;
    const tensor = run.tensors.get(write.tensor);
    const names = tensor?.names.length ? tensor.names.join(", ") : run.nameOf(write.tensor);
    const version = write.from < 0 ? "has no version" : write.moved ? `v${write.from} → v${write.from + write.moved}` : `stays v${write.from}`;
    const more = writes.length > 1 ? ` and ${writes.length - 1} more` : "";
    return ["writes ", h("b", {}, names), `${more}, ${version}`];
  }

  return {
    el,
    update(state, before) {
      if (!before || before.step !== state.step) {
        range.value = String(state.step);
        range.setAttribute("aria-valuetext", `call ${state.step + 1} of ${run.count}`);
        head.style.left = `${x(state.step) / 10}%`;
        told.replaceChildren(...did(state.step).filter(Boolean));
      }
      compare.setAttribute("aria-pressed", String(state.compare));
      play.replaceChildren(icon(board.playing ? "pause" : "play"));
      play.setAttribute("aria-label", board.playing ? "Pause" : "Play");
    },
  };
}

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
  /** @type {{row: any, text: string, line: number, marks: any[]}[]} */
  const marked = [];
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
    const times = counts.get(key) ?? 0;
    const row = h(
      "div",
      {
        class: "ip-line", role: "option", id: `${board.uid}-line-${source}-${line}`, "aria-selected": "false", "data-line": key,
        onclick: () => chooseLine(key), onpointerenter: () => board.hover({ line: key }), onpointerleave: () => board.hover(null),
      },
      h("span", { class: "ip-no" }, String(line)),
      h("span", { class: "ip-gutter" }),
      h("code", {}, pieces(text, line, [])),
      h("span", { class: "ip-times" }, times > 1 ? `${times.toLocaleString("en")} calls` : ""),
    );
    if (marks.length) marked.push({ row, text, line, marks });
    return row;
  }

  /** The marks of the told finding first and in colour, those of others in grey. @param {number} finding */
  function markLines(finding) {
    for (const { row, text, line, marks } of marked) {
      const own = marks.map((/** @type {any} */ mark) => ({ ...mark, told: mark.finding === finding || mark.role === "raised" }));
      const rank = (/** @type {any} */ mark) => RANK.indexOf(mark.role) + (mark.told ? 0 : RANK.length);
      own.sort((/** @type {any} */ a, /** @type {any} */ b) => rank(a) - rank(b));
      const kept = own.filter((/** @type {any} */ mark, /** @type {number} */ i) => mark.line === line && own.findIndex((/** @type {any} */ one) => one.line === line && one.role === mark.role) === i);
      const shown = kept.filter((/** @type {any} */ mark) => mark.told || kept.length === 1 || !kept.some((/** @type {any} */ one) => one.told)).slice(0, kept.some((/** @type {any} */ one) => one.told) ? 2 : 1);
      row.children[1].replaceChildren(...shown.map(badge));
      row.children[2].replaceChildren(...pieces(text, line, own));
    }
  }

  /** @param {any} mark */
  function badge(mark) {
    const said = SAID[/** @type {keyof typeof SAID} */ (mark.role)];
    return h("i", { class: `ip-mark ip-role-${mark.role} ${mark.told ? "is-told" : ""}`, title: said }, icon(mark.role, said));
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
    for (const mark of [...marks].reverse()) {
      const from = mark.line === line ? mark.column : letters.length - text.trimStart().length;
      const to = mark.end_line === line ? mark.end_column : letters.length;
      for (let i = from; i < Math.min(to, letters.length); i += 1) look[i][1] = `${mark.role}${mark.told ? " is-told" : ""}`;
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
      if (!before || before.finding !== state.finding) markLines(state.finding);
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
  const [inner, outer] = [row.getBoundingClientRect(), body.getBoundingClientRect()];
  if (inner.top < outer.top || inner.bottom > outer.bottom) body.scrollTop += inner.top - outer.top - body.clientHeight / 3;
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
    const more = storage.tensors_hidden ? `… ${counted(storage.tensors_hidden, "more tensor")}, unnamed` : "";
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
    const chips = tensor.names.map((/** @type {string} */ name) => h("span", { class: "ip-name" }, name));
    if (tensor.names_hidden) chips.push(h("span", { class: "ip-name ip-name-more" }, `… ${tensor.names_hidden} more`));
    if (!chips.length) chips.push(h("span", { class: "ip-name ip-name-was", title: "no name reaches it at the end" }, tensor.was || "no name"));
    const badge = h("span", { class: "ip-badge" });
    const shape = tensor.shape.length ? `[${tensor.shape.join(", ")}]` : "scalar";
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
    hit.style.gridRow = String(at);
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

  /** Write the values into the cells of a tensor; whether any of them changed. @param {any} one @param {Map<number, any>[]} contents @param {boolean} compare @param {boolean} lives */
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

// ------------------------------------------------------------------ the autograd graph

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
  const scroll = h("div", { class: "ip-canvas" }, autograd.boxes.length ? drawing : h("p", { class: "ip-none" }, "Autograd recorded no graph in this run."));
  const notes = [autograd.hidden ? `… ${counted(autograd.hidden, "more node")} of ${autograd.total.toLocaleString("en")} not drawn` : "", autograd.note].filter(Boolean).join(" · ");
  const el = pane("autograd", "Autograd graph", "leaf to loss; backward runs upwards", scroll, notes && h("p", { class: "ip-more" }, notes));
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

// ------------------------------------------------------------------ the list of calls

/** A row of the list: an iteration of a loop, a run of calls of one line, one of calls within a module, or one call.
 * @typedef {{kind: "round" | "line" | "module" | "call", at: number | string, start: number, stop: number, depth: number, name?: string}} Row */

/** @param {Board} board @returns {Pane & {reveal: (step: number) => void}} */
function callsPane(board) {
  const { run } = board;
  const space = h("div", { class: "ip-space" });
  const view = h("div", { class: "ip-list", role: "listbox", tabindex: "0", "aria-label": "Calls", onscroll: () => paint() }, space);
  const all = h("button", { type: "button", class: "ip-link-button", onclick: () => unfold() }, "unfold all");
  const el = pane("calls", "Calls", "", view);
  el.querySelector("header")?.append(all);
  if (run.calls.hidden) el.append(h("p", { class: "ip-more" }, `… ${counted(run.calls.hidden, "more call")} not shown`));
  /** What is unfolded, of each kind of row. @type {Set<any>[]} */
  const [openRounds, openLines, openModules] = [new Set(), new Set(), new Set()];
  const opened = { round: openRounds, line: openLines, module: openModules };
  /** @type {Row[]} */
  let rows = [];
  /** @type {Map<number, HTMLElement>} */
  let painted = new Map();
  let unfolded = run.count <= 40;
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
      if (folded) rows.push({ kind: "round", at: i, start, stop, depth: 0 });
      if (!folded || unfolded || openRounds.has(i)) addModules(start, stop, folded ? 1 : 0, 0);
    }
    space.style.height = `${rows.length * ROW}px`;
    for (const child of painted.values()) child.remove();
    painted = new Map();
    const note = el.querySelector(".ip-note");
    if (note) note.textContent = `${run.count.toLocaleString("en")} in ${counted(rows.length, "row")}`;
    all.textContent = unfolded ? "fold" : "unfold all";
    paint();
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

  /** Where the calls end that have the same part of a module's path as the one at `step`. @param {number} step @param {number} stop @param {number} level */
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

  /** Whether the modules of some calls all belong to one, which then need not be told. @param {number} from @param {number} to */
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
    const first = Math.max(0, Math.floor(view.scrollTop / ROW) - 6);
    const last = Math.min(rows.length - 1, Math.ceil((view.scrollTop + view.clientHeight) / ROW) + 6);
    for (const [at, child] of painted) {
      if (at >= first && at <= last) continue;
      child.remove();
      painted.delete(at);
    }
    for (let at = first; at <= last; at += 1) {
      if (painted.has(at)) continue;
      const child = rowElement(rows[at], at);
      painted.set(at, child);
      space.append(child);
    }
  }

  /** @param {Row} row @param {number} at */
  function rowElement(row, at) {
    const el = row.kind === "call" ? callRow(row) : foldRow(row);
    el.style.top = `${at * ROW}px`;
    el.style.setProperty("--depth", String(row.depth));
    el.id = `${board.uid}-row-${at}`;
    mark(el, row, board.state, board.related);
    return el;
  }

  /** @param {Row} row */
  function foldRow(row) {
    const open = isOpen(row);
    const place = run.place(row.start);
    const round = row.kind === "round" ? run.rounds[row.at] : null;
    const text = round ? `iteration ${round[2]} of ${many(round[1])}` : row.name ?? (cellText(place) || run.text(run.form(row.start).code));
    return h(
      "div",
      { class: `ip-call ip-fold ip-fold-${row.kind}`, role: "option", onclick: () => toggle(row) },
      h("span", { class: "ip-no" }, icon(open ? "open" : "shut", open ? "unfolded" : "folded")),
      h("span", { class: "ip-where" }, round ? `${round[1]}` : row.kind === "module" ? "" : String(place.cell_line || place.line || "")),
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

  /** @param {Row} row */
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
    return unfolded || (row.kind !== "call" && opened[row.kind].has(row.at));
  }

  /** @param {Row} row */
  function toggle(row) {
    if (unfolded || row.kind === "call") return;
    const open = opened[row.kind];
    if (!open.delete(row.at)) open.add(row.at);
    rebuild();
  }

  function unfold() {
    unfolded = !unfolded;
    rebuild();
    reveal(board.state.step);
  }

  /** Open what hides a call and scroll to it. @param {number} step */
  function reveal(step) {
    if (!run.count) return;
    const round = lastAtMost(run.roundStarts, step);
    const line = lastAtMost(run.lineStarts, step);
    const before = openRounds.size + openLines.size;
    if (round >= 0 && run.rounds[round][1] && !unfolded) openRounds.add(round);
    if (line >= 0 && !unfolded) openLines.add(line);
    if (openRounds.size + openLines.size !== before) rebuild();
    for (let row = rows[rowOf(step)]; row.kind === "module" && !isOpen(row); row = rows[rowOf(step)]) {
      openModules.add(row.at);
      rebuild();
    }
    const at = rowOf(step);
    const top = at * ROW;
    if (top < view.scrollTop + ROW || top + 2 * ROW > view.scrollTop + view.clientHeight) view.scrollTop = Math.max(0, top - view.clientHeight / 2 + ROW);
    view.setAttribute("aria-activedescendant", `${board.uid}-row-${at}`);
    paint();
  }

  /** The row of a call: the last row that begins at or before it. @param {number} step */
  function rowOf(step) {
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].start <= step) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

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
      const at = rowOf(board.state.step) + by;
      const row = rows[Math.min(rows.length - 1, Math.max(0, at))];
      if (!row) return;
      const step = row.kind === "call" ? row.at : by > 0 ? row.start : Math.max(0, row.stop - 1);
      board.choose(step === board.state.step ? Math.min(run.count - 1, Math.max(0, step + by)) : step);
    },
    resize() {
      reveal(board.state.step);
      for (const [at, child] of painted) mark(child, rows[at], board.state, board.related);
    },
  };
}

// ------------------------------------------------------------------ the bar on top

/** @param {Board} board @returns {Pane} */
function topPane(board) {
  const found = h("span", { class: "ip-count", "aria-live": "polite" });
  const input = h("input", {
    type: "search", class: "ip-search", placeholder: "Search name, line or op", "aria-label": "Search calls by name, line or op", spellcheck: "false", autocomplete: "off",
    oninput: () => board.search(input.value),
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") board.nextMatch(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") {
        input.value = "";
        board.search("");
        board.el.focus();
      }
    },
  });
  const el = h(
    "header",
    { class: "ip-top" },
    h("span", { class: "ip-brand" }, "inplace"),
    h("span", { class: "ip-title" }, board.run.diagram.title),
    h("span", { class: "ip-find", role: "search" }, input, found),
    h("span", { class: "ip-keys", "aria-hidden": "true" }, h("kbd", {}, "←"), h("kbd", {}, "→"), " step ", h("kbd", {}, "n"), " finding ", h("kbd", {}, "/"), " search"),
  );
  return {
    el,
    update(state) {
      if (board.matches === null) found.textContent = "";
      else if (!board.matches.size) found.textContent = "no call";
      else {
        const at = board.matches.has(state.step) ? `${board.matchOrder.indexOf(state.step) + 1} of ` : "";
        found.textContent = `${at}${counted(board.matches.size, "call")}`;
      }
    },
  };
}

// ------------------------------------------------------------------ all together

/** The state that the panes share, and everything that changes it. */
class Board {
  /** @param {HTMLElement} host @param {any} diagram @param {{selected?: number | null, onSelect?: (step: number) => void}} given */
  constructor(host, diagram, given) {
    this.uid = `ip${Math.random().toString(36).slice(2, 9)}`;
    this.run = new Run(diagram);
    this.onSelect = given.onSelect ?? (() => {});
    /** @type {Set<number> | null} */
    this.matches = null;
    /** @type {number[]} */
    this.matchOrder = [];
    this.playing = 0;
    this.hovered = null;
    /** @type {Related} */
    this.related = { steps: new Set(), tensors: new Set(), lines: new Set(), nodes: new Set() };
    this.state = this.opening(given.selected);
    this.el = h("div", { class: "ip", tabindex: "-1", role: "region", "aria-label": `inplace: ${diagram.title}`, "data-lm-suppress-shortcuts": "true" });
    const source = sourcePane(this);
    const references = referencesPane(this);
    const autograd = autogradPane(this);
    this.list = callsPane(this);
    /** @type {Pane[]} */
    this.panes = [topPane(this), bannerPane(this), scrubberPane(this), source, references, autograd, this.list];
    const [top, banner, scrubber] = this.panes;
    const notes = diagram.notes.map((/** @type {string} */ note) => h("p", {}, note));
    this.el.append(top.el, banner.el, scrubber.el, h("div", { class: "ip-grid" }, h("div", { class: "ip-column" }, source.el, autograd.el), h("div", { class: "ip-column" }, references.el, this.list.el)));
    if (notes.length) this.el.append(h("footer", { class: "ip-notes" }, notes));
    host.append(this.el);
    this.listen();
    this.paint(null);
  }

  /** Where a reader begins: at the write of the first finding, or at the end. @param {number | null | undefined} selected @returns {State} */
  opening(selected) {
    const { findings } = this.run.diagram;
    const first = findings[0]?.culprits.find((/** @type {any} */ spot) => spot.step !== null)?.step ?? findings[0]?.steps[0];
    const step = selected ?? first ?? Math.max(0, this.run.count - 1);
    return { step: this.inside(step), tensor: -1, finding: findings.length ? 0 : -1, compare: true, from: -1, query: "" };
  }

  /** @param {number} step */
  inside(step) {
    return Math.max(0, Math.min(this.run.count - 1, step));
  }

  listen() {
    this.el.addEventListener("keydown", (event) => this.key(event));
    for (const name of ["keyup", "keypress"]) this.el.addEventListener(name, (event) => event.stopPropagation());
    // Notebook 7 hears keys before us, and its shortcuts look at the focused element itself first.
    this.el.addEventListener("focusin", ({ target }) => /** @type {Element} */ (target).setAttribute("data-lm-suppress-shortcuts", "true"));
    this.follow = new ThemeFollower(this.el);
    this.sizes = new ResizeObserver(() => this.resize());
    for (const el of [this.el, this.list.el]) this.sizes.observe(el);
  }

  resize() {
    cancelAnimationFrame(this.frame ?? 0);
    this.frame = requestAnimationFrame(() => this.panes.forEach((pane) => pane.resize?.()));
  }

  /** @param {Partial<State>} change */
  set(change) {
    const before = this.state;
    this.state = { ...before, ...change };
    this.state.step = this.inside(this.state.step);
    this.paint(before);
    if (this.state.step !== before.step) this.onSelect(this.state.step);
  }

  /** @param {State | null} before */
  paint(before) {
    this.related = this.relatedTo(this.hovered ?? this.chosen());
    for (const pane of this.panes) pane.update(this.state, before);
    for (const pane of this.panes) pane.relate?.(this.related);
  }

  /** What is lit when nothing is hovered: the chosen tensor, else the chosen call. */
  chosen() {
    return this.state.tensor >= 0 ? { tensor: this.state.tensor } : this.run.count ? { step: this.state.step } : null;
  }

  /** @param {any} what */
  hover(what) {
    this.hovered = what;
    this.related = this.relatedTo(what ?? this.chosen());
    for (const pane of this.panes) pane.relate?.(this.related);
  }

  /** Everything that belongs to a tensor, a line, a call or a node. @param {any} what @returns {Related} */
  relatedTo(what) {
    /** @type {Related} */
    const found = { steps: new Set(), tensors: new Set(), lines: new Set(), nodes: new Set() };
    if (!what || !this.run.count) return found;
    if (what.step !== undefined) this.addStep(found, what.step);
    if (what.line !== undefined) for (const step of this.stepsOfLine(what.line).slice(0, 200)) this.addStep(found, step);
    if (what.tensor !== undefined) this.addTensor(found, what.tensor);
    if (what.node !== undefined) this.addNode(found, what.node);
    this.addNodes(found, what);
    return found;
  }

  /** @param {Related} found @param {number} step */
  addStep(found, step) {
    found.steps.add(step);
    found.lines.add(this.run.lineKey(step));
    for (const tensor of this.run.touching.get(step) ?? []) found.tensors.add(tensor);
  }

  /** @param {Related} found @param {number} tensor */
  addTensor(found, tensor) {
    found.tensors.add(tensor);
    for (const step of (this.run.touched.get(tensor) ?? []).slice(0, 400)) {
      found.steps.add(step);
      found.lines.add(this.run.lineKey(step));
    }
  }

  /** @param {Related} found @param {number} id */
  addNode(found, id) {
    const box = this.run.diagram.autograd.boxes.find((/** @type {any} */ one) => one.id === id);
    if (!box) return;
    found.nodes.add(id);
    if (box.step >= 0) this.addStep(found, box.step);
    if (box.tensor >= 0) this.addTensor(found, box.tensor);
    for (const keep of box.keeps) if (keep.tensor >= 0) found.tensors.add(keep.tensor);
  }

  /** The nodes made by the calls found, and those that keep a tensor asked for. @param {Related} found @param {any} what */
  addNodes(found, what) {
    for (const box of this.run.diagram.autograd.boxes) {
      const keeps = what.tensor !== undefined && (box.tensor === what.tensor || box.keeps.some((/** @type {any} */ keep) => keep.tensor === what.tensor));
      const made = what.tensor === undefined && box.step >= 0 && found.steps.has(box.step);
      if (keeps || made) found.nodes.add(box.id);
    }
  }

  /** The first calls of a line, in order. @param {string} key @returns {number[]} */
  stepsOfLine(key) {
    this.byLine ??= this.indexLines();
    return this.byLine.get(key) ?? [];
  }

  indexLines() {
    /** @type {Map<string, number[]>} */
    const found = new Map();
    for (let step = 0; step < this.run.count; step += 1) {
      const key = this.run.lineKey(step);
      const list = found.get(key);
      if (!list) found.set(key, [step]);
      else if (list.length < 5000) list.push(step);
    }
    return found;
  }

  // ---------------------------------------------------------------- moving about

  /** @param {number} step */
  choose(step) {
    this.set({ step });
  }

  /** @param {number} by */
  step(by) {
    this.choose(this.state.step + by);
  }

  play() {
    if (this.playing) clearInterval(this.playing);
    else if (this.state.step >= this.run.count - 1) this.choose(0);
    this.playing = this.playing ? 0 : window.setInterval(() => this.tick(), PLAY_MS);
    this.paint(this.state);
  }

  tick() {
    if (!this.el.isConnected || this.state.step >= this.run.count - 1) this.play();
    else this.step(1);
  }

  /** @param {number} by */
  nextFinding(by) {
    const { findings } = this.run.diagram;
    if (!findings.length) return;
    const finding = (this.state.finding + by + findings.length) % findings.length;
    const step = findings[finding].culprits.find((/** @type {any} */ spot) => spot.step !== null)?.step ?? findings[finding].steps[0];
    this.set({ finding, ...(step !== undefined && step !== null ? { step } : {}), tensor: -1 });
  }

  /** Find calls by what is written, their function, their module, the names they touch, or their line. @param {string} query */
  search(query) {
    const words = query.trim().toLowerCase();
    this.matches = words ? this.matching(words) : null;
    this.matchOrder = this.matches ? [...this.matches].sort((a, b) => a - b) : [];
    this.set({ query: words });
  }

  /** @param {string} words */
  matching(words) {
    const { calls } = this.run;
    const line = /^(?:line\s*)?(\d+)$/.exec(words);
    const forms = calls.forms.map((/** @type {any} */ form) => {
      if (line && calls.places[form.place].line === Number(line[1])) return true;
      return [form.label, form.code, form.module].some((text) => this.run.text(text).toLowerCase().includes(words));
    });
    const found = new Set();
    for (let step = 0; step < this.run.count; step += 1) if (forms[calls.form[step]]) found.add(step);
    for (const tensor of this.run.tensors.values()) {
      if (![...tensor.names, tensor.was].some((name) => name.toLowerCase() === words)) continue;
      for (const step of this.run.touched.get(tensor.id) ?? []) found.add(step);
    }
    return found;
  }

  /** @param {number} by */
  nextMatch(by) {
    if (!this.matchOrder.length) return;
    const at = lastAtMost(this.matchOrder, by > 0 ? this.state.step : this.state.step - 1);
    const next = by > 0 ? at + 1 : at;
    this.choose(this.matchOrder[(next + this.matchOrder.length) % this.matchOrder.length]);
  }

  /** Keys are ours while the focus is inside, so the notebook must not see them. @param {KeyboardEvent} event */
  key(event) {
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target instanceof HTMLInputElement && target.type === "search") return;
    const done = this.act(event.key, target);
    if (done) event.preventDefault();
  }

  /** @param {string} key @param {HTMLElement} target @returns {boolean} */
  act(key, target) {
    const pane = this.panes.find((one) => one.move && one.el.contains(target));
    const pressable = target instanceof HTMLButtonElement;
    if (key === "ArrowRight") this.step(1);
    else if (key === "ArrowLeft") this.step(-1);
    else if (key === "ArrowDown" && pane) pane.move?.(1);
    else if (key === "ArrowUp" && pane) pane.move?.(-1);
    else if (key === "PageDown" && pane === this.list) pane?.move?.(12);
    else if (key === "PageUp" && pane === this.list) pane?.move?.(-12);
    else if (key === "Home") this.choose(0);
    else if (key === "End") this.choose(this.run.count - 1);
    else if (key === "n") this.nextFinding(1);
    else if (key === "p") this.nextFinding(-1);
    else if (key === "c") this.set({ compare: !this.state.compare });
    else if (key === "m") this.set({ from: this.state.from === this.state.step ? -1 : this.state.step });
    else if (key === "/") /** @type {HTMLElement} */ (this.el.querySelector(".ip-search")).focus();
    else if (key === "Escape") this.set({ tensor: -1, from: -1 });
    else if (key === " " && !pressable) this.play();
    else return false;
    return true;
  }

  destroy() {
    if (this.playing) clearInterval(this.playing);
    this.sizes?.disconnect();
    this.follow?.stop();
    this.el.remove();
  }
}

// ------------------------------------------------------------------ the host's theme

/** Keeps `data-theme` of an element as the host has it: JupyterLab, VS Code, Colab, marimo, else the system. */
class ThemeFollower {
  /** @param {HTMLElement} el */
  constructor(el) {
    this.el = el;
    this.system = window.matchMedia("(prefers-color-scheme: dark)");
    this.again = () => this.apply();
    this.system.addEventListener("change", this.again);
    this.seen = new MutationObserver(this.again);
    const attributeFilter = ["class", "theme", "data-theme", "data-jp-theme-light", "data-vscode-theme-kind"];
    for (const target of [document.documentElement, document.body]) this.seen.observe(target, { attributes: true, attributeFilter });
    this.apply();
  }

  apply() {
    this.el.dataset.theme = hostIsDark(this.system.matches) ? "dark" : "light";
  }

  stop() {
    this.system.removeEventListener("change", this.again);
    this.seen.disconnect();
  }
}

/** @param {boolean} system @returns {boolean} */
function hostIsDark(system) {
  const { body, documentElement: root } = document;
  const jupyter = body.dataset.jpThemeLight;
  if (jupyter !== undefined) return jupyter === "false";
  const kind = body.dataset.vscodeThemeKind ?? [...body.classList].find((name) => name.startsWith("vscode-"));
  if (kind) return kind.includes("dark") || kind === "vscode-high-contrast";
  const theme = root.getAttribute("theme") ?? root.dataset.theme ?? body.dataset.theme;
  if (theme === "dark" || theme === "light") return theme === "dark";
  if (root.classList.contains("dark") || body.classList.contains("dark")) return true;
  return system;
}

// ------------------------------------------------------------------ the way in

/**
 * Draw a diagram into an element; returns the board, whose `destroy()` takes it away again.
 * @param {HTMLElement} host @param {any} diagram @param {{selected?: number | null, onSelect?: (step: number) => void}} [given]
 */
function mount(host, diagram, given = {}) {
  return new Board(host, diagram, given);
}

/** @param {{model: any, el: HTMLElement}} given */
function render({ model, el }) {
  /** @type {Board | null} */
  let board = null;
  const draw = () => {
    board?.destroy();
    board = mount(el, model.get("diagram"), { selected: model.get("selected"), onSelect });
  };
  function onSelect(/** @type {number} */ step) {
    model.set("selected", step);
    model.save_changes();
  }
  const chosen = () => {
    const step = model.get("selected");
    if (board && step !== null && step !== board.state.step) board.choose(step);
  };
  draw();
  model.on("change:diagram", draw);
  model.on("change:selected", chosen);
  return () => {
    model.off("change:diagram", draw);
    model.off("change:selected", chosen);
    board?.destroy();
  };
}

export default { render };
