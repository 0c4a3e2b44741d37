"""A notebook that is run from its first cell to its last, in this process: `inplace run NOTEBOOK`.

It runs as Jupyter runs it with nobody looking: in its own folder, one code cell after the other, until one raises.
All cells are one recording, so what is found in one of them names the lines of the others.
"""

from __future__ import annotations

import ast
import codeop
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import IPython
from IPython.core.compilerop import CachingCompiler
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

from inplace.shells.environment import cell_name
from inplace.shells.notebook.cells import TIMED
from inplace.shells.notebook.extension import install
from inplace.shells.terminal.complaint import UnusableError
from inplace.shells.terminal.script import Script

if TYPE_CHECKING:
    from inplace.capture.record import Recorder

_PLAIN = "nocolor" if IPython.version_info >= (9,) else "NoColor"
_RAISES, _SKIPPED = "raises-exception", "skip-execution"  # tags of cells, as Jupyter's nbclient knows them


@dataclass(frozen=True)
class Cell:
    """A code cell: its text, and whether the notebook goes on after it has raised."""

    text: str
    may_raise: bool


def cells_of(raw: bytes) -> list[Cell]:
    """The code cells of a notebook that are run, in order.

    Raises:
        UnusableError: if it is not one, or not one of Python's.
    """
    try:
        whole = json.loads(raw)
        language = whole.get("metadata", {}).get("kernelspec", {}).get("language", "python")
        cells = whole["cells"]
        goes_on = bool(whole.get("metadata", {}).get("execution", {}).get("allow_errors"))
        codes = [cell for cell in cells if cell["cell_type"] == "code" and _SKIPPED not in _tags(cell)]
        found = [_cell(cell, goes_on=goes_on) for cell in codes]
    except (ValueError, LookupError, TypeError, AttributeError) as damaged:
        raise UnusableError("it is no notebook of Jupyter's format 4") from damaged
    if language != "python":
        raise UnusableError(f"it is a notebook in {language}")
    return [cell for cell in found if cell.text.strip()]


def _cell(cell: dict[str, Any], *, goes_on: bool) -> Cell:
    return Cell("".join(cell["source"]), goes_on or _RAISES in _tags(cell))


def _tags(cell: dict[str, Any]) -> Sequence[str]:
    tags: Sequence[str] = cell.get("metadata", {}).get("tags", ())
    return tags


class Notebook(Script):
    """One notebook that is to be run in this process."""

    def __init__(self, given: str, arguments: Sequence[str]) -> None:
        super().__init__(given, arguments)
        self.source = Path(self.file).read_bytes()
        self._cells = cells_of(self.source)
        self._shell: Any = None

    def recorder(self, **options: Any) -> Recorder:
        """A recorder of all its cells, each called as Jupyter calls it."""
        from inplace.capture.record import Recorder

        return Recorder(
            title=Path(self.file).name,
            is_cell=lambda file: cell_name(file) is not None,
            namespace=self._shell.user_ns,
            label=cell_name,
            **options,
        )

    def become_main(self) -> None:
        """Go where Jupyter runs a notebook, and make the shell that runs it; its module is `__main__` from now on."""
        os.chdir(Path(self.file).resolve().parent)
        sys.argv[:] = self.argv
        sys.path[0] = ""
        HistoryManager.enabled = False  # the user's own history is of what they type
        self._shell = _Shell.instance(**({} if sys.stderr is not None and sys.stderr.isatty() else {"colors": _PLAIN}))
        install(self._shell, is_recorded=True)
        self.module = self._shell.user_module

    def run(self) -> None:
        """Run its cells, and raise what has ended it."""
        for cell in self._cells:
            result = self._shell.run_cell(cell.text, store_history=True)
            error = result.error_before_exec or result.error_in_exec
            if error is not None and not cell.may_raise:
                raise error

    def last_words(self, error: BaseException) -> int:
        """The exit status; the shell has shown the exception already."""
        if isinstance(error, SystemExit):
            return super().last_words(error)
        return 1

    def as_it_was_read(self) -> contextlib.AbstractContextManager[None]:
        """A block; IPython keeps the lines of cells."""
        return contextlib.nullcontext()


class _Compiler(CachingCompiler):  # type: ignore[misc]
    """Compiles what stands below magics such as `%%time` and `%%capture` as the lines of its cell that it is."""

    shell: Any = None

    def __init__(self) -> None:
        super().__init__()
        self._above: dict[str, int] = {}  # the lines that stand above what is compiled, by its file

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        """A name for a block of code; one that a cell has run is a part of that."""
        cell = "" if self.shell is None else self.shell.running
        raw = transformed_code if raw_code is None else raw_code
        if not cell or raw == cell:
            return str(super().cache(transformed_code, number, raw_code))
        above = cell.rstrip().removesuffix(raw.rstrip()).count("\n") if cell.rstrip().endswith(raw.rstrip()) else 0
        name = str(super().cache("\n" * above + transformed_code, self.shell.number, raw_code))
        self._above[name] = above
        return name

    def ast_parse(self, source: str, filename: str = "<unknown>", symbol: str = "exec") -> ast.AST:
        """The syntax tree of a block, with the lines of its cell."""
        tree: ast.AST = super().ast_parse(source, filename, symbol)
        return ast.increment_lineno(tree, self._above.get(filename, 0))

    def __call__(self, source: Any, filename: str, symbol: str, **more: Any) -> Any:
        """Compile a block; what `%%time` compiles under a name that it has for all is a part of the cell that runs."""
        if filename in TIMED and isinstance(source, ast.AST) and self.shell is not None:
            filename = self.cache(_below_magics(self.shell.running), self.shell.number)
            ast.increment_lineno(source, self._above.get(filename, 0))
        return codeop.Compile.__call__(self, source, filename, symbol, **more)


def _below_magics(cell: str) -> str:
    """The text below the cell magics with which a cell begins."""
    lines = cell.splitlines(keepends=True)
    above = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("%%")), len(lines))
    return "".join(lines[above:])


class _Shell(InteractiveShell):  # type: ignore[misc]
    """A shell whose output is the process's: exceptions on standard error, as those of a script are.

    Attributes:
        running: the text of the cell that runs.
        number: its number, as in `In[3]`.
    """

    compiler_class = _Compiler
    running, number = "", 0

    def run_cell(self, raw_cell: str, *args: Any, **kwargs: Any) -> Any:
        """Run a cell; one inside another is a part of that."""
        if self.running:
            return super().run_cell(raw_cell, *args, **kwargs)
        self.running, self.number = raw_cell, self.execution_count
        self.compile.shell = self
        try:
            return super().run_cell(raw_cell, *args, **kwargs)
        finally:
            self.running = ""

    def enable_gui(self, gui: Any = None) -> None:
        """No window is opened."""

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        """Show an exception without our frames."""
        error = sys.exc_info()[1]
        if error is not None and "torch" in sys.modules:
            from inplace.capture.code.tracebacks import strip_recording

            strip_recording(error)
        super().showtraceback(*args, **kwargs)

    def _showtraceback(self, _kind: Any, _error: Any, stb: list[str]) -> None:
        sys.stdout.flush()
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(self.InteractiveTB.stb2text(stb) + "\n")
