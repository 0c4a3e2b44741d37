// @ts-check
// The ledger of gradients: parameters by steps.

const GRADIENT = {
  used: ["", "M8 2.5a5.500 5.500 0 1 1 0 11 5.500 5.500 0 0 1 0-11z"],
  reached: ["M8 3.5a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9z", "M8 6a2 2 0 1 1 0 4 2 2 0 0 1 0-4z"],
  kept: ["M8 3.5a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9z", "M8 3v10a5 5 0 0 1 0-10z"],
  zero: ["M8 2.500c2 0 3 2.400 3 5.500s-1 5.500-3 5.500-3-2.400-3-5.500 1-5.500 3-5.500z", ""],
  none: ["M8 3.5a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9z", ""],
  lost: ["M8 3.5a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9zM2.500 13.500l11-11", ""],
  "not finite": ["M8 8c-1.500-2-2.400-2.800-3.700-2.800a2.800 2.800 0 0 0 0 5.600C5.600 10.800 6.500 10 8 8s2.400-2.800 3.700-2.800a2.800 2.800 0 0 1 0 5.600C10.400 10.800 9.500 10 8 8z", ""],
  skipped: ["M3.500 4 7.500 8l-4 4M8.500 4l4 4-4 4", ""],
  nothing: ["M6 8h4", ""],
};
const CALM = new Set(["used", "reached", "skipped", "nothing"]);
const FEW_STEPS = 6; // columns up to which each cell has its word

/** The sign of a state.
 * @param {string} key @returns {any} */
