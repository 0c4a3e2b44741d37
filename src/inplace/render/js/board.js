// @ts-check
// All together: the state that the panes share.

/** The state that the panes share, and everything that changes it. */
class Board {
  /** @param {HTMLElement} host @param {any} diagram @param {Given} given */
  constructor(host, diagram, given) {
    this.host = host;
    this.given = given;
    this.uid = `ip${Math.random().toString(36).slice(2, 9)}`;
    this.run = new Run(diagram);
    this.onSelect = given.onSelect ?? (() => {});
    /** @type {Set<number> | null} */
    this.matches = null;
    /** @type {number[]} */
    this.matchOrder = [];
    this.playing = 0;
    this.hovered = null;
    /** @type {Map<string, number[]> | undefined} */
    this.byLine = undefined;
    /** @type {Related} */
    this.related = { steps: new Set(), tensors: new Set(), lines: new Set(), nodes: new Set() };
    this.state = this.opening(given.selected, given.tab ?? "");
    this.el = h("div", { class: "ip", tabindex: "-1", role: "region", "aria-label": `inplace: ${diagram.title}`, "data-lm-suppress-shortcuts": "true" });
    const source = sourcePane(this);
    const references = referencesPane(this);
    const autograd = autogradPane(this);
    this.list = callsPane(this);
    const evidence = diagram.findings.length ? [evidencePane(this)] : [];
    const gradients = diagram.gradients.columns.length ? [gradientsPane(this)] : [];
    this.film = filmPane(this);
    /** @type {Pane[]} */
    this.panes = [findingPane(this), barPane(this), scrubberPane(this), this.film, source, references, autograd, this.list, ...gradients, ...evidence];
    const [finding, bar, scrubber] = this.panes;
    this.columns = [h("div", { class: "ip-column" }, source.el, autograd.el), h("div", { class: "ip-column" }, references.el, this.list.el)];
    this.stage = h("div", { class: "ip-stage", id: `${this.uid}-stage` }, scrubber.el, this.film.el, h("div", { class: "ip-grid" }, this.columns), [...gradients, ...evidence].map((one) => one.el));
    const notes = diagram.notes.map((/** @type {string} */ note) => h("p", {}, note));
    this.el.append(finding.el, bar.el, this.stage);
    if (notes.length) this.el.append(h("footer", { class: "ip-notes" }, notes));
    host.append(this.el);
    /** What looks at the cell around us, and so is told again where we were not on the page yet.
     * @type {Pane[]} */
    this.outside = host.isConnected ? [] : [finding, ...evidence];
    this.listen();
    this.paint(null);
    this.paper = new Paper(this);
  }

  /** Where a reader begins: at the write of the first finding, or at the end.
   * @param {number | null | undefined} selected @param {string} tab @returns {State} */
  opening(selected, tab) {
    const { findings } = this.run.diagram;
    const first = findings[0]?.culprits.find((/** @type {any} */ spot) => spot.step !== null)?.step ?? findings[0]?.steps[0];
    const step = selected ?? first ?? Math.max(0, this.run.count - 1);
    return { step: this.inside(step), tensor: -1, finding: findings.length ? 0 : -1, compare: true, from: -1, query: "", line: "", tab };
  }

  /** @param {number} step */
  inside(step) {
    return Math.max(0, Math.min(this.run.count - 1, step));
  }

