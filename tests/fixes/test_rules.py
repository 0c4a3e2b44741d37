"""Where the preconditions of a rule hold, its change of a random program is what was meant: values and gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from inplace.checks.finding import Finding
from inplace.facts.model import Position
from inplace.fixes import at_cut
from inplace.fixes.editing import applied
from inplace.judge.differences import differences
from inplace.judge.put_in import PutIn
from tests.fixes.rule_programs import RULES, Made
from tests.oracle.judge import close
from tests.recording import Recorded, record_text

OFTEN = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
HELD = {"flat"}  # rules whose changes take something out of the graph


def shown(recorded: Recorded) -> Finding | None:
    """The first finding that is no information, if a change is shown for it."""
    found = next((one for one in recorded.report.findings if one.severity != "info"), None)
    return found if found is not None and found.rewrite is not None else None


def compared(rule: str, made: Made, text: str) -> list[str]:
    """Where a program is not what was meant: what it raises, other values and gradients, and finite differences."""
    new, meant = record_text(text), record_text(made.meant)
    assert meant.error is None
    if new.error is not None:
        return [repr(new.error)]
    wrong = []
    for name, value in meant.namespace.items():
        other = new.namespace.get(name)
        if not isinstance(value, torch.Tensor) or name in {"one", "two"}:
            continue
        same = isinstance(other, torch.Tensor) and torch.allclose(other.detach(), value.detach(), 1e-4, 1e-5)
        if name not in made.differs and not same:
            wrong.append(f"{name} is {other} and not {value}")
        if name in {"x", "w"} and other is not None and not close(other.grad, value.grad):
            wrong.append(f"the gradient of {name} is {other.grad} and not {value.grad}")
    return [*wrong, *_against_differences(rule, text)]


def _against_differences(rule: str, text: str) -> list[str]:
    whole = {} if rule in HELD else {"<mended>": PutIn("<mended>", text, (Position(1, 0, 10**6, 0),), ())}

    def begin() -> Callable[[], None]:
        torch.set_default_dtype(torch.float64)
        return lambda: exec(compile(text, "<mended>", "exec"), {"torch": torch, "nn": torch.nn, "__name__": "program"})

    try:
        found = differences(begin, 0, put_in=whole)
    finally:
        torch.set_default_dtype(torch.float32)
    return [] if found["agree"] and not found["missing"] else [str(found)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("rule", RULES)
def test_a_change_that_fits_is_what_was_meant(rule: str) -> None:
    """Nothing raises, each value is what it was to be, and gradients agree with finite differences."""
    seen = Counter[bool]()

    @OFTEN
    @given(RULES[rule])
    def check(made: Made) -> None:
        finding = shown(record_text(made.text))
        seen[finding is not None] += 1
        if finding is not None and finding.rewrite is not None:
            text = applied(made.text, finding.rewrite)
            assert compared(rule, made, text) == [], text

    check()
    assert seen[True] > 3, seen


def test_without_a_precondition_wrong_changes_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail: it does where one cut of two is taken for the whole."""
    monkeypatch.setattr(at_cut, "_is_last_cut", lambda *_: True)

    with pytest.raises(BaseException, match="not tensor"):
        test_a_change_that_fits_is_what_was_meant("unrecorded")
