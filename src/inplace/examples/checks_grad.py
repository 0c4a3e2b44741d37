"""Checks of what is said about leaves and gradients."""

from __future__ import annotations

import warnings

import torch

from inplace.examples.evidence import LEAF, MODIFIED, Evidence, backward, error_of, judged, leaf, told


def _leaf_write(call: str = "add_", *others: float) -> Evidence:
    """Whether a write to a leaf raises the leaf error and leaves it alone."""
    x = leaf(1.0, 2.0, 3.0)
    error = error_of(lambda: getattr(x, call)(torch.tensor(others) if others else 5))
    return judged(LEAF in error and x.tolist() == [1.0, 2.0, 3.0], f"{call} {told(error)}; x is {x.tolist()}")


def _node(result: torch.Tensor, expected: list[float]) -> Evidence:
    """Whether a result has these values and came from an addition."""
    name = "no node" if result.grad_fn is None else result.grad_fn.name()
    return judged(result.tolist() == expected and name == "AddBackward0", f"{result.tolist()}, {name}")


def _rebound(factor: float, term: float) -> Evidence:
    """Whether the gradient is found under a name that was given to the result."""
    x = first = leaf(1.0, 2.0, 3.0)
    x = first * factor if factor != 1 else first + term
    backward(x)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        grad = x.grad
    warned = "a" if caught else "no"
    there = "nothing" if first.grad is None else first.grad.tolist()
    text = f"x.is_leaf: {x.is_leaf}; x.grad is {grad}, with {warned} warning; the leaf got {there}"
    return judged(grad is not None, text)


