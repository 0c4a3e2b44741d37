// @ts-check
// The film: one storage, and what each call does to its bytes.

const FRAME = 156; // width of a frame of the strip with its gap, in pixels: the same as in film.css
const FILM_MS = 1300;
const CONTEXT = 3; // lines of source around the one that runs
const LANES = 2; // saved tensors drawn below the strip at once
const VALUE = 7.4; // width of a letter of a value, in pixels
/** @type {[number, string, keyof typeof ICONS][]} */
const ACTS = [
  [ACT.UNSEEN, "changed unseen", "cut"], [ACT.MADE, "made", "open"], [ACT.WRITTEN, "written", "write"], [ACT.BACKWARD, "backward reads", "back"],
  [ACT.KEPT, "kept", "victim"], [ACT.SHARED, "shared", "alias"], [ACT.TAKEN, "read", "on"],
];

/** @typedef {Pane & {advance: (by: number) => void, write: (by: number) => void, reader: () => void, show: () => void, ends: () => number[]}} FilmPane */

/** @param {Board} board @returns {FilmPane} */
function filmPane(board) {
  const { run } = board;
  const reels = run.diagram.references.storages.filter((/** @type {any} */ one) => one.film.steps.length).map((/** @type {any} */ one) => new Reel(run, one));
  /** @type {Reel | undefined} */
  let reel;
  const pick = h("select", { class: "ip-pick", "aria-label": "Memory", onchange: () => take(reels[Number(pick.value)]) },
    reels.map((/** @type {Reel} */ one, /** @type {number} */ i) => h("option", { value: i }, `${one.title} · ${size(one.storage.bytes)}`)));
  const screen = h("div", { class: "ip-screen" });
  const told = h("div", { class: "ip-tale", "aria-live": "polite" });
  const play = h("button", { type: "button", class: "ip-film-play", "aria-label": "Play", title: "Play (space)", onclick: () => board.play() }, icon("play"));
  const jump = (/** @type {string} */ label, /** @type {string} */ title, /** @type {() => void} */ onclick, /** @type {any[]} */ ...inner) =>
    h("button", { type: "button", class: "ip-jump", "aria-label": label, title, onclick }, ...(inner.length ? inner : [label]));
  const range = h("input", { type: "range", class: "ip-reel-range", min: 0, step: 1, "aria-label": "Frame", oninput: () => reel && board.choose(reel.steps[Number(range.value)]) });
  const count = h("span", { class: "ip-frames" });
  const lastWrite = jump("Previous write", "Previous write (W)", () => move(-1), icon("back"), icon("write"));
  const nextWrite = jump("Next write", "Next write of this tensor (w)", () => move(1), icon("write"), "next write");
  const nextRead = jump("Who reads these bytes next", "Who reads these bytes next (r)", () => reader(), icon("on"), "who reads these bytes next?");
  const controls = h("div", { class: "ip-film-controls" },
    h("span", { class: "ip-transport" },
      jump("Previous frame", "Previous frame (←)", () => advance(-1), icon("back")), play, jump("Next frame", "Next frame (→)", () => advance(1), icon("on"))),
    range, count, h("span", { class: "ip-jumps" }, lastWrite, nextWrite, nextRead));
  const strip = reelStrip(board);
  const el = pane("film", "Film of memory", "what each call does to these bytes", screen, told, controls, strip.el);
  if (reels.length > 1) el.querySelector("header")?.append(pick);

  /** Show another storage, at the call that is chosen or the nearest that has to do with it.
   * @param {Reel} next */
  function take(next) {
    reel = next;
    pick.value = String(reels.indexOf(next));
    strip.take(next);
    range.max = String(Math.max(0, next.frames.length - 1));
    draw(board.state);
    strip.draw(board.state.step);
  }

  /** The storage that a state is about: that of the chosen tensor, else of the finding.
   * @param {State} state */
  function wanted(state) {
    const finding = run.diagram.findings[state.finding];
    const held = [state.tensor, ...(finding?.tensors ?? [])].map((id) => run.tensors.get(id)?.storage ?? -1);
    const ids = state.tensor >= 0 ? held : [...(finding?.storages ?? []), ...held];
    return ids.map((id) => reels.find((/** @type {Reel} */ one) => one.storage.id === id)).find(Boolean) ?? reels[0];
  }

  /** @param {State} state */
  function draw(state) {
    if (!reel || !run.count) return;
    const frame = reel.at(state.step);
    reel.laneWidth = screen.querySelector(".ip-lane")?.clientWidth || reel.laneWidth;
    const from = state.step - 1;
    screen.replaceChildren(
      filmSource(run, state.step),
      stillOf(reel, from, state.step, "Before", state),
      h("div", { class: "ip-then", "aria-hidden": "true" }, icon("on")),
      stillOf(reel, state.step, state.step, "After", state),
    );
    told.replaceChildren(...tale(reel, state.step));
    range.value = String(Math.max(0, frame));
    range.setAttribute("aria-valuetext", `call ${state.step + 1}, frame ${frame + 1} of ${reel.frames.length}`);
    count.textContent = `${frame < 0 ? "before the first" : (frame + 1).toLocaleString("en")} of ${counted(reel.frames.length + reel.storage.film.hidden, "frame")}`;
    const here = about(state);
    lastWrite.disabled = reel.find(state.step, ACT.WRITTEN | ACT.UNSEEN, here, -1) < 0;
    nextWrite.disabled = reel.find(state.step, ACT.WRITTEN | ACT.UNSEEN, here) < 0;
    nextRead.disabled = reel.find(state.step, READS, read(state)) < 0;
  }

  /** The tensor whose writes are asked for: the chosen one, else any.
   * @param {State} state */
  function about(state) {
    return reel && run.tensors.get(state.tensor)?.storage === reel.storage.id ? [state.tensor] : [];
  }

  /** The bytes whose readers are asked for: those the call wrote, else those of the chosen tensor.
   * @param {State} state */
  function read(state) {
    const written = reel?.written(state.step) ?? [];
    return written.length ? written : about(state);
  }

  /** @param {number} step */
  function to(step) {
    if (step >= 0) board.set({ step, tab: "film" });
  }

  /** @param {number} by */
  function advance(by) {
    if (reel) to(reel.beside(board.state.step, by));
  }

  /** @param {number} by */
  function move(by) {
    if (reel) to(reel.find(board.state.step, ACT.WRITTEN | ACT.UNSEEN, about(board.state), by));
  }

  function reader() {
    if (reel) to(reel.find(board.state.step, READS, read(board.state)));
  }

  return {
    el,
    advance,
    write: move,
    reader,
    /** The steps of the first and the last frame. */
    ends: () => [reel?.steps[0] ?? 0, reel?.steps[reel.steps.length - 1] ?? 0],
    /** Begin the film of the finding's bytes, and play it. */
    show() {
      const one = wanted(board.state);
      if (!one) return;
      take(one);
      to(one.steps[0]);
      el.querySelector(".ip-film-play")?.focus({ preventScroll: true });
      if (!board.playing) board.play();
    },
    update(state, before) {
      play.replaceChildren(icon(board.playing ? "pause" : "play"));
      play.setAttribute("aria-label", board.playing ? "Pause" : "Play");
      if (!reel || (before && (before.finding !== state.finding || (before.tensor !== state.tensor && state.tensor >= 0)))) {
        const one = wanted(state);
        if (one && one !== reel) take(one);
      }
      if (state.tab !== "film") return;
      draw(state);
      strip.draw(state.step);
    },
    relate(related) {
      for (const name of screen.querySelectorAll("[data-tensor]")) flag(name, "is-related", related.tensors.has(Number(name.getAttribute("data-tensor"))));
    },
    resize() {
      if (board.state.tab !== "film") return;
      draw(board.state);
      strip.draw(board.state.step);
    },
  };
}

