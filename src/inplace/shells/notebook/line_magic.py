"""`%inplace` with one word: on, light, off, why, example, claims, exercise, hint or answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inplace.shells.last import last
from inplace.shells.notebook.cell_magic import OPTIONS, options_of, settled
from inplace.shells.notebook.cells import MAGIC
from inplace.shells.notebook.display import note, put, show
from inplace.shells.notebook.played import without_ours

if TYPE_CHECKING:
    from inplace.shells.notebook.session import Session

_NO_RECORDING = "nothing has been recorded yet: put %%inplace above a cell, or type %inplace on, then run a cell."
_AGAIN = "%inplace again takes the number of a run or a range of them, as in %inplace again 2-4."
USAGE = (
    "%inplace takes one word: on (record every cell from now on, with options as of %%inplace), "
    "light (the same, noting versions, saves and writes only), off, why (explain the last cell), "
    "again 2-4 (put those cells into the next one, to be recorded), "
    "example (list worked examples, or open one by id, topic, function or error text), "
    "claims (check what is said about in-place calls), exercise (list the exercises, or open one by id), "
    "hint (the next hint of an exercise), or answer (have an answer to an exercise checked)."
)


def _meaning(text: str) -> str:
    """What an error text of PyTorch's means and what to do, where no worked example raises it; empty if unknown."""
    from inplace.examples import find
    from inplace.reading.trace.ending import recognized
    from inplace.render.words.meanings import meaning_of

    found = None if find(text) else meaning_of(recognized(text)[0])
    return "" if found is None else f"{found.means} {found.remedy} Usual causes: {found.causes}."


class LineMagic:
    """The line magic of one shell."""

    def __init__(self, shell: Any, session: Session) -> None:
        self._shell, self._session = shell, session

    def run(self, line: str) -> None:
        """Record every cell from now on (`%inplace on`), stop doing so (`off`), or explain the last cell (`why`).

        `on` takes the options of `%%inplace`, such as `%inplace on --keep` for days; `light` is `on --light`.

        `why` shows the recording again; for a cell that failed without one it runs the session again, recorded, in a
        closed process, and tells what that showed if it failed in the same way.
        `again 2-4` puts the cells that were run as In[2] to In[4] into the next one, to be recorded together.
        `example` lists the worked examples; with an id, a topic, a function or an error's text after it, it puts
        one into the next cell.
        `exercise` lists the exercises, with what is done; with an id it opens one. `hint P1` gives its next hint, and
        `answer P1 ...` has an answer checked by running the code.
        `claims` runs what is often said about in-place operations and shows what PyTorch does; an id asks for one.
        """
        word, _, rest = line.strip().partition(" ")
        if word in {"claims", "example"}:
            self._answer(word, rest.strip())
        elif word in {"exercise", "hint", "answer"}:
            self._practise(word, rest.strip())
        elif word == "again":
            self._again(rest.strip())
        elif word == "on":
            self._record(rest)
        elif word == "light":
            self._record(f"--light {rest}")
        elif rest or word not in {"off", "why"}:
            note(USAGE)
        elif word == "why":
            self._explain()
        else:
            self._session.records_every_cell = False

    def _record(self, given: str) -> None:
        """Record every cell from now on, with some options of `%%inplace`; with one that is none, nothing changes."""
        options, unknown = options_of([given])
        options, told = settled(options)
        if unknown and not unknown[0].startswith("-"):
            note(USAGE)
        elif unknown:
            listed = ", ".join(OPTIONS)
            note(f"%inplace on does not know {unknown[0]!r}; its options are {listed}.")
        elif told:
            note(f"{told[0].partition(';')[0]}.")
        else:
            self._session.record_every_cell(options)

    def _answer(self, word: str, wanted: str) -> None:
        from inplace.examples import answer

        told = answer.claims(wanted) if word == "claims" else answer.example(wanted)
        if told.code is None and wanted and (meaning := _meaning(wanted)):
            note(meaning)
            return
        if told.code is not None:
            self._shell.set_next_input(f"{MAGIC}\n{told.code}")
        put(told.shown)

    def _practise(self, word: str, wanted: str) -> None:
        from inplace.shells.notebook import exercises

        here = Path.cwd()
        if not wanted:
            told = exercises.listed(here)
        elif word == "exercise":
            told = exercises.opened(wanted)
        elif word == "hint":
            told = exercises.hinted(wanted, here)
        else:
            cells = list(getattr(self._shell.history_manager, "input_hist_raw", ()))
            told = exercises.answered(wanted, cells, here)
        if told.code is not None:
            self._shell.set_next_input(told.code)
        put(told.shown)

    def _again(self, wanted: str) -> None:
        """Put some runs of cells, each as it was run, into the next cell, to be recorded together."""
        texts = list(getattr(self._shell.history_manager, "input_hist_raw", ()))
        first, dash, last_one = wanted.partition("-")
        ends = [first, last_one if dash else first]
        if not all(end.strip().isdigit() for end in ends):
            note(_AGAIN)
            return
        runs = range(int(ends[0]), int(ends[1]) + 1)
        if not runs or runs[0] < 1 or runs[-1] >= len(texts):
            note(f"there is no run {wanted} in this session. {_AGAIN}")
            return
        kept = [without_ours(texts[run]).strip("\n") for run in runs]
        self._shell.set_next_input("\n\n".join([MAGIC, *(text for text in kept if text)]))

    def _explain(self) -> None:
        if (error := getattr(sys, "last_value", None)) is not None and id(error) == self._session.failed:
            from inplace.shells.notebook.unrecorded import explain

            note(explain(error, self._shell, self._session.seconds))
        elif (recording := last()) is None:
            note(_NO_RECORDING)
        else:
            show(recording, self._shell)