function gradientSign(key) {
  const [line, solid] = GRADIENT[/** @type {keyof typeof GRADIENT} */ (key)];
  const parts = [line && s("path", { d: line }), solid && s("path", { d: solid, class: "ip-solid" })];
  return s("svg", { class: `ip-grad ip-grad-${key.replace(" ", "-")}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, parts);
}

/** @param {Board} board @returns {Pane} */
function gradientsPane(board) {
  const { diagram } = board.run;
  const { columns, rows, states, chains, opening } = diagram.gradients;
  const grid = h("div", { class: `ip-ledger ${columns.length <= FEW_STEPS ? "is-few" : ""}`, role: "grid", "aria-label": "Gradients, parameters by steps" });
  grid.style.setProperty("--steps", String(columns.length));
  grid.style.gridTemplateColumns = `max-content repeat(${columns.length}, max-content)`;
  const chain = h("div", { class: "ip-chain", "aria-live": "polite" });
  /** @type {any[][]} */
  const cells = [];
  /** @type {any[]} */
  const names = [];
  let [row, column] = opening;
  grid.append(h("div", { class: "ip-ledger-row", role: "row" }, h("span", { class: "ip-ledger-corner", role: "columnheader", "aria-label": "Parameter" }), columns.map(head)));
  rows.forEach((/** @type {any} */ own, /** @type {number} */ at) => grid.append(rowOf(own, at)));
  const hidden = [];
  if (diagram.gradients.hidden_parameters) hidden.push(counted(diagram.gradients.hidden_parameters, "more parameter"));
  if (diagram.gradients.hidden_columns) hidden.push(counted(diagram.gradients.hidden_columns, "more column"));
  const { parameters, steps } = diagram.gradients;
  const el = pane("gradients", "Gradients", `${counted(parameters, "parameter")}, ${steps ? counted(steps, "step") : "no step"}`, h("div", { class: "ip-ledger-body" }, grid, chain));
  if (columns.length > FEW_STEPS) el.querySelector("header")?.append(h("span", { class: "ip-keys-to" }, states.map((/** @type {any} */ state) => h("span", { title: state.meaning }, gradientSign(state.key), state.word === "-" ? "nothing" : state.word))));
  if (hidden.length) el.append(h("p", { class: "ip-more" }, `… ${hidden.join(", ")} not shown`));

  /** @param {any} one */
  function head(one) {
    return h("span", { class: "ip-ledger-head", role: "columnheader" }, h("b", {}, one.line), h("span", {}, columns.length <= FEW_STEPS ? one.turns : one.turns.replace(/^steps? /, "").replace(" to ", "–")));
  }

  /** @param {any} own @param {number} at */
  function rowOf(own, at) {
    const more = own.names_hidden ? ` and ${own.names_hidden} more` : "";
    const name = h("span", { class: "ip-ledger-name", role: "rowheader", title: own.names.join(", ") + more }, own.name);
    names.push(name);
    cells.push(own.states.map((/** @type {number} */ number, /** @type {number} */ to) => cell(own, states[number], at, to)));
    return h("div", { class: "ip-ledger-row", role: "row" }, name, cells[at]);
  }

  /** @param {any} own @param {any} state @param {number} at @param {number} to */
  function cell(own, state, at, to) {
    const said = [own.name, columns[to].line, columns[to].turns, state.word === "-" ? "nothing" : state.word].filter(Boolean).join(", ");
    return h(
      "button",
      { type: "button", class: `ip-ledger-cell ${CALM.has(state.key) ? "" : "is-bad"}`, role: "gridcell", tabindex: "-1", "data-state": state.key, "aria-label": said, title: `${said}: ${state.meaning}`, onclick: () => choose(at, to, true) },
      gradientSign(state.key),
      h("span", {}, state.word),
    );
  }

  /** Show what led to a cell, and go to its step where that is asked for.
   * @param {number} at @param {number} to @param {boolean} go */
  function choose(at, to, go) {
    mark(false);
    [row, column] = [at, to];
    mark(true);
    tell();
    const step = lastStep();
    if (go) board.set({ tensor: rows[row].tensor, ...(step === null ? {} : { step }) });
  }

  /** @param {boolean} on */
  function mark(on) {
    const el = cells[row][column];
    flag(el, "is-chosen", on);
    el.setAttribute("aria-selected", String(on));
    el.tabIndex = on ? 0 : -1;
  }

  /** The call that a cell is about: the last one of its chain that was recorded and is shown. */
  function lastStep() {
    const found = chains[rows[row].chains[column]].map((/** @type {any} */ one) => one.spot?.step ?? null);
    const step = found.filter((/** @type {number | null} */ one) => one !== null).at(-1) ?? columns[column].step;
    return step !== null && step < board.run.count ? step : null;
  }

  function tell() {
    const own = rows[row];
    const state = states[own.states[column]];
    const where = [columns[column].line, columns[column].turns].filter(Boolean).join(", ");
    chain.replaceChildren(
      h("span", { class: "ip-chain-said" }, h("b", {}, own.name), `${where}: ${state.meaning}`),
      ...chains[own.chains[column]].map(link),
    );
  }

  /** One mark of a chain, which leads to its line.
   * @param {any} one */
  function link(one) {
    const { spot } = one;
    const times = one.times > 1 ? ` ${one.times}×` : "";
    if (!spot) return h("button", { type: "button", class: "ip-chain-mark", disabled: true }, one.did + times);
    const go = () => {
      const step = spot.step !== null && spot.step < board.run.count ? { step: spot.step } : {};
      board.set({ ...step, line: `${spot.source}:${spot.line}`, tab: "all" });
    };
    return h("button", { type: "button", class: "ip-chain-mark", title: spot.code, onclick: go }, h("span", {}, `${one.did}${times} ${lineOf(spot, diagram)}`, h("code", {}, spot.code.split("\n")[0])));
  }

  mark(true);
  tell();
  return {
    el,
    update() {},
    relate(related) {
      rows.forEach((/** @type {any} */ own, /** @type {number} */ at) => flag(names[at], "is-related", related.tensors.has(own.tensor) && board.run.tensors.has(own.tensor)));
    },
    key(key, target) {
      if (!grid.contains(target)) return false;
      const by = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[key];
      const to = key === "Home" ? [row, 0] : key === "End" ? [row, columns.length - 1] : by && [row + by[0], column + by[1]];
      if (!to) return false;
      if (to[0] >= 0 && to[0] < rows.length && to[1] >= 0 && to[1] < columns.length) choose(to[0], to[1], false);
      cells[row][column].focus();
      return true;
    },
  };
}
