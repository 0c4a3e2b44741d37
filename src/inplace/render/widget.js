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

/** @param {any} value */
function short(value) {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return Math.abs(value) < 1e5 ? String(value) : value.toExponential(0);
  const text = Math.abs(value) >= 1e-3 && Math.abs(value) < 1e4 ? value.toPrecision(3) : value.toExponential(1);
  return text.includes("e") ? text : String(Number(text));
}

/** @param {number} count @param {string} one @param {string} [many] */
function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** @param {any} spot */
function lineOf(spot) {
  return `${spot.label && !spot.label.startsWith("In[") ? `${spot.label} ` : ""}line ${spot.line}`;
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
    this.roundStarts = diagram.calls.folds.rounds.map((/** @type {number[]} */ round) => round[0]);
    /** @type {Map<number, Int32Array>} */
    this.touched = new Map();
    /** @type {Map<number, number[]>} */
    this.touching = new Map();
    for (const tensor of diagram.references.tensors) this.indexTensor(tensor);
    this.contentsAt = { step: NaN, held: new Map() };
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
    counter.steps ??= counter.moves.map((/** @type {number[]} */ move) => move[0]);
    const at = lastAtMost(counter.steps, step);
    return at < 0 ? null : counter.moves[at][1];
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
    return tensor.born <= step && (tensor.died < 0 || step < tensor.died);
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

  /** @param {string} role @param {any} spot @param {string} said */
  function place(role, spot, said) {
    const go = () => spot.step !== null && board.choose(spot.step);
    return h(
      "button",
      { class: `ip-place ip-role-${role}`, type: "button", onclick: go, disabled: spot.step === null },
      h("span", { class: "ip-place-said" }, icon(/** @type {any} */ (role)), `${said} · ${lineOf(spot)}`),
      h("code", {}, spot.code.split("\n")[0]),
    );
  }

  /** @param {any} finding */
  function story(finding) {
    const cut = finding.kind === "graph-detached";
    const parts = [];
    if (finding.culprits.length) parts.push(place(cut ? "cut" : "culprit", finding.culprits[0], cut ? "path ends" : "written by"));
    if (finding.victim) parts.push(h("span", { class: "ip-arrow", "aria-hidden": "true" }), place("victim", finding.victim, "still needed by"));
    else if (board.run.diagram.ending?.spot && finding.severity === "error") {
      parts.push(h("span", { class: "ip-arrow", "aria-hidden": "true" }), place("raised", board.run.diagram.ending.spot, "raised at"));
    }
    return h("div", { class: "ip-story" }, parts);
  }

  /** @param {any} finding */
  function remedy(finding) {
    const diff = finding.diff;
    return h(
      "div",
      { class: "ip-remedy" },
      h("p", {}, h("b", {}, "Why"), h("span", {}, finding.why)),
      h("p", {}, h("b", {}, "Fix"), h("span", {}, finding.fix)),
      diff && h(
        "pre",
        { class: "ip-diff", "aria-label": `Proposed change of line ${diff.line}` },
        h("del", {}, `− ${diff.old.trim()}`),
        "\n",
        h("ins", {}, `+ ${diff.new.trim()}`),
      ),
    );
  }

  /** @param {State} state */
  function update(state) {
    const finding = diagram.findings[state.finding];
    el.dataset.severity = finding ? finding.severity : "none";
    if (!finding) {
      el.replaceChildren(quiet());
      return;
    }
    const all = diagram.findings.length + diagram.findings_hidden;
    const step = (/** @type {number} */ by) => () => board.nextFinding(by);
    el.replaceChildren(
      h(
        "div",
        { class: "ip-headline" },
        h("span", { class: "ip-severity" }, finding.severity),
        h("h2", {}, finding.headline),
        all > 1 && h(
          "span",
          { class: "ip-turn", role: "group", "aria-label": "Findings" },
          h("button", { type: "button", title: "Previous finding (p)", "aria-label": "Previous finding", onclick: step(-1) }, icon("back")),
          h("span", { class: "ip-of" }, `${state.finding + 1} of ${all}`),
          h("button", { type: "button", title: "Next finding (n)", "aria-label": "Next finding", onclick: step(1) }, icon("on")),
        ),
      ),
      finding.message !== finding.headline && h("p", { class: "ip-message" }, finding.message),
      story(finding),
      remedy(finding),
    );
    for (const child of [...el.childNodes]) if (child.nodeType === 3) child.remove();
  }

  function quiet() {
    const { ending, calls } = diagram;
    const text = ending ? `${ending.type}: ${ending.message}` : "Nothing that was written was still needed.";
    const writes = new Set(board.run.writeSteps).size;
    return [
      h("div", { class: "ip-headline" }, h("span", { class: "ip-severity" }, ending ? "raised" : "no finding"), h("h2", {}, text)),
      h("p", { class: "ip-message" }, `${counted(calls.count + calls.hidden, "call")} recorded, ${counted(writes, "of them wrote", "of them wrote")} to a tensor that was there before.`),
    ];
  }

  const self = {
    el,
    /** @param {State} state @param {State | null} before */
    update(state, before) {
      if (!before || before.finding !== state.finding) {
        if (diagram.findings[state.finding]) update(state);
        else {
          el.dataset.severity = "none";
          el.replaceChildren(...quiet());
        }
      }
    },
  };
  return self;
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
  const peak = h("span", { class: "ip-peak" });
  const told = h("div", { class: "ip-did", "aria-live": "polite" });
  const compare = h("button", { type: "button", class: "ip-toggle", "aria-pressed": "false", title: "Before and after (c)", onclick: () => board.set({ compare: !board.state.compare }) }, "before → after");
  const stepper = (/** @type {number} */ by, /** @type {string} */ label, /** @type {any} */ name) =>
    h("button", { type: "button", "aria-label": label, title: `${label} (${by < 0 ? "←" : "→"})`, onclick: () => board.step(by) }, icon(name));
  const el = h(
    "section",
    { class: "ip-scrubber", "aria-label": "Timeline" },
    h("div", { class: "ip-transport" }, stepper(-1, "Previous call", "back"), play, stepper(1, "Next call", "on")),
    h("div", { class: "ip-tracks" }, track, peak),
    compare,
    told,
  );
  const x = (/** @type {number} */ step) => (1000 * (Math.max(-0.5, step) + 0.5)) / Math.max(1, run.count);
  drawCurve();
  for (const finding of run.diagram.findings) for (const step of finding.steps.slice(0, 1)) addTick(step, finding.severity);

  function drawCurve() {
    const points = run.calls.memory;
    const highest = Math.max(1, ...points.map((/** @type {number[]} */ point) => point[1]));
    let path = "M0 40";
    for (const [step, bytes] of points) path += `H${x(Math.min(step, run.count)).toFixed(1)}V${(38 - (34 * bytes) / highest).toFixed(1)}`;
    marks.append(s("path", { d: `${path}H1000V40Z`, class: "ip-memory" }));
    peak.textContent = `live bytes, peak ${size(highest === 1 ? 0 : highest)}`;
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
      place.line ? h("span", { class: "ip-dim" }, `line ${place.line}`) : null,
    ];
    if (run.raised.has(step)) parts.push(h("span", { class: "ip-say ip-bad" }, icon("raised"), run.raised.get(step)));
    else if (writes.length) parts.push(h("span", { class: "ip-say" }, icon("write"), wrote(writes)));
    else if (form.flags & FLAG.BACKWARD) parts.push(h("span", { class: "ip-dim" }, "reads what the graph kept"));
    const readers = run.readers(writes.map((write) => write.tensor)).filter((tensor) => tensor.names.length);
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
