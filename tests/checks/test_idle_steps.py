"""Steps of an optimizer over another model than the loss was computed with, and sound programs of these styles."""

from __future__ import annotations

import pytest

from tests.recording import record_text
from tests.sessions import play

HEAD = "x, y = torch.randn(8, 3), torch.randn(8, 1)\nnet, other = nn.Linear(3, 1), nn.Linear(3, 1)\n"  # 2 lines
OPT = HEAD + "opt = torch.optim.SGD(net.parameters(), lr=0.1)\n"  # 3 lines
TRAIN = (
    "def train(model, opt):\n    for _ in range(3):\n        opt.zero_grad()\n"
    "        (model(x) - y).pow(2).mean().backward()\n        opt.step()\n"
)
TRAINER = """\
class Trainer:
    def __init__(self, model):
        self.model, self.optimizer = model, torch.optim.Adam(model.parameters())
    def fit(self):
        for _ in range(2):
            self.optimizer.zero_grad()
            (self.model(x) - y).pow(2).mean().backward()
            self.optimizer.step()
"""

# The line of the step, and the code.
WRONG = {
    "another model": (8, OPT + TRAIN + "train(net, opt)\ntrain(other, opt)\n"),
    "a model made anew": (11, HEAD + TRAINER + "t = Trainer(net)\nt.fit()\nt.model = nn.Linear(3, 1)\nt.fit()\n"),
    "a copy": (8, OPT + TRAIN + "import copy\ntrain(net, opt)\ntwin = copy.deepcopy(net)\ntrain(twin, opt)\n"),
    "one step": (8, OPT + TRAIN + "train(net, opt)\nopt.zero_grad()\nother(x).sum().backward()\nopt.step()\n"),
}
WRONG["a model made anew"] = (10, WRONG["a model made anew"][1])
WRONG["one step"] = (12, WRONG["one step"][1])

SOUND = {
    "each its own": OPT + TRAIN + "train(net, opt)\ntrain(other, torch.optim.SGD(other.parameters(), lr=0.1))\n",
    "both in one loss": OPT + "for _ in range(3):\n    opt.zero_grad()\n"
    "    (net(x) - other(x)).pow(2).mean().backward()\n    opt.step()\n",
    "a step before all": OPT + "opt.step()\n" + TRAIN + "train(net, opt)\n",
    "a look at another behind training": OPT + TRAIN + "train(net, opt)\nother(x).sum().backward()\n",
    "a gradient that is read": OPT
    + TRAIN
    + "train(net, opt)\nopt.zero_grad()\nother(x).sum().backward()\ng = other.weight.grad\nopt.step()\n",
    "updated by hand": OPT
    + TRAIN
    + "train(net, opt)\nopt.zero_grad()\nother(x).sum().backward()\n"
    + "with torch.no_grad():\n    for p in other.parameters():\n        p -= 0.1 * p.grad\nopt.step()\n",
    "a saliency map": OPT
    + TRAIN
    + "train(net, opt)\nimage = torch.zeros(1, 3, requires_grad=True)\n"
    + "opt.zero_grad()\nother.requires_grad_(False)\nother(image).sum().backward()\nopt.step()\n",
    "a path that is cut, which is told": OPT
    + TRAIN
    + "train(net, opt)\nopt.zero_grad()\n"
    + "other(torch.ones(8, 3) * net(x).round().detach()).sum().backward()\nopt.step()\n",
    "an optimizer with a closure": HEAD + "opt = torch.optim.LBFGS(net.parameters())\ndef closure():\n"
    "    opt.zero_grad()\n    loss = (net(x) - y).pow(2).mean()\n    loss.backward()\n    return loss\n"
    "opt.step(closure)\n",
    "a generator and a critic": HEAD + "a, b = (torch.optim.SGD(m.parameters(), lr=0.1) for m in (net, other))\n"
    "for _ in range(2):\n    a.zero_grad()\n    net(x).sum().backward()\n    a.step()\n    b.zero_grad()\n"
    "    (other(x) - net(x).detach()).pow(2).mean().backward()\n    b.step()\n",
    "a batch that is skipped": OPT + "for i in range(3):\n    opt.zero_grad()\n    if i:\n"
    "        (net(x) - y).pow(2).mean().backward()\n    opt.step()\n",
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("wrapped", [False, True])
def test_it_is_told_of_the_step(name: str, *, wrapped: bool) -> None:
    """Once, at the line of the step, whether on the top level or in a function."""
    line, code = WRONG[name]
    if wrapped:
        code = "def main():\n" + "".join(f"    {one}\n" for one in code.splitlines()) + "main()\n"

    found = [one for one in record_text(code).report.findings if one.kind in {"not-optimized", "rebound-leaf"}]

    assert [one.kind for one in found] == ["not-optimized"]
    assert line + wrapped in [place.position.line for place in found[0].culprits]
    assert found[0].how == "idle"


@pytest.mark.parametrize("name", SOUND)
def test_sound_programs_are_quiet(name: str) -> None:
    """Nothing is said of those whose gradients somebody applies, reads or never wanted."""
    report = record_text(SOUND[name]).report

    assert [one.kind for one in report.findings if one.severity != "info" and one.kind != "graph-detached"] == []


def test_an_optimizer_of_an_earlier_cell_is_told_of() -> None:
    """A notebook trains another model with the optimizer of the cell before; the cell that made it is sound."""
    step = "opt.zero_grad()\n{0}(x).sum().backward()\nopt.step()"
    runs = play(OPT + step.format("net"), "third = nn.Linear(3, 1)\n" + step.format("third"), step.format("net"))

    assert [[kind for kind, _, _ in run.told()] for run in runs[:2]] == [[], ["not-optimized"]]
    assert [one.kind for one in runs[2].report.findings if one.severity != "info"] == []


def test_a_model_of_a_later_cell_took_no_ones_place() -> None:
    """An earlier cell's optimizer goes on with its own model, which is there; the new one is not trained yet."""
    first = OPT + "net(x).sum().backward()\nopt.step()"

    assert play(first, "third = nn.Linear(3, 1)\nthird(x).sum().backward()")[1].told() == []
    local = HEAD + TRAIN + "model = nn.Linear(3, 1)\ntrain(model, torch.optim.SGD(model.parameters(), lr=0.1))"
    assert play(local, "model = nn.Linear(3, 1)\nmodel(x).sum().backward()")[1].told() == []


def test_a_model_that_took_another_s_place_is_told_where_its_optimizer_steps() -> None:
    """In the cell whose step goes to the old one."""
    step = "for _ in range(2):\n    opt.zero_grad(); net(x).sum().backward(); opt.step()"
    runs = play(OPT + step, "net = nn.Linear(3, 1)", step)

    assert [[kind for kind, _, _ in run.told()] for run in runs] == [[], [], ["rebound-leaf"]]
