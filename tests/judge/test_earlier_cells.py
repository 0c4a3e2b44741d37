"""A change of a function that an earlier cell defined is proved too: the objects that are there get its new code."""

from __future__ import annotations

import itertools
import linecache
from typing import Any

import pytest
import torch

from inplace.capture.record import Recorder
from inplace.checks.finding import Proof, Rewrite
from inplace.fixes.candidate import Look
from inplace.fixes.diagnose import analyze
from inplace.judge.about import About
from inplace.judge.judge import Judge, cell_start, prove
from inplace.judge.redefined import changes_bodies_only, redefine

_numbers = itertools.count(1)

CLASS = """
class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 3)

    def forward(self, x, factor=2):
        h = torch.sigmoid(self.fc(x))
        h *= factor
        return h
"""
STEP = "loss = model(x).pow(2).sum()\nloss.backward()\n"


def cell(text: str, namespace: dict[str, Any]) -> str:
    """Run a text as a cell of its own; its file."""
    file = f"<ipython-input-{next(_numbers)}-earlier>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), namespace)
    return file


def proved(change: tuple[str, str] | None = None) -> tuple[Proof, str | None]:
    """What comes of the shown change, or of one of our own, of a class whose model an earlier cell has made."""
    namespace: dict[str, Any] = {"torch": torch, "__name__": "__main__"}
    defined = cell(CLASS, namespace)
    cell("torch.manual_seed(0)\nmodel, x = Block(), torch.rand(2, 3)\n", namespace)
    file = f"<ipython-input-{next(_numbers)}-earlier>"
    linecache.cache[file] = (len(STEP), None, STEP.splitlines(keepends=True), file)
    start = cell_start(file, STEP, namespace)
    recorder = Recorder(title="cell", is_cell=lambda name: name == file, namespace=namespace, label=lambda _: "cell")
    recorder.start()
    with pytest.raises(RuntimeError, match="modified by an inplace") as raised:
        exec(compile(STEP, file, "exec"), namespace)
    report = analyze(recorder.stop(raised.value))
    if change is None:
        (finding,) = [one for one in prove(report, start).findings if one.severity == "error"]
        assert finding.proof is not None
        return finding.proof, finding.rewrite.new if finding.rewrite is not None else None
    old, new = change
    (finding,) = [one for one in report.findings if one.severity == "error"]
    line = CLASS.splitlines().index(old) + 1
    rewrite = Rewrite(defined, line, old, new)
    about = About.of(Look(report.index), finding)
    sources = {source.file: source.text for source in report.trace.sources if source.text is not None}
    try:
        return Judge(start, 120, sources).verdict(about, (rewrite,)), None
    finally:
        start.close()


def test_a_method_of_an_earlier_cell_is_mended() -> None:
    """The model of another cell runs the changed forward."""
    proof, new = proved()

    assert proof.verified, proof.text
    assert new == "        h = h * factor"
    assert "gradients of" in proof.text


@pytest.mark.whole
def test_a_wrong_change_of_an_earlier_cell_is_refused() -> None:
    """A clone that drops the write, and a change that leaves the fault at its place."""
    dropped, _ = proved(("        h *= factor", "        h.clone().mul_(factor)"))
    left, _ = proved(("        h *= factor", "        h.mul_(factor)"))

    assert (dropped.verified, dropped.disproved) == (False, True)
    assert (left.verified, left.disproved) == (False, True)


def test_more_than_bodies_is_not_proved() -> None:
    """A default is made when the cell runs, which it does not."""
    proof, _ = proved(("    def forward(self, x, factor=2):", "    def forward(self, x, factor=3):"))

    assert not proof.verified
    assert not proof.disproved
    assert "bodies of functions" in proof.text


def test_what_changes_bodies_only() -> None:
    """Nested ones too; neither defaults, decorators nor statements of the cell itself."""
    one = "def f(a=1):\n    def g():\n        return a\n    return g\n"

    assert changes_bodies_only(one, one.replace("return a", "return a + 1"))
    assert not changes_bodies_only(one, one.replace("a=1", "a=2"))
    assert not changes_bodies_only(one, one + "b = 1\n")


def test_functions_get_new_code() -> None:
    """Methods and functions within functions, of the file that is meant and no other."""
    text = "def f():\n    return 1\nclass A:\n    def g(self):\n        return 1\ndef h():\n    return lambda: 1\n"
    text += "k = h()\n"
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    for names, file in ((first, "<one>"), (second, "<two>")):
        exec(compile(text, file, "exec"), names)

    redefine("<one>", text.replace("1", "2"))

    assert [first["f"](), first["A"]().g(), first["k"]()] == [2, 2, 2]
    assert [second["f"](), second["A"]().g(), second["k"]()] == [1, 1, 1]
