"""States of optimizers that are loaded without a copy, in many styles; and the sound twins of each."""

from __future__ import annotations

import pytest

from inplace.checks.shared_reference import SharedReference
from tests.recording import record_text
from tests.sessions import play

FIT = """\
import copy
net, x = nn.Linear(2, 1), torch.ones(3, 2)
def fit(net, opt, times=1):
    for _ in range(times):
        opt.zero_grad()
        net(x).pow(2).mean().backward()
        opt.step()
"""
ADAM = FIT + "opt = torch.optim.Adam(net.parameters(), lr=0.1)\nfit(net, opt)\n"
TWIN = ADAM + "twin = copy.deepcopy(net)\nother = torch.optim.Adam(twin.parameters(), lr=0.1)\n"

# The code, how it is told, the lines of the culprits, and the line of the victim.
TOLD = {
    "kept and loaded": (
        ADAM + "saved = opt.state_dict()\nfit(net, opt, 3)\nopt.load_state_dict(saved)",
        ("state", [7, 10], 12),
    ),
    "by a name in a call": (
        ADAM + "saved = opt.state_dict()\nfit(net, opt)\nopt.load_state_dict(state_dict=saved)",
        ("state", [7, 10], 12),
    ),
    "in a checkpoint beside a copied model": (
        ADAM
        + "best = {'net': copy.deepcopy(net.state_dict()), 'opt': opt.state_dict()}\nfit(net, opt)\n"
        + "net.load_state_dict(best['net'])\nopt.load_state_dict(best['opt'])",
        ("state", [7, 10], 13),
    ),
    "a copy of the dict alone": (
        ADAM + "saved = dict(opt.state_dict())\nfit(net, opt)\nopt.load_state_dict(saved)",
        ("state", [7, 10], 12),
    ),
    "in a list, turn by turn": (
        ADAM
        + "kept = []\nfor _ in range(3):\n    kept.append(opt.state_dict())\n    fit(net, opt)\n"
        + "opt.load_state_dict(kept[0])",
        ("state", [7, 12], 14),
    ),
    "in a method": (
        ADAM
        + "class Keeper:\n    def keep(self, opt):\n        self.state = opt.state_dict()\n"
        + "    def back(self, opt):\n        opt.load_state_dict(self.state)\n"
        + "keeper = Keeper()\nkeeper.keep(opt)\nfit(net, opt)\nkeeper.back(opt)",
        ("state", [7, 12], 14),
    ),
    "around a search, in a function": (
        ADAM
        + "def search(net, opt):\n    kept = opt.state_dict()\n    fit(net, opt, 3)\n    opt.load_state_dict(kept)\n"
        + "search(net, opt)",
        ("state", [7, 11], 13),
    ),
    "momentum": (
        FIT
        + "opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)\nfit(net, opt)\n"
        + "saved = opt.state_dict()\nfit(net, opt)\nopt.load_state_dict(saved)",
        ("state", [7, 10], 12),
    ),
    "fused": (
        FIT
        + "opt = torch.optim.AdamW(net.parameters(), lr=0.1, fused=True)\nfit(net, opt)\n"
        + "saved = opt.state_dict()\nfit(net, opt)\nopt.load_state_dict(saved)",
        ("state", [7, 10], 12),
    ),
    "two optimizers": (
        TWIN + "other.load_state_dict(opt.state_dict())\nfit(net, opt)\nfit(twin, other)",
        ("states", [7, 12], 7),
    ),
    "two optimizers, by a name": (
        TWIN + "given = opt.state_dict()\nother.load_state_dict(given)\nfit(twin, other)\nfit(net, opt)",
        ("states", [7, 13], 7),
    ),
}
QUIET = {
    "a deep copy kept": ADAM + "saved = copy.deepcopy(opt.state_dict())\nfit(net, opt)\nopt.load_state_dict(saved)",
    "deep copies of its parts": (
        ADAM
        + "saved = {key: copy.deepcopy(one) for key, one in opt.state_dict().items()}\nfit(net, opt)\n"
        + "opt.load_state_dict(saved)"
    ),
    "by a file": (
        ADAM
        + "import io\nfile = io.BytesIO()\ntorch.save(opt.state_dict(), file)\nfit(net, opt)\nfile.seek(0)\n"
        + "opt.load_state_dict(torch.load(file))"
    ),
    "another rate, at once": (
        ADAM
        + "state = opt.state_dict()\nstate['param_groups'][0]['lr'] = 0.01\nopt.load_state_dict(state)\nfit(net, opt)"
    ),
    "kept before there was a state": (
        FIT
        + "opt = torch.optim.Adam(net.parameters(), lr=0.1)\nsaved = opt.state_dict()\nfit(net, opt)\n"
        + "opt.load_state_dict(saved)"
    ),
    "no state at all": (
        FIT
        + "opt = torch.optim.SGD(net.parameters(), lr=0.1)\nfit(net, opt)\nsaved = opt.state_dict()\nfit(net, opt)\n"
        + "opt.load_state_dict(saved)"
    ),
    "kept and never loaded": ADAM + "saved = opt.state_dict()\nfit(net, opt)",
    "handed on by one that steps no more": TWIN + "other.load_state_dict(opt.state_dict())\nfit(twin, other, 2)",
    "handed on by one that is replaced": (
        TWIN
        + "other.load_state_dict(opt.state_dict())\nopt = torch.optim.Adam(net.parameters(), lr=0.1)\n"
        + "fit(net, opt)\nfit(twin, other)"
    ),
    "a copy handed on": (
        TWIN + "other.load_state_dict(copy.deepcopy(opt.state_dict()))\nfit(net, opt)\nfit(twin, other)"
    ),
    "to parameters of another dtype": (
        ADAM
        + "twin = copy.deepcopy(net).double()\nother = torch.optim.Adam(twin.parameters(), lr=0.1)\n"
        + "other.load_state_dict(opt.state_dict())\nfit(net, opt)\n"
        + "twin(x.double()).sum().backward()\nother.step()"
    ),
    "stepped by another optimizer between": (
        FIT
        + "opt = torch.optim.Adam(net.parameters(), lr=0.1)\nother = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        + "fit(net, opt)\nsaved = opt.state_dict()\nfit(net, other)\nopt.load_state_dict(saved)"
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_a_state_loaded_without_a_copy_is_told(name: str) -> None:
    """The line that kept or took it over, the line that steps, and the one that loads or steps with it."""
    text, said = TOLD[name]

    found = record_text(text).report.of_type(SharedReference)

    [one] = [one for one in found if one.severity != "info"]
    assert one.victim is not None
    assert one.victim.place is not None
    assert (one.how, [place.position.line for place in one.culprits], one.victim.place.position.line) == said


@pytest.mark.parametrize("name", QUIET)
def test_a_state_loaded_soundly_is_no_finding(name: str) -> None:
    """Copies, states that nobody steps with, and loads with no step before are as they should be."""
    found = record_text(QUIET[name]).report.of_type(SharedReference)

    assert [one.how for one in found if one.severity != "info"] == []


@pytest.mark.parametrize("load", ["opt.load_state_dict(saved)", "other.load_state_dict(saved)\nfit(twin, other)"])
def test_it_is_told_below_the_cell_that_did_it(load: str) -> None:
    """The cell that loads what an earlier one kept is told of it, and no cell behind it."""
    runs = play(TWIN, "saved = opt.state_dict()", "fit(net, opt)", load, "fit(net, opt)", "fit(net, opt)")

    found = [[one.how for one in run.report.of_type(SharedReference) if one.severity != "info"] for run in runs]

    told = [["state"], []] if load.startswith("opt") else [[], ["states"]]
    assert found == [[], [], [], *told, []]


def test_what_optimizers_do_is_as_without_us() -> None:
    """Loads raise, and call hooks, as they do; arguments by name go through."""
    text = (
        ADAM
        + "import traceback\n"
        + "def names():\n    return [one.name for one in traceback.extract_stack()][-3:]\n"
        + "heard = []\n"
        + "opt.register_load_state_dict_pre_hook(lambda opt, state: heard.append(sorted(state)))\n"
        + "opt.load_state_dict(state_dict=opt.state_dict())\n"
        + "type(opt).load_state_dict(self=opt, state_dict=opt.state_dict())\n"
        + "opt.load_state_dict({'state': {}, 'param_groups': []})\n"
    )

    recorded = record_text(text)

    assert recorded.namespace["heard"][:2] == [["param_groups", "state"]] * 2
    assert isinstance(recorded.error, ValueError)
    traceback, names = recorded.error.__traceback__, []
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert names[-1] == "load_state_dict"
    assert "told" not in names
