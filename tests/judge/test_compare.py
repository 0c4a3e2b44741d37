"""What runs prove: each difference that there may be between them is enough to prove nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from inplace.checks.finding import Cure, Proof, Rewrite
from inplace.judge.about import About
from inplace.judge.compare import judged, why_refused
from inplace.judge.runs import Answer, ReplayAnswer, Runs

ONES, TWOS = torch.ones(2), torch.full((2,), 2.0)
ABOUT = About(
    kind="saved-tensor-modified",
    spots=(("f", 3), ("f", 2)),
    names=("y",),
    backward=0,
    keeps_values=True,
    is_silent=False,
    is_recorded=True,
    without=None,
)
REACHED = {"values": {"x": ONES, "y": ONES}, "printed": "", "random": ONES}
RUN = ReplayAnswer(
    raised=None,
    refused=None,
    findings=(),
    entered=1,
    let=None,
    trained=(),
    reached_in_all=0,
    steps=0,
    reached=REACHED,
    values={"x": ONES},
    grads={"x": TWOS},
    other_values=[ONES],
    other_grads=[TWOS],
    given=[ONES],
    roots=[ONES],
)
AGREE = {"agree": True, "why": None, "directions": 2, "missing": [], "early": []}
REWRITE = Rewrite("f", 3, "y.add_(1)", "y = y.add(1)")


def verdict(runs: Runs, about: About = ABOUT, differences: Any = AGREE, rewrite: Rewrite = REWRITE) -> Proof:
    """What is said of a rewrite."""
    return why_refused(about, (rewrite,), runs) or judged(about, (rewrite,), runs, differences)


def test_equal_runs_prove_it() -> None:
    """Nothing raises, nothing is found, and all that was compared is equal; it is named."""
    proof = verdict(Runs(RUN, RUN))

    assert (proof.verified, proof.gradients) == (True, True)
    assert "the gradients of x and of 1 leaf without a name agree with finite differences" in proof.text
    assert "2 values, what is printed and the random state are those of a run" in proof.text


AGAIN = replace(ABOUT, spots=(("f", 3),))
DIFFERENT: list[tuple[dict[str, Any], str]] = [
    ({"raised": ("ValueError", "oh")}, "it raises ValueError: oh"),
    ({"refused": "open /etc/passwd"}, "what a replay may not do"),
    ({"findings": (AGAIN,)}, "the same is found again at its place"),
    ({"findings": (replace(AGAIN, kind="leaf-inplace"),)}, "leaf-inplace is found in the lines that it puts in"),
    ({"grads": {}}, "x is no longer a leaf"),
    ({"values": {"x": TWOS}}, "x ends with another value"),
    ({"other_values": [TWOS]}, "a tensor without a name ends with another value"),
    ({"roots": [TWOS]}, "what backward is called on ends with another value"),
    ({"roots": []}, "what backward is called on ends with another value"),
    ({"reached": {**REACHED, "printed": "h"}}, "it prints something else"),
    ({"reached": {**REACHED, "random": TWOS}}, "it draws other random numbers"),
]


@pytest.mark.parametrize(("changed", "said"), DIFFERENT)
def test_a_difference_proves_nothing(changed: dict[str, Any], said: str) -> None:
    """And it is said which."""
    proof = verdict(Runs(replace(RUN, **changed), RUN))

    assert not proof.verified
    assert said in proof.text


@pytest.mark.parametrize(
    ("answer", "twin"),
    [("it took too long", RUN), (RUN, "it took too long"), (RUN, replace(RUN, refused="os.fork"))],
)
def test_without_a_run_nothing_is_said(answer: Answer, twin: Answer) -> None:
    """Neither that it mends, nor that it does not."""
    proof = verdict(Runs(answer, twin))

    assert (proof.verified, proof.disproved) == (False, False)


def test_another_finding_elsewhere_is_another_matter() -> None:
    """The fix of one fault is not asked to mend another: where lines have moved, their old numbers count."""
    other = replace(ABOUT, spots=(("f", 9),))
    longer = Rewrite("f", 3, "y.add_(1)", "y = y.clone()\ny.add_(1)")

    assert verdict(Runs(replace(RUN, findings=(other,)), RUN)).verified
    assert verdict(Runs(replace(RUN, findings=(replace(ABOUT, spots=(("f", 5),)),)), RUN), rewrite=longer).verified
    assert not verdict(Runs(replace(RUN, findings=(replace(ABOUT, spots=(("f", 4),)),)), RUN), rewrite=longer).verified


def test_gradients_have_to_agree_with_finite_differences() -> None:
    """What they are, and along which direction, is said; where they can't be compared nothing is."""
    wrong = verdict(Runs(RUN, RUN), differences={"agree": False, "why": "1 along a direction"})
    unknown = verdict(Runs(RUN, RUN), differences={"agree": None, "why": "a custom function"})

    assert (wrong.verified, wrong.disproved) == (False, True)
    assert "finite differences: it is 1 along a direction" in wrong.text
    assert (unknown.verified, unknown.disproved) == (False, False)


def test_what_was_right_before_is_no_fault() -> None:
    """A silent fault whose gradients are the same with the change was none, or is not mended."""
    silent = replace(ABOUT, is_silent=True)

    assert not verdict(Runs(RUN, RUN, plain=RUN), silent).verified
    assert verdict(Runs(RUN, RUN, plain=replace(RUN, grads={"x": ONES})), silent).verified


def test_a_lost_write_is_seen_where_the_code_raises() -> None:
    """What the first backward is called on is what the code computes without autograd."""
    raised = replace(RUN, raised=("RuntimeError", "oh"))

    assert verdict(Runs(RUN, raised, values=RUN)).verified
    lost = verdict(Runs(replace(RUN, roots=[TWOS]), raised, values=RUN))
    assert (lost.verified, lost.disproved) == (False, True)
    assert "a write is lost" in lost.text


def test_a_change_may_mean_another_loss() -> None:
    """Where the forward is run again, what came before has to stay, but for what the change assigns."""
    again = Rewrite("f", 3, "y.backward()", "y = net(x)\ny.backward()", Cure.FORWARD_AGAIN)
    other = replace(RUN, roots=[TWOS], reached={**REACHED, "values": {"x": ONES, "y": TWOS}})
    broken = replace(other, reached={**REACHED, "values": {"x": TWOS, "y": TWOS}})
    twin = replace(RUN, reached={**REACHED, "values": {"x": ONES, "y": ONES}})

    assert verdict(Runs(other, twin), rewrite=again).verified
    assert not verdict(
        Runs(
            replace(broken, reached={**REACHED, "values": {"w": TWOS}}),
            replace(twin, reached={**REACHED, "values": {"w": ONES}}),
        ),
        rewrite=again,
    ).verified


def test_an_error_at_a_later_backward_says_nothing() -> None:
    """Another fault may be behind the one that is mended."""
    proof = verdict(Runs(replace(RUN, raised=("RuntimeError", "oh"), entered=2), RUN))

    assert (proof.verified, proof.disproved) == (False, False)


def test_a_cut_is_mended_where_a_gradient_arrives() -> None:
    """And where the others are as they were."""
    cut = replace(ABOUT, keeps_values=False, without=("w",))
    before = replace(RUN, grads={"x": TWOS, "w": None})

    assert verdict(Runs(replace(RUN, grads={"x": TWOS, "w": ONES}), before), cut).verified
    assert "w still gets no gradient" in verdict(Runs(before, before), cut).text
    assert "the gradient of x is not" in verdict(Runs(replace(RUN, grads={"x": ONES, "w": ONES}), before), cut).text
