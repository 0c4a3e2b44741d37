"""PyTorch is the judge: on random programs we say "raises" and "silently wrong" exactly when it is so, and of whom."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.checks.report import Report
from inplace.checks.saved_tensor_modified import StaleSave
from inplace.checks.silent_corruption import UnseenWrite
from inplace.facts.model import Position, StateId, Trace
from inplace.fixes.diagnose import analyze
from tests.changed import replace
from tests.oracle.judge import disagreements
from tests.oracle.programs import REPLACED, Program, random_program
from tests.recording import record_text
from tests.some import WHOLE

# Seeds that once failed, and what they showed:
# 185, 1767  a write through .data whose effect on the saved values is undone before backward
# 564, 577   a tensor and its .data go into one call: which of the two was saved
# 566        the call that saves an alias writes its bytes itself
# 1811       reading grad_fn or is_leaf of a view changed what PyTorch does with it
# 2071, 2883 what an in-place call on a view saves is hidden inside CopySlices
# 1019       a write that comes after a call which saved a tensor and wrote its bytes, too
# 2010, 2338 an element is set to the value it has, or gets back the one that was saved
KEPT = [185, 564, 566, 577, 606, 1767, 1811, 2071, 2141, 2770, 2883]
LONGER = [(1019, 10), (1019, 14), (2010, 5), (2338, 10), (2868, 14)]


@pytest.mark.parametrize("seed", KEPT)
def test_programs_that_once_failed(seed: int) -> None:
    """No program on which we once disagreed with PyTorch does so again."""
    assert list(disagreements(random_program(seed))) == []


@pytest.mark.parametrize(("seed", "length"), LONGER)
def test_longer_programs_that_once_failed(seed: int, length: int) -> None:
    """Nor on one of another length."""
    assert list(disagreements(random_program(seed, length))) == []


def test_a_program_in_which_a_save_does_not_matter() -> None:
    """Where a gradient cancels, as after `v2 = v1 / k` and `v7 = v2 * k`, there is none to spoil."""
    found = list(disagreements(random_program(2542, 14)))
    assert found == ["line 18 is named as culprit, but without [10, 16, 20] nothing is wrong"]


@settings(max_examples=300 if WHOLE else 100, deadline=None, derandomize=True)
@given(seed=st.integers(min_value=20_000, max_value=10_000_000), length=st.integers(min_value=3, max_value=12))
def test_random_programs(seed: int, length: int) -> None:
    """Stale saves are reported if and only if backward raises, unseen writes if and only if the gradient is wrong.

    Undoing the lines that are named mends it, none of them is innocent, and the victim is the call that PyTorch names.
    """
    assert list(disagreements(random_program(seed, length))) == []


_KEPT = re.compile(r"^\w+ = \w+(\.data|\.detach\(\)|\.numpy\(\)|\[.*\])$", re.MULTILINE)


@settings(max_examples=200 if WHOLE else 60, deadline=None, derandomize=True)
@given(seed=st.integers(min_value=20_000, max_value=10_000_000), length=st.integers(min_value=3, max_value=10))
def test_writes_that_go_other_ways(seed: int, length: int) -> None:
    """The same of writes by numpy, into `out`, and by loops of one line."""
    program = random_program(seed, length, wide=True)
    # Where the memory that a tensor had before goes on being written, undoing what is named makes those writes harm.
    assume(REPLACED not in program.text or not _KEPT.search(program.text))
    assert list(disagreements(program)) == []


def in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no call noted in short, ask for every storage and read all of every tensor."""

    def written(self: TensorsSeen, tensor: torch.Tensor, **how: Any) -> StateId:
        return self.read(tensor, **how)

    monkeypatch.setattr("inplace.capture.tables.tensors_seen.TensorsSeen.written", written)
    monkeypatch.setattr("inplace.capture.calls.call_notes.CallNotes.unchanged", lambda *_: b"")
    monkeypatch.setattr("inplace.capture.tables.arrivals.Arrivals.meet_fresh", lambda *_, **__: None)
    monkeypatch.setattr("inplace.capture.tables.arrivals.Arrivals.meet_based", lambda *_, **__: None)


