"""The ledger of gradients: how each was when a step came, and what had happened to it, on which lines."""

from __future__ import annotations

import pytest

from inplace.reading.gradients.ledger import Ledger, ledger
from inplace.reading.trace.index import Index
from tests.recording import record_text

HEAD = "from torch import nn\ntorch.manual_seed(0)\nx, y = torch.randn(8, 3), torch.randn(8, 1)\n"  # 3 lines
MODEL = HEAD + "model = nn.Linear(3, 1)\nopt = torch.optim.SGD(model.parameters(), lr=0.1)\n"  # 5 lines
LOSS = "(model(x) - y).pow(2).mean()"

# For each parameter the states, column by column, and the marks of the last column as `what line` with the times.
EXPECTED = {
    "a training loop": (
        MODEL + f"for _ in range(5):\n    opt.zero_grad()\n    {LOSS}.backward()\n    opt.step()\n",
        {
            "model.weight": (["used"], "cleared 7, reached 8, used 9"),
            "model.bias": (["used"], "cleared 7, reached 8, used 9"),
        },
    ),
    "accumulated over three": (
        MODEL + f"for _ in range(2):\n    for _ in range(3):\n        {LOSS}.backward()\n    opt.step()\n"
        "    opt.zero_grad()\n",
        {"model.weight": (["used"], "cleared 10, reached 8 x3, used 9"), "model.bias": (["used"], "")},
    ),
    "cleared too early": (
        MODEL + f"for _ in range(3):\n    {LOSS}.backward()\n    model.zero_grad()\n    opt.step()\n",
        {"model.weight": (["lost"], "reached 7, cleared 8, used 9"), "model.bias": (["lost"], "")},
    ),
    "zeroed too early": (
        MODEL + f"{LOSS}.backward()\nopt.zero_grad(set_to_none=False)\nopt.step()\n",
        {"model.weight": (["lost"], "reached 6, cleared 7, used 8"), "model.bias": (["lost"], "")},
    ),
    "one is not used in the loss": (
        MODEL + "for i in range(4):\n    opt.zero_grad()\n"
        "    loss = (x @ model.weight.t()).mean() if i < 2 else model(x).mean()\n    loss.backward()\n    opt.step()\n",
        {
            "model.weight": (["used", "used"], "cleared 7, reached 9, used 10"),
            "model.bias": (["none", "used"], "cleared 7, reached 9, used 10"),
        },
    ),
    "not finite at one step": (
        MODEL + f"for i in range(4):\n    opt.zero_grad()\n    loss = {LOSS} * (float('inf') if i == 1 else 1.0)\n"
        "    loss.backward()\n    if i == 1:\n        opt.param_groups[0]['lr'] = 0.0\n    opt.step()\n"
        "    with torch.no_grad():\n        model.weight.nan_to_num_(0.1)\n        model.bias.nan_to_num_(0.1)\n",
        {
            "model.weight": (["used", "not finite", "used"], "cleared 7, reached 9, used 12"),
            "model.bias": (["used", "not finite", "used"], ""),
        },
    ),
    "zero everywhere": (
        MODEL + "opt.zero_grad()\n(model(x) * 0).sum().backward()\nopt.step()\n",
        {"model.weight": (["zero"], "reached 7, used 8"), "model.bias": (["zero"], "")},
    ),
    "clipped, one of two": (
        MODEL + f"{LOSS}.backward()\nnn.utils.clip_grad_norm_([model.weight], 0.1)\nopt.step()\n",
        {
            "model.weight": (["used"], "reached 6, clipped 7, used 8"),
            "model.bias": (["used"], "reached 6, used 8"),
        },
    ),
    "scaled, and skipped once": (
        MODEL + "scaler = torch.amp.GradScaler('cpu')\nfor i in range(3):\n    opt.zero_grad()\n"
        f"    loss = {LOSS} * (float('inf') if i == 1 else 1.0)\n    scaler.scale(loss).backward()\n"
        "    scaler.unscale_(opt)\n    scaler.step(opt)\n    scaler.update()\n",
        {
            "model.weight": (["used", "skipped", "used"], "cleared 8, scaled 10, unscaled 11, used 12"),
            "model.bias": (["used", "skipped", "used"], ""),
        },
    ),
    "set by hand": (
        MODEL + "for p in model.parameters():\n    p.grad = torch.ones_like(p)\nopt.step()\n",
        {"model.weight": (["used"], "set 7, used 8"), "model.bias": (["used"], "")},
    ),
    "left over": (
        MODEL + f"{LOSS}.backward()\nopt.step()\nopt.step()\n",
        {"model.weight": (["used", "kept"], "used 8"), "model.bias": (["used", "kept"], "")},
    ),
    "another optimizer's": (
        HEAD + "G, D = nn.Linear(3, 3), nn.Linear(3, 1, bias=False)\n"
        "optD = torch.optim.SGD(D.parameters(), lr=0.1)\n"
        "optG = torch.optim.SGD([G.weight], lr=0.1)\nfor _ in range(4):\n    fake = G(x)\n    optD.zero_grad()\n"
        "    (D(fake.detach()) - D(x)).mean().backward()\n    optD.step()\n    optG.zero_grad()\n"
        "    (-D(fake)).mean().backward()\n    optG.step()\n",
        {
            "D.weight": (["used", "reached"], "reached 13"),
            "G.weight": (["", "used"], "cleared 12, reached 13, used 14"),
            "G.bias": (["", "reached"], "reached 13"),
        },
    ),
    "no optimizer": (
        "w = torch.ones(2, requires_grad=True)\nv = torch.ones(2, requires_grad=True)\n(w * 2).sum().backward()\n"
        "print(w.grad, v.grad)\n",
        {"w": (["reached"], "reached 3, read 4"), "v": (["none"], "read 4")},
    ),
    "a closure": (
        HEAD + "model = nn.Linear(3, 1, bias=False)\nopt = torch.optim.LBFGS(model.parameters(), max_iter=3)\n"
        f"def closure():\n    opt.zero_grad()\n    loss = {LOSS}\n    loss.backward()\n    return loss\n"
        "opt.step(closure)\nopt.step(closure)\n",
        {"model.weight": (["used", "used"], "used 12")},
    ),
}


