"""The claims: the verdict comes from what PyTorch does now, and the user's session is as it was."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

import inplace
from inplace.examples import ALL, claims, find
from inplace.examples.claims import CHECKS, Evidence, check
from inplace.examples.table import to_html, to_text
from tests.test_magic import Shell, fresh_shell

RECORDED = {example.id: example.verdict for example in ALL}


shell = pytest.fixture(fresh_shell)


def test_every_claim_has_a_check() -> None:
    """Every row, no more and no less."""
    assert sorted(CHECKS) == list(RECORDED)


@pytest.mark.parametrize("id_", RECORDED)
def test_the_verdict_of_today_is_the_recorded_one(id_: str) -> None:
    """What PyTorch does now leads to the verdict that the example states."""
    found = check(id_)
    assert found.verdict == RECORDED[id_], found.text
    assert found.text


class Work(TorchFunctionMode):
    """Counts the calls of PyTorch, and notes the bytes of the largest tensor that one gave out."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.largest = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a call."""
        self.calls += 1
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.largest = max(self.largest, out.nbytes)
        return out


@pytest.mark.parametrize("id_", CHECKS)
def test_a_check_does_little(id_: str) -> None:
    """A check makes a few hundred calls at most, on tensors of four megabytes at most: the table is there at once."""
    work = Work()
    with work:
        CHECKS[id_]()
    assert 0 < work.calls <= 250
    assert work.largest <= 4_000_000


def _permissive_add(self: torch.Tensor, other: object) -> torch.Tensor:
    """A PyTorch that lets leaves be overwritten."""
    self.data.copy_(self.data + other)
    return self


def _lazy_mul(self: torch.Tensor, other: object) -> torch.Tensor:
    """A PyTorch whose mul_ writes nothing."""
    return self * other


def _eager_relu(self: torch.Tensor) -> torch.Tensor:
    """A PyTorch whose relu_ destroys what backward needs."""
    with torch.no_grad():
        self.exp_()
    return self.exp().mul_(2)


def _no_zeroing(self: torch.optim.Optimizer, *, set_to_none: bool = True) -> None:
    """A PyTorch whose optimizers keep the gradients and write zeros to them."""
    for group in self.param_groups:
        for param in group["params"]:
            if param.grad is not None:
                param.grad.zero_()


