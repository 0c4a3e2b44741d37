"""The exercises: the code decides what is right, hints come one by one, and what was done is kept in the folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from inplace.examples.exercises import EXERCISES, Exercise
from inplace.shells.notebook import exercises
from inplace.shells.notebook.exercises import answered, hinted, listed, opened
from inplace.shells.notebook.outcome import Outcome, outcome_of
from tests.test_magic import Shell, fresh_shell

shell = pytest.fixture(fresh_shell)


ANSWERS = {"P1": "4", "P2": "3", "P3": "raises", "P4": "3", "P5": "2.0", "P6": "1"}
LINES = {"F1": "8", "F2": "7", "F3": "8", "F4": "5"}
WRONG = {
    "P1": "2",
    "P2": "2",
    "P3": "runs",
    "P4": "6",
    "P5": "6",
    "P6": "0",
    "F1": "7",
    "F2": "3",
    "F3": "9",
    "F4": "8",
}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code is run in this process: to start one for each answer takes seconds."""
    monkeypatch.setattr(exercises, "_outcome", lambda code, watched=(): outcome_of(code, list(watched)))


def test_code_is_run_in_a_process_of_its_own(tmp_path: Path) -> None:
    """What an exercise's code does to the session is nothing, and the outcome comes back whole."""
    found = exercises._outcome("import torch\ntorch.set_default_dtype(torch.float64)\nanswer = 1 / 0\n")

    assert found == Outcome("ZeroDivisionError: division by zero", "raises", found.lines, found.found, [])
    assert torch.get_default_dtype() is torch.float32
    assert text(answered("P5 2", [], tmp_path)).startswith("inplace: P5: right.")


def text(told: exercises.Told) -> str:
    """What is told, as text."""
    return told.shown["text/plain"]


@pytest.mark.parametrize("id_", [*ANSWERS, *LINES])
@pytest.mark.usefixtures("here")
def test_an_answer_is_right_where_the_code_says_so(id_: str, tmp_path: Path) -> None:
    """What PyTorch does, or the recorder blames, decides; a near answer is not right."""
    near = answered(f"{id_} {WRONG[id_]}", [], tmp_path)
    right = answered(f"{id_} {(ANSWERS | LINES)[id_]}", [], tmp_path)

    assert text(near).startswith(f"inplace: {id_}: not yet.")
    assert text(right).startswith(f"inplace: {id_}: right.")
    assert near.code is None
    assert right.code is not None
    assert right.code.startswith("%%inplace\nimport torch\n")
    assert json.loads((tmp_path / "exercises.json").read_text())[id_] == {"answers": 2, "done": True}


@pytest.mark.parametrize("one", [one for one in EXERCISES if one.task == "mend"], ids=lambda one: one.id)
@pytest.mark.usefixtures("here")
def test_a_mending_is_judged(one: Exercise, tmp_path: Path) -> None:
    """The code as it is, is not right, and the solution is."""
    as_it_is = answered(one.id, [opened(one.id).code or ""], tmp_path)
    mended = answered(one.id, ["x = 1", f"# exercise {one.id}\n{one.solution}"], tmp_path)

    assert text(as_it_is).startswith(f"inplace: {one.id}: not yet.")
    assert text(mended).startswith(f"inplace: {one.id}: right.")


