"""One class has a trace analysed, proved and drawn, each once, and every host asks it for its forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import inplace
from inplace.facts.codec import dump
from inplace.fixes import diagnose
from inplace.reading.trace.index import Index
from inplace.render.picture import diagram as drawing
from inplace.shells import explanation
from inplace.shells.explanation import Explanation
from inplace.shells.terminal import cli
from tests.recording import record_text

TEXT = "x = torch.ones(3, requires_grad=True)\nh = torch.sigmoid(x)\nh.relu_()\nh.sum().backward()"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """How often a trace was analysed, drawn and indexed."""
    counts = {"analyze": 0, "diagram": 0, "index": 0}

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(explanation, "analyze", counting("analyze", diagnose.analyze))
    monkeypatch.setattr(drawing, "diagram", counting("diagram", drawing.diagram))
    monkeypatch.setattr(Index, "__init__", counting("index", Index.__init__))
    return counts


def test_a_trace_is_analysed_and_drawn_once(counted: dict[str, int]) -> None:
    """Whatever forms are asked for, and however often, one analysis, one drawing and one index serve them all."""
    recording = inplace.Recording.of(record_text(TEXT).trace)

    for _ in range(2):
        assert recording.report.to_svg() == recording.to_svg()
        assert recording.report.to_html() == recording.to_html()
        assert "digraph" in recording.to_dot()
        assert recording.to_json()["calls"] == 5
        assert "sigmoid keeps its result" in recording.advice()
        assert recording._repr_mimebundle_()["text/plain"] == str(recording)

    assert counted == {"analyze": 1, "diagram": 1, "index": 1}


def test_the_command_line_asks_the_same_class(
    counted: dict[str, int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Text, advice, JSON and page of `inplace show` are the forms of one explanation, analysed and drawn once."""
    trace = record_text(TEXT).trace
    dump(trace, tmp_path / "trace.json")
    page, values = tmp_path / "page.html", tmp_path / "out.json"

    status = cli.main(["show", "--advise", "--html", str(page), "--json", str(values), str(tmp_path / "trace.json")])

    assert (status, counted) == (0, {"analyze": 1, "diagram": 1, "index": 1})
    expected = Explanation.of(trace)
    assert capfd.readouterr().out == f"{expected}\n{expected.advice()}\n"
    assert json.loads(values.read_text()) == expected.to_json()
    assert page.read_text() == expected.to_html()


def test_a_proof_leaves_the_index_as_it_is(counted: dict[str, int], tmp_path: Path) -> None:
    """What was proved is told by an explanation of the same index, and drawn with the proof."""
    from inplace.judge.judge import script_start

    path = tmp_path / "script.py"
    path.write_text(f"import torch\n{TEXT}\n")
    explained = Explanation.of(record_text(TEXT).trace)
    explained.diagram()

    proved = explained.proved(script_start(str(path), [str(path)]))

    assert isinstance(proved, Explanation)
    assert proved.index is explained.index
    assert proved.findings[0].proof is not None
    assert proved.diagram() is not explained.diagram()
    assert counted["analyze"] == 1
