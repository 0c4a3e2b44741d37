"""`python tools/matrix`: tests and cases under several versions of PyTorch and Python, as a table.

Each cell is an environment of its own (`VENVS/torch-2.8-python3.11`), made unless it is there, with whatever build of
PyTorch `pip` finds. On a machine without a GPU `--without-cuda` leaves out the gigabytes of CUDA libraries that a CUDA
build wants, and puts stand-ins in their place (`stand_ins.py`).
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tomllib
from stand_ins import put_stand_ins

ROOT = Path(__file__).resolve().parents[2]
TORCH = ("2.4", "2.6", "2.8", "2.10", "2.12", "2.13", "2.14", "2.15")
TESTS = ("tests/checks", "tests/capture", "tests/reading", "tests/facts", "tests/fixes")
_CUDA = re.compile(r"nvidia|cuda|triton", re.IGNORECASE)
_OUTCOMES = re.compile(r"(\d+) (passed|failed|error|errors|xfailed)\b")


@dataclass(frozen=True)
class Cell:
    """One pair of versions, such as `2.8` and `3.11`."""

    torch: str
    python: str

    def place(self, venvs: Path) -> Path:
        """The folder of its environment."""
        return venvs / f"torch-{self.torch}-python{self.python}"


@dataclass(frozen=True)
class Outcome:
    """What came of a run of tests: how many passed, of how many, and the names of those that failed."""

    passed: int
    run: int
    failed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.passed} of {self.run}" if self.run else "none ran"


def main() -> int:
    """Print the table; 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", nargs="+", default=TORCH, metavar="X.Y", help="versions of PyTorch")
    parser.add_argument("--python", nargs="+", default=["3.11"], metavar="X.Y", help="versions of Python")
    parser.add_argument("--tests", nargs="+", default=TESTS, metavar="PATH", help="which tests to run")
    parser.add_argument("--cases", type=Path, metavar="FOLDER", help="further cases, with headers as in tests/cases")
    parser.add_argument("--venvs", type=Path, default=ROOT / "build" / "matrix", help="where the environments go")
    parser.add_argument("--without-cuda", action="store_true", help="leave the CUDA libraries out")
    parser.add_argument("--remove", action="store_true", help="remove each environment when its cell is done")
    options = parser.parse_args()
    print(f"{dt.datetime.now(tz=dt.timezone.utc).date()}, {os.uname().sysname} {os.uname().machine}, CPU")
    print("\n| PyTorch | Python | tests | cases |\n| --- | --- | --- | --- |", flush=True)
    failed: list[str] = []
    for cell in [Cell(torch, python) for torch in options.torch for python in options.python]:
        failed += _tried(cell, options)
    print("\n" + "\n".join(failed) if failed else "\nAll passed.")
    return int(bool(failed))


def _tried(cell: Cell, options: argparse.Namespace) -> list[str]:
    """Print the line of one cell; gives what failed in it."""
    place = cell.place(options.venvs)
    refused = None if place.exists() else _make(cell, place, without_cuda=options.without_cuda)
    if refused is not None:
        print(f"| {cell.torch} | {cell.python} | not made: {refused} | |", flush=True)
        return [f"{cell.torch} on {cell.python} was not made: {refused}"]
    python = place / "bin" / "python"
    version = _said(python, "-c", "import torch; print(torch.__version__)").stdout.strip() or "not imported"
    tests = _outcome(python, list(options.tests))
    cases = [_outcome(python, ["tests/test_cases.py"])]
    if options.cases is not None:
        cases.append(_outcome(python, ["tests/test_cases.py"], INPLACE_CASES=str(options.cases.resolve())))
    both = Outcome(sum(one.passed for one in cases), sum(one.run for one in cases), ())
    print(f"| {version} | {cell.python} | {tests} | {both} |", flush=True)
    if options.remove:
        shutil.rmtree(place)
    failed = [f"{version}, Python {cell.python}: {name}" for one in (tests, *cases) for name in one.failed]
    print("\n".join(failed), file=sys.stderr, flush=True)  # at once, for a matrix takes hours
    return failed


def _make(cell: Cell, place: Path, *, without_cuda: bool) -> str | None:
    """Make the environment of a cell; gives why it could not be made, None if it was."""
    interpreter = shutil.which(f"python{cell.python}")
    if interpreter is None or _said(interpreter, "-c", "pass").returncode:
        return f"there is no Python {cell.python}"
    _said(interpreter, "-m", "venv", place)
    pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    commands: list[list[object]] = [[*pip, f"torch=={cell.torch}.*"]]
    if without_cuda:
        commands = [[*pip, "--no-deps", f"torch=={cell.torch}.*"]]
    for command in commands:
        done = _said(*command)
        if done.returncode:
            shutil.rmtree(place)
            return done.stderr.strip().splitlines()[-1]
    if without_cuda:
        site = next(place.glob("lib/python*/site-packages"))
        put_stand_ins(site)
        done = _said(*pip, *_wanted_by_torch(site))
    done = _said(*pip, *_wanted_by_us())
    if done.returncode:
        shutil.rmtree(place)
        return done.stderr.strip().splitlines()[-1]
    return None


def _wanted_by_torch(site: Path) -> list[str]:
    """What PyTorch needs beside CUDA."""
    metadata = next(site.glob("torch-*.dist-info/METADATA")).read_text()
    named = [line.partition(":")[2].strip() for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    return [one for one in named if not _CUDA.search(one) and "extra ==" not in one] + ["numpy"]


def _wanted_by_us() -> list[str]:
    """What the package and its tests need beside PyTorch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    wanted += project["optional-dependencies"]["notebook"]
    return [one for one in wanted if not one.startswith("torch")]


def _outcome(python: Path, tests: list[str], **more: str) -> Outcome:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "INPLACE_STATIC": "1", "INPLACE_WHOLE": "1", **more}
    command = [str(python), "-m", "pytest", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    counts = {word: int(number) for number, word in _OUTCOMES.findall(done.stdout.rpartition("\n=")[2] or done.stdout)}
    failed = tuple(line.partition(" ")[2] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR")))
    passed = counts.get("passed", 0) + counts.get("xfailed", 0)
    if not counts:
        failed = ((done.stdout + done.stderr).strip().splitlines() or ["nothing was said"])[-1:]
    return Outcome(passed, passed + len(failed), tuple(failed))


def _said(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
