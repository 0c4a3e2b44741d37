"""Runs a script as `python SCRIPT ARGS` does: as the main module, with its own path and arguments."""

from __future__ import annotations

import builtins
import contextlib
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from inplace.shells.recorder import recorder_of
from inplace.shells.terminal.empty_stack import call_below_nothing
from inplace.shells.terminal.ending import last_words

if TYPE_CHECKING:
    from inplace.capture.record import Recorder

_LAUNCHERS = frozenset({"torch.distributed.run", "torch.distributed.launch"})
_LAUNCHING = frozenset({"torchrun", "accelerate"})


class Script:
    """One script that is to be run in this process.

    Attributes:
        file: its path as Python would call it: absolute, links left alone.
        argv: its name and arguments, as it finds them in `sys.argv`.
        module: what it runs in, which is `__main__` from now on.
        source: its text as it was read, None before; the file may be another one by the time of the report.
        is_launcher: whether it only starts others: `torchrun`, `accelerate launch`.
    """

    def __init__(self, given: str, arguments: Sequence[str]) -> None:
        self.argv = [given, *arguments]
        self.file = given if Path(given).is_absolute() else f"{Path.cwd()}/{given}"
        self.module = _main_module(self.file)
        self.source: bytes | None = None
        self.is_launcher = Path(given).name in _LAUNCHING
        self._folder: str | None = None  # what stands first in `sys.path`; None for that of the file

    @classmethod
    def of_module(cls, name: str, arguments: Sequence[str]) -> Script:
        """A module that is to be run as `python -m` does: from the folder we are in, by the name it is imported by.

        Raises:
            ImportError: if there is none, or it can't be run.
        """
        import runpy

        folder = str(Path.cwd())
        if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
            sys.path[0] = folder  # it may be there
        _, spec, _ = runpy._get_module_details(name, ImportError)  # type: ignore[attr-defined]
        script = cls(str(spec.origin), arguments)
        script._folder = folder
        script.is_launcher = name in _LAUNCHERS or name.partition(".")[0] == "accelerate"
        script.module.__dict__.update(
            __spec__=spec, __package__=spec.parent, __loader__=spec.loader, __cached__=spec.cached
        )
        return script

    def recorder(self, **options: Any) -> Recorder:
        """A recorder, yet to be started, of what is run; `options` are those of `recorder_of`."""
        return recorder_of([self.file], self.module.__dict__, title=Path(self.file).name, **options)

    def last_words(self, error: BaseException) -> int:
        """Say of the exception that ended it what Python says, and give the exit status."""
        return last_words(error)

    def become_main(self) -> None:
        """Put the script's module, arguments and folder where Python has them."""
        sys.modules["__main__"] = self.module
        sys.argv[:] = self.argv
        if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
            sys.path[0] = str(Path(self.file).resolve().parent) if self._folder is None else self._folder

    def run(self) -> None:
        """Run the script, letting through whatever it raises."""
        # Compiled from bytes, which say how they are encoded, and without what this module has from __future__.
        try:
            self.source = Path(self.file).read_bytes()
            code = compile(self.source, self.file, "exec", dont_inherit=True)
        except SyntaxError as unparsed:
            unparsed.__traceback__ = None
            raise
        call_below_nothing(exec, code, self.module.__dict__)

    def as_it_was_read(self) -> contextlib.AbstractContextManager[None]:
        """A block in which whoever looks at the lines of the script sees those that run."""
        return as_read(self.file, self.source)


@contextlib.contextmanager
def as_read(file: str, source: bytes | None) -> Iterator[None]:
    """A block in which whoever looks at the lines of a file sees those of its text as it was read; None for no text."""
    import linecache  # with what a script must not find imported
    from importlib.util import decode_source

    before = linecache.cache.get(file)
    try:
        text = "" if source is None else decode_source(source)
    except (SyntaxError, ValueError):  # it can't be read as Python, and has not run
        text = ""
    if text:
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    try:
        yield
    finally:
        if before is not None:
            linecache.cache[file] = before
        else:
            linecache.cache.pop(file, None)


def _main_module(file: str) -> ModuleType:
    module = ModuleType("__main__")
    facts = {
        "__annotations__": {},
        "__builtins__": builtins,
        "__cached__": None,
        "__file__": file,
        "__loader__": importlib.machinery.SourceFileLoader("__main__", file),
    }
    module.__dict__.update(facts)
    return module