@settings(
    max_examples=150 if WHOLE else 75,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(min_value=20_000, max_value=10_000_000))
def test_what_is_noted_in_short(seed: int) -> None:
    """It is all that is noted in full."""
    text = random_program(seed).text
    short = noted(text)
    with pytest.MonkeyPatch.context() as monkeypatch:
        in_full(monkeypatch)
        assert short == noted(text)


@pytest.mark.parametrize(
    "text",
    [
        "y = torch.exp(torch.exp(x)).sum()\ny.backward()",  # what a node saved outlives the tensor
        "for _ in range(3):\n    z = torch.sigmoid(x * 2).exp()\nz.sum().backward()",
        "y = torch.exp(x.detach())\ny.resize_(10_000)\nz = y[0]\nz.add_(1)",  # its memory moves
        "y = torch.exp(x.detach())\nz = torch.from_numpy(y.numpy())\nz.add_(1)",
        "y = torch.exp(x.detach())\nw = torch.nn.Parameter(y)\ny.add_(1)",  # an alias that no call has made
        "y = torch.exp(x)\ntorch.exp(x, out=y.data)",
        "y = torch.stack([x, x]).max(0)\nz = y.values[1:]",
        "for _ in range(4):\n    y = F.relu(F.dropout(x * 2, training=False))\n    y = F.relu(y * 2, inplace=True)",
        "w = torch.ones(2, 4)\nfor _ in range(9):\n    y = F.linear(torch.ones(3, 2, 4) * x, w)\ny.sum().backward()",
        "w = torch.ones(4, 4)\nfor _ in range(9):\n    y = F.linear(torch.ones(3, 2, 4) * x, w, x)\n    y.mul_(2)",
        "with torch.no_grad():\n    y = F.linear(torch.ones(3, 2, 4), torch.ones(4, 4), x)\ny.mT.add_(1)\ny.exp()",
        "y = x * 2\nfor _ in range(9):\n    v = y.view(2, 2).t()[None]\n    v.mul_(2)\n    w = y.expand(3, 4)[1:]",
        "y = x * 2\na, b = y.split(2)\nc = y.unbind()[0]\nwith torch.inference_mode():\n    torch.ones(2, 2).t()",
        "torch._assert_async(x.sum())\nv = torch.ones(2, 3).contiguous().reshape(6).view(3, 2)\nw = v.t().reshape(6)",
        "for _ in range(9):\n    y = F.layer_norm(x * 2, (4,), weight=x)\n    x.data.mul_(2)\ny.sum().backward()",
        "y = torch.exp(x)\nfor _ in range(3):\n    z = F.normalize(y, dim=0)\n    y = z * 2\ny.sum().backward()",
        "y = x * 2\nw = y\nfor _ in range(3):\n    y.set_(torch.ones(3))\n    z = y * 2",
        "x = torch.ones(999)\ny = x * 1\ny.set_(x)\nz = x * 1\nw = z[1:]",  # the memory that y had is given to z
        "with torch.inference_mode():\n    y = x * 2\n    for _ in range(3):\n        z = y + y",
        "for _ in range(3):\n    try:\n        y = torch.mm(x, x)\n    except RuntimeError:\n        y = x * 2",
        "y = torch.ones(4)\nfor _ in range(3):\n    torch.exp(x.data, out=y)\n    z = y * 2",
        "y = torch.ones(2, 3)\nfor _ in range(3):\n    y.t_()\n    y.add_(1)\ny.unsqueeze_(0)\ny.resize_(3)",
        "n = nn.BatchNorm1d(4)\nfor _ in range(3):\n    y = n(x * torch.ones(2, 4))\ny.sum().backward()\nn.eval()(y)",
        "y = torch.ones(3)\ny.requires_grad_()\ny.detach_()\nv = y[1:]\nv.add_(1)\ny.add_(v[0])",
        "for _ in range(3):\n    y = torch.einsum('i,j->ij', x.data, x)\nF.cosine_similarity(y, y).sum().backward()",
    ],
)
def test_what_is_noted_in_short_in_words(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What the random programs don't do: tensors without a name, moved memory, aliases that others make."""
    text = "x = torch.ones(4, requires_grad=True)\nF = torch.nn.functional\n" + text
    short = noted(text)
    in_full(monkeypatch)
    assert short == noted(text)


def test_a_view_of_a_base_that_has_moved() -> None:
    """It is over the memory that its base had, though the base counts as its base still."""
    trace = record_text(
        "y = torch.ones(4) * 2\nv = y[1:]\ny.data = torch.ones(4)\nz = v.view(3)\nw = y.view(2, 2)"
    ).trace
    y, v, _, z, w = [trace.states[call.outputs[0]] for call in trace.calls if call.outputs][1:]
    assert (z.storage, z.offset, z.base) == (v.storage, 1, y.tensor)
    assert (w.storage == v.storage, w.offset, w.base) == (False, 0, y.tensor)


def noted(text: str) -> tuple[Any, ...]:
    """What was noted of a program, but for values and the numbers of nodes."""
    trace = record_text(text).trace
    states = [replace(state, node=None if state.node is None else 0, values=None) for state in trace.states]
    saved = [[(one.name, one.tensor, one.storage) for one in node.saved] for node in trace.nodes]
    return states, saved, trace.tensors, trace.storages, [call.inputs for call in trace.calls], trace.notes


def test_the_judge_can_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a recorder that overlooks stale saves, the judge finds a disagreement on a program that raises."""
    monkeypatch.setattr("inplace.fixes.diagnose.KINDS", ())
    program = Program(grads=["x"])
    for line in ("x = torch.ones(4, requires_grad=True)", "h = torch.sigmoid(x)", "h.add_(1)", "loss = h.sum()"):
        program.add(line)
    program.add("loss.backward()")

    found = list(disagreements(program))

    assert any("0 stale saves" in reason for reason in found)


SELF_SAVE = ["x = torch.ones(3, requires_grad=True)", "y = x * 1", "y.exp_()", "y.add_(1)"]
SILENT = ["x = torch.ones(3, requires_grad=True)", "y = torch.exp(x)", "y.data.add_(1)", "x.detach().add_(1)"]


@pytest.mark.parametrize(
    ("lines", "culprit", "innocent"), [(SELF_SAVE, 4, 3), (SILENT, 3, 4)], ids=["raises", "is silent"]
)
@pytest.mark.parametrize("many", [True, False])
def test_the_judge_knows_the_innocent(
    lines: list[str], culprit: int, innocent: int, monkeypatch: pytest.MonkeyPatch, *, many: bool
) -> None:
    """A line too many, or another line, is a disagreement; so is another victim."""
    program = Program(grads=["x"])
    for line in (*lines, "loss = y.sum()", "loss.backward()"):
        program.add(line, line.replace("exp(x)", "exp(x.clone()).clone()"))
    assert list(disagreements(program)) == []

    def blamed(trace: Trace) -> Report:
        report = analyze(trace)
        (finding,) = [one for one in report.findings if isinstance(one, StaleSave | UnseenWrite)]
        (place,) = finding.culprits
        other = replace(place, position=Position(innocent, 0, innocent, 1))
        return Report(report.index, (replace(finding, culprits=(place, other) if many else (other,)),))

    monkeypatch.setattr("tests.oracle.judge.analyze", blamed)
    found = list(disagreements(program))

    said = f"line {innocent} is named as culprit, but without {[culprit] if many else []} nothing is wrong"
    assert said in found or (not many and f"it is as wrong without the named lines [{innocent}]" in found)


def test_the_judge_knows_the_victim(monkeypatch: pytest.MonkeyPatch) -> None:
    """The victim is the call whose node refused, and no other that saved the same tensor."""
    program = Program(grads=["x"])
    for line in ("x = torch.ones(3, requires_grad=True)", "a = x.exp()", "b = a * a", "a.add_(1)", "loss = b.sum()"):
        program.add(line)
    program.add("loss.backward()")
    assert list(disagreements(program)) == []

    def blamed(trace: Trace) -> Report:
        report = analyze(trace)
        return Report(report.index, tuple(reversed(report.of_type(StaleSave))))

    monkeypatch.setattr("tests.oracle.judge.analyze", blamed)

    assert list(disagreements(program)) == ["line 2 is named as victim, but backward raised in the node of line 3"]
