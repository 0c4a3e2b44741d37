"""Code that is given with the command line, or to standard input, run as `python -c CODE` and `python -` do."""

from __future__ import annotations

import contextlib
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import CodeType
from typing import TYPE_CHECKING, Any

from inplace.shells.recorder import recorder_of
from inplace.shells.terminal.empty_stack import call_below_nothing
from inplace.shells.terminal.script import Script

if TYPE_CHECKING:
    from inplace.capture.record import Recorder

_SHOWS_LINES = sys.version_info >= (3, 13)  # whether tracebacks have the lines of CODE
_DEDENTS = sys.version_info >= (3, 14)  # whether Python takes the margin of CODE away


class _Same(tuple[str, ...]):
    """Names of files, each known by the very object: what others compile (dataclasses) is called `<string>` too."""

    __slots__ = ()

    def __contains__(self, file: object) -> bool:
        return any(file is own for own in self)


class Given(Script):
    """Code without a file, in the folder that we are in; `name` is what Python calls it."""

    def __init__(self, name: str, given: str, arguments: Sequence[str]) -> None:
        super().__init__(given, arguments)
        self.file, self._folder = name, ""
        space = self.module.__dict__
        del space["__file__"], space["__cached__"]
        space["__loader__"] = importlib.machinery.BuiltinImporter

    def recorder(self, **options: Any) -> Recorder:
        """A recorder of the code, and of nothing else that bears its name."""
        return recorder_of(_Same((self.file,)), self.module.__dict__, title=self.file, **options)

    def _show_lines(self, code: CodeType) -> None:
        """Let tracebacks show the lines of the code, where Python does."""

    def _run(self, text: str | bytes) -> None:
        try:
            code = compile(text, self.file, "exec", dont_inherit=True)
        except SyntaxError as unparsed:
            unparsed.__traceback__ = None
            raise
        self._show_lines(code)
        call_below_nothing(exec, code, self.module.__dict__)


class Command(Given):
    """`-c CODE`."""

    def __init__(self, code: str, arguments: Sequence[str]) -> None:
        super().__init__("<string>", "-c", arguments)
        self._code = code + "\n"

    def run(self) -> None:
        """Run the code, letting through whatever it raises."""
        if _DEDENTS:
            import textwrap

            self._code = textwrap.dedent(self._code)
        self.source = self._code.encode("utf-8", "surrogateescape")
        self._run(self._code)

    def _show_lines(self, code: CodeType) -> None:
        if _SHOWS_LINES:
            import linecache

            with contextlib.suppress(Exception):
                linecache._register_code(code, self._code, self.file)  # type: ignore[attr-defined]


class StandardInput(Given):
    """`-`: all that comes on standard input, of which nothing is left for the code."""

    def __init__(self, arguments: Sequence[str]) -> None:
        super().__init__("<stdin>", "-", arguments)
        self.module.__dict__.update(__file__=self.file, __cached__=None)

    def run(self) -> None:
        """Read the code and run it, letting through whatever it raises."""
        chunks = []
        while chunk := os.read(0, 1 << 16):
            chunks.append(chunk)
        self.source = b"".join(chunks)
        self._run(self.source)
        space = self.module.__dict__
        for name in ("__file__", "__cached__"):
            space.pop(name, None)
