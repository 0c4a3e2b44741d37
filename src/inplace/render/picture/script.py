"""The widget's script and style: one module and one sheet, each written in parts, those of the script in one scope.

Front ends load one text, offline, so the parts are joined here and nothing has to be bundled before.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from inplace.render.words.glossary import GLOSSARY

_FOLDER = Path(__file__).parents[1] / "js"
PARTS = (
    "elements",  # making elements, words and numbers
    "run",  # what the diagram says, indexed
    "words",  # what they mean
    "finding",  # what is seen at first sight
    "save",
    "bar",  # what opens the rest
    "reel",
    "tale",
    "film",
    "strip",
    "scrubber",
    "source",
    "references",
    "minimap",
    "modules",  # of the graph, folded
    "autograd",
    "calls",
    "gradients",
    "evidence",
    "paper",
    "board",  # all together
    "host",  # the theme, and the way in
)


@cache
def script() -> str:
    """The text of the ES module that draws: the widget has it by its loader, the page by itself."""
    # In the first line of the first part, so that a line of a part stays where it is.
    glossary = f"const GLOSSARY = /** @type {{Record<string, string[]>}} */ ({json.dumps(GLOSSARY)}); "
    text = glossary + "\n".join((_FOLDER / f"{part}.js").read_text(encoding="utf-8") for part in PARTS)
    return _ascii(text, lambda unit: f"\\u{unit:04x}")


# A browser keeps every module that it has loaded until its page is closed, and a front end loads one for each widget.
# So what it loads is small, and the script becomes one module for all widgets that have the same.
_LOADER = """\
const KEY = %s;
export default {
  async render(given) {
    const { render } = await (globalThis[KEY] ??= load(given.model.get("_script")));
    return render(given);
  },
};
async function load(text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    return (await import(address)).default;
  } catch (fault) {
    delete globalThis[KEY];
    throw fault;
  } finally {
    URL.revokeObjectURL(address);
  }
}
"""


@cache
def loader() -> str:
    """The text of the ES module that anywidget loads for each widget."""
    return _LOADER % json.dumps(f"torch-inplace {hashlib.sha256(script().encode()).hexdigest()}")


SHEETS = ("widget", "film", "paper")


@cache
def style() -> str:
    """The text of the style sheet that anywidget and the page load."""
    text = "\n".join((_FOLDER / f"{sheet}.css").read_text(encoding="utf-8") for sheet in SHEETS)
    return _ascii(text, lambda unit: f"\\{unit:06x}")


def _ascii(text: str, escaped: Callable[[int], str]) -> str:
    """A text with its other letters escaped: of one that has any, a browser keeps two bytes for each letter."""
    return re.sub(r"[^\x00-\x7f]", lambda letter: escaped(ord(letter[0])), text)
