"""What running the code of an exercise shows; as a program it reads the code from its input and prints that as JSON."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run showed.

    Attributes:
        error: the type and the beginning of the message of what it raised; empty for nothing.
        answer: what it left in `answer`, as text; `raises` where it raised.
        lines: the lines that errors and warnings blame, as text.
        found: the kind and headline of the worst of them; empty for none.
        values: what the watched expressions are at the end, as text.
    """

    error: str
    answer: str
    lines: list[str]
    found: str
    values: list[str]


def outcome_of(code: str, watched: list[str]) -> Outcome:
    """Run code, recorded, and say what that shows."""
    from inplace.render.words.telling import headline
    from inplace.shells.python import record

    names: dict[str, Any] = {"__name__": "__exercise__"}
    error = ""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        tempfile.TemporaryDirectory(prefix="inplace-") as folder,
    ):
        warnings.simplefilter("ignore")
        file = Path(folder, "exercise.py")
        file.write_text(code, encoding="utf-8")
        compiled = compile(code, str(file), "exec")
        with contextlib.suppress(_Raised), record() as recording:
            try:
                exec(compiled, names)  # noqa: S102  # what it is for
            except Exception as fault:
                error = f"{type(fault).__name__}: {str(fault).partition(': [')[0].partition(chr(10))[0].rstrip('.')}"
                raise _Raised from fault
        report = recording.report
    bad = [each for each in report.findings if each.severity in {"error", "warning"}]
    lines = [str(place.position.line) for each in bad for place in each.culprits if place.file.endswith("exercise.py")]
    found = f"{bad[0].kind}: {headline(bad[0], recording.trace)}" if bad else ""
    values = [] if error else [_text_of(name, names) for name in watched]
    return Outcome(error, "raises" if error else str(names.get("answer")), lines, found, values)


class _Raised(Exception):  # noqa: N818  # not a fault
    """The code raised, which ends its recording."""


def _text_of(expression: str, names: dict[str, Any]) -> str:
    """The value of an expression, as text: of a tensor its numbers to six digits, which another order of sums keeps."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = eval(expression, names)  # noqa: S307  # ours
        return str([round(number, 6) for number in value.detach().double().flatten().tolist()])
    except Exception as fault:
        return "None" if isinstance(fault, AttributeError) else type(fault).__name__


if __name__ == "__main__":
    found = outcome_of(*json.load(sys.stdin))
    sys.stdout.write("\n" + json.dumps(asdict(found)) + "\n")
