"""Programs with marked lines, which are run as they stand and in a function."""

from __future__ import annotations

import re
from typing import Any

from tests.recording import record_text

FORMS = ("plain", "in a function")


def formed(text: str, form: str) -> str:
    """A program as it stands, or with all but its imports in a function."""
    text = text.strip("\n")
    if form == "plain":
        return text
    head = [line for line in text.splitlines() if re.match("import |from ", line)]
    body = [line for line in text.splitlines() if line not in head]
    return "\n".join([*head, "def main():", *("    " + line if line else line for line in body), "main()"])


def marked(text: str, mark: str) -> set[int]:
    """The lines with a mark behind them."""
    return {number for number, line in enumerate(text.splitlines(), 1) if re.search(rf"# \w*{mark}\w*$", line)}


def alarms(text: str) -> list[tuple[str, Any]]:
    """The kind and the culprits of each error and warning about a program."""
    found = record_text(text).report.findings
    return [(one.kind, one.culprits) for one in found if one.severity != "info"]
