// @ts-check
// The timeline's scrubber.

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
  const strip = h("div", { class: "ip-runs", role: "group", "aria-label": "Runs of cells" });
  const x = (/** @type {number} */ step) => (1000 * (Math.max(-0.5, step) + 0.5)) / Math.max(1, run.count);
  drawCurve();
  if (run.diagram.runs.length) {
    track.before(strip);
    el.classList.add("has-runs");
  }
  /** @type {HTMLElement[]} */
  const segments = run.diagram.runs.map((/** @type {any} */ one, /** @type {number} */ at) => {
    const stop = run.diagram.runs[at + 1]?.begin ?? run.count;
    const worst = run.diagram.findings.find((/** @type {any} */ finding) => finding.steps.some((/** @type {number} */ step) => one.begin <= step && step < stop));
    const writes = run.writeSteps.findIndex((step) => one.begin <= step && step < stop);
    const culprit = worst?.culprits.find((/** @type {any} */ spot) => one.begin <= spot.step && spot.step < stop);
    const to = culprit?.step ?? (writes < 0 ? one.begin : run.writeSteps[writes]);
    const told = `${one.title}: ${counted(stop - one.begin, "call")}${one.ended_by ? `, ended by ${one.ended_by}` : ""}`;
    const segment = h("button", { type: "button", class: "ip-run", title: told, "aria-label": told, "data-severity": culprit ? worst.severity : null, onclick: () => board.choose(to) }, h("span", {}, one.title), one.ended_by ? icon("raised") : null);
    segment.style.flexGrow = String(Math.max(1, stop - one.begin));
    strip.append(segment);
    if (at) track.insertBefore(line(one.begin), head);
    return segment;
  });

  /** Where a run of a cell begins on the track.
   * @param {number} step */
  function line(step) {
    const el = h("span", { class: "ip-begin" });
    el.style.left = `${(100 * step) / Math.max(1, run.count)}%`;
    return el;
  }

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

  /** One line on what the chosen call did.
   * @param {number} step */
  function did(step) {
    if (!run.count) return [h("span", { class: "ip-dim" }, "No call was recorded.")];
    const form = run.form(step);
    const place = run.place(step);
    const writes = run.writes(step);
    const parts = [
      h("span", { class: "ip-step" }, `call ${(step + 1).toLocaleString("en")} of ${(run.count + run.calls.hidden).toLocaleString("en")}`),
      h("code", {}, run.text(form.code) || run.text(form.label)),
      run.text(form.code).includes(run.text(form.label).replace(/^__|__$/g, "")) || form.label < 0 || !(form.flags & FLAG.LIBRARY) ? null : h("span", { class: "ip-dim" }, "through ", h("code", {}, run.text(form.label))),
      place.line ? h("span", { class: "ip-dim" }, `${runOf(run.diagram, step)} line ${place.line}`.trim()) : null,
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
        const now = lastAtMost(run.diagram.runs.map((/** @type {any} */ one) => one.begin), state.step);
        segments.forEach((segment, at) => flag(segment, "is-chosen", at === now));
        told.replaceChildren(...did(state.step).filter(Boolean));
      }
      compare.setAttribute("aria-pressed", String(state.compare));
      play.replaceChildren(icon(board.playing ? "pause" : "play"));
      play.setAttribute("aria-label", board.playing ? "Pause" : "Play");
    },
  };
}