def _told(found: Ledger) -> dict[str, tuple[list[str], str]]:
    return {
        name: (
            [cell.state for cell in row.cells],
            ", ".join(
                f"{mark.what} {mark.place.position.line if mark.place else ''}{f' x{mark.times}' * (mark.times > 1)}"
                for mark in row.cells[-1].marks
            ),
        )
        for row in found.rows
        for name in row.names
    }


def _of(text: str) -> Ledger:
    return ledger(Index(record_text("print = lambda *_: None\n" + text).trace))


def _moved(marks: str) -> str:
    """The marks with each line one further down."""
    return ", ".join(
        " ".join([what, str(int(line) + 1), *times]) for what, line, *times in map(str.split, marks.split(", "))
    )


@pytest.mark.filterwarnings("ignore:Converting a tensor")  # of LBFGS itself
@pytest.mark.parametrize("name", EXPECTED)
def test_each_step_is_told(name: str) -> None:
    """How each gradient was when the step came, and the lines before."""
    text, expected = EXPECTED[name]

    found = _told(_of(text))

    assert found.keys() == expected.keys()
    for parameter, (states, marks) in expected.items():
        assert found[parameter][0] == states
        assert not marks or found[parameter][1] == _moved(marks)


def test_alike_steps_are_one_column() -> None:
    """A thousand steps that do the same are one column; the one that does not is one of its own."""
    found = _of(
        MODEL + f"for i in range(1000):\n    opt.zero_grad()\n    {LOSS}.backward()\n    if i == 500:\n"
        "        opt.zero_grad()\n    opt.step()\n"
    )

    assert [(column.first, column.times) for column in found.columns] == [(1, 500), (501, 1), (502, 499)]


def test_columns_are_bounded() -> None:
    """Steps that are never alike are shown from both ends."""
    found = _of(
        MODEL + f"for i in range(100):\n    opt.zero_grad()\n    {LOSS}.backward()\n    if i % 2:\n"
        "        opt.zero_grad()\n    opt.step()\n"
    )

    assert (len(found.columns), found.hidden_columns) == (24, 76)
    assert (found.columns[0].first, found.columns[-1].first) == (1, 100)


def test_parameters_of_large_models_share_a_row() -> None:
    """Parameters to which the same happened are one row, where there are many."""
    found = _of(
        HEAD + "model = nn.Sequential(*[nn.Linear(3, 3) for _ in range(20)])\nspare = nn.Linear(3, 3)\n"
        "opt = torch.optim.SGD([*model.parameters(), *spare.parameters()], lr=0.1)\n"
        "for _ in range(3):\n    opt.zero_grad()\n    model(x).mean().backward()\n    opt.step()\n"
    )

    assert [len(row.tensors) for row in found.rows] == [40, 2]
    assert [row.cells[0].state for row in found.rows] == ["used", "none"]


def test_a_program_without_gradients_has_none() -> None:
    """Where nothing went backward there is nothing to tell."""
    assert _of("h = torch.ones(3)\nh.add_(1)\n") == Ledger((), ())


def test_parameters_in_a_function_are_told_by_their_optimizer() -> None:
    """Where no name reaches a parameter, its place in its optimizer tells which it is."""
    body = MODEL + f"{LOSS}.backward()\nopt.step()\n"
    found = _of("def main():\n" + "".join(f"    {line}\n" for line in body.splitlines()) + "main()\n")

    assert [row.names for row in found.rows] == [("SGD parameter 0",), ("SGD parameter 1",)]
