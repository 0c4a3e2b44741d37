"""A script that raises one of PyTorch's error texts, and what is to be told of it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Script:
    """One text of PyTorch's, a script that raises it, and the diagnosis.

    Attributes:
        text: the beginning of what PyTorch says, or a part of it, as `docs/error-texts.md` has it.
        kind: the finding's; empty where no more than what was on the line is known.
        source: the script; the lines that are to blame end in `# here`.
        names: names, one of which is told, with spaces between; none where it is empty.
        remedy: words of the remedy, one of which is told, with `|` between.
        raises: whether it is raised, as against warned of.
    """

    text: str
    kind: str
    source: str
    names: str = ""
    remedy: str = ""
    raises: bool = True

    @property
    def code(self) -> str:
        """The script as it is run."""
        return textwrap.dedent(self.source).strip("\n") + "\n"

    @property
    def lines(self) -> set[int]:
        """The lines that are to blame, from 1."""
        return {number for number, line in enumerate(self.code.splitlines(), 1) if line.endswith("# here")}