class _Writes(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight.add_(x)


class _Replaces(_Writes):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.weight = self.weight + x  # type: ignore[assignment]
        return self.weight


def _e11() -> Evidence:
    return _leaf_write()


def _e12() -> Evidence:
    return _node(leaf(1.0, 2.0, 3.0).add(10), [11.0, 12.0, 13.0])


def _e13() -> Evidence:
    x, z, w = leaf(0.0, 1.0), leaf(0.0, 1.0), leaf(1.0, 1.0)
    y, counted, unrecorded = x.exp(), z.exp(), w * 3
    right = y.tolist()
    counted.mul_(100)
    seen = error_of(lambda: backward(counted))
    unrecorded.detach().mul_(2)
    passed = error_of(lambda: backward(unrecorded))
    of_old = not passed and w.grad is not None and w.grad.tolist() == [3.0, 3.0]
    y.data.mul_(100)
    unseen = error_of(lambda: backward(y))
    silent = not unseen and x.grad is not None and x.grad.tolist() != right
    text = (
        f"counted and recorded: backward {told(seen)}; counted only (detach): {told(passed)}, gradient of the old "
        f"value: {of_old}; not counted (data): {told(unseen)}, gradient wrong: {silent}"
    )
    return judged(not seen, text, "imprecise" if silent and of_old else "wrong")


def _e14() -> Evidence:
    grads = []
    for name in ("relu", "relu_"):
        layer, x = torch.nn.Linear(3, 3), torch.ones(2, 3)
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        error = error_of(lambda: backward(getattr(layer(x), name)()))  # noqa: B023
        grads.append(None if layer.weight.grad is None else layer.weight.grad.tolist())
    harmless = not error and grads[0] == grads[1] is not None
    y = leaf(1.0).exp().add_(1)
    harm = error_of(lambda: backward(y))
    text = f"relu_ after linear {told(error)}, same gradient: {harmless}; add_ after exp: backward {told(harm)}"
    return judged(not harmless, text, "imprecise" if harm else "wrong")


def _e17() -> Evidence:
    w = leaf(1.0, 1.0, 1.0)
    optimizer = torch.optim.SGD([w], lr=0.1)
    backward(w * 2)
    first = w.grad
    optimizer.zero_grad()
    kept = w.grad is not None and w.grad is first
    backward(w * 2)
    second = w.grad
    optimizer.zero_grad(set_to_none=False)
    text = f"zero_grad() keeps the gradient: {kept}; with set_to_none=False: {w.grad is not None and w.grad is second}"
    return judged(kept, text)


def _e18() -> Evidence:
    p = torch.nn.Parameter(torch.zeros(3))
    p.data.fill_(0.5)
    works, unseen = p.tolist() == [0.5, 0.5, 0.5], p._version
    with torch.no_grad():
        p.fill_(0.5)
    text = f"p is {p.tolist()}; its version is {unseen} after data.fill_, {p._version} after fill_ under no_grad"
    return judged(works and unseen > 0, text, "imprecise" if works else "wrong")


def _e20() -> Evidence:
    return _node(leaf(1.0, 2.0, 3.0) + 5, [6.0, 7.0, 8.0])


def _e22() -> Evidence:
    x = leaf(1.0, 2.0)
    loss = (x * 2).sum()
    write = error_of(lambda: x.add_(10))
    after = error_of(lambda: backward(loss))
    return judged(not write and bool(after), f"add_ {told(write)}; backward {told(after)}")


def _e23() -> Evidence:
    x = leaf(1.0, 2.0)
    backward(x * 3)
    error = error_of(lambda: x.add_(100))
    with torch.no_grad():
        after = error_of(lambda: x.add_(100))
    return judged(not error, f"add_ {told(error)}; under no_grad it {told(after)}, x is {x.tolist()}")


def _e24() -> Evidence:
    x = leaf(1.0, 2.0)
    backward(x * 3)
    grad = None if x.grad is None else x.grad.tolist()
    return judged(grad == [3.0, 3.0], f"the gradient is {grad}")


def _e25() -> Evidence:
    found = []
    for before in (torch.nn.Linear(1, 1), torch.sigmoid, torch.tanh, torch.exp):
        hidden = error_of(lambda: backward(before(leaf(1.0)).relu_()))  # noqa: B023
        found.append(hidden)
    first = error_of(lambda: torch.nn.functional.relu(leaf(1.0), inplace=True))
    text = (
        f"relu_ after linear: backward {told(found[0])}; after sigmoid, tanh and exp: {told(found[1])}; "
        f"on an input that is a leaf the call {told(first)}"
    )
    if all(LEAF in error for error in found):
        return Evidence("right", text)
    return Evidence("imprecise" if LEAF in first else "wrong", text)


def _e26() -> Evidence:
    x = leaf(1.0, 2.0)
    write = error_of(lambda: x.add_(1))
    y = x.exp()
    y.add_(1)
    after = error_of(lambda: backward(y))
    return judged(LEAF in write and MODIFIED in after, f"add_ on a leaf {told(write)}; backward {told(after)}")


def _e28() -> Evidence:
    x = leaf(1.0, 2.0, 3.0)
    ordinary, write = error_of(lambda: x.add(5)), error_of(lambda: x.add_(5))
    return judged(not ordinary and LEAF in write, f"add {told(ordinary)}; add_ {told(write)}")


def _e31() -> Evidence:
    return _leaf_write("add_", 4.0, 5.0, 6.0)


def _e32() -> Evidence:
    return _rebound(1, 4)


def _e33() -> Evidence:
    return _rebound(2, 0)


def _e34() -> Evidence:
    error = error_of(lambda: _Writes()(torch.ones(3)))
    return judged(LEAF in error, f"forward {told(error)}")


def _e35() -> Evidence:
    error = error_of(lambda: _Replaces()(torch.ones(3)))
    return judged(not error, f"forward {told(error)}")


def _e37() -> Evidence:
    x = leaf(1.0, 2.0)
    backward(x * 3)
    grad = None if x.grad is None else x.grad.tolist()
    rebound = _rebound(3, 0)
    lost = rebound.verdict == "wrong"
    text = f"with a new name the gradient is {grad}; with the old one: {rebound.text}"
    return judged(grad == [3.0, 3.0] and not lost, text, "imprecise" if grad == [3.0, 3.0] else "wrong")


GRADIENTS = {
    "E11": _e11,
    "E12": _e12,
    "E13": _e13,
    "E14": _e14,
    "E17": _e17,
    "E18": _e18,
    "E20": _e20,
    "E22": _e22,
    "E23": _e23,
    "E24": _e24,
    "E25": _e25,
    "E26": _e26,
    "E28": _e28,
    "E31": _e31,
    "E32": _e32,
    "E33": _e33,
    "E34": _e34,
    "E35": _e35,
    "E37": _e37,
}
