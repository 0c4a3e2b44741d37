// @ts-check
/**
 * The picture of one run: a finding at first sight; behind it the source, references, autograd graph and timeline, all linked.
 *
 * It draws the Diagram it is given (`picture/model.py` says what each field means) and reports the chosen step back.
 * Text of the user's is only ever put into the page as text, nothing is fetched, and nothing is evaluated.
 */

const SVG = "http://www.w3.org/2000/svg";
const FLAG = { WRITES: 1, RAISED: 2, BACKWARD: 4, TO_PYTHON: 8, WITHIN: 16, LIBRARY: 32 };
const MODES = ["", "no-grad", "inference"];
const SOME = 3; // calls of several lines that are listed without the module they are in
const FEW = 6; // calls of one line that are listed without their modules
const ROW = 26; // height of a row of the list of calls, in pixels: the same as in widget.css
const PLAY_MS = 700;

/** @typedef {{step: number, tensor: number, finding: number, compare: boolean, from: number, query: string, line: string, tab: string}} State */
/** What a board is given: `still` is the still picture, `alone` says that the page is ours,
 * `more` asks for more of the graph, `text` gives our script and style where they are not in the page.
 * @typedef {{selected?: number | null, tab?: string, onSelect?: (step: number) => void, still?: string, alone?: boolean, more?: () => void,
 *   text?: () => {script: string, style: string}}} Given */
/** @typedef {{steps: Set<number>, tensors: Set<number>, lines: Set<string>, nodes: Set<number>}} Related */
/** @typedef {{el: HTMLElement, update: (state: State, before: State | null) => void, relate?: (related: Related) => void,
 *   move?: (by: number) => void, key?: (key: string, target: HTMLElement) => boolean, resize?: () => void, paper?: (on: boolean) => void}} Pane */

// ------------------------------------------------------------------ elements

/**
 * An element with attributes and children; strings become text, never markup.
 * @param {string} tag @param {Record<string, any>} [given] @param {...any} children @returns {any}
 */
function h(tag, given = {}, ...children) {
  return filled(document.createElement(tag), given, children);
}

/** The same for SVG.
 * @param {string} tag @param {Record<string, any>} [given] @param {...any} children @returns {any} */
function s(tag, given = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), given, children);
}

/** Text whose letters stand in the order in which they are: what turns the direction of writing is spelled out.
 * @param {string} text */
function seen(text) {
  return text.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** @param {any} el @param {Record<string, any>} given @param {any[]} children */
function filled(el, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  el.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== "").map((child) => (typeof child === "string" ? seen(child) : child)));
  return el;
}

const ICONS = {
  culprit: "M10.9 1.9a1.5 1.5 0 0 1 2.1 0l1.1 1.1a1.5 1.5 0 0 1 0 2.1L6 13.2l-4 1 1-4z",
  victim: "M8 1 15 8 8 15 1 8zM8 4 4 8l4 4 4-4z",
  write: "M10.9 1.9a1.5 1.5 0 0 1 2.1 0l1.1 1.1a1.5 1.5 0 0 1 0 2.1L6 13.2l-4 1 1-4z",
  cut: "M2 7h5v2H2zm7 0h5v2H9zM6 2h1.6l-1 12H5zm3.4 0H11l-1 12H8.400z",
  alias: "M2 2h8v3H5v5H2zm4 4h8v8H6zm2 2v4h4V8z",
  bound: "M3 2h4v2H5v8h2v2H3zm6 0h4v12H9v-2h2V4H9z",
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

/** A name; of a long one the end stays, whatever room there is.
 * @param {string} name @param {string} [kind] @param {string} [title] */
function namePill(name, kind = "", title = undefined) {
  const dot = name.indexOf(".", Math.max(1, name.length - 16)); // the longest end that begins at a dot
  const cut = name.length > 12 ? (dot > 0 && dot < name.length - 2 ? dot : Math.max(4, name.length - 14)) : 0;
  return h("span", { class: `ip-name ${kind}`.trim(), title: title ?? (cut ? name : null) }, cut ? [h("span", {}, name.slice(0, cut)), h("span", {}, name.slice(cut))] : name);
}

/** Put an element over a range of bytes of `all`.
 * @param {any} el @param {number} start @param {number} stop @param {number} all @returns {any} */
function placed(el, start, stop, all) {
  el.style.left = `${(100 * start) / Math.max(1, all)}%`;
  el.style.width = `${(100 * (stop - start)) / Math.max(1, all)}%`;
  return el;
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

/** A number in few letters.
 * @param {any} value @param {number} [digits] */
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
  const ours = !diagram.runs.length || spot.label.startsWith(diagram.title); // of several runs, the last
  const own = ours && (diagram.sources[spot.source]?.is_cell ?? false); // then the title says which
  return `${own || !spot.label ? "" : `${spot.label} `}line ${spot.line}`;
}

/** The name of the run of a cell that made a call, where the picture shows several.
 * @param {any} diagram @param {number} step @returns {string} */
function runOf(diagram, step) {
  return diagram.runs[lastAtMost(diagram.runs.map((/** @type {any} */ run) => run.begin), step)]?.title ?? "";
}

/** The last index whose value is at most `wanted`; -1 where there is none.
 * @param {ArrayLike<number>} sorted @param {number} wanted */
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

/** Put the children with the numbers from `first` to `last` into a space, and take the others away.
 * @param {Map<number, HTMLElement>} painted @param {HTMLElement} space @param {number} first @param {number} last
 * @param {(at: number) => HTMLElement} make */
function paintOnly(painted, space, first, last, make) {
  for (const [at, child] of painted) {
    if (at >= first && at <= last) continue;
    child.remove();
    painted.delete(at);
  }
  for (let at = first; at <= last; at += 1) {
    if (painted.has(at)) continue;
    const child = make(at);
    painted.set(at, child);
    space.append(child);
  }
}

/** Running sums: columns of steps are sent as differences.
 * @param {number[]} steps */
function summed(steps) {
  const found = new Int32Array(steps.length);
  let at = 0;
  for (let i = 0; i < steps.length; i += 1) found[i] = at += steps[i];
  return found;
}
