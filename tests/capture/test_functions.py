"""What functions change: said by their schemas, by the flags they are given, and of a few by us."""

from __future__ import annotations

import pytest
import torch

from inplace.capture.calls.functions import facts_of
from inplace.checks.leaf_inplace import LeafWrite
from tests.recording import record_text

BUFFERS = "x, mean, var = torch.ones(4, 2), torch.zeros(2), torch.ones(2)\n"
BATCH = "torch.batch_norm(x, None, None, mean, var, {}, 0.1, 1e-5, False)"
FUNCTIONAL = "torch.nn.functional.batch_norm(x, mean, var, training={})"
INSTANCE = "torch.nn.functional.instance_norm(x[None].mT, mean, var, use_input_stats={})"


def written(text: str) -> list[str]:
    """The arguments that the last call of a piece of source wrote."""
    trace = record_text(text).trace
    return [argument.path for argument in trace.writes(trace.calls[-1])]


def _moves_versions(text: str) -> bool:
    """Whether the statistics are written: before 2.12 `instance_norm` writes them what they are in eval too."""
    names = {"torch": torch}
    exec(text, names)
    return bool(names["mean"]._version)


@pytest.mark.parametrize(
    ("call", "paths"), [(BATCH, ["3", "4"]), (FUNCTIONAL, ["1", "2"]), (INSTANCE, ["running_mean", "running_var"])]
)
def test_running_statistics_are_written_in_training(call: str, paths: list[str]) -> None:
    """No schema says so and no version moves; in eval they are read only."""
    assert written(BUFFERS + call.format(True)) == paths
    assert written(BUFFERS + call.format(False)) == (paths if _moves_versions(BUFFERS + call.format(False)) else [])


@pytest.mark.parametrize("call", ["torch.nn.functional.relu(w, inplace=True)", "torch.nn.ReLU(inplace=True)(w)"])
def test_a_flag_makes_a_function_write(call: str) -> None:
    """Also where PyTorch refuses, and nothing moves that would tell of it."""
    report = record_text(f"w = torch.ones(2, requires_grad=True)\n{call}").report

    assert [one.culprits[0].position.line for one in report.of_type(LeafWrite)] == [2]


def test_without_the_flag_it_does_not() -> None:
    """The same function, with and without."""
    assert written("h = torch.ones(2)\ntorch.nn.functional.relu(h)") == []
    assert written("h = torch.ones(2)\ntorch.nn.functional.relu(h, inplace=True)") == ["0"]


def test_an_argument_that_need_not_be_given_makes_no_function_write() -> None:
    """`out` stands in a schema of most functions, which change nothing without it."""
    assert facts_of(torch.exp).is_pure
    assert not facts_of(torch.exp_).is_pure


def test_what_is_given_as_out_is_written() -> None:
    """By its keyword; the argument at the place that `out` has in a schema is not."""
    assert written("a, b = torch.ones(2), torch.zeros(2)\ntorch.exp(a, out=b)") == ["out"]
    assert written("a, b = torch.ones(2), torch.zeros(2)\ntorch.add(a, b)") == []
