"""A kind of finding is one file of its own and one of its words, registered once; nothing else knows of it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from inplace.checks.finding import Finding
from inplace.checks.kinds import KINDS, FindingKind
from inplace.facts.model import Trace
from inplace.reading.trace.index import Index
from inplace.render.picture.diagram import diagram
from inplace.render.words.contract import diagnoses
from inplace.render.words.telling import Words, _words_of
from inplace.render.words.text import to_text
from tests.recording import record_text

SOURCE = Path(__file__).parents[2] / "src" / "inplace"
NAMES = [kind.finding.kind for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_its_two_files_are_called_as_it_is(kind: FindingKind) -> None:
    """Who gets the name of a finding can open its class and its sentences without searching."""
    module = kind.finding.kind.replace("-", "_")

    assert kind.finding.__module__ == f"inplace.checks.{module}"
    assert find_spec(f"inplace.render.words.{module}") is not None
    assert isinstance(_words_of(kind.finding.kind), Words)


def test_each_is_registered_once() -> None:
    """No two kinds share a name, and every subclass of Finding is registered."""
    assert len(set(NAMES)) == len(NAMES)
    known = {one.kind for one in Finding.__subclasses__() if one.__module__.startswith("inplace.")}
    assert known == set(NAMES)


def test_nobody_else_tells_kinds_apart() -> None:
    """Outside of a kind's own two files and the list, no module imports a kind's class or writes its name."""
    own = {f"{folder}/{name.replace('-', '_')}.py" for name in NAMES for folder in ("checks", "render/words")}
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        file = path.relative_to(SOURCE).as_posix()
        if file in own or file == "checks/kinds.py" or file.startswith("examples/"):
            continue
        tree = ast.parse(path.read_text())
        strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        found += [f"{file}: {name}" for name in NAMES if name in strings]
        found += [f"{file}: {name}" for name in NAMES if f"inplace.checks.{name.replace('-', '_')}" in imported]

    assert found == []


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubling(Finding):
    """A kind that only this test knows."""

    kind = "doubling"


def doublings(index: Index) -> Iterator[Finding]:
    """Yield every `mul_`."""
    for call in index.history.calls_of(lambda function: function.label == "mul_"):
        yield Doubling(severity="warning", culprits=index.places.chain(call), victim=None, names=("h",))


def test_a_new_kind_needs_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind with its words shows in the text, the JSON and the picture, though no other file was edited."""

    def sentences(_finding: Doubling, _trace: Trace) -> tuple[str, str]:
        return "`h` is doubled.", "So it is."

    words = ModuleType("inplace.render.words.doubling")
    words.WORDS = Words(sentences=sentences, remedy=lambda *_: "Halve it.", did=lambda _: "doubles")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, words.__name__, words)
    monkeypatch.setattr("inplace.fixes.diagnose.KINDS", (FindingKind(Doubling, doublings),))

    report = record_text("h = torch.ones(2)\nh.mul_(2)").report

    assert "! doubling: h is doubled." in to_text(report)
    assert [(one["kind"], one["example"]) for one in diagnoses(report)["diagnoses"]] == [("doubling", None)]
    assert [(one.kind, one.did) for one in diagram(report).findings] == [("doubling", "doubles")]
