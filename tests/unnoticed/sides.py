"""Runs a program plain and recorded, each as Python runs it, and tells in which of what it could notice they differ."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import inplace
from inplace.facts.errors import TraceFormatError
from tests.unnoticed.programs import Program

if TYPE_CHECKING:
    from typing_extensions import Self

_FORKING = Path(__file__).with_name("forking")
_SOURCES = Path(inplace.__file__).parents[1]
_USED = "torch numpy torch.utils.checkpoint torch._dynamo.eval_frame"  # imported once, by both
_OURS = "inplace.capture.record inplace.shells.explanation inplace.facts.codec inplace.shells.terminal.run"
_MARGIN = 60 << 10  # kilobytes that a recorded run may take beyond a tenth more than a plain one
_FAULT = "fault of ours"


@dataclass(frozen=True)
class Ended:
    """What a run has left behind."""

    status: int
    out: str
    err: str
    end: dict[str, object]


class Side:
    """Runs what stands in `program.py` of a folder, again and again.

    Args:
        folder: where it runs.
        command: what Python is given.
        modules: what is imported once for all runs.
    """

    def __init__(self, folder: Path, command: str, modules: str) -> None:
        self._folder = folder
        read_request, self._requests = os.pipe()
        self._answers, write_answer = os.pipe()
        paths = os.pathsep.join(map(str, (_FORKING, _SOURCES)))
        settings = {"PYTHONPATH": paths, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, *command.split()],
            cwd=folder,
            env={**os.environ, **settings, "UNNOTICED": f"{read_request} {write_answer} {modules}"},
            stdin=subprocess.DEVNULL,
            pass_fds=(read_request, write_answer),
        )
        os.close(read_request)
        os.close(write_answer)
        self._answer()

    def close(self) -> None:
        """Let the process that forks the runs end."""
        os.close(self._requests)
        os.close(self._answers)
        self._process.wait()

    def run(self, *, whole: bool) -> Ended:
        """Run the program once; the `whole` of it, or up to where Python takes its modules apart."""
        for name in ("end", "trace.json"):
            self._folder.joinpath(name).unlink(missing_ok=True)
        os.write(self._requests, b"w" if whole else b".")
        status = self._answer()
        out, err = (_read(self._folder / name) for name in ("out", "err"))
        end = self._folder / "end"
        return Ended(status, out, err, json.loads(end.read_text("utf-8")) if end.exists() else {})

    def _answer(self) -> int:
        found = b""
        while not found.endswith(b"\n"):
            piece = os.read(self._answers, 16)
            if not piece:
                raise ChildProcessError("the process that forks the runs has ended")
            found += piece
        return int(found)


def _read(path: Path) -> str:
    """What a stream was given, without addresses, and without the log of the profiler, which has times."""
    text = path.read_bytes().decode("utf-8", "backslashreplace")
    return re.sub(r"^USDT:.*\n", "", re.sub(r"0x[0-9a-f]+", "0x", text), flags=re.MULTILINE)


class BothSides:
    """Runs programs plain and recorded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.plain = Side(folder, "program.py", _USED)
        recorded = "-m inplace run --quiet --trace trace.json program.py"
        self.recorded = Side(folder, recorded, f"{_USED} {_OURS}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.plain.close()
        self.recorded.close()

    def differences(self, program: Program) -> list[str]:
        """What a program does otherwise when it is recorded; nothing, for one that Python can't compile."""
        try:
            compile(program.text, "program.py", "exec")
        except SyntaxError:
            return []
        self._folder.joinpath("program.py").write_text(program.text, encoding="utf-8")
        plain, recorded = (side.run(whole=program.ends_in_its_way) for side in (self.plain, self.recorded))
        return [*_differences(plain, recorded), *self._faults(recorded)]

    def _faults(self, recorded: Ended) -> Iterator[str]:
        """What the recording says went wrong on our side; and that there is none, where there must be."""
        trace = self._folder / "trace.json"
        if trace.exists():
            try:
                found = inplace.load(trace).trace
            except TraceFormatError as error:
                yield str(error)
                return
            yield from (note.text for note in found.notes if _FAULT in note.text)
            if not found.calls:
                yield "nothing was recorded"
        elif recorded.end:
            yield "there is no trace"


def _differences(plain: Ended, recorded: Ended) -> Iterator[str]:
    if plain.status != recorded.status:
        yield f"exit status {plain.status} became {recorded.status}"
    yield from _lines("stdout", plain.out, recorded.out)
    yield from _lines("stderr", plain.err, recorded.err)
    for key in plain.end.keys() | recorded.end.keys():
        one, two = plain.end.get(key), recorded.end.get(key)
        if key != "kilobytes":
            if one != two:
                yield f"{key}: {one} became {two}"
        elif isinstance(one, int) and isinstance(two, int) and two > one * 1.1 + _MARGIN:
            yield f"peak memory: {one >> 10} MB became {two >> 10} MB"


def _lines(name: str, one: str, two: str) -> Iterator[str]:
    plain, recorded = _told(one), _told(two)
    if plain == recorded:
        return
    pairs = zip([*plain, "(the end)"], [*recorded, "(the end)"], strict=False)
    number, (first, second) = next((n, pair) for n, pair in enumerate(pairs) if pair[0] != pair[1])
    yield f"{name}, line {number + 1}: {first!r} became {second!r}"


def _told(text: str) -> list[str]:
    """The lines of a stream, without what docs/limits.md says of tracebacks that the recorded code formats itself.

    In those a function that is written in Python is listed twice, first where it hands itself to a mode.
    """
    entries = re.split(r"^(?=  File )", text, flags=re.MULTILINE)
    following = [_function(entry) for entry in entries[1:]] + [""]
    kept = [
        entry
        for entry, function in zip(entries, following, strict=True)
        if not ("handle_torch_function(" in entry and _function(entry) == function)
    ]
    return "".join(kept).splitlines()


def _function(entry: str) -> str:
    """The function of a traceback's entry, which stands at the end of its first line."""
    return entry.partition("\n")[0].rpartition(", in ")[2]
