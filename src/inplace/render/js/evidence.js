// @ts-check
// What was measured, what a replay showed, and the worked example that teaches the same.

/** What opens the code of a worked example below the cell that shows us, where there is a notebook, or copies it.
 * @param {Board} board @param {any} one */
function exampleButtons(board, one) {
  const said = h("span", { class: "ip-saved", role: "status" });
  const text = `%%inplace\n${one.code.trimEnd()}`;
  const copy = async () => { said.textContent = (await copyText(text)) ? "Copied." : "The browser does not let us copy."; };
  const open = async () => {
    if (await intoNextCell(board.host, text)) said.textContent = "It stands in the next cell. Nothing was run.";
    else await copy();
  };
  const button = (/** @type {string} */ label, /** @type {() => void} */ onclick) => h("button", { type: "button", class: "ip-button", onclick }, label);
  return h("span", { class: "ip-buttons" }, editorAround(board.host) ? button("Open in the next cell", open) : null, button("Copy the example", copy), said);
}

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
      h("div", { class: "ip-lesson-head" }, h("h4", {}, `Worked example ${one.id}: ${one.title}`), exampleButtons(board, one)),
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
      diff?.proof && h("p", { class: `ip-sentence ${diff.verified ? "ip-proved" : "ip-unproved"}` }, h("b", {}, diff.verified ? "Proof" : diff.verified === false ? "No proof" : "Known"), h("span", {}, diff.proof.replace(/^(?:proved|not proved)(?:: | )/, ""))),
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
