// @ts-check
// Words that PyTorch or we use in a sense of their own, explained where they stand.

/** How each word of the glossary is written in sentences. @type {[string, string][]} */
const FORMS = [
  ["leaf", "leaf|leaves"], ["version", "versions?"], ["saved", "saved"], ["in place", "in place|in-place"], ["counted, recorded", "counted|recorded"], ["storage", "storages?"], ["view", "views?"],
  ["CopySlices", "CopySlices"], ["node", "nodes?"], ["AccumulateGrad", "AccumulateGrad"], ["alias", "alias|aliases"], ["proved, fits this recording", "proved|fits this recording"],
];
const EXPLAINED = new RegExp(`\\b(${FORMS.map(([, written]) => `(?:${written})`).join("|")})\\b`);

/** @param {string} written @returns {string} the word of the glossary */
const wordOf = (written) => FORMS.find(([, forms]) => new RegExp(`^(?:${forms})$`).test(written))?.[0] ?? "";

/** A sentence with its words explained: each the first time that it stands there, below the sentence, when it is asked.
 * @param {string} title @param {string[]} pieces prose and code by turns @returns {Node[]} */
function explained(title, pieces) {
  /** @type {Set<string>} */
  const met = new Set();
  const meaning = h("small", { class: "ip-meaning", role: "note", hidden: true });
  /** @param {string} part @returns {any[]} */
  const glossed = (part) => part.split(EXPLAINED).map((text, at) => {
    const word = at % 2 ? wordOf(text) : "";
    if (!word || met.has(word)) return text;
    met.add(word);
    const said = GLOSSARY[word].join(" ");
    const button = h("button", { type: "button", class: "ip-word", title: said.replaceAll("`", "").replaceAll("*", ""), "aria-expanded": "false", onclick: () => {
      const opens = button.getAttribute("aria-expanded") !== "true";
      for (const other of all.querySelectorAll(".ip-word")) other.setAttribute("aria-expanded", String(opens && other === button));
      meaning.hidden = !opens;
      meaning.replaceChildren(h("b", {}, word), " ", ...runsOfCode(said.replaceAll("*", "").split("`")));
    } }, text);
    return button;
  });
  const all = h("span", { title }, ...pieces.flatMap((part, number) => (number % 2 ? [h("code", {}, part)] : glossed(part))));
  return [all, meaning];
}
