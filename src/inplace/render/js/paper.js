// @ts-check
// The picture on paper: in one column, with every finding, and of the rest what a page can hold.

const PAPER = { width: 660, height: 840, smallest: 0.55 }; // of the graph: a page in pixels, and how far it may shrink
const PAPER_ROWS = 200; // calls
const PAPER_STORES = 8;
const PAPER_FINDINGS = 12;

/** Lays a picture out for paper while its page is printed, and as it was behind that. */
class Paper {
  /** @param {Board} board */
  constructor(board) {
    this.board = board;
    this.media = window.matchMedia("print");
    this.changed = () => this.set(this.media.matches);
    this.begun = () => this.set(true);
    this.done = () => this.set(false);
    this.media.addEventListener("change", this.changed);
    window.addEventListener("beforeprint", this.begun);
    window.addEventListener("afterprint", this.done);
    this.others = h("div", { class: "ip-others" });
    /** What the reader had open; null while nothing is printed.
     * @type {Partial<State> | null} */
    this.before = null;
  }

  /** @param {boolean} on */
  set(on) {
    if (on === Boolean(this.before)) return;
    const { board } = this;
    const { tab, finding } = board.state;
    const quiet = board.el.dataset.quiet === "true" && !tab; // one line is enough
    if (on) {
      this.before = { tab, finding };
      board.el.dataset.paper = "";
      board.el.dataset.theme = "light";
      if (!quiet) board.set({ tab: "all" });
      this.tellOthers(finding);
    } else {
      delete board.el.dataset.paper;
      board.follow?.apply();
      this.others.remove();
    }
    for (const one of board.panes) one.paper?.(on);
    if (!on) board.set(this.before ?? {});
    if (!on) this.before = null;
    for (const one of board.panes) one.resize?.();
  }

  /** On screen they are told by turns.
   * @param {number} shown */
  tellOthers(shown) {
    const { board } = this;
    const { findings, findings_hidden } = board.run.diagram;
    const [told] = board.panes;
    const turns = findings.map((/** @type {any} */ _, /** @type {number} */ at) => at).filter((/** @type {number} */ at) => at !== shown);
    const copies = turns.slice(0, PAPER_FINDINGS).map((/** @type {number} */ at) => {
      board.set({ finding: at });
      const copy = /** @type {HTMLElement} */ (told.el.cloneNode(true));
      copy.dataset.severity = findings[at].severity;
      return copy;
    });
    if (shown >= 0 && turns.length) board.set({ finding: shown });
    const left = turns.length - copies.length + findings_hidden;
    this.others.replaceChildren(...copies, ...(left ? [h("p", { class: "ip-more" }, `… ${counted(left, "more finding")} not printed`)] : []));
    told.el.after(this.others);
  }

  stop() {
    this.media.removeEventListener("change", this.changed);
    window.removeEventListener("beforeprint", this.begun);
    window.removeEventListener("afterprint", this.done);
  }
}
