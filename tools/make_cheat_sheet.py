"""Write what each common function keeps for backward, `docs/cheat-sheet.md`: `python tools/make_cheat_sheet.py`.

Nothing is looked up: each call is made, its node is asked what it has kept, and a write to its result and to its input
is tried, and judged by a run in which everything kept is a copy.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812  # as everybody calls it

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cheat-sheet.md"
HEAD = """# What is kept for backward

One page to look at before you write in place.
Made by `python tools/make_cheat_sheet.py` from PyTorch {version} itself.
Each call was made, its node was asked what it has kept, and a write to its result and to its input was tried.
Your version may keep something else: run the tool to see.

- **keeps**: what the call keeps of its *input* and its *result*; `indices` and other tensors of its own besides.
- **write to the result**, **to the input**: whether the gradient is right after such a write, or `backward()` raises.
  The input is a result itself here: a leaf that requires grad can't be written at all.

| call | keeps | write to the result | write to the input |
| --- | --- | --- | --- |
"""

CALLS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "x + 1": lambda x: x + 1,
    "x - y": lambda x: x - _other(x),
    "x * 3": lambda x: x * 3,
    "x * y": lambda x: x * _other(x),
    "x / 3": lambda x: x / 3,
    "x / y": lambda x: x / _other(x),
    "-x": lambda x: -x,
    "x.abs()": lambda x: x.abs(),
    "x ** 2": lambda x: x**2,
    "x.sqrt()": lambda x: x.sqrt(),
    "x.exp()": lambda x: x.exp(),
    "x.log()": lambda x: x.log(),
    "x.sin()": lambda x: x.sin(),
    "x.clamp(min=0.5)": lambda x: x.clamp(min=0.5),
    "x.sigmoid()": lambda x: x.sigmoid(),
    "x.tanh()": lambda x: x.tanh(),
    "x.relu()": lambda x: x.relu(),
    "F.leaky_relu(x)": F.leaky_relu,
    "F.elu(x)": F.elu,
    "F.gelu(x)": F.gelu,
    "F.silu(x)": F.silu,
    "F.softplus(x)": F.softplus,
    "x.softmax(-1)": lambda x: x.softmax(-1),
    "x.log_softmax(-1)": lambda x: x.log_softmax(-1),
    "F.dropout(x)": F.dropout,
    "x @ w": lambda x: x @ _weight(),
    "F.linear(x, w)": lambda x: F.linear(x, _weight()),
    "F.layer_norm(x, (4,))": lambda x: F.layer_norm(x, (4,)),
    "F.batch_norm(x, …)": lambda x: F.batch_norm(x, torch.zeros(4), torch.ones(4), training=True),
    "F.conv1d(x, w)": lambda x: F.conv1d(x[None], torch.ones(4, 4, 1, requires_grad=True)),
    "F.max_pool1d(x, 2)": lambda x: F.max_pool1d(x, 2),
    "x.sum(0)": lambda x: x.sum(0),
    "x.mean(0)": lambda x: x.mean(0),
    "x.var(0)": lambda x: x.var(0),
    "x.norm(dim=0)": lambda x: x.norm(dim=0),
    "x.prod(0)": lambda x: x.prod(0),
    "x.cumsum(0)": lambda x: x.cumsum(0),
    "x.amax(0)": lambda x: x.amax(0),
    "x.sort(0).values": lambda x: x.sort(0).values,
    "x[index]": lambda x: x[torch.tensor([0, 2])],
    "x.gather(0, index)": lambda x: x.gather(0, torch.zeros(1, 4, dtype=torch.long)),
    "torch.where(c, x, y)": lambda x: torch.where(_other(x) > 1, x, _other(x)),
    "torch.cat([x, y])": lambda x: torch.cat([x, _other(x)]),
    "torch.stack([x, y])": lambda x: torch.stack([x, _other(x)]),
    "x.clone()": lambda x: x.clone(),
}


def _other(x: torch.Tensor) -> torch.Tensor:
    """Another operand, without a gradient."""
    return torch.linspace(0.5, 2, x.numel()).reshape(x.shape)


def _weight() -> torch.Tensor:
    return torch.linspace(-1, 1, 16).reshape(4, 4).requires_grad_()


def _leaf() -> torch.Tensor:
    return torch.linspace(0.2, 2.5, 16).reshape(4, 4).requires_grad_()


def kept(call: Callable[[torch.Tensor], torch.Tensor]) -> str:
    """What the nodes of a call keep."""
    x = _leaf() * 1
    result = call(x)
    found: dict[str, None] = {}
    nodes: list[Any] = [result.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is None or node is x.grad_fn:
            continue
        nodes += [following for following, _ in node.next_functions]
        for name in (name for name in dir(node) if name.startswith("_saved_")):
            value = getattr(node, name)
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(one, torch.Tensor):
                    found[_role(one, x, result)] = None
    order = ("input", "result", "indices", "the number", "other tensors")
    return ", ".join(name for name in order if name in found) or "nothing"


def _role(one: torch.Tensor, x: torch.Tensor, result: torch.Tensor) -> str:
    places = {x.untyped_storage().data_ptr(): "input", result.untyped_storage().data_ptr(): "result"}
    role = places.get(one.untyped_storage().data_ptr(), "other tensors")
    if role == "other tensors" and one.dim() == 0:
        return "the number"
    return "indices" if role == "other tensors" and one.dtype == torch.long else role


def written(call: Callable[[torch.Tensor], torch.Tensor], which: str, *, copied: bool = False) -> torch.Tensor | None:
    """The gradient where the result or the input of a call is written behind it; None where backward raises."""
    torch.manual_seed(0)
    leaf = _leaf()
    copies = torch.autograd.graph.saved_tensors_hooks(lambda one: one.clone(), lambda one: one)
    x = leaf * 1
    if copied:
        with copies:
            result = call(x)
    else:
        result = call(x)
    try:
        (result if which == "result" else x).mul_(2)
        (slope,) = torch.autograd.grad(result.sum(), leaf)
    except RuntimeError:
        return None
    return slope


def judged(call: Callable[[torch.Tensor], torch.Tensor], which: str) -> str:
    """What comes of a write, in a word."""
    slope, right = written(call, which), written(call, which, copied=True)
    if slope is None:
        return "raises"
    return "right" if right is not None and torch.equal(slope, right) else "wrong"


def page() -> str:
    """The text of the page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [
            f"| `{name}` | {kept(call)} | {judged(call, 'result')} | {judged(call, 'input')} |"
            for name, call in CALLS.items()
        ]
    return HEAD.format(version=torch.__version__.partition("+")[0]) + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