/** The line that runs, with those around it.
 * @param {Run} run @param {number} step */
function filmSource(run, step) {
  const place = run.place(step);
  const source = run.diagram.sources[place.source];
  const rows = [];
  for (let line = place.line - CONTEXT; source && line <= place.line + CONTEXT; line += 1) {
    const text = source.lines[line - source.first];
    const now = line === place.line;
    rows.push(h("div", { class: `ip-film-line ${now ? "is-now" : ""}`, "aria-current": now ? "step" : null },
      h("span", { class: "ip-no" }, text === undefined ? "" : String(line)),
      h("code", {}, text === undefined ? "\u200b" : linePieces(text, line, now ? [{ ...place, role: "now", told: true }] : []))));
  }
  const label = source?.label ?? "";
  const code = run.text(run.form(step).code) || run.text(run.form(step).label);
  return h("div", { class: "ip-film-source" }, h("div", { class: "ip-band-head" }, h("b", {}, `Call ${(step + 1).toLocaleString("en")}`), h("bdi", {}, label)), rows.length ? rows : h("code", {}, code));
}

/** The storage as it is after a call: its tensors with their names, versions and values.
 * @param {Reel} reel @param {number} step @param {number} call the one that is told @param {string} title @param {State} state */
function stillOf(reel, step, call, title, state) {
  const { run, storage } = reel;
  const after = step === call;
  const [held, old] = [run.contents(storage, step), run.contents(storage, call - 1)];
  const written = reel.written(call);
  const lives = storage.born <= step && (storage.died < 0 || step <= storage.died);
  const here = reel.tensors.filter((/** @type {any} */ tensor) => run.lives(tensor, call) || run.lives(tensor, call - 1));
  const rows = here.map((/** @type {any} */ tensor) => {
    const there = run.lives(tensor, step);
    const names = run.namesAt(tensor, step);
    const now = run.version(tensor, step);
    const moved = after && now !== null && run.version(tensor, call - 1) !== null && now !== run.version(tensor, call - 1);
    const badge = there && now !== null ? h("span", { class: `ip-badge ${moved ? "is-moved" : ""}`, title: "version" }, `v${now}`) : null;
    const lane = h("div", { class: "ip-lane" });
    if (there) fillStill(lane, reel, tensor, held, old, after && written.some((id) => reel.meets(tensor.id, [id])));
    const said = !there ? (tensor.born > step ? "not there yet" : "gone") : "";
    const pills = names.map((name) => namePill(name.name, `${name.since === null ? "ip-name-unsure" : ""} ${after && name.since === call ? "is-new" : ""}`, name.since === null ? "seen at the end; since when is not known" : name.scope ? `in ${name.scope}` : undefined));
    return h("div", { class: `ip-still ${there ? "" : "is-away"} ${state.tensor === tensor.id ? "is-chosen" : ""}`, "data-tensor": tensor.id },
      h("div", { class: "ip-still-names" }, pills.length ? pills : h("span", { class: "ip-dim" }, said || "no name"), pills.length && said ? h("span", { class: "ip-dim" }, said) : null, badge), lane);
  });
  const head = lives ? `${size(storage.bytes)} on ${storage.device}` : storage.born > step ? "not made yet" : "given back";
  return h("div", { class: `ip-band ${lives ? "" : "is-away"}`, role: "group", "aria-label": `${title} the call` }, h("div", { class: "ip-band-head" }, h("b", {}, title), h("span", {}, head)), rows);
}

