"""Checks of the sentences about gradients, views, modes and custom functions."""

from __future__ import annotations

from typing import Any

import torch

from inplace.examples.evidence import MODIFIED, Evidence, backward, error_of, judged, leaf, told


def _carried(steps: int, *, retain: bool) -> str:
    """The error of a loop that carries its state from step to step, and steps the weight."""
    w, state = leaf(1.0), torch.ones(1)
    optimizer = torch.optim.SGD([w], lr=0.1)
    for _ in range(steps):
        state = (state if retain else state.detach()) * w
        error = error_of(lambda: (state * w).sum().backward(retain_graph=retain))  # type: ignore[no-untyped-call] # noqa: B023
        if error:
            return error
        optimizer.step()
    return ""


def _e51() -> Evidence:
    loss = leaf(1.0).square()
    backward(loss)
    again = error_of(lambda: backward(loss))
    retained, detached = _carried(3, retain=True), _carried(3, retain=False)
    text = (
        f"backward again {told(again)}; a carried state with retain_graph {told(retained)}, detached {told(detached)}"
    )
    return judged(not retained, text, "imprecise" if MODIFIED in retained and not detached else "wrong")


def _e52() -> Evidence:
    x = leaf(1.0, 2.0)
    error = error_of(lambda: torch.autograd.backward(x * 2))
    given = error_of(lambda: torch.autograd.backward(x * 2, torch.ones(2)))
    return judged(not error, f"backward of two elements {told(error)}; with a gradient for each it {told(given)}")


def _e53() -> Evidence:
    layer = torch.nn.Linear(2, 1)
    loss = layer(torch.ones(1, 2)).sum()
    again = torch.tensor(loss.item(), requires_grad=True)
    error = error_of(lambda: backward(again))
    arrived = layer.weight.grad is not None
    return judged(arrived, f"backward {told(error)}; the layer got a gradient: {arrived}")


class _InAList(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(2, 2)
        self.rest = [torch.nn.Linear(2, 2)]


def _e54() -> Evidence:
    net = _InAList()
    found = len(list(net.parameters()))
    return judged(found == 4, f"parameters() finds {found} of the 4 tensors")  # noqa: PLR2004


def _e55() -> Evidence:
    w = leaf(1.0)
    optimizer = torch.optim.SGD([w], lr=0.5)
    backward(w * w)
    optimizer.zero_grad()
    optimizer.step()
    between = w.item()
    backward(w * w)
    optimizer.step()
    return judged(between != 1.0, f"w after a step with zero_grad before it: {between}; without: {w.item()}")


def _e56() -> Evidence:
    x = leaf(0.0, 4.0)
    y = torch.where(x > 0, x.sqrt(), torch.zeros(2))
    backward(y)
    grad = None if x.grad is None else x.grad.tolist()
    finite = x.grad is not None and bool(x.grad.isfinite().all())
    return judged(finite, f"where gives {y.tolist()}, and the gradient is {grad}")


def _e57() -> Evidence:
    bias = torch.nn.Parameter(torch.zeros(2))
    error = error_of(lambda: bias.__setitem__(0, 1))
    with torch.no_grad():
        allowed = error_of(lambda: bias.__setitem__(0, 1))
    return judged(not error, f"bias[0] = 1 {told(error)}; under no_grad it {told(allowed)}")


def _e58() -> Evidence:
    x = leaf(1.0, 2.0) * 1
    first, _ = x.unbind()
    piece = error_of(lambda: first.add_(1))
    single = error_of(lambda: x[0].add_(1))
    return judged(not piece, f"add_ on a piece of unbind {told(piece)}; on x[0] it {told(single)}")


def _e59() -> Evidence:
    x = torch.arange(16).reshape(2, 8)
    right = x.clone()
    right[:, 1:] = x[:, :-1].clone()
    columns = error_of(lambda: x.__setitem__((slice(None), slice(1, None)), x[:, :-1]))
    row = torch.arange(5)
    single = error_of(lambda: row.__setitem__(slice(1, None), row[:-1]))
    same = torch.equal(x, right)
    return judged(
        same, f"for columns it {told(columns)}, and the result is right: {same}; for one row it {told(single)}"
    )


def _e60() -> Evidence:
    m = torch.arange(6).reshape(2, 3)
    view, reshape = error_of(lambda: m.t().view(6)), error_of(lambda: m.t().reshape(6))
    return judged(bool(view) == bool(reshape), f"view of a transpose {told(view)}; reshape {told(reshape)}")


def _e61() -> Evidence:
    w = leaf(1.0)
    with torch.no_grad():
        a = torch.ones(1) * 2
    with torch.inference_mode():
        b = torch.ones(1) * 2
    ordinary, inference = error_of(lambda: w * a), error_of(lambda: w * b)
    text = f"a product with what no_grad made {told(ordinary)}; with what inference_mode made it {told(inference)}"
    return judged(not inference, text, "imprecise" if not ordinary else "wrong")


def _e62() -> Evidence:
    x = leaf(1.0)
    error, detached = error_of(x.numpy), error_of(lambda: x.detach().numpy())
    return judged(not error, f"numpy() {told(error)}; detach().numpy() {told(detached)}")


class _Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, factor: float) -> torch.Tensor:  # type: ignore[override]
        """A product."""
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """One gradient, where two inputs were given."""
        slope: torch.Tensor = grad * ctx.factor
        return slope


def _e63() -> Evidence:
    error = error_of(lambda: backward(_Scale.apply(leaf(1.0), 3)))  # type: ignore[no-untyped-call]
    return judged(not error, f"one gradient for two inputs: backward {told(error)}")


def _e64() -> Evidence:
    ones = error_of(lambda: torch.ones(2, 1) + torch.ones(1, 3))
    others = error_of(lambda: torch.ones(2) + torch.ones(3))
    text = f"shapes (2, 1) and (1, 3): {told(ones)}; (2,) and (3,): {told(others)}"
    return judged(not others, text, "imprecise" if not ones else "wrong")


LESSONS = {
    "E51": _e51,
    "E52": _e52,
    "E53": _e53,
    "E54": _e54,
    "E55": _e55,
    "E56": _e56,
    "E57": _e57,
    "E58": _e58,
    "E59": _e59,
    "E60": _e60,
    "E61": _e61,
    "E62": _e62,
    "E63": _e63,
    "E64": _e64,
}
