// @ts-check
// The strip of the film: a frame for each call that has to do with the bytes; only those in sight are on the page.

/** @param {Board} board */
function reelStrip(board) {
  const { run } = board;
  const space = h("div", { class: "ip-strip-space" });
  const el = h("div", { class: "ip-strip", role: "listbox", tabindex: "0", "aria-label": "Frames", "aria-orientation": "horizontal", onscroll: () => paint() }, space);
  /** @type {Reel | undefined} */
  let reel;
  /** @type {Map<number, HTMLElement>} */
  let painted = new Map();

  /** @param {Reel} next */
  function take(next) {
    reel = next;
    for (const child of painted.values()) child.remove();
    painted = new Map();
    flag(el, "has-holds", next.holds.some((hold) => hold.backwards.length));
    space.style.width = `${next.frames.length * FRAME}px`;
  }

  function paint() {
    if (!reel || !el.clientWidth) return;
    const first = Math.max(0, Math.floor(el.scrollLeft / FRAME) - 2);
    const last = Math.min(reel.frames.length - 1, Math.ceil((el.scrollLeft + el.clientWidth) / FRAME) + 2);
    const shown = reel;
    paintOnly(painted, space, first, last, (at) => frameOf(shown, at));
    mark(board.state.step);
  }

  /** @param {number} step */
  function mark(step) {
    for (const [at, child] of painted) {
      const now = reel?.steps[at] === step;
      flag(child, "is-now", now);
      flag(child, "is-later", (reel?.steps[at] ?? 0) > step);
      child.setAttribute("aria-selected", String(now));
    }
  }

  /** @param {Reel} one @param {number} at */
  function frameOf(one, at) {
    const { step, act, rows } = one.frames[at];
    const place = run.place(step);
    const code = run.text(run.form(step).code) || run.text(run.form(step).label);
    const [, word, sign] = ACTS.find(([bit]) => act & bit) ?? ACTS[ACTS.length - 1];
    const writes = run.writes(step);
    const write = writes.find((found) => rows.some((row) => row.act & ACT.WRITTEN && (row.tensor === found.tensor || (row.tensor < 0 && writes.length === 1))));
    const [from, to] = write && write.from >= 0 ? [`v${write.from}`, `v${write.from + write.moved}`] : ["", ""];
    const said = from.length + to.length > 8 ? to : from && `${from} → ${to}`;
    const lane = h("span", { class: "ip-film-lane" });
    for (const row of rows) {
      const pieces = one.pieces(row.tensor);
      for (const [start, stop] of pieces ? pieces.slice(0, 24) : [[0, one.storage.bytes]]) lane.append(placed(h("i", { class: `${row.act & (ACT.WRITTEN | ACT.UNSEEN) ? "is-written" : ""} ${pieces ? "" : "is-unsure"}` }), start, stop, one.storage.bytes));
    }
    const raised = run.raised.has(step);
    const el = h("div", { class: `ip-frame-card ip-act-${word.split(" ")[0]}`, role: "option", id: `${board.uid}-frame-${at}`, "data-step": step, onclick: () => board.choose(step), "aria-label": `${lineAt(run, step)}, ${code}, ${word} ${said}` },
      h("span", { class: "ip-frame-top" }, h("span", { class: "ip-no" }, place.line ? String(place.line) : ""), h("code", {}, code)),
      lane,
      h("span", { class: "ip-frame-act" }, icon(raised ? "raised" : sign), h("span", {}, raised ? "raised" : word), said && h("span", { class: "ip-frame-said" }, said)),
      one.holds.filter((hold) => spans(hold, step)).slice(0, LANES).map((hold) => holdPart(one, hold, step)),
    );
    el.style.left = `${at * FRAME}px`;
    if (at === one.gap) el.prepend(h("span", { class: "ip-frame-gap" }, `… ${counted(one.storage.film.hidden, "frame")} left out`));
    return el;
  }

  /** Whether a tensor is kept at a call.
   * @param {Hold} hold @param {number} step */
  function spans(hold, step) {
    return hold.since <= step && step <= (hold.backwards[hold.backwards.length - 1] ?? -1);
  }

  /** A piece of the line that shows from where to where something is kept.
   * @param {Reel} one @param {Hold} hold @param {number} step */
  function holdPart(one, hold, step) {
    const last = hold.backwards[hold.backwards.length - 1];
    const lane = one.holds.filter((other) => other.backwards.length).indexOf(hold) % LANES;
    const broken = step >= one.brokenAt(hold);
    const begins = hold.since === step;
    const part = h("span", { class: `ip-hold ${begins ? "is-begin" : ""} ${step === last ? "is-end" : ""} ${broken ? "is-broken" : ""}`, title: `kept by ${hold.node}` }, begins ? h("span", {}, `kept by ${hold.node}`) : null);
    part.style.setProperty("--lane", String(lane));
    return part;
  }

  return {
    el,
    take,
    /** Bring the frame of a call into sight.
     * @param {number} step */
    draw(step) {
      if (!reel || !el.clientWidth) return;
      const at = Math.max(0, reel.at(step));
      const left = at * FRAME;
      if (left < el.scrollLeft + 20 || left + FRAME > el.scrollLeft + el.clientWidth - 20) el.scrollLeft = Math.max(0, left - el.clientWidth / 2 + FRAME / 2);
      el.setAttribute("aria-activedescendant", `${board.uid}-frame-${at}`);
      paint();
    },
  };
}
