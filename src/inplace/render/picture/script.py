"""The widget's script and style: one module and one sheet, each written in parts, those of the script in one scope.

Front ends load one text, offline, so the parts are joined here and nothing has to be bundled before.
"""

from __future__ import annotations

import json
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
    """The text of the ES module that anywidget and the page load."""
    # In the first line of the first part, so that a line of a part stays where it is.
    glossary = f"const GLOSSARY = /** @type {{Record<string, string[]>}} */ ({json.dumps(GLOSSARY)}); "
    return glossary + "\n".join((_FOLDER / f"{part}.js").read_text(encoding="utf-8") for part in PARTS)


SHEETS = ("widget", "film", "paper")


@cache
def style() -> str:
    """The text of the style sheet that anywidget and the page load."""
    return "\n".join((_FOLDER / f"{sheet}.css").read_text(encoding="utf-8") for sheet in SHEETS)