@pytest.mark.parametrize(
    ("id_", "changed", "told"),
    [
        ("M1", ("h.relu_()", "h.data.relu_()"), "It raises RuntimeError: element 0 of tensors"),
        ("M1", ("h.relu_()", "h.clone().relu_().detach()"), "It raises RuntimeError: element 0 of tensors"),
        ("M1", ("h.relu_()", "h"), "x.grad is "),
        ("M5", ("h.data.mul_(2)", "pass"), "h is "),
        ("M3", ("loss.backward()", "loss.backward(retain_graph=True)"), "It raises RuntimeError: one of the variables"),
        ("M2", ("x[keep][:, 0] = 5", "pass"), "x is "),
        ("M4", ("x = x * x", "x = x * x; x.retain_grad()"), "x is "),
        ("M4", ("x = x * x\nx.sum().backward()", "x.grad = 2 * x.detach()"), "by hand"),
        ("M4", ("x = x * x\nx.sum()", "y = x * x\ny.sum().backward()\nx.grad.mul_(1)\n(0 * x).sum()"), "by hand"),
        ("M1", ("h.relu_()\ng.sum().backward()", "h.relu()\nx.grad = (1 - h**2).detach() * (h > 0)"), "by hand"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_mending_that_only_hides_is_not_right(id_: str, changed: tuple[str, str], told: str, tmp_path: Path) -> None:
    """An error, another value, another gradient or what is still found is said."""
    (one,) = [one for one in EXERCISES if one.id == id_]

    answer = text(answered(id_, [f"# exercise {id_}\n{one.code.replace(*changed)}"], tmp_path))

    assert answer.startswith(f"inplace: {id_}: not yet.")
    assert told in answer or "The recorder still finds" in answer


def test_hints_come_one_by_one_and_the_answer_is_folded(tmp_path: Path) -> None:
    """First the hints in their order, then the answer, which HTML folds."""
    one = EXERCISES[0]
    told = [hinted("p1", tmp_path) for _ in range(len(one.hints) + 1)]

    assert [text(each) for each in told[:-1]] == [
        f"inplace: P1, hint {number} of {len(one.hints)}: {hint}" for number, hint in enumerate(one.hints, 1)
    ]
    assert "<details><summary>Why</summary>" in told[-1].shown["text/html"]
    assert "<details open" not in told[-1].shown["text/html"]


def test_what_was_done_is_listed(tmp_path: Path) -> None:
    """The list says what is done, begun and not begun; a record that can't be read counts as none."""
    (tmp_path / "exercises.json").write_text('{"P1": {"done": true}, "P2": {"hints": 1}}')
    lines = text(listed(tmp_path)).splitlines()
    assert lines[0].startswith("inplace: 1 of 15 exercises are done")
    assert [line[:6] for line in lines[1:4]] == ["[x] P1", "[-] P2", "[ ] P3"]

    (tmp_path / "exercises.json").write_text("[")
    assert text(listed(tmp_path)).startswith("inplace: 0 of 15")


def test_nothing_gives_the_answer_away() -> None:
    """Neither the question nor its code tells what is asked, and the code of one to predict is not run before."""
    for one in EXERCISES:
        told = opened(one.id)
        assert one.why not in text(told)
        assert (told.code is None) == (one.task != "mend")
        assert 1 <= len(one.hints) <= 3
        assert list(Path(__file__).parents[2].joinpath("notebooks").glob(f"{one.chapter}-*.ipynb")), one.chapter


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """An unknown exercise, no answer, and no cell to judge are told in a sentence."""
    assert text(opened("Z1")).startswith("inplace: there is no exercise 'Z1': they are P1, P2")
    assert "put your answer behind it" in text(answered("P1", [], tmp_path))
    assert "run the cell that begins with '# exercise M1' first" in text(answered("M1", [], tmp_path))
    assert not (tmp_path / "exercises.json").exists()


@pytest.mark.usefixtures("here")
def test_the_magic_opens_hints_and_judges(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook: an exercise to mend comes into the next cell, and the cell that was run is what is judged."""
    monkeypatch.chdir(tmp_path)
    assert shell.run("%inplace exercise").notes[0].startswith("inplace: 0 of 15 exercises are done")
    shell.run("%inplace exercise M2")
    given = shell.ip.rl_next_input
    assert given.startswith("# exercise M2\nimport torch\n")

    shell.run(given)
    first = shell.run("%inplace answer M2").notes[0]
    shell.run(given.replace("x[keep][:, 0] = 5", "x[keep, 0] = 5"))
    second = shell.run("%inplace answer M2").notes[0]

    assert first.startswith("inplace: M2: not yet. The recorder still finds lost-write: ")
    assert second.startswith("inplace: M2: right.")
    assert shell.run("%inplace exercise").notes[0].startswith("inplace: 1 of 15 exercises are done")
