"""Fixes are proved by replay, or it is said why not; nothing of the user's is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run_inplace, script

FREE = """\
import torch
torch.manual_seed(1)
x = torch.randn(3, requires_grad=True)
"""


def verified(folder: Path, text: str) -> dict[str, Any]:
    """The fix of the first finding of a script, after `--verify`."""
    path = script(folder, FREE + text)
    ours = run_inplace("run", "--quiet", "--verify", "--json", "-", path)
    fix: dict[str, Any] = json.loads(ours.stdout)["diagnoses"][0]["fix"]
    return fix


PROVED = {
    "method": ("h = torch.sigmoid(x)\nh.relu_()  # in place\nh.sum().backward()", "h = h.relu()  # in place"),
    "operator": ("h = torch.exp(x)\nh *= x + 1\nh.sum().backward()", "h = h * (x + 1)"),
    "item": ("h = torch.exp(x)\nh[0] = 1\nh.sum().backward()", "h = torch.exp(x).clone()"),
    "leaf": ("x.add_(1)", "with torch.no_grad():\n    x.add_(1)"),
    "shift": ("t = torch.arange(8.0)\nt[1:] = t[:-1]", "t[1:] = t[:-1].clone()"),
    "a gradient of zero": (
        "q = torch.round(x / 0.25) * 0.25\nq.pow(2).sum().backward()\ng = x.grad.sum()",
        "q = (x / 0.25 + (torch.round(x / 0.25) - x / 0.25).detach()) * 0.25",
    ),
    "a head that was to be frozen": (
        "net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))\nnet[1].requires_grad = False\n"
        "opt = torch.optim.SGD(net.parameters(), lr=0.1)\nnet(x).sum().backward()\nopt.step()",
        "net[1].requires_grad_(False)",
    ),
    "a write that autograd does not know of": (
        "w = torch.ones(3, requires_grad=True)\ns = x * w\ns.detach().mul_(2)\nloss = s.pow(2).sum()\nloss.backward()",
        "s = s.mul(2)",
    ),
    "module": (
        "net = torch.nn.Sequential(torch.nn.Sigmoid(), torch.nn.ReLU(inplace=True))\nnet(x).sum().backward()",
        "net = torch.nn.Sequential(torch.nn.Sigmoid(), torch.nn.ReLU(inplace=False))",
    ),
}


@pytest.mark.one_of(5)
@pytest.mark.parametrize("name", PROVED)
def test_a_fix_is_proved(name: str, tmp_path: Path) -> None:
    """The rewrite keeps the rest of the line, and a replay with it gives the gradients of the twin."""
    text, new = PROVED[name]

    fix = verified(tmp_path, text + "\n")

    assert fix["rewrite"]["new"] == new
    assert (fix["verified"], fix["basis"]) == (True, "proved by a replay")


@pytest.mark.whole
def test_a_fix_that_does_not_mend_is_not_proved(tmp_path: Path) -> None:
    """The write is mended; what raises then is another mistake: the change still fits, and no replay proves it."""
    fix = verified(tmp_path, "h = torch.exp(x)\nh.mul_(2)\nh.sum().backward()\nh.sum().backward()\n")

    assert (fix["verified"], fix["basis"]) == (False, "fits this recording")
    assert fix["proof"].startswith("not proved: with this change it raises RuntimeError: Trying to backward")
    assert fix["proof"].endswith("at a later backward.")


@pytest.mark.whole
def test_a_moved_step_is_not_proved(tmp_path: Path) -> None:
    """Behind the second backward the step uses the gradients of both: that runs, and trains otherwise."""
    text = (
        "net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 1))\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "one, two = net(x), net(x + 1)\none.backward()\noptimizer.step()\ntwo.backward()\n"
    )

    fix = verified(tmp_path, text)

    assert (fix["rewrite"], fix["verified"]) == (None, False)


def test_a_replay_writes_nothing(tmp_path: Path) -> None:
    """A script that writes a file wrote it once, and its fix is not proved, as a replay may not write."""
    text = f"open({str(tmp_path / 'log')!r}, 'a').write('x')\nh = torch.exp(x)\nh.add_(1)\nh.sum().backward()\n"

    fix = verified(tmp_path, text)

    assert (tmp_path / "log").read_text() == "x"
    assert fix["verified"] is False
    assert "what a replay may not do (open" in fix["proof"]


def test_a_culprit_in_another_file_is_mended_there(tmp_path: Path) -> None:
    """A rewrite of an imported file is read by the replay, and not written to the file."""
    helper = tmp_path / "helper.py"
    helper.write_text("def scale(t):\n    t.mul_(2)\n    return t\n")

    fix = verified(tmp_path, "from helper import scale\nscale(torch.exp(x)).sum().backward()\n")

    assert fix["rewrite"]["file"] == str(helper)
    assert fix["rewrite"]["new"] == "    t = t.mul(2)"
    assert fix["verified"] is True
    assert "mul_" in helper.read_text()


def test_the_script_runs_once(tmp_path: Path) -> None:
    """What the script prints comes once: replays are silent."""
    path = script(tmp_path, FREE + "print('once')\nh = torch.exp(x)\nh.add_(1)\nh.sum().backward()\n")

    ours = run_inplace("run", "--verify", path)

    assert ours.stdout == "once\n"
    assert "proved by a replay" in ours.stderr
