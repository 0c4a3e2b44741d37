"""Write the index of error texts, `docs/error-texts.md`: `python tools/make_error_texts.py`.

What a text means comes from `render/words/meanings.py` and the words of custom functions; what the tool shows comes
from the scripts of `tests/texts`, which hold it. The site has a page for each text too (`tools/site/error_pages.py`).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inplace.render.words.meanings import Meaning
    from tests.texts.script import Script

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
_ELSEWHERE = {"not reduced": "graph-detached", "ready twice": "freed-graph"}
_ELSEWHERE |= {"no gradient": "graph-detached`, `rebound-leaf", "gradient type": "custom-function"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One text: what is said of it, the kinds that the tool finds, and the scripts of `tests/texts` that raise it."""

    meaning: Meaning
    kinds: tuple[str, ...]
    scripts: tuple[Script, ...]

    @property
    def title(self) -> str:
        """The text as a heading."""
        return _title(self.meaning.text)


def entries() -> Iterator[Entry]:
    """The texts that are raised, in the order of the page."""
    sys.path.insert(0, str(ROOT))  # here, since mkdocs puts the path back behind loading its hooks
    from inplace.reading.trace.ending import recognized
    from inplace.render.words.custom_function import REFUSED
    from inplace.render.words.meanings import MEANINGS, Meaning
    from tests.texts import custom, leaves, others

    scripts: dict[str, list[Script]] = defaultdict(list)
    for script in (*leaves.SCRIPTS, *custom.SCRIPTS, *others.SCRIPTS):
        scripts[recognized(script.text)[0]].append(script)

    def entry(what: str, meaning: Meaning) -> Entry:
        kinds = dict.fromkeys(script.kind for script in scripts[what])
        if what in _ELSEWHERE:
            kinds[_ELSEWHERE[what]] = None
        return Entry(meaning, tuple(kinds), tuple(scripts[what]))

    for what, meaning in MEANINGS.items():
        yield entry(what, meaning)
    for what, (does, because, remedy) in REFUSED.items():
        if scripts[what]:
            cause, means = (one.format("…", "…", "…", "…") for one in (does, because))
            yield entry(what, Meaning(scripts[what][0].text, means, f"the line {cause}", remedy))


def page() -> str:
    """The text of the page."""
    parts = [HEAD, *(_told(entry) for entry in entries())]
    from tests.texts import warned

    parts.append("# Warnings\n\nPyTorch warns of these and goes on; the first time only, in most settings.\n")
    parts += [f"- {_title(script.text)}: `{script.kind}`" for script in warned.SCRIPTS]
    return "\n".join(parts) + "\n"


def _told(entry: Entry) -> str:
    shown = ", ".join(f"`{kind}`" for kind in entry.kinds)
    meaning = entry.meaning
    return (
        f"## {entry.title}\n\n{meaning.means}\n\n- Usual causes: {meaning.causes}.\n- What to do: {meaning.remedy}\n"
        f"- What the tool shows: {shown}, with the line to blame and the names.\n"
    )


def _title(text: str) -> str:
    return text.rstrip(".").replace("<", "&lt;").replace("*", "\\*").replace("__", "\\_\\_")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
