// @ts-check
// The finding.

/** @param {Board} board @returns {Pane} */
function bannerPane(board) {
  const { diagram } = board.run;
  const el = h("section", { class: "ip-banner", "aria-label": "Finding", "aria-live": "polite" });
  let openLesson = false; // the banner is drawn anew for each step; what the reader has opened stays open

  /** @param {string} role @param {any} spot @param {string} said */
  function place(role, spot, said) {
    const go = () => spot.step !== null && board.choose(spot.step);
    return h(
      "button",
      { class: `ip-place ip-role-${role}`, type: "button", onclick: go, disabled: spot.step === null },
      h("span", { class: "ip-place-said" }, icon(/** @type {any} */ (role)), `${said} · ${lineOf(spot, diagram)}`),
      h("code", {}, spot.code.split("\n")[0]),
    );
  }

  /** @param {any} finding */
  function story(finding) {
    const parts = [];
    if (finding.culprits.length) parts.push(place(finding.role, finding.culprits[0], finding.did));
    if (finding.victim) parts.push(h("span", { class: "ip-arrow", "aria-hidden": "true" }), place("victim", finding.victim, finding.needs));
    else if (board.run.diagram.ending?.spot && finding.severity === "error") {
      parts.push(h("span", { class: "ip-arrow", "aria-hidden": "true" }), place("raised", board.run.diagram.ending.spot, "raised at"));
    }
    return h("div", { class: "ip-story" }, parts);
  }

  /** A sentence in pieces of prose and code by turns.
   * @param {string[]} pieces */
  const runs = (pieces) => pieces.map((part, number) => (number % 2 ? h("code", {}, part) : part));

  /** A sentence in which code stands in backticks.
   * @param {string} text */
  const prose = (text) => runs(text.split("`"));

  /** The worked example that teaches what a finding is about.
   * @param {any} one */
  function lesson(one) {
    if (!one) return null;
    const box = /** @type {HTMLDetailsElement} */ (h(
      "details",
      { class: "ip-lesson" },
      h("summary", {}, h("b", {}, "Worked example"), ` ${one.id}: ${one.title}`),
      h("div", { class: "ip-lesson-body" },
        h("pre", { tabindex: "0", "aria-label": `Code of example ${one.id}` }, one.code.trimEnd()),
        h("div", {},
          h("p", {}, h("b", {}, "One hears"), h("span", {}, ...prose(one.claim))),
          h("p", {}, h("b", {}, "PyTorch"), h("span", {}, ...prose(one.lesson))),
          h("p", { class: "ip-verdict" }, h("b", {}, "So it is"), h("span", {}, one.verdict)),
        ),
      ),
    ));
    box.open = openLesson;
    box.addEventListener("toggle", () => { openLesson = box.open; });
    return box;
  }

  /** @param {any} finding */
  function remedy(finding) {
    const diff = finding.diff;
    return h(
      "div",
      { class: "ip-remedy" },
      h("p", {}, h("b", {}, "Why"), h("span", {}, ...runs(finding.why))),
      h("p", {}, h("b", {}, "Fix"), h("span", {}, ...runs(finding.fix))),
      finding.facts.length ? h("p", { class: "ip-facts" }, h("b", {}, "Seen"), h("span", {}, ...runs(finding.facts))) : null,
      diff && h(
        "pre",
        { class: "ip-diff", "aria-label": `Proposed change of line ${diff.line}` },
        ...diff.lines.flatMap((/** @type {string} */ line, /** @type {number} */ number) => [
          number ? "\n" : "",
          h(line.startsWith("-") ? "del" : line.startsWith("+") ? "ins" : "span", {}, line.replace("-", "−")),
        ]),
      ),
      diff?.proof && h("p", { class: diff.verified ? "ip-proved" : "ip-unproved" }, h("b", {}, diff.verified ? "Proof" : diff.verified === false ? "No proof" : "Known"), h("span", {}, diff.proof)),
      lesson(diagram.lessons?.find((/** @type {any} */ one) => one.id === finding.example)),
    );
  }

  /** @param {State} state */
  function told(state) {
    const finding = diagram.findings[state.finding];
    const all = diagram.findings.length + diagram.findings_hidden;
    return [
      h(
        "div",
        { class: "ip-headline" },
        h("span", { class: "ip-severity" }, finding.severity),
        h("h2", {}, ...runs(finding.headline)),
        all > 1 ? turner(state.finding, all) : null,
      ),
      story(finding),
      remedy(finding),
    ];
  }

  /** @param {number} at @param {number} all */
  function turner(at, all) {
    const turn = (/** @type {number} */ by, /** @type {string} */ label, /** @type {any} */ name) =>
      h("button", { type: "button", title: label, "aria-label": label, onclick: () => board.nextFinding(by) }, icon(name));
    return h(
      "span",
      { class: "ip-turn", role: "group", "aria-label": "Findings" },
      turn(-1, "Previous finding (p)", "back"),
      h("span", { class: "ip-of" }, `${at + 1} of ${all}`),
      turn(1, "Next finding (n)", "on"),
    );
  }

  function quiet() {
    const { ending, calls } = diagram;
    const text = ending ? `${ending.type}: ${ending.message}` : diagram.all_clear;
    const writes = new Set(board.run.writeSteps).size;
    return [
      h("div", { class: "ip-headline" }, h("span", { class: "ip-severity" }, ending ? "raised" : "no finding"), h("h2", {}, text)),
      h("p", { class: "ip-message" }, `${counted(calls.count + calls.hidden, "call")} recorded; ${counted(writes, "call")} wrote to a tensor in place.`),
    ];
  }

  return {
    el,
    update(state, before) {
      if (before && before.finding === state.finding) return;
      const finding = diagram.findings[state.finding];
      board.el.dataset.severity = finding ? finding.severity : "none";
      el.replaceChildren(...(finding ? told(state) : quiet()).filter(Boolean));
    },
  };
}
