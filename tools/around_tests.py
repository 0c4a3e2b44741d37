"""PyTorch's own tests with and without a recording around each: `python tools/around_tests.py TESTS [FILE…]`.

TESTS is the folder `test` of PyTorch's sources. Every file runs twice plain and once recorded, each test seeded the
same; what a recorded test gives otherwise than the plain one (its outcome, its error, the random state behind it) is
printed, save where the two plain runs differ already. Needs expecttest, pyyaml, scipy, parameterized, pytest-timeout.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RECORDED, LOG = "AROUND_TESTS_RECORDED", "AROUND_TESTS_LOG"
OPTIONS = ["-q", "-p", "around_tests", "-n", "2", "--timeout=300", "--tb=no", "--no-header", "--noconftest"]
OPTIONS += ["-o", "addopts=", "-p", "no:cacheprovider", "-W", "ignore"]
FILES = [
    "test_autograd.py",
    "autograd",
    "test_view_ops.py",
    "test_indexing.py",
    "test_nn.py",
    "nn",
    "optim",
    "functorch/test_eager_transforms.py",
    "test_python_dispatch.py",
    "test_subclass.py",
    "test_overrides.py",
    "test_namedtensor.py",
    "test_torch.py",
]


def _same(text: str) -> str:
    """An error without what changes from run to run."""
    return re.sub(r"0x[0-9a-f]+|/tmp/\S+|\b\d+(\.\d+)?( ?)(ms|us|s|seconds)\b", "…", text)


def _random() -> str:
    """What the three generators would give next."""
    import torch

    return hashlib.sha256(
        torch.get_rng_state().numpy().tobytes() + repr((random.getstate(), np.random.get_state()[1:3])).encode()  # noqa: NPY002
    ).hexdigest()[:16]


_notes: dict[str, str] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: Any) -> Iterator[None]:
    """Run one test, recorded or not."""
    import torch

    import inplace

    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the one that code without a generator of its own uses
    torch.manual_seed(0)
    recording = inplace.record() if os.environ[RECORDED] == "1" else None
    if recording is not None:
        recording.__enter__()
    yield
    if recording is not None:
        recording.__exit__(None, None, None)
        _notes[item.nodeid] = " ".join(note.text for note in recording.trace.notes)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[None]:
    """Write down what came of a test; an error of `unittest` is known only here."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call":
        return
    raised = call.excinfo
    said = "" if raised is None else _same(f"{report.outcome} {raised.typename}: {raised.value}")
    row = {"test": item.nodeid, "said": said, "random": _random(), "note": _notes.pop(item.nodeid, "")}
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")


def run(tests: Path, file: str, folder: Path, name: str, *, recorded: bool) -> dict[str, dict[str, str]]:
    """What each test of a file, or of a folder, gave."""
    log, here = folder / name, Path(__file__).resolve().parent
    path = os.pathsep.join(map(str, (here, here.parent / "src", tests, tests / "functorch")))
    settings = {RECORDED: "1" if recorded else "0", LOG: str(log), "PYTHONPATH": path}
    with (folder / f"{name}.out").open("w") as out:
        subprocess.run(
            [sys.executable, "-m", "pytest", *OPTIONS, file],
            cwd=tests,
            env={**os.environ, **settings, "PYTORCH_TESTING_DEVICE_ONLY_FOR": "cpu"},
            stdout=out,
            stderr=out,
            check=False,  # tests that fail fail in all three runs
        )
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return {row["test"]: row for row in rows}


def compare(tests: Path, file: str, folder: Path) -> None:
    """Run a file three times and print what differs."""
    stem = file.replace("/", "-")
    plain, again, recorded = (
        run(tests, file, folder, f"{stem}.{name}", recorded=name == "recorded")
        for name in ("plain", "again", "recorded")
    )
    nothing = {"said": "it ended the process", "random": "", "note": ""}
    steady = [test for test in plain if plain[test] == again.get(test)]
    found = {test: recorded.get(test, nothing) for test in steady}
    differ = [test for test in steady if {**found[test], "note": "", "test": test} != plain[test]]
    noted = [test for test in steady if found[test]["note"]]
    print(
        f"{file}: {len(plain)} tests, {len(plain) - len(steady)} differ from run to run, "
        f"{len(differ)} differ when recorded, {len(noted)} with a note",
        flush=True,
    )
    for test in differ:
        for name, row in (("plain", plain[test]), ("recorded", found[test])):
            print(f"  {test} {name}: {row['random']} {row['said'][:600]}", flush=True)
    for test in noted:
        print(f"  {test} note: {found[test]['note'][:400]}", flush=True)


def main() -> None:
    """Compare the files that the command line names, or all."""
    with tempfile.TemporaryDirectory() as folder:
        for file in sys.argv[2:] or FILES:
            compare(Path(sys.argv[1]).resolve(), file, Path(folder))


if __name__ == "__main__":
    main()
