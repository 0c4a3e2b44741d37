"""Parameters that were given the bytes of a vector, where a copy of its values was meant."""

from __future__ import annotations

import pytest

from inplace.checks.shared_reference import SharedReference
from tests.recording import record_text

NET = """
from torch.nn.utils import parameters_to_vector, vector_to_parameters
net = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
def train(lr=0.1):
    opt = torch.optim.SGD(net.parameters(), lr=lr)
    for _ in range(2):
        opt.zero_grad()
        net(torch.ones(4, 3)).pow(2).mean().backward()
        opt.step()  # wrote
kept = parameters_to_vector(net.parameters()).detach()
"""
BY_HAND = """
def put(flat):
    at = 0
    for p in net.parameters():
        part = flat[at:at + p.numel()].view_as(p)
        p.data = part  # set
        at += p.numel()
"""
FOUND = {
    "tried again and again": NET
    + """
for turn in range(3):
    vector_to_parameters(kept, net.parameters())  # set
    train()
""",
    "read by a difference": NET
    + """
vector_to_parameters(kept, net.parameters())  # set
train()
moved = parameters_to_vector(net.parameters()) - kept
""",
    "in a class": NET
    + """
class Search:
    def __init__(self):
        self.best = kept
    def reset(self):
        vector_to_parameters(self.best, net.parameters())  # set
search = Search()
search.reset()
train()
search.reset()
""",
    "by hand": NET + BY_HAND + "for turn in range(3):\n    put(kept)\n    train()\n",
}
SOUND = {
    "a copy": NET
    + """
for turn in range(3):
    vector_to_parameters(kept.clone(), net.parameters())
    train()
""",
    "never read again": NET + "vector_to_parameters(kept, net.parameters())\ntrain()\n",
    "only evaluated": NET
    + """
for turn in range(3):
    vector_to_parameters(kept, net.parameters())
    with torch.no_grad():
        net(torch.ones(4, 3))
""",
    "made anew each time": NET
    + """
for turn in range(3):
    vector_to_parameters(kept, net.parameters())
    train()
    kept = parameters_to_vector(net.parameters()).detach()
""",
    "one block on purpose": NET + BY_HAND + "put(kept)\nfor turn in range(3):\n    train()\n    kept.norm()\n",
    "written by its own name": NET
    + """
for turn in range(3):
    vector_to_parameters(kept, net.parameters())
    train()
    kept.mul_(0.9)
""",
    "values copied": NET
    + BY_HAND.replace("p.data = part", "p.data.copy_(part)")
    + "for turn in range(3):\n    put(kept)\n    train()\n",
}


def found(text: str) -> list[SharedReference]:
    """What is said of shared bytes."""
    return [one for one in record_text(text).report.findings if isinstance(one, SharedReference)]


@pytest.mark.parametrize("name", FOUND)
def test_what_set_the_parameters_and_what_wrote_them_are_told(name: str) -> None:
    """The line that set `.data` is not said to have written: the step did."""
    lines = FOUND[name].strip().splitlines()
    wrote, put = (next(at for at, one in enumerate(lines, 1) if one.endswith(end)) for end in ("# wrote", "# set"))

    told = [one for one in found(FOUND[name]) if one.severity == "warning"]

    assert [(one.how, one.culprits[0].position.line, one.keep and one.keep.position.line) for one in told] == [
        ("data", wrote, put)
    ]


@pytest.mark.parametrize("name", SOUND)
def test_who_has_a_copy_or_means_one_block_is_not_warned(name: str) -> None:
    """Nor where the vector is not read again, or nothing wrote it; and no note says that a setting of `.data` wrote."""
    told = found(SOUND[name])

    assert [one for one in told if one.severity != "info"] == []
    lines = SOUND[name].strip().splitlines()
    wrote = [lines[one.culprits[0].position.line - 1] for one in told]
    assert not any("vector_to_parameters" in one or ".data =" in one for one in wrote)
