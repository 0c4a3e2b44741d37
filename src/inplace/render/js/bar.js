// @ts-check
// The bar below the finding: it opens the rest of the picture in place.

const TABS = [
  ["all", "Everything"], ["film", "Film"], ["source", "Source"], ["references", "Names and memory"], ["autograd", "Autograd graph"], ["calls", "Calls"], ["gradients", "Gradients"], ["evidence", "Evidence and lesson"],
];
const KEYS = [
  ["← →", "the call before or after"], ["↑ ↓", "the row before or after"], ["Home End", "the first or last call"], ["space", "play"], ["n p", "the next or previous finding"],
  ["c", "before and after"], ["m", "compare from here"], ["w W", "film: the next or previous write"], ["r", "film: who reads these bytes next"], ["+ − 0", "size of the graph"], ["Enter", "graph: fold or open a module"], ["/", "search"], ["f", "list of calls: fold or unfold"], ["o", "open everything, or close it"], ["Esc", "choose nothing"],
];

/** @param {Board} board @returns {Pane} */
function barPane(board) {
  const found = h("span", { class: "ip-count", "aria-live": "polite" });
  const input = h("input", {
    type: "search", class: "ip-search", placeholder: "Search name, line or op", "aria-label": "Search calls by name, line or op", spellcheck: "false", autocomplete: "off",
    oninput: () => board.search(input.value),
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") board.nextMatch(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") {
        input.value = "";
        board.search("");
        board.el.focus();
      }
    },
  });
  const { diagram } = board.run;
  /** @type {Record<string, number>} */
  const holds = { film: diagram.references.storages.filter((/** @type {any} */ one) => one.film.steps.length).length, gradients: diagram.gradients.columns.length, evidence: diagram.findings.length };
  const there = TABS.filter(([name]) => holds[name] !== 0);
  const tabs = there.map(([name, label]) =>
    h("button", { type: "button", class: "ip-tab", "data-tab": name, "aria-expanded": "false", "aria-controls": `${board.uid}-stage`, onclick: () => board.open(board.state.tab === name ? "" : name) }, label));
  const keys = h("dl", { class: "ip-help", id: `${board.uid}-keys`, hidden: true }, KEYS.flatMap(([key, does]) => [h("dt", {}, key.split(" ").map((one) => h("kbd", {}, one))), h("dd", {}, does)]));
  const help = h("button", { type: "button", class: "ip-keys", "aria-label": "Keys", title: "Keys (?)", "aria-expanded": "false", "aria-controls": `${board.uid}-keys`, onclick: () => {
    keys.hidden = !keys.hidden;
    help.setAttribute("aria-expanded", String(!keys.hidden));
  } }, "?");
  const el = h(
    "nav",
    { class: "ip-bar", "aria-label": "More of the picture" },
    h("span", { class: "ip-tabs" }, tabs),
    h("span", { class: "ip-find", role: "search" }, found, input, saveMenu(board), help),
    keys,
  );
  return {
    el,
    update(state) {
      for (const tab of tabs) tab.setAttribute("aria-expanded", String(tab.dataset.tab === state.tab));
      if (board.matches === null) found.textContent = "";
      else if (!board.matches.size) found.textContent = "no call";
      else {
        const at = board.matches.has(state.step) ? `${board.matchOrder.indexOf(state.step) + 1} of ` : "";
        found.textContent = `${at}${counted(board.matches.size, "call")}`;
      }
    },
  };
}
