// @ts-check
// The source.

const TOKEN = /(#.*$)|('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|\b(import|from|as|for|in|if|else|elif|def|class|return|with|while|lambda|not|and|or|None|True|False|del|try|except|raise|yield|is|pass|break|continue|global|assert|async|await)\b|\b(\d[\w.]*)/g;
const WORDS = ["", "comment", "string", "keyword", "number"];
const RANK = ["culprit", "cut", "victim", "raised", "bound", "alias", "write"];
const SAID = {
  culprit: "did what the finding tells", victim: "suffered from it", write: "writes in place",
  cut: "the autograd path ends here", alias: "the same bytes", raised: "raised here",
  bound: "it happened between these lines",
};

/** @param {Board} board @returns {Pane} */
function sourcePane(board) {
  const { run } = board;
  const body = h("div", { class: "ip-code", role: "listbox", tabindex: "0", "aria-label": "Source lines" });
  const counts = callCounts(run);
  /** @type {Map<string, any>} */
  const rows = new Map();
  /** @type {{row: any, text: string, line: number, marks: any[]}[]} */
  const marked = [];
  run.diagram.sources.forEach((/** @type {any} */ source, /** @type {number} */ number) => addSource(source, number));
  const shown = run.diagram.sources[0];
  const el = pane("source", "Source", shown ? shown.label : "no source", body);
  let active = "";

  /** @param {any} source @param {number} number */
  function addSource(source, number) {
    if (number) body.append(h("div", { class: "ip-file", role: "presentation" }, source.label));
    if (source.above) body.append(h("div", { class: "ip-more", role: "presentation" }, `… ${counted(source.above, "line")} above`));
    source.lines.forEach((/** @type {string} */ text, /** @type {number} */ i) => {
      const line = source.first + i;
      const row = lineRow(text, number, line, source.marks.filter((/** @type {any} */ mark) => mark.line <= line && line <= mark.end_line));
      rows.set(`${number}:${line}`, row);
      body.append(row);
    });
    const below = source.hidden - source.above;
    if (below > 0) body.append(h("div", { class: "ip-more", role: "presentation" }, `… ${counted(below, "line")} below`));
  }

  /** @param {string} text @param {number} source @param {number} line @param {any[]} marks */
  function lineRow(text, source, line, marks) {
    const key = `${source}:${line}`;
    const times = counts.get(key) ?? 0;
    const row = h(
      "div",
      {
        class: "ip-line", role: "option", id: `${board.uid}-line-${source}-${line}`, "aria-selected": "false", "data-line": key,
        onclick: () => chooseLine(key), onpointerenter: () => board.hover({ line: key }), onpointerleave: () => board.hover(null),
      },
      h("span", { class: "ip-no" }, String(line)),
      h("span", { class: "ip-gutter" }),
      codeOf(text, line, []),
      h("span", { class: "ip-times" }, times > 1 ? `${times.toLocaleString("en")} calls` : ""),
    );
    if (marks.length) marked.push({ row, text, line, marks });
    return row;
  }

  /** The marks of the told finding first and in colour, those of others in grey.
   * @param {number} finding */
  function markLines(finding) {
    for (const { row, text, line, marks } of marked) {
      const own = marks.map((/** @type {any} */ mark) => ({ ...mark, told: mark.finding === finding || mark.role === "raised" }));
      const rank = (/** @type {any} */ mark) => RANK.indexOf(mark.role) + (mark.told ? 0 : RANK.length);
      own.sort((/** @type {any} */ a, /** @type {any} */ b) => rank(a) - rank(b));
      const kept = own.filter((/** @type {any} */ mark, /** @type {number} */ i) => mark.line === line && own.findIndex((/** @type {any} */ one) => one.line === line && one.role === mark.role) === i);
      const shown = kept.filter((/** @type {any} */ mark) => mark.told || kept.length === 1 || !kept.some((/** @type {any} */ one) => one.told)).slice(0, kept.some((/** @type {any} */ one) => one.told) ? 2 : 1);
      row.children[1].replaceChildren(...shown.map((/** @type {any} */ mark) => badge(mark, meaning(mark))));
      row.children[2].replaceChildren(...linePieces(text, line, own));
    }
  }

  /** What a mark means: of what did it and of what suffered its finding knows more.
   * @param {any} mark @returns {string} */
  function meaning(mark) {
    const finding = run.diagram.findings[mark.finding];
    return { culprit: finding?.did, victim: finding?.needs }[/** @type {string} */ (mark.role)] || SAID[/** @type {keyof typeof SAID} */ (mark.role)];
  }

  /** The call of a line that comes next after the chosen one, else its first.
   * @param {string} key */
  function chooseLine(key) {
    active = key;
    const steps = board.stepsOfLine(key);
    if (!steps.length) return;
    const after = steps.find((step) => step > board.state.step);
    board.choose(run.lineKey(board.state.step) === key && after !== undefined ? after : steps[0]);
  }

  /** @param {State} state */
  function update(state) {
    const chosen = run.count ? run.lineKey(state.step) : "";
    const words = state.query.toLowerCase();
    for (const [key, row] of rows) {
      flag(row, "is-chosen", key === chosen);
      row.setAttribute("aria-selected", String(key === chosen));
      flag(row, "is-pointed", key === state.line);
      flag(row, "is-found", words.length > 1 && row.textContent.toLowerCase().includes(words));
    }
    const row = rows.get(state.line) ?? rows.get(chosen);
    if (row) {
      body.setAttribute("aria-activedescendant", row.id);
      intoSight(body, row);
    }
    active = chosen;
  }

  return {
    el,
    update(state, before) {
      if (!before || before.finding !== state.finding) markLines(state.finding);
      if (!before || before.step !== state.step || before.query !== state.query || before.line !== state.line) update(state);
    },
    relate(related) {
      for (const [key, row] of rows) flag(row, "is-related", related.lines.has(key));
    },
    move(by) {
      const keys = [...rows.keys()].filter((key) => counts.has(key));
      if (keys.length) chooseLine(keys[Math.min(keys.length - 1, Math.max(0, keys.indexOf(active) + by))]);
    },
  };
}

/** The sign in the gutter for a mark, with what its finding says of that line.
 * @param {any} mark @param {string} said */
function badge(mark, said) {
  return h("i", { class: `ip-mark ip-role-${mark.role} ${mark.told ? "is-told" : ""}`, title: said }, icon(mark.role, said));
}

/** A line of text; where it wraps, what follows stands further in than it begins.
 * @param {string} text @param {number} line @param {any[]} marks */
function codeOf(text, line, marks) {
  const indent = text.length - text.trimStart().length + 2;
  return h("code", { style: `--indent: ${Math.min(indent, 30)}` }, linePieces(text, line, marks));
}

/** A line of text in runs of equal colour and underline.
 * @param {string} text @param {number} line @param {any[]} marks */
function linePieces(text, line, marks) {
  const letters = Array.from(text);
  const look = letters.map(() => ["", ""]);
  for (const match of text.matchAll(TOKEN)) {
    const word = WORDS[match.slice(1).findIndex((part) => part !== undefined) + 1];
    const start = Array.from(text.slice(0, match.index)).length;
    Array.from(match[0]).forEach((_, i) => { look[start + i][0] = word; });
  }
  for (const mark of [...marks].reverse()) {
    const from = mark.line === line ? mark.column : letters.length - text.trimStart().length;
    const to = mark.end_line === line ? mark.end_column : letters.length;
    for (let i = from; i < Math.min(to, letters.length); i += 1) look[i][1] = `${mark.role}${mark.told ? " is-told" : ""}`;
  }
  return runsOf(letters, look);
}

/** @param {string[]} letters @param {string[][]} look */
function runsOf(letters, look) {
  const found = [];
  for (let start = 0, i = 1; i <= letters.length; i += 1) {
    if (i < letters.length && look[i][0] === look[start][0] && look[i][1] === look[start][1]) continue;
    const [word, role] = look[start];
    const text = letters.slice(start, i).join("");
    found.push(word || role ? h("span", { class: `${word && `ip-t-${word}`} ${role && `ip-u ip-u-${role}`}` }, text) : text);
    start = i;
  }
  return found.length ? found : ["\u200b"];
}

/** How many calls each line made.
 * @param {Run} run @returns {Map<string, number>} */
function callCounts(run) {
  const byForm = new Map();
  for (const form of run.calls.form) byForm.set(form, (byForm.get(form) ?? 0) + 1);
  const found = new Map();
  for (const [form, times] of byForm) {
    const place = run.calls.places[run.calls.forms[form].place];
    const key = `${place.source}:${place.line}`;
    found.set(key, (found.get(key) ?? 0) + times);
  }
  return found;
}

/** Scroll a row into the sight of its pane, without moving the page.
 * @param {HTMLElement} body @param {HTMLElement} row */
function intoSight(body, row) {
  const [inner, outer] = [row.getBoundingClientRect(), body.getBoundingClientRect()];
  if (inner.top < outer.top || inner.bottom > outer.bottom) body.scrollTop += inner.top - outer.top - body.clientHeight / 3;
}

/** @param {string} name @param {string} title @param {string} note @param {...any} children */
function pane(name, title, note, ...children) {
  return h("section", { class: `ip-pane ip-${name}`, "aria-label": title }, h("header", {}, h("h3", {}, title), h("span", { class: "ip-note" }, note)), ...children);
}
