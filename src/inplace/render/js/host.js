// @ts-check
// The host's theme.

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
 * `given.tab` is what is open at first: nothing but the finding without it, `all` for everything.
 * @param {HTMLElement} host @param {any} diagram @param {Given} [given]
 */
function mount(host, diagram, given = {}) {
  const board = new Board(host, diagram, given);
  if (given.alone) alone(board);
  return board;
}

/** On a page of our own nobody else wants the keys, so they are heard wherever the focus is.
 * @param {Board} board */
function alone(board) {
  if (document.querySelectorAll(".ip").length > 1) return;
  document.addEventListener("keydown", (event) => {
    if (event.target === document.body && board.el.isConnected) board.key(event);
  });
}

/** @param {{model: any, el: HTMLElement}} given */
function render({ model, el }) {
  /** @type {Board | null} */
  let board = null;
  const draw = () => {
    const before = board;
    before?.destroy();
    board = null;
    if (!model.get("diagram").calls) return; // it is being closed
    board = mount(el, model.get("diagram"), { selected: model.get("selected"), tab: before?.state.tab, onSelect, more, text: () => ({ script: withoutEnd(String(model.get("_script") ?? "")), style: String(model.get("_css") ?? "") }) });
  };
  function onSelect(/** @type {number} */ step) {
    model.set("selected", step);
    model.save_changes();
  }
  const refused = () => {
    const told = el.querySelector(".ip-autograd [role=status]");
    if (told && model.get("asked") < 0) told.textContent = "What was recorded is no longer kept: run the cell again.";
  };
  function more() {
    model.set("asked", model.get("asked") + 1);
    model.save_changes();
  }
  const chosen = () => {
    const step = model.get("selected");
    if (board && step !== null && step !== board.state.step) board.choose(step);
  };
  draw();
  if (model.get("fresh")) {
    model.set("fresh", false); // a page that is loaded again does not move
    model.save_changes();
    if (model.get("diagram").ending) requestAnimationFrame(() => requestAnimationFrame(() => intoView(el)));
  }
  model.on("change:diagram", draw);
  model.on("change:selected", chosen);
  model.on("change:asked", refused);
  return () => {
    model.off("change:diagram", draw);
    model.off("change:selected", chosen);
    model.off("change:asked", refused);
    board?.destroy();
  };
}

/** Bring what was found of a cell that raised into sight, behind its long traceback; not where the reader has gone on.
 * @param {HTMLElement} el */
function intoView(el) {
  const cell = (el.closest(".jp-Cell") ?? el).getBoundingClientRect();
  if (cell.bottom > 0 && cell.top < window.innerHeight) el.scrollIntoView({ block: "nearest" });
}

export default { render };
