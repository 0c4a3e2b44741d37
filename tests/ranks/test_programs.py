"""What is found in programs of two ranks, on each of them, and nothing in their sound twins."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ranks.every import PROGRAMS, RAISING

ROOT = Path(__file__).parents[2]
Values = list[dict[str, Any]]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Values:
    """What each of two ranks has found in all programs."""
    folder = tmp_path_factory.mktemp("ranks")
    commands = [
        [sys.executable, "-m", "tests.ranks.both", str(folder / "store"), str(rank), str(folder / f"{rank}.json")]
        for rank in (0, 1)
    ]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for command in commands]
    said = [one.communicate()[1] for one in running]
    assert [one.returncode for one in running] == [0, 0], "\n".join(said)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def loud(value: dict[str, Any]) -> list[tuple[str, int]]:
    """The kinds and first lines of what is an error or a warning."""
    found = [one for one in value["diagnoses"] if one["severity"] != "info"]
    return sorted({(one["kind"], one["culprits"][0]["line"]) for one in found})


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_found(name: str, ranks: Values) -> None:
    """Each rank says what it has seen, and a rank that has seen nothing says nothing."""
    program = PROGRAMS[name]

    found = [loud(rank[name]) for rank in ranks]

    assert [RAISING.get(name, "None") in str(rank[name]["raised"]) for rank in ranks] == [True, True]
    assert found == [sorted(program.first), sorted(program.second)]


def test_a_buffer_is_called_as_its_model_is(ranks: Values) -> None:
    """A buffer that was overwritten has the name of the model that holds it."""
    found = ranks[1]["buffers"]["diagnoses"][0]

    assert found["names"][0] == "model.module.scale"
    assert found["fix"]["rewrite"]["new"].strip() == "return x * self.w / self.scale.clone()"


def test_parameters_that_were_waited_for_are_named(ranks: Values) -> None:
    """They are called as the model is, whatever number DistributedDataParallel gives them."""
    for name in ("unused", "unused in the second turn"):
        found = ranks[0][name]["diagnoses"][0]

        assert "depend on model.module.b.bias and model.module.b.weight." in found["message"]


def test_a_process_says_which_it_is(ranks: Values) -> None:
    """The rank and the size of the job are those of the process group."""
    processes = [rank["all_reduce"]["process"] for rank in ranks]

    assert [(one["rank"], one["world_size"]) for one in processes] == [(0, 2), (1, 2)]