/** The bytes of a tensor: the values where they are known, else which part of the storage it is.
 * @param {any} lane @param {Reel} reel @param {any} tensor @param {Map<number, any>} held @param {Map<number, any>} old @param {boolean} written */
function fillStill(lane, reel, tensor, held, old, written) {
  const { storage } = reel;
  if (!tensor.cells.length || !storage.elements || ![...tensor.cells].some((element) => held.get(element) !== undefined)) {
    for (const [start, stop] of tensor.pieces) lane.append(placed(h("span", { class: `ip-piece ${tensor.exact ? "" : "ip-gaps"} ${written ? "is-written" : ""}` }), start, stop, storage.bytes));
    return;
  }
  const room = reel.laneWidth * (storage.itemsize / storage.bytes) - 6;
  const values = tensor.cells.map((/** @type {number} */ element) => held.get(element));
  const digits = [3, 2, 1].find((many) => values.every((/** @type {any} */ value) => value === undefined || value === null || short(value, many).length * VALUE <= room));
  tensor.cells.forEach((/** @type {number} */ element, /** @type {number} */ i) => {
    const [value, was] = [values[i], old.get(element)];
    const known = value !== undefined && value !== null;
    const changed = known && written && was !== undefined && was !== null && was !== value;
    const cell = h("span", { class: `ip-cell ${changed ? "is-changed" : ""} ${known ? "" : "is-empty"}`, title: known ? String(value) : "value not recorded" }, known && digits ? short(value, digits) : "");
    lane.append(placed(cell, element * storage.itemsize, (element + 1) * storage.itemsize, storage.bytes));
  });
}
