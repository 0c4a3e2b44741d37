"""`%inplace` with one word: on, off, why, example or claims."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from inplace.shells.last import last
from inplace.shells.notebook.cells import MAGIC
from inplace.shells.notebook.display import note, put, show

if TYPE_CHECKING:
    from inplace.shells.notebook.session import Session

_NO_RECORDING = "nothing has been recorded yet: put %%inplace above a cell, or type %inplace on, then run a cell."
USAGE = (
    "%inplace takes one word: on (record every cell from now on), off, why (explain the last cell), "
    "example (list worked examples, or open one by id or topic), or claims (check what is said about in-place calls)."
)


class LineMagic:
    """The line magic of one shell."""

    def __init__(self, shell: Any, session: Session) -> None:
        self._shell, self._session = shell, session

    def run(self, line: str) -> None:
        """Record every cell from now on (`%inplace on`), stop doing so (`off`), or explain the last cell (`why`).

        `why` shows the recording again; for a cell that failed without one it says what the live graph tells.
        `example` lists the worked examples; with an id, a topic or a word after it, it puts one into the next cell.
        `claims` runs what is often said about in-place operations and shows what PyTorch does; an id asks for one.
        """
        word, _, rest = line.strip().partition(" ")
        if word in {"claims", "example"}:
            self._answer(word, rest.strip())
        elif rest or word not in {"on", "off", "why"}:
            note(USAGE)
        elif word == "why":
            self._explain()
        else:
            self._session.records_every_cell = word == "on"

    def _answer(self, word: str, wanted: str) -> None:
        from inplace.examples import answer

        told = answer.claims(wanted) if word == "claims" else answer.example(wanted)
        if told.code is not None:
            self._shell.set_next_input(f"{MAGIC}\n{told.code}")
        put(told.shown)

    def _explain(self) -> None:
        if (error := getattr(sys, "last_value", None)) is not None and id(error) == self._session.failed:
            from inplace.shells.notebook.unrecorded import explain

            note(explain(error, self._shell.user_ns))
        elif (recording := last()) is None:
            note(_NO_RECORDING)
        else:
            show(recording, self._shell)
