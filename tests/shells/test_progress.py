"""A bar appears where looking at a recording takes longer than a second, and becomes what is shown in the end."""

from __future__ import annotations

import os

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from inplace.facts.progress import Progress
from inplace.fixes.diagnose import analyze
from inplace.render.picture.diagram import diagram
from inplace.shells.environment import STATIC, WIDGET_VIEW
from tests.recording import record_text


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_nothing_is_said_within_a_second() -> None:
    """Then it is said how far it is, no more often than can be read."""
    said: list[str] = []
    clock = Clock()
    bar = Progress(said.append, "looking at 1,000,000 calls", clock)

    for now, part in ((100.5, 0.1), (101.1, 0.5), (101.15, 0.6), (102.0, 0.75)):
        clock.now = now
        bar(part)

    assert said == [
        "inplace: looking at 1,000,000 calls  ━━━━━━━━━━━━──────────── 50%",
        "inplace: looking at 1,000,000 calls  ━━━━━━━━━━━━━━━━━━────── 75%",
    ]


def test_stages_go_from_nought_to_one() -> None:
    """Analysis and picture tell of parts that grow; a stage is told as a part of the whole."""
    trace = record_text("h = torch.ones(3).exp()\nh.add_(1)").trace
    parts: list[float] = []

    report = analyze(trace, parts.append)
    diagram(report, parts.append)

    found = parts.index(0.0)
    assert parts[:found] == sorted(parts[:found])
    assert all(0 <= part <= 1 for part in parts)
    heard: list[float] = []
    bar = Progress(lambda _: None, "looking")
    bar.__class__ = type("Heard", (Progress,), {"__call__": lambda _, part: heard.append(part)})
    bar.part(0.5, 1.0)(0.5)
    assert heard == [0.75]


SET_UP = """\
import torch
from inplace.facts import progress
from inplace.shells.notebook import display
progress.DELAY = {delay}
shown, show = [], display.Bar.show
display.Bar.show = lambda bar, text: (shown.append(text), show(bar, text))
%load_ext inplace
"""


@pytest.mark.parametrize("delay", [0.0, 1e9])
def test_the_bar_becomes_the_picture(delay: float) -> None:
    """In a notebook the line with the bar is updated by the picture; without one the picture is displayed."""
    cells = [SET_UP.format(delay=delay), "%%inplace\nh = torch.ones(3).exp()\nh.add_(1);", "print(len(shown) > 0)"]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])

    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(env={**os.environ, STATIC: "0"})

    live, still = (output.data for output in notebook.cells[1].outputs)
    assert set(live) == {"text/plain", WIDGET_VIEW}
    assert live["text/plain"].startswith("inplace: 3 calls, 1 in place")
    assert "image/svg+xml" in still
    assert notebook.cells[2].outputs[0].text == f"{delay == 0}\n"
