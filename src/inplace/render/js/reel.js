// @ts-check
// The film of one storage: the calls that had to do with its bytes, in order.

const ACT = { MADE: 1, WRITTEN: 2, TAKEN: 4, SHARED: 8, KEPT: 16, BACKWARD: 32, UNSEEN: 64 };
const READS = ACT.TAKEN | ACT.BACKWARD;

/** A call of the film: what it had to do with which tensors (-1 for one that is not drawn).
 * @typedef {{step: number, act: number, rows: {tensor: number, act: number}[]}} Frame */
/** @typedef {{node: string, tensor: number, since: number, backwards: number[], saved: number | null, stale: boolean}} Hold */

class Reel {
  /** @param {Run} run @param {any} storage */
  constructor(run, storage) {
    this.run = run;
    this.storage = storage;
    this.tensors = storage.tensors.map((/** @type {number} */ id) => run.tensors.get(id)).filter(Boolean);
    /** @type {Hold[]} */
    this.holds = storage.film.holds;
    /** @type {Frame[]} */
    this.frames = [];
    const { film } = storage;
    this.gap = -1; // the frame behind which some are left out
    summed(film.steps).forEach((step, i) => {
      if (i === film.gap) this.gap = this.frames.length;
      let frame = this.frames[this.frames.length - 1];
      if (!frame || frame.step !== step) this.frames.push((frame = { step, act: 0, rows: [] }));
      frame.act |= film.acts[i];
      const row = frame.rows.find((one) => one.tensor === film.tensors[i]);
      if (row) row.act |= film.acts[i];
      else frame.rows.push({ tensor: film.tensors[i], act: film.acts[i] });
    });
    this.steps = this.frames.map((frame) => frame.step);
    this.laneWidth = 240; // pixels, until it is measured
  }

  /** What a reader calls the bytes. */
  get title() {
    const names = [...new Set(this.tensors.flatMap((/** @type {any} */ tensor) => (tensor.names.length ? tensor.names : [tensor.was])))].filter(Boolean);
    return `${names.slice(0, 4).join(", ") || "no name"}${names.length > 4 ? ", …" : ""}`;
  }

  /** The frame of a call, or the last one before it; -1 before all.
   * @param {number} step */
  at(step) {
    return lastAtMost(this.steps, step);
  }

  /** The step of the frame so many frames on; that of the last or first where there are no more.
   * @param {number} step @param {number} by */
  beside(step, by) {
    const here = this.at(step);
    const from = by < 0 && this.steps[here] !== step ? here + 1 : here; // between two frames the one before is the next back
    return this.steps[Math.max(0, Math.min(this.steps.length - 1, from + by))];
  }

  /** The step of the next call (the one before with `by` -1) that did one of `acts` to bytes of some tensors; -1 for none.
   * @param {number} step @param {number} acts @param {number[]} tensors none for all bytes @param {number} [by] */
  find(step, acts, tensors, by = 1) {
    for (let i = by > 0 ? this.at(step) + 1 : this.at(step - 1); i >= 0 && i < this.frames.length; i += by) {
      if (this.frames[i].rows.some((row) => row.act & acts && this.meets(row.tensor, tensors))) return this.steps[i];
    }
    return -1;
  }

  /** The byte ranges of a tensor of a row; null where they are not known.
   * @param {number} id @returns {number[][] | null} */
  pieces(id) {
    return id >= 0 ? (this.run.tensors.get(id)?.pieces ?? null) : (this.storage.film.parts[-2 - id] ?? null);
  }

  /** Whether a tensor shares a byte with one of some; one whose bytes are not known may.
   * @param {number} id @param {number[]} others none for all bytes */
  meets(id, others) {
    const own = this.pieces(id);
    return !own || !others.length || others.some((one) => overlap(this.pieces(one) ?? own, own));
  }

  /** The tensors that a call wrote.
   * @param {number} step */
  written(step) {
    const frame = this.frames[this.at(step)];
    return frame?.step === step ? frame.rows.filter((row) => row.act & ACT.WRITTEN).map((row) => row.tensor) : [];
  }

  /** The first call that wrote bytes of what a node keeps, once that was kept; Infinity where it was not broken.
   * @param {Hold} hold */
  brokenAt(hold) {
    if (!hold.stale) return Infinity;
    const step = this.find(Math.max(hold.since, -1), ACT.WRITTEN | ACT.UNSEEN, hold.tensor === -1 ? [] : [hold.tensor]);
    return step < 0 ? Infinity : step;
  }
}
