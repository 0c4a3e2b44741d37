"""Parameters that a load of a state dict puts in the place of those that an optimizer has."""

from __future__ import annotations

import pytest

from inplace.checks.graph_detached import Cut
from inplace.checks.rebound_leaf import ReboundLeaf
from tests.recording import record_text

TIED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(5, 4)
        self.out = nn.Linear(4, 5, bias=False)
        self.out.weight = self.emb.weight
    def forward(self, i):
        return self.out(self.emb(i))
"""
UNTIED = TIED.replace("        self.out.weight = self.emb.weight\n", "        self.scale = 1.0\n")
NET = "net = Net()\nopt = torch.optim.SGD(net.parameters(), lr=0.5)\n"
STATE = "state = {k: v.clone() for k, v in net.state_dict().items()}\n"
STEPS = """
i = torch.tensor([0, 1, 2])
for _ in range(3):
    opt.zero_grad()
    nn.functional.cross_entropy(net(i), i).backward()
    opt.step()
"""
LOAD = "net.load_state_dict(state, assign=True)  # here\n"
HELPER = """
def restore(module, kept):
    module.load_state_dict(kept, assign=True)  # here
"""
TRAINER = """
class Trainer:
    def __init__(self, net):
        self.net = net
        self.kept = {k: v.clone() for k, v in net.state_dict().items()}
        self.opt = torch.optim.SGD(net.parameters(), lr=0.5)
    def resume(self):
        self.net.load_state_dict(self.kept, assign=True)  # here
    def step(self, i):
        self.opt.zero_grad()
        nn.functional.cross_entropy(self.net(i), i).backward()
        self.opt.step()
trainer = Trainer(Net())
trainer.resume()
for _ in range(3):
    trainer.step(torch.tensor([0, 1, 2]))
"""
KEYWORDS = "how = {'assign': True}\nnet.load_state_dict(state, **how)  # here\n"

NAMED = {
    "tied weights": TIED + NET + STATE + LOAD + STEPS,
    "weights of their own": UNTIED + NET + STATE + LOAD + STEPS,
    "a helper": UNTIED + HELPER + NET + STATE + "restore(net, state)\n" + STEPS,
    "a trainer": UNTIED + TRAINER,
    "a helper, and a line that ties": TIED + HELPER + NET + STATE + "restore(net, state)\n" + STEPS,
    "keywords of a dict": TIED + NET + STATE + KEYWORDS + STEPS,
    "between the steps": UNTIED + NET + STATE + STEPS + LOAD + STEPS,
    "a load of another module besides": UNTIED
    + NET
    + STATE
    + "other = Net()\n"
    + LOAD
    + "other.load_state_dict(state, assign=True)\n"
    + STEPS,
}
UNNAMED = {
    "a helper loads another module, and a line without a call puts a parameter": UNTIED
    + HELPER
    + "def put(module, weight):\n    module.emb.weight = module.out.weight = weight\n"
    + NET
    + STATE
    + "other = Net()\nrestore(other, state)\nput(net, nn.Parameter(state['out.weight']))\n"
    + STEPS,
    "what may have been left out": TIED
    + NET
    + STATE
    + "net.load_state_dict(state, assign=True, strict=False)\n"
    + STEPS,
}
SOUND = {
    "the values are copied": TIED + NET + STATE + "net.load_state_dict(state)\n" + STEPS,
    "the optimizer is built later": TIED
    + "net = Net()\n"
    + STATE
    + LOAD
    + "opt = torch.optim.SGD(net.parameters(), lr=0.5)\n"
    + STEPS,
    "another module is loaded": TIED
    + NET
    + STATE
    + "other = Net()\nother.load_state_dict(state, assign=True)\n"
    + STEPS,
    "the values are copied in a helper": UNTIED
    + HELPER.replace(", assign=True", "")
    + NET
    + STATE
    + "restore(net, state)\n"
    + STEPS,
    "only evaluated": TIED + NET + STATE + STEPS + LOAD + "with torch.no_grad():\n    net(i)\n",
}


def found(text: str) -> tuple[set[int], bool, int]:
    """The lines that are said to have replaced parameters, whether all were put there, and how many cuts are told."""
    findings = record_text(text).report.findings
    rebound = [one for one in findings if isinstance(one, ReboundLeaf)]
    lines = {place.position.line for one in rebound for place in one.culprits}
    return lines, all(one.is_put for one in rebound), sum(isinstance(one, Cut) for one in findings)


@pytest.mark.parametrize("name", NAMED)
def test_the_load_that_replaced_parameters_is_told(name: str) -> None:
    """No line that ran before the optimizer was built, nor the state dict, which cut nothing."""
    text = NAMED[name]

    line = next(number for number, one in enumerate(text.strip().splitlines(), 1) if one.endswith("# here"))
    assert found(text) == ({line}, True, 0)


@pytest.mark.parametrize("name", UNNAMED)
def test_a_load_that_is_not_known_is_not_told(name: str) -> None:
    """Then only the use of the new parameter is, and no other line is said to have put it there."""
    lines, is_put, cuts = found(UNNAMED[name])

    assert (lines, is_put, cuts) == ({8}, False, 0)


@pytest.mark.parametrize("name", SOUND)
def test_a_load_that_replaced_nothing_of_an_optimizer_is_fine(name: str) -> None:
    """It copied, the optimizer has the new ones, or the module is another."""
    assert found(SOUND[name]) == (set(), True, 0)