@pytest.mark.parametrize(
    ("owner", "name", "other", "drift"),
    [
        (torch.Tensor, "add_", _permissive_add, {"E11": "wrong", "E23": "right", "E28": "wrong", "E34": "wrong"}),
        (torch.Tensor, "add_", torch.Tensor.add, {"E01": "wrong", "E15": "wrong", "E29": "wrong", "E30": "wrong"}),
        (torch.Tensor, "mul_", _lazy_mul, {"E04": "wrong", "E06": "wrong", "E19": "wrong"}),
        (torch.Tensor, "clone", torch.Tensor.detach, {"E16": "wrong"}),
        (torch.Tensor, "relu_", _eager_relu, {"E14": "right"}),
        (torch.optim.Optimizer, "zero_grad", _no_zeroing, {"E17": "right"}),
        (torch.nn.Module, "__setattr__", object.__setattr__, {"E35": "right"}),
    ],
)
def test_another_pytorch_gets_another_verdict(
    owner: type, name: str, other: object, drift: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verdicts follow from what is observed: where PyTorch does something else, they change."""
    monkeypatch.setattr(owner, name, other)
    assert {id_: check(id_).verdict for id_ in drift} == drift


def test_a_check_leaves_the_session_as_it_was() -> None:
    """Random state, default type, gradient mode and warnings are as before, whatever they were."""
    with torch.random.fork_rng(), torch.no_grad(), torch.autograd.set_detect_anomaly(mode=True):
        torch.manual_seed(5)
        torch.set_default_dtype(torch.float64)
        try:
            before = torch.get_rng_state()
            found = {id_: check(id_).verdict for id_ in CHECKS}
            assert found == RECORDED
            assert torch.equal(torch.get_rng_state(), before)
            assert torch.get_default_dtype() is torch.float64
            assert not torch.is_grad_enabled()
            assert torch.is_anomaly_enabled()
        finally:
            torch.set_default_dtype(torch.float32)


def test_a_check_that_fails_leaves_the_session_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the check itself raises, and the fault is not hidden."""

    def broken() -> Evidence:
        torch.rand(1)
        raise LookupError("oh")

    monkeypatch.setitem(CHECKS, "E01", broken)
    before = torch.get_rng_state()
    with pytest.raises(LookupError, match="oh"):
        check("E01")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_default_device_does_not_matter() -> None:
    """The checks run on the CPU, in inference mode as outside of it."""
    with torch.inference_mode(), torch.device("meta"):
        assert {id_: check(id_).verdict for id_ in CHECKS} == RECORDED


def test_shared_memory_without_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no fork, a second tensor on the same memory shows the same."""
    monkeypatch.delattr(os, "fork")
    found = check("E36")
    assert found == Evidence(
        "right",
        "another tensor on the same memory added 1: here a is 2.0, version 0; backward raises nothing, gradient 2.0",
    )


def test_the_table_as_text() -> None:
    """Id, verdict, claim and evidence, without a word on change."""
    assert to_text(find("E24")) == (
        "E24  right\n"
        "  claim: The gradient of `x * 3`, started with ones, is 3 for every element. (a lesson card)\n"
        "  evidence: the gradient is [3.0, 3.0]"
    )
    assert "changed: was" not in to_text(ALL)


def test_the_table_as_html() -> None:
    """One row for each claim, five columns, in the colours of the page."""
    page = to_html(ALL)
    assert re.findall(r'<th scope="col"[^>]*>([\w ]+)</th>', page) == ["id", "claim", "said by", "verdict", "evidence"]
    assert page.count("<tr>") == 1 + len(ALL)
    assert page.count("<td") == 5 * len(ALL)
    assert set(re.findall(r"color:(\w+)", page)) == {"inherit"}
    assert "currentColor" in page
    assert not re.search(r"#(?!x27;)", page)


def test_drift_is_marked_and_text_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict that is no longer the recorded one is marked, and markup in evidence stays text."""
    monkeypatch.setitem(claims.CHECKS, "E11", lambda: Evidence("wrong", "<script>alert('x') & </script>"))
    assert to_text(find("E11")).startswith("E11  wrong (changed: was right)\n")
    page = to_html(find("E11"))
    assert "wrong <strong>changed: was right</strong>" in page
    assert "<script>" not in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;) &amp; &lt;/script&gt;" in page


def test_the_claims_magic_shows_what_was_asked_for(shell: Shell) -> None:
    """`%inplace claims E11 e23` shows two rows, as text and as HTML."""
    (data,) = shell.run("%inplace claims E11 e23 E11").shown
    assert set(data) == {"text/plain", "text/html"}
    assert re.findall(r"(?m)^E\d\d  \w+", data["text/plain"]) == ["E11  right", "E23  wrong"]
    assert data["text/html"].count("<tr>") == 3


def test_the_claims_magic_shows_all(shell: Shell) -> None:
    """`%inplace claims` shows every row."""
    (data,) = shell.run("%inplace claims").shown
    assert re.findall(r"(?m)^(E\d\d)  ", data["text/plain"]) == list(RECORDED)


def test_claims_may_be_checked_in_a_recorded_cell(shell: Shell) -> None:
    """A recording that goes on neither changes a verdict nor hears of the checks, even where it would stop a write."""
    shell.run("t = torch.ones(2)")
    ran = shell.run("%%inplace --strict\nt.add_(1)\n%inplace claims")
    assert ran.result.error_in_exec is None
    assert "changed: was" not in ran.notes[0]
    assert len(inplace.last.trace.calls) == 1


def test_the_readme_tells_their_number() -> None:
    """The README says how many sentences `%inplace claims` runs."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert re.findall(r"each of (\d+) sentences", readme) == [str(len(ALL))]


def test_a_verdict_of_limits_has_its_limit(shell: Shell) -> None:
    """Each imprecise row says where it holds, and the table shows it while the verdict is the recorded one."""
    assert [example.id for example in ALL if example.verdict == "imprecise" and not example.limit] == []
    (data,) = shell.run("%inplace claims E05").shown
    assert data["text/plain"].startswith("E05  imprecise: Holds for floats; `div_` refuses integers.\n")
