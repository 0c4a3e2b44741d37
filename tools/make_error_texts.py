"""Write the index of error texts, `docs/error-texts.md`: `python tools/make_error_texts.py`.

What a text means comes from `render/words/meanings.py` and the words of custom functions; what the tool shows comes
from the scripts of `tests/texts`, which hold it.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "error-texts.md"
HEAD = """# Error texts, explained

What PyTorch says where it refuses a use of autograd, views, in-place calls, hooks, custom functions or checkpoints.
Each entry has what it means, how it usually comes about, what to do, and what the tool shows.
Search this page for a few words of your error.
Run the code under `%%inplace` or `inplace run` to get the lines of *your* program.
After an error in a cell that was not recorded, `%inplace why` tells what the error and the variables show.

Each text was raised by a script on torch 2.13 (`tests/texts`), and a test holds kind, line, names and remedy.
The words differ between versions.
An error that is not here gets one honest line: the tensors that were on its line.
"""
_ELSEWHERE = {"not reduced": "graph-detached", "ready twice": "freed-graph", "view size": "view-impossible"}
_ELSEWHERE |= {"no gradient": "graph-detached`, `rebound-leaf", "gradient type": "custom-function"}


def page() -> str:
    """The text of the page."""
    sys.path.insert(0, str(ROOT))
    from inplace.reading.ending import recognized
    from inplace.render.words.custom_function import REFUSED
    from inplace.render.words.meanings import MEANINGS
    from tests.texts import custom, leaves, others, warned

    kinds: dict[str, dict[str, None]] = defaultdict(dict)
    texts: dict[str, str] = {}
    for script in (*leaves.SCRIPTS, *custom.SCRIPTS, *others.SCRIPTS):
        what = recognized(script.text)[0]
        kinds[what][script.kind] = None
        texts.setdefault(what, script.text)
    for what, kind in _ELSEWHERE.items():
        kinds[what].setdefault(kind)
    parts = [HEAD]
    for what, meaning in MEANINGS.items():
        told = (meaning.means, meaning.causes, meaning.remedy)
        parts.append(_entry(meaning.text, told, kinds[what]))
    for what, (does, because, remedy) in REFUSED.items():
        if what in texts:
            cause, means = (one.format("…", "…", "…", "…") for one in (does, because))
            parts.append(_entry(texts[what], (means, f"the line {cause}", remedy), kinds[what]))
    parts.append("# Warnings\n\nPyTorch warns of these and goes on; the first time only, in most settings.\n")
    parts += [f"- {_title(script.text)}: `{script.kind}`" for script in warned.SCRIPTS]
    return "\n".join(parts) + "\n"


def _entry(text: str, told: tuple[str, str, str], kinds: dict[str, None]) -> str:
    means, causes, remedy = told
    shown = ", ".join(f"`{kind}`" for kind in kinds)
    return (
        f"## {_title(text)}\n\n{means}\n\n- Usual causes: {causes}.\n- What to do: {remedy}\n"
        f"- What the tool shows: {shown}, with the line to blame and the names.\n"
    )


def _title(text: str) -> str:
    return text.rstrip(".").replace("<", "&lt;").replace("*", "\\*").replace("__", "\\_\\_")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
