"""Write the table of sentences, `docs/claims.md`: `python tools/make_claims.py`. Each verdict comes of a run."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from inplace.examples import ALL
from inplace.examples.claims import check
from inplace.examples.table import told_by

PAGE = Path(__file__).resolve().parents[1] / "docs" / "claims.md"
HEAD = """# What is said of in-place operations

{count} sentences, each judged once: by code that runs PyTorch ({version} here).
`%inplace claims` runs the same checks on your machine and shows what was seen.
`%inplace example E23` opens the code.
Made by `python tools/make_claims.py`.

| | sentence | said by | verdict | instead |
| --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The text of the page.

    Raises:
        AssertionError: if PyTorch does something else than what is recorded of a sentence.
    """
    rows = []
    for each in ALL:
        found = check(each.id)
        assert found.verdict == each.verdict, f"{each.id} is {found.verdict}: {found.text}"
        limit = f": {each.limit}" if each.limit else ""
        cells = (each.id, each.claim, told_by(each), f"**{each.verdict}**{limit}", each.lesson)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return HEAD.format(count=len(ALL), version=torch.__version__.partition("+")[0]) + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
