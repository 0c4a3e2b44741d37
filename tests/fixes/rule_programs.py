"""Random programs for one rule each, with the program that one would have meant.

Values stay positive, and no derivative is zero, so that a part of a gradient that is missing shows.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

HEAD = """\
torch.manual_seed(0)
x, w = (torch.rand(3).add(0.2).requires_grad_() for _ in range(2))
opt = torch.optim.SGD([x, w], lr=0.1)
c = torch.arange(1.0, 4.0)
"""
_ONE = ("({a}).exp()", "torch.tanh({a})", "({a}) * 1.5", "({a}) + c", "({a}).sigmoid() + 0.1", "c / (1 + ({a}))")
_TWO = ("({a}) * ({b})", "({a}) + ({b})", "({a}) / (1 + ({b}))")
STYLES: tuple[Callable[[str], str], ...] = (
    lambda body: body,
    lambda body: "def main():\n" + textwrap.indent(body, "    ") + "    return locals()\nglobals().update(main())\n",
    lambda body: "for _ in range(1):\n" + textwrap.indent(body, "    "),
)


@dataclass(frozen=True)
class Made:
    """A faulty program, and the one that was meant; `differs` are the names whose values need not be the same."""

    text: str
    meant: str
    differs: frozenset[str] = frozenset()


@st.composite
def expression(draw: Any, leaf: str) -> str:
    """An expression of three positive elements, with a path to a leaf."""
    text = leaf
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            text = draw(st.sampled_from(_ONE)).format(a=text)
        else:
            text = draw(st.sampled_from(_TWO)).format(a=text, b=draw(st.sampled_from((leaf, "c"))))
    return text


@st.composite
def _made(draw: Any, faulty: str, meant: str, differs: frozenset[str] = frozenset()) -> Made:
    style = draw(st.sampled_from(STYLES))
    parts = {name: draw(expression(name[0])) for name in ("x1", "x2", "w1", "w2")}
    return Made(HEAD + style(faulty.format(**parts)), HEAD + style(meant.format(**parts)), differs)


def _lines(*lines: str) -> str:
    return "\n".join([*lines, ""])


@st.composite
def several(draw: Any) -> Made:
    """A backward that is begun at several elements."""
    root = draw(st.sampled_from(("loss", "(loss * 2)", "loss.tanh()")))
    after = draw(st.sampled_from(("", "kept = loss.detach()")))
    body = ("loss = {x1}", "{root}.backward()", "{after}")
    mean = ("loss = {x1}", *(("loss = loss.mean()",) if after and root == "loss" else ()))
    begun = f"{root}.backward()" if after and root == "loss" else f"({root}).mean().backward()"
    return draw(
        _made(
            _lines(*body).replace("{root}", root).replace("{after}", after),
            _lines(*mean, begun, after),
            frozenset({"loss", "kept"}),
        )
    )


@st.composite
def infinite(draw: Any) -> Made:
    """A derivative that is infinite at an argument of zero."""
    zero = draw(st.sampled_from(("({x1}) * torch.tensor([1.0, 0.0, 1.0])", "torch.relu(({x1}) - 50)")))
    call, least = draw(
        st.sampled_from(
            (
                ("(z.sqrt() * c).sum()", "(z.clamp_min(1e-12).sqrt() * c).sum()"),
                ("(torch.sqrt(z) * c).sum()", "(torch.sqrt(z.clamp_min(1e-12)) * c).sum()"),
                ("(z * torch.log(z)).nansum()", "(z * torch.log(z.clamp_min(1e-8))).nansum()"),
                ("(z * torch.log(input=z)).nansum()", "(z * torch.log(input=z.clamp_min(1e-8))).nansum()"),
                ("(z * z.log2()).nansum()", "(z * z.clamp_min(1e-8).log2()).nansum()"),
            )
        )
    )
    body = ("z = " + zero, "loss = {}", "loss.backward()", "opt.step()")
    return draw(_made(*(_lines(*body).replace("{}", one) for one in (call, least)), frozenset({"loss"})))


@st.composite
def flat(draw: Any) -> Made:
    """A rounding, whose derivative is zero."""
    name = draw(st.sampled_from(("round", "floor", "ceil", "trunc")))
    form = draw(st.sampled_from(("torch.{0}({1})", "({1}).{0}()", "torch.{0}({1} * 4) / 4", "({1}).{0}().mul(2)")))
    inner = "({x1})" if "* 4" in form else "{x1}"
    call = form.format(name, inner)
    through = {
        "torch.{0}({1})": "(E + (torch.{0}(E) - E).detach())",
        "({1}).{0}()": "(E + (torch.{0}(E) - E).detach())",
        "torch.{0}({1} * 4) / 4": "(E * 4 + (torch.{0}(E * 4) - E * 4).detach()) / 4",
        "({1}).{0}().mul(2)": "(E + (torch.{0}(E) - E).detach()).mul(2)",
    }[form]
    body = ("q = {}", "loss = (q * c).pow(2).sum()", "loss.backward()", "opt.step()")
    meant = through.replace("{0}", name).replace("E", "({x1})")
    return draw(_made(*(_lines(*body).replace("{}", one) for one in (call, meant))))


@st.composite
def numbers(draw: Any) -> Made:
    """Numbers that are read of tensors, one or two, and multiplied into a loss."""
    read = draw(st.sampled_from((".item()", "float")))
    number = (lambda text: f"({text}).sum().item()") if read == ".item()" else (lambda text: f"float(({text}).sum())")
    count = draw(st.integers(1, 2))
    uses = " * ".join("ab"[:count])
    faulty = [f"{name} = {number('{' + part + '}')}" for name, part in zip("ab", ("w1", "w2"), strict=True)][:count]
    meant = [f"{name} = ({{{part}}}).sum()" for name, part in zip("ab", ("w1", "w2"), strict=True)][:count]
    rest = (f"loss = (({{x1}}) * {uses}).sum()", "loss.backward()", "opt.step()")
    return draw(_made(_lines(*faulty, *rest), _lines(*meant, *rest), frozenset("ab")))


@st.composite
def unrecorded(draw: Any) -> Made:
    """A part of the forward under `no_grad`, in one line or two."""
    more = ("    h = h * 2",) if draw(st.booleans()) else ()
    rest = ("loss = (h * ({x1})).sum()", "loss.backward()", "opt.step()")
    faulty = ("with torch.no_grad():", "    h = {w1}", *more)
    return draw(_made(_lines(*faulty, *rest), _lines("if True:", *faulty[1:], *rest)))


@st.composite
def cut_out(draw: Any) -> Made:
    """A path that is cut once."""
    cut = draw(st.sampled_from((".detach()", ".data", ".detach().clone()")))
    rest = ("loss = (h * ({x1})).sum()", "loss.backward()", "opt.step()")
    return draw(_made(_lines("h = ({w1})" + cut, *rest), _lines("h = ({w1})", *rest)))


@st.composite
def shared(draw: Any) -> Made:
    """Two losses over one part of a graph."""
    second = draw(st.sampled_from(("(h * 3)", "h.exp()", "(h * ({w1}))")))
    body = ("h = ({x1}).tanh()", "one, two = h.pow(2).sum(), {}.pow(2).sum()", "one.backward({})", "two.backward()")
    faulty = _lines(*body).replace("{}", second, 1).replace("{}", "")
    return draw(_made(faulty, _lines(*body).replace("{}", second, 1).replace("{}", "retain_graph=True")))


@st.composite
def updated(draw: Any) -> Made:
    """An update of a leaf."""
    step = draw(st.sampled_from(("w -= 0.1 * w.grad", "w.sub_(w.grad, alpha=0.1)", "w.clamp_(max=0.5)", "w.mul_(0.9)")))
    rest = ("loss = (({w1}) * ({x1})).sum()", "loss.backward()")
    again = ("w.grad = None", *rest) if draw(st.booleans()) else ()
    meant = _lines(*rest, "with torch.no_grad():", f"    {step}", *again)
    return draw(_made(_lines(*rest, step, *again), meant))


@st.composite
def early(draw: Any) -> Made:
    """Gradients that are clipped before they are there."""
    clip = draw(st.sampled_from(("clip_grad_norm_([x, w], 0.5)", "clip_grad_value_([x, w], 0.1)")))
    body = ("loss = (({w1}) * ({x1})).sum()", "opt.zero_grad()")
    order = (f"nn.utils.{clip}", "loss.backward()")
    return draw(_made(_lines(*body, *order, "opt.step()"), _lines(*body, *order[::-1], "opt.step()")))


@st.composite
def rows(draw: Any) -> Made:
    """A write into a copy of some rows."""
    name, given = draw(st.sampled_from((("add", "1.0"), ("mul", "0.5"), ("sub", "p[i].mean()"), ("clamp", "0.3"))))
    index = draw(st.sampled_from(("[0, 2]", "torch.tensor([2, 0])", "torch.tensor([True, False, True])")))
    body = ("p, i = torch.rand(3, 3), {i}", "{}", "loss = (p * ({x1})).sum()", "loss.backward()")
    return draw(
        _made(
            *(
                _lines(*body).replace("{i}", index).replace("{}", one)
                for one in (f"p[i].{name}_({given})", f"p[i] = p[i].{name}({given})")
            )
        )
    )


@st.composite
def repeated(draw: Any) -> Made:
    """An update at repeated indices."""
    body = ("k, i = torch.zeros(3), torch.tensor([0, 1, 1])", "{}", "loss = (k * ({x1})).sum()", "loss.backward()")
    value, added = draw(st.sampled_from((("1", "torch.ones(3)"), ("c", "c"))))
    meant = f"k.index_add_(0, i, {added})"
    return draw(_made(*(_lines(*body).replace("{}", one) for one in (f"k[i] += {value}", meant))))


@st.composite
def strided(draw: Any) -> Made:
    """A view that the strides do not allow."""
    made = draw(st.sampled_from(("m.t()", "m.transpose(0, 1)", "m.expand(2, 3, 3).transpose(0, 2)")))
    body = ("m = ({x1}).view(3, 1) * c", f"y = {made}.{{}}(-1)", "loss = (y * y).sum()", "loss.backward()")
    return draw(_made(*(_lines(*body).replace("{}", one) for one in ("view", "reshape"))))


RULES = {
    one.__name__: one()
    for one in (several, infinite, flat, numbers, unrecorded, cut_out, shared, updated, early, rows, repeated, strided)
}
