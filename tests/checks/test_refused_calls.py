"""Calls that PyTorch refuses for what they were given: their kinds, and sound twins of which nothing is said."""

from __future__ import annotations

import numpy as np
import pytest

from inplace.checks.finding import Finding
from tests.recording import record_text

REFUSED = {
    "non-scalar-loss: a vector": ("w = torch.ones(3, requires_grad=True)\nloss = w * 2\nloss.backward()", [3]),
    "non-scalar-loss: by torch.autograd.backward": (
        "w = torch.ones(3, requires_grad=True)\ntorch.autograd.backward([w.sum(), w * 2])",
        [2],
    ),
    "non-scalar-loss: by torch.autograd.grad": (
        "w = torch.ones(3, requires_grad=True)\nout = w * 2\ntorch.autograd.grad(out, w)",
        [3],
    ),
    "non-scalar-loss: in a function": (
        "def step(w):\n    loss = w.exp()\n    loss.backward()\nstep(torch.ones(2, 2, requires_grad=True))",
        [3, 4],
    ),
    "non-scalar-loss: with inputs": (
        "w = torch.ones(3, requires_grad=True)\nloss = w * 2\nloss.backward(inputs=[w])",
        [3],
    ),
    "export-refused: numpy()": ("w = torch.ones(3, requires_grad=True)\nh = w * 2\nh.numpy()", [2]),
    "export-refused: of a leaf": ("w = torch.ones(3, requires_grad=True)\nw.numpy()", [2]),
    "export-refused: a function of numpy's": ("w = torch.ones(3, requires_grad=True)\nh = w.exp()\nnp.log(h)", [2]),
    "export-refused: dlpack": (
        "w = torch.ones(3, requires_grad=True)\nh = w * 2\ntorch.utils.dlpack.from_dlpack(h)",
        [2],
    ),
    "graph-detached: deepcopy": (
        "import copy\nw = torch.ones(3, requires_grad=True)\nh = w * 2\ncopy.deepcopy({'h': h})",
        [3],
    ),
    **{
        f"graph-detached: retain_grad of {style}": (
            f"class Net:\n    def run(net, store):\n        net.x = torch.ones(3)\n        {name} = net.x * 2\n"
            f"        {name}.retain_grad()\nNet().run({{}})",
            [3],
        )
        for style, name in {"an attribute": "net.h", "an item": "store['h']", "a variable": "h"}.items()
    },
    **{
        f"graph-detached: a view made under no_grad, {style}": (
            f"class Net:\n    def run(self, store):\n        h = torch.ones(3, requires_grad=True) * 2\n"
            f"        with torch.no_grad():\n            {name} = h[1:]\n        h += 1\n        {name}.grad_fn\n"
            "Net().run({})",
            [6],
        )
        for style, name in {"an attribute": "self.view", "an item": "store['view']", "a variable": "view"}.items()
    },
    "result-does-not-fit: a larger shape": ("acc = torch.zeros(3)\nacc += torch.ones(2, 3)", [2]),
    "result-does-not-fit: no common shape": ("acc = torch.zeros(3)\nacc.add_(torch.ones(4))", [2]),
    "result-does-not-fit: integers divided": ("n = torch.tensor([3, 5])\nn /= n.sum()", [2]),
    "result-does-not-fit: floats into integers": ("n = torch.tensor([3, 5])\nn.mul_(torch.tensor(0.5))", [2]),
    "result-does-not-fit: complex into floats": ("x = torch.ones(2)\nx.add_(torch.ones(2, dtype=torch.cfloat))", [2]),
    "result-does-not-fit: a slice": ("out = torch.zeros(2, 3)\nout[:, 1:] = torch.ones(2, 3)", [2]),
    "result-does-not-fit: a mask": ("x = torch.ones(4)\nx[x > 2] = torch.ones(3)", [2]),
    "result-does-not-fit: an index of another dtype": (
        "x = torch.zeros(4)\nx[torch.tensor([0, 1])] = torch.ones(2, dtype=torch.float64)",
        [2],
    ),
    "result-does-not-fit: scattered": (
        "x = torch.zeros(4)\nx.index_add_(0, torch.tensor([0]), torch.ones(1, dtype=torch.float64))",
        [2],
    ),
    "result-does-not-fit: copied": ("x = torch.zeros(2)\nx.copy_(torch.ones(3))", [2]),
}
SOUND = {
    "one number": "w = torch.ones(3, requires_grad=True)\n(w * 2).sum().backward()",
    "one element": "w = torch.ones(1, requires_grad=True)\n(w * 2).backward()",
    "with a gradient": "w = torch.ones(3, requires_grad=True)\n(w * 2).backward(torch.ones(3))",
    "with a gradient by name": "w = torch.ones(3, requires_grad=True)\n(w * 2).backward(gradient=torch.ones(3))",
    "grad of several": "w = torch.ones(3, requires_grad=True)\ntorch.autograd.grad(w * 2, w, torch.ones(3))",
    "detached": "w = torch.ones(3, requires_grad=True)\n(w * 2).detach().numpy()",
    "no gradient": "np.log(torch.ones(3))",
    "a leaf copied": "import copy\ncopy.deepcopy(torch.ones(3, requires_grad=True))",
    "expanded": "acc = torch.zeros(2, 3)\nacc += torch.ones(3)\nacc.add_(torch.ones(1, 1))",
    "a smaller kind of number": "x = torch.zeros(3)\nx += torch.ones(3, dtype=torch.int64)\nx /= torch.tensor(2)",
    "cast by copy_": "n = torch.zeros(3, dtype=torch.int64)\nn.copy_(torch.ones(3))",
    "a slice of its size": "out = torch.zeros(2, 3)\nout[:, 1:] = torch.ones(2, 2)\nout[0] = torch.ones(1, 3)",
    "caught, and done otherwise": "n = torch.tensor([3, 5])\nn = n / n.sum()",
    "another reason": "x = torch.ones(3)\nx.index_fill_(0, torch.tensor([7]), 1.0)",
}


def loud(text: str) -> list[Finding]:
    """What is wrong with a piece of code."""
    report = record_text(text, np=np).report
    return [finding for finding in report.findings if finding.severity != "info"]


@pytest.mark.parametrize("name", REFUSED)
def test_the_refused_call_is_told(name: str) -> None:
    """The one error has the kind and the line."""
    text, lines = REFUSED[name]

    (finding,) = loud(text)

    assert finding.kind == name.partition(":")[0]
    assert finding.severity == "error"
    assert finding.culprits[0].position.line in lines


@pytest.mark.parametrize("name", SOUND)
def test_of_what_pytorch_accepts_nothing_is_said(name: str) -> None:
    """No alarm on a twin that runs, nor on a refusal for another reason."""
    assert loud(SOUND[name]) == []
