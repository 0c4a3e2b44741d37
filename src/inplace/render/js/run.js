// @ts-check
// What the diagram says, indexed.

/** The iterations of loops: first step, line of the loop (0 outside), number from 1.
 * @param {any} folds @returns {[number, number, number][]} */
function roundsOf(folds) {
  const starts = summed(folds.rounds);
  let number = 0;
  return folds.loops.map((/** @type {number} */ loop, /** @type {number} */ i) => {
    number = loop && i && folds.loops[i - 1] === loop ? number + 1 : Number(loop > 0);
    return [starts[i], loop, number];
  });
}

/** The parts of a path: `net`, `.layers`, `[0]`.
 * @param {string} path @returns {string[]} */
const pathParts = (path) => path.match(/^[^.[]+|\.[^.[]+|\[[^\]]*\]/g) ?? [];

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

  /** The parts of the path of the module that made a call: `net`, `.layers`, `[0]`.
   * @param {number} step @returns {string[]} */
  modulePath(step) {
    const { module } = this.form(step);
    let parts = this.modulePaths.get(module);
    if (!parts) this.modulePaths.set(module, (parts = pathParts(this.text(module))));
    return parts;
  }

  /** The class of a library whose `__init__` made a call; empty for none.
   * @param {number} step */
  builder(step) {
    return this.text(this.place(step).built);
  }

  /** @param {number} text @returns {string} */
  text(text) {
    return text < 0 ? "" : this.calls.texts[text];
  }

  /** What a call wrote: tensor, version before, how far it moved.
   * @param {number} step */
  writes(step) {
    const found = [];
    for (let i = lastAtMost(this.writeSteps, step); i >= 0 && this.writeSteps[i] === step; i -= 1) {
      found.unshift({ tensor: this.calls.write_tensors[i], from: this.calls.write_from[i], moved: this.calls.write_moved[i] });
    }
    return found;
  }

  /** The version of a tensor after a call; null where none was seen yet.
   * @param {any} tensor @param {number} step */
  version(tensor, step) {
    const counter = this.counters.get(tensor.counter);
    if (!counter || (counter.until >= 0 && step > counter.until)) return null;
    const { steps, versions } = counter.summed ??= { steps: summed(counter.steps), versions: summed(counter.versions) };
    const at = lastAtMost(steps, step);
    return at < 0 ? null : versions[at];
  }

  /** The elements of a small storage after a call.
   * @param {any} storage @param {number} step @returns {Map<number, any>} */
  contents(storage, step) {
    const held = new Map();
    if (storage.until >= 0 && step > storage.until) return held;
    for (const [since, changes] of storage.values) {
      if (since > step) break;
      for (const [element, value] of changes) held.set(element, value);
    }
    return held;
  }

  /** Whether a tensor is there after a call.
   * @param {any} tensor @param {number} step */
  lives(tensor, step) {
    return tensor.born <= step && (tensor.died < 0 || step <= tensor.died);
  }

  /** The names of a tensor after a call, those first whose beginning is known.
   * @param {any} tensor @param {number} step @returns {{name: string, since: number | null, until: number, scope: string}[]} */
  namesAt(tensor, step) {
    const there = tensor.called.filter((/** @type {any} */ one) => (one.since === null ? this.lives(tensor, step) : one.since <= step && (one.until < 0 || step < one.until)));
    return there.filter((/** @type {any} */ one, /** @type {number} */ i) => there.findIndex((/** @type {any} */ other) => other.name === one.name) === i);
  }

  /** What the user calls a tensor.
   * @param {number} id */
  nameOf(id) {
    const tensor = this.tensors.get(id);
    if (!tensor) return "an unnamed tensor";
    return tensor.names[0] ?? (tensor.was || "an unnamed tensor");
  }

  /** The tensors that read other bytes after a write to some: those that share a byte.
   * @param {number[]} written */
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
