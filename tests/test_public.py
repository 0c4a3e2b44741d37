"""The Python face: `record`, `analyze`, `load`, and what a recording shows of itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import inplace
from inplace.facts.errors import RecordingError
from inplace.shells.environment import STATIC, WIDGET_VIEW
from tests.recording import record_text


def recorded() -> inplace.Recording:
    """A recording of a stale save."""
    with pytest.raises(RuntimeError), inplace.record() as recording:
        x = torch.ones(3, requires_grad=True)
        h = torch.sigmoid(x)
        h.relu_()
        h.sum().backward()
    return recording


def test_a_block_is_recorded() -> None:
    """A `with` block gives a recording that prints the finding and holds the report."""
    recording = recorded()

    report = inplace.analyze(recording)

    assert report.findings[0].kind == "saved-tensor-modified"
    assert "h.relu_() changed h" in str(recording)
    assert inplace.analyze(recording.trace).findings == report.findings


def test_a_recording_survives_a_file(tmp_path: Path) -> None:
    """What `save` wrote, `load` reads: the same text."""
    recording = recorded()
    recording.save(tmp_path / "trace.json")

    again = inplace.load(tmp_path / "trace.json")

    assert str(again) == str(recording)


def test_recordings_do_not_nest() -> None:
    """A recording inside another, a second use and a look too early each give one clear sentence."""
    with inplace.record() as recording:
        with pytest.raises(RecordingError, match="going on already"), inplace.record():
            pass
        with pytest.raises(RecordingError, match="not ended"):
            _ = recording.trace
        assert "not ended" in repr(recording)
    with pytest.raises(RecordingError, match="has ended"), recording:
        pass


def test_a_fault_of_ours_stays_out_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where our own code fails the block ends as ever, and the recording says why it is empty."""
    monkeypatch.setattr("inplace.capture.record.freeze", lambda *_: 1 / 0)

    with pytest.raises(KeyError), inplace.record() as recording:
        {}["k"]

    assert "a fault of ours (ZeroDivisionError: division by zero)" in repr(recording)
    with pytest.raises(RecordingError, match="fault of ours"):
        _ = recording.report


def test_displays_are_self_contained() -> None:
    """The page and the picture name the culprit and ask nothing of a network."""
    text = "x = torch.ones(3, requires_grad=True)\nh = torch.sigmoid(x)\nh.relu_()\nh.sum().backward()"
    recording = inplace.Recording.of(record_text(text).trace)

    page, picture, bundle = recording.to_html(), recording.to_svg(), recording._repr_mimebundle_()

    assert "h.relu_()" in page
    assert "h.relu_()" in picture
    assert "h.relu_()" in bundle["text/plain"]
    assert "digraph" in recording.to_dot()
    for made in (page, picture):
        assert (
            re.findall(r"""(?:src|href)=["']?(?:https?:)?//|@import|url\(["']?http|\bfetch\(|XMLHttpRequest""", made)
            == []
        )


def test_a_report_shows_itself() -> None:
    """What `analyze` gives prints and draws as the recording does, and gives the public JSON."""
    recording = recorded()

    report = inplace.analyze(recording.trace)

    assert repr(report) == str(report) == repr(recording)
    assert report._repr_mimebundle_() == recording._repr_mimebundle_()
    assert [one["kind"] for one in report.to_json()["diagnoses"]] == [one.kind for one in report.findings]


IN_A_NOTEBOOK = [
    "import torch, inplace\ndef spoil(t):\n    t.relu_()",
    "with inplace.record() as recording:\n    h = torch.ones(2, requires_grad=True).sigmoid()\n    spoil(h)\n"
    "    h.sum().backward()",
    "recording",
    "inplace.analyze(recording.trace)",
]


@pytest.mark.parametrize("static", ["0", "1"])
def test_a_notebook_shows_the_widget(static: str) -> None:
    """At the end of a cell, a recording and a report are shown as widget, picture and text, with the cells' names."""
    nbclient = pytest.importorskip("nbclient")
    from nbformat.v4 import new_code_cell, new_notebook

    notebook = new_notebook(cells=[new_code_cell(source) for source in IN_A_NOTEBOOK])
    client = nbclient.NotebookClient(notebook, allow_errors=True, timeout=120, kernel_name="python3")
    client.execute(env={**os.environ, STATIC: static, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})

    error = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(notebook.cells[1].outputs[0].traceback))
    assert re.search(r"-+> 4 +h\.sum\(\)\.backward\(\)", error)
    assert "inplace/" not in error
    for cell in notebook.cells[2:]:
        (shown,) = cell.outputs
        kinds = {"text/plain", "image/svg+xml"} | (set() if static == "1" else {WIDGET_VIEW})
        assert set(shown.data) == kinds
        assert ("this cell" if static == "1" else "In[2]") in shown.data["text/plain"]
        assert ("an earlier cell" if static == "1" else "In[1]") in shown.data["text/plain"]


def test_importing_is_cheap() -> None:
    """`import inplace` loads neither torch nor a widget library."""
    code = "import sys, inplace; print(sorted({'torch', 'anywidget', 'IPython', 'graphviz'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