  listen() {
    this.el.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.key(event));
    for (const name of ["keyup", "keypress"]) this.el.addEventListener(name, (/** @type {Event} */ event) => event.stopPropagation());
    // Notebook 7 hears keys before us, and its shortcuts look at the focused element itself first.
    this.el.addEventListener("focusin", (/** @type {FocusEvent} */ { target }) => /** @type {Element} */ (target).setAttribute("data-lm-suppress-shortcuts", "true"));
    this.follow = new ThemeFollower(this.el);
    this.sizes = new ResizeObserver(() => this.resize());
    for (const el of [this.el, this.list.el]) this.sizes.observe(el);
  }

  resize() {
    if (this.host.isConnected) for (const pane of this.outside.splice(0)) pane.update(this.state, null);
    cancelAnimationFrame(this.frame ?? 0);
    this.frame = requestAnimationFrame(() => this.panes.forEach((pane) => pane.resize?.()));
  }

  /** @param {Partial<State>} change */
  set(change) {
    const before = this.state;
    this.state = { ...before, line: "", ...change };
    this.state.step = this.inside(this.state.step);
    this.paint(before);
    if (this.state.step !== before.step) this.onSelect(this.state.step);
  }

  /** @param {State | null} before */
  paint(before) {
    if (before?.tab !== this.state.tab) this.unfold();
    this.related = this.relatedTo(this.hovered ?? this.chosen());
    for (const pane of this.panes) pane.update(this.state, before);
    for (const pane of this.panes) pane.relate?.(this.related);
  }

  /** Show what the chosen tab has, and nothing of the others. */
  unfold() {
    const { tab } = this.state;
    this.el.dataset.tab = tab;
    this.stage.hidden = !tab;
    for (const el of this.stage.querySelectorAll(".ip-pane")) el.hidden = !el.classList.contains(`ip-${tab}`) && (tab !== "all" || el === this.film.el);
    for (const column of this.columns) column.hidden = [...column.children].every((child) => child.hidden);
    this.resize(); // what was hidden could not be measured
  }

  /** Open one part of the picture, or close all.
   * @param {string} tab */
  open(tab) {
    this.set({ tab });
  }

  /** Go to a call, and open the picture where it is closed.
   * @param {number} step */
  go(step) {
    this.set({ step, tab: this.state.tab || "all" });
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

  /** Everything that belongs to a tensor, a line, a call or a node.
   * @param {any} what @returns {Related} */
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

  /** The nodes made by the calls found, and those that keep a tensor asked for.
   * @param {Related} found @param {any} what */
  addNodes(found, what) {
    for (const box of this.run.diagram.autograd.boxes) {
      const keeps = what.tensor !== undefined && (box.tensor === what.tensor || box.keeps.some((/** @type {any} */ keep) => keep.tensor === what.tensor));
      const made = what.tensor === undefined && box.step >= 0 && found.steps.has(box.step);
      if (keeps || made) found.nodes.add(box.id);
    }
  }

  /** The first calls of a line, in order.
   * @param {string} key @returns {number[]} */
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

  /** Go on by so many calls, or frames of the film, and open the picture where it is closed.
   * @param {number} by */
  move(by) {
    if (this.inFilm()) this.film.advance(by);
    else this.go(this.state.step + by);
  }

  play() {
    if (this.playing) clearInterval(this.playing);
    else if (this.atEnd()) this.choose(this.inFilm() ? this.film.ends()[0] : 0);
    this.playing = this.playing ? 0 : window.setInterval(() => this.tick(), this.inFilm() ? FILM_MS : PLAY_MS);
    this.paint(this.state);
  }

  tick() {
    if (!this.el.isConnected || this.atEnd()) this.play();
    else this.move(1);
  }

  /** Whether the film is open, whose frames are then what keys and playing go along. */
  inFilm() {
    return this.state.tab === "film";
  }

  /** Whether there is nothing more to play. */
  atEnd() {
    return this.state.step >= (this.inFilm() ? this.film.ends()[1] : this.run.count - 1);
  }

  /** @param {number} by */
  nextFinding(by) {
    const { findings } = this.run.diagram;
    if (!findings.length) return;
    const finding = (this.state.finding + by + findings.length) % findings.length;
    const step = findings[finding].culprits.find((/** @type {any} */ spot) => spot.step !== null)?.step ?? findings[finding].steps[0];
    this.set({ finding, ...(step !== undefined && step !== null ? { step } : {}), tensor: -1 });
  }

  /** Find calls by what is written, their function, their module, the names they touch, or their line.
   * @param {string} query */
  search(query) {
    const words = query.trim().toLowerCase();
    if (words && !this.state.tab) this.open("calls");
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

  /** Keys are ours while the focus is inside, so the notebook must not see them.
   * @param {KeyboardEvent} event */
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
    if (this.panes.some((one) => one.key && one.el.contains(target) && one.key(key, target))) return true;
    const pane = this.panes.find((one) => one.move && one.el.contains(target));
    const pressable = target instanceof HTMLButtonElement;
    if (key === "ArrowRight") this.move(1);
    else if (key === "ArrowLeft") this.move(-1);
    else if (key === "ArrowDown" && pane) pane.move?.(1);
    else if (key === "ArrowUp" && pane) pane.move?.(-1);
    else if (key === "PageDown" && pane === this.list) pane?.move?.(12);
    else if (key === "PageUp" && pane === this.list) pane?.move?.(-12);
    else if (key === "Home") this.go(this.inFilm() ? this.film.ends()[0] : 0);
    else if (key === "End") this.go(this.inFilm() ? this.film.ends()[1] : this.run.count - 1);
    else if (key === "n") this.nextFinding(1);
    else if (key === "p") this.nextFinding(-1);
    else if (key === "w" || key === "W") this.film.write(key === "w" ? 1 : -1);
    else if (key === "r") this.film.reader();
    else if (key === "o") this.open(this.state.tab ? "" : "all");
    else if (key === "?") /** @type {HTMLElement} */ (this.el.querySelector(".ip-keys")).click();
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
    this.paper?.stop();
    this.el.remove();
  }
}
