"""Has programs run behind the operating system's fence, and ends them when nobody waits for them any more."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inplace.judge.fence.marks import ORDER

_SOURCE = Path(__file__).parents[2]
# Without the user's packages and settings: what they do when Python begins is to happen behind the fence.
_WARDEN = [
    *(sys.executable, "-I", "-S", "-c"),
    "import sys\nsys.path.append(sys.argv[1])\nfrom inplace.judge.fence.warden import main\nmain(*sys.argv[2:])",
]
_NO_FENCE = "the system has no fence for a replay ({}), and code that could act is not run again without one"
_MOST_TO_END = 10.0  # seconds
# Variables by which a process finds the others of its job.
_JOB = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")
_JOB_BEGINNINGS = ("TORCHELASTIC_", "GROUP_", "ROLE_", "OMPI_", "PMI_", "PMIX_")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a replay ended.

    Attributes:
        status: the exit status.
        refused: the first thing it was refused.
        joins_job: a variable by which the code finds the other processes of a job, taken away from the replay.
        last_line: of what it printed as an error.
    """

    status: int | None
    refused: str | None
    joins_job: str | None
    last_line: str

    def why_no_answer(self) -> str:
        """Why there is no answer."""
        if self.refused is not None:
            return f"the code does what a replay may not do ({self.refused})"
        return f"the replay ended without an answer ({self.last_line or self.status})"


class Fenced:
    """Replays behind the fence."""

    def __init__(self) -> None:
        self._lives: set[int] = set()  # each the end of a pipe that a warden listens to
        self._stopped = False

    def run(self, folder: Path, command: Sequence[str], timeout: float) -> Ended | str:
        """Run a command that may act in a folder only; how it ended, or why it was not to be run."""
        report = folder.with_suffix(".json")
        listens, life = os.pipe()
        self._lives.add(life)
        warden = None
        try:
            if self._stopped:
                return "it was interrupted"
            warden = subprocess.Popen(  # noqa: S603  # our own Python
                [*_WARDEN, os.fspath(_SOURCE), os.fspath(report), os.fspath(folder), *command],
                env=_environment(folder),
                stdin=listens,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # an interrupt from the keyboard is ours to pass on
            )
            _, errors = warden.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            return f"the replay took longer than {timeout:g} seconds"
        finally:
            self._end(life)
            os.close(listens)
            if warden is not None:
                _wait(warden)
        if not report.exists():
            return _NO_FENCE.format("it could not be put up")
        found = json.loads(report.read_text(encoding="utf-8"))
        if found["no_fence"] is not None:
            return _NO_FENCE.format(found["no_fence"])
        lines = errors.decode(errors="replace").strip().splitlines()
        return Ended(found["status"], found["refused"], job_variable(), lines[-1] if lines else "")

    def order(self, folder: Path, module: str, order: Mapping[str, object], answer: str, timeout: float) -> Ended | str:
        """Have a module of ours carry out an order (see `obey`); how it ended, or why there is no answer.

        Args:
            folder: in which it may act.
            module: which is run as a program.
            order: what it is to do, as a JSON value; it is told our `sys.path` too.
            answer: the name of the file in the folder that it writes.
            timeout: seconds.
        """
        (folder / ORDER).write_text(json.dumps({**order, "path": sys.path}), encoding="utf-8")
        ended = self.run(folder, [sys.executable, "-m", module, os.fspath(folder)], timeout)
        if isinstance(ended, str) or (folder / answer).exists():
            return ended
        return ended.why_no_answer()

    def stop(self) -> None:
        """End all replays that run, and begin no more."""
        self._stopped = True
        for life in tuple(self._lives):
            self._end(life)

    def _end(self, life: int) -> None:
        """Tell a warden that we, who are still there, wait no longer."""
        if life in self._lives:
            self._lives.discard(life)
            with contextlib.suppress(OSError):  # it has ended
                os.write(life, b"e")
            os.close(life)


def _wait(warden: subprocess.Popen[bytes]) -> None:
    try:
        warden.communicate(timeout=_MOST_TO_END)
    except subprocess.TimeoutExpired:
        warden.kill()
        warden.communicate()


def _is_of_job(name: str) -> bool:
    return name in _JOB or name.startswith(_JOB_BEGINNINGS)


def job_variable() -> str | None:
    """A variable that says that this process is one of a job."""
    return next(filter(os.environ.__contains__, _JOB), None) or next(filter(_is_of_job, os.environ), None)


def _environment(folder: Path) -> dict[str, str]:
    """What a replay finds: no way to other processes, and its own folder for what is written along the way."""
    kept = {name: value for name, value in os.environ.items() if not _is_of_job(name)}
    own = dict.fromkeys(["TMPDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"], os.fspath(folder))
    return {**kept, **own, "PYTHONDONTWRITEBYTECODE": "1"}
