// @ts-check
// What was measured, what a replay showed, and the worked example that teaches the same.

/** @param {Board} board @returns {Pane} */
function evidencePane(board) {
  const { diagram } = board.run;
  const body = h("div", { class: "ip-evidence-body" });
  const el = pane("evidence", "Evidence and lesson", "", body);

  /** A sentence in which code stands in backticks.
   * @param {string} text */
  const prose = (text) => runsOfCode(text.split("`"));

  /** @param {any} one */
  function lesson(one) {
    return h(
      "div",
      { class: "ip-lesson" },
      h("h4", {}, `Worked example ${one.id}: ${one.title}`),
      h(
        "div",
        { class: "ip-lesson-body" },
        h("pre", { tabindex: "0", "aria-label": `Code of example ${one.id}` }, one.code.trimEnd()),
        h(
          "div",
          {},
          h("p", {}, h("b", {}, "One hears"), h("span", {}, ...prose(one.claim))),
          h("p", {}, h("b", {}, "PyTorch"), h("span", {}, ...prose(one.lesson))),
          h("p", { class: "ip-verdict" }, h("b", {}, "So it is"), h("span", {}, one.verdict)),
        ),
      ),
    );
  }

  /** @param {any} finding */
  function told(finding) {
    const taught = diagram.lessons?.find((/** @type {any} */ one) => one.id === finding.example);
    const { diff } = finding;
    return [
      sentence("Why", finding.why),
      sentence("Fix", finding.fix),
      sentence("Seen", finding.facts),
      diff?.proof && h("p", { class: `ip-sentence ${diff.verified ? "ip-proved" : "ip-unproved"}` }, h("b", {}, diff.verified ? "Proof" : diff.verified === false ? "No proof" : "Known"), h("span", {}, diff.proof)),
      taught && lesson(taught),
    ].filter(Boolean);
  }

  return {
    el,
    update(state, before) {
      if (before && before.finding === state.finding) return;
      body.replaceChildren(...told(diagram.findings[state.finding]));
    },
  };
}
