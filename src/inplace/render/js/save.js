// @ts-check
// The picture as a file: a page, the still picture, or that as PNG.

/** @param {Board} board */
function saveMenu(board) {
  const name = `inplace-${board.run.diagram.title.replace(/[^\w.-]+/g, "-").replace(/^-|-$/g, "") || "picture"}`;
  const said = h("span", { class: "ip-saved", role: "status" });
  const item = (/** @type {string} */ label, /** @type {() => Promise<void>} */ save) => h("button", { type: "button", role: "menuitem", class: "ip-button", onclick: async () => {
    try {
      await save();
      said.textContent = "Saved.";
    } catch {
      said.textContent = "The browser does not let us save.";
    }
  } }, label);
  const items = h("span", { class: "ip-save-items", role: "menu", "aria-label": "Save as", hidden: true });
  const button = h("button", { type: "button", class: "ip-save", "aria-haspopup": "menu", "aria-expanded": "false", onclick: () => {
    items.hidden = !items.hidden;
    button.setAttribute("aria-expanded", String(!items.hidden));
    const still = stillSource(board);
    items.replaceChildren(...[
      pageSource(board) && item("Page (HTML)", async () => download(`${name}.html`, new Blob([pageSource(board)], { type: "text/html" }))),
      still && item("Picture (SVG)", async () => download(`${name}.svg`, new Blob([still], { type: "image/svg+xml" }))),
      still && item("Picture (PNG)", async () => download(`${name}.png`, await asPng(still))),
    ].filter(Boolean), said);
    items.querySelector("button")?.focus();
  } }, "Save");
  return h("span", { class: "ip-saving", onkeydown: (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || items.hidden) return;
    event.stopPropagation();
    items.hidden = true;
    button.setAttribute("aria-expanded", "false");
    button.focus();
  } }, button, items);
}

/** The still picture that belongs to us: the one the page began with, or the output beside us in a notebook.
 * @param {Board} board @returns {string} */
function stillSource(board) {
  if (board.given.still) return board.given.still;
  const beside = board.host.closest(".jp-OutputArea-child")?.nextElementSibling;
  const drawn = beside?.querySelector("svg.torch-inplace")?.outerHTML;
  const kept = beside?.querySelector("img")?.getAttribute("src") ?? "";
  if (drawn || !kept.startsWith("data:image/svg+xml")) return drawn ?? "";
  const [head, body] = [kept.slice(0, kept.indexOf(",")), kept.slice(kept.indexOf(",") + 1)];
  return head.includes("base64") ? new TextDecoder().decode(Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0))) : decodeURIComponent(body);
}

/** A page of our own with nothing but us in it; empty where our own text is not known.
 * @param {Board} board @returns {string} */
function pageSource(board) {
  const { script, style } = board.given.text?.() ?? ownText();
  if (!script) return "";
  const data = JSON.stringify(board.run.diagram).replace(/[<>&\u2028\u2029]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'";
  const title = h("title", {}, `${board.run.diagram.title} - inplace`).outerHTML;
  return `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="${policy}">\n${title}\n<style>body { margin: 0; padding: 2vw; background: #eef0f3; } main { max-width: 1440px; margin: 0 auto; } @media (prefers-color-scheme: dark) { body { background: #0c0e11; } }\n${style}</style>\n</head>\n<body>\n<main><div id="inplace-here">${stillSource(board)}</div></main>\n`
    + `<script type="application/json" id="inplace-0">${data}</` + `script>\n<script type="module">\n${script}\nconst place = document.getElementById("inplace-here");\nconst picture = place.querySelector("svg")?.outerHTML;\nplace.replaceChildren();\nmount(place, JSON.parse(document.getElementById("inplace-0").textContent), { tab: "all", still: picture, alone: true });\n</` + `script>\n</body>\n</html>\n`;
}

/** Our script and style where they stand in the page itself, without what begins the page. */
function ownText() {
  const script = [...document.querySelectorAll("script[type=module]")].map((one) => one.textContent ?? "").find((text) => text.includes("class Board {")) ?? "";
  return { script: withoutEnd(script), style: [...document.querySelectorAll("style")].map((one) => one.textContent ?? "").join("\n") };
}

/** Our script without its way out to a notebook, and without what a page of ours has behind that.
 * @param {string} script */
function withoutEnd(script) {
  const end = script.lastIndexOf("export default");
  return end < 0 ? script : script.slice(0, end);
}

/** @param {string} svg @returns {Promise<Blob>} */
async function asPng(svg) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [2 * image.naturalWidth, 2 * image.naturalHeight];
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("no picture"))), "image/png"));
}

/** @param {string} name @param {Blob} content */
function download(name, content) {
  const link = h("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
