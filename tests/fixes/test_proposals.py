"""Rewrites change exactly what they must, in an order of likelihood, and not where a change would lose a write."""

from __future__ import annotations

import ast

import pytest

from inplace.checks.finding import Rewrite
from inplace.fixes.candidate import Look
from inplace.fixes.diagnose import analyze
from inplace.fixes.editing import applied, difference
from inplace.fixes.proposals import proposals
from inplace.reading.trace.index import Index
from inplace.render.picture.diagram import diagram
from tests.recording import record_text

LEAVES = "x = torch.rand(3, requires_grad=True)\nw = torch.rand(3, requires_grad=True)\n"
END = "\nh.sum().backward()"


def proposed(text: str) -> list[tuple[str, str]]:
    """What is proposed for the first finding: (old, new), the likeliest first."""
    recorded = record_text(LEAVES + text)
    found = proposals(Look(Index(recorded.trace)), recorded.report.findings[0])
    return [(one.rewrite.old, one.rewrite.new) for one in found]


def shown(text: str) -> tuple[str, str] | None:
    """The change that is shown for the first finding, since it fits the recording."""
    rewrite = record_text(LEAVES + text).report.findings[0].rewrite
    return None if rewrite is None else (rewrite.old, rewrite.new)


FIRST = {
    "method": ("h = torch.exp(x)\nh.add_(1)  # why" + END, "h.add_(1)  # why", "h = h.add(1)  # why"),
    "chain": ("h = torch.exp(x)\nh.add_(1).mul_(2)" + END, "h.add_(1).mul_(2)", "h = h.add(1).mul(2)"),
    "value": ("h = torch.exp(x)\nk = h.add_(1)\nk.sum().backward()", "k = h.add_(1)", "k = h.add(1)"),
    "function": ("h = torch.exp(x)\ntorch.sigmoid_(h)" + END, "torch.sigmoid_(h)", "h = torch.sigmoid(h)"),
    "out": (
        "h = torch.exp(x)\ny = h.detach()\ntorch.add(y, 1, out=y)" + END,
        "torch.add(y, 1, out=y)",
        "y = torch.add(y, 1)",
    ),
    "flag": (
        "h = torch.sigmoid(x)\nh = nn.functional.relu(h, inplace=True)" + END,
        "h = nn.functional.relu(h, inplace=True)",
        "h = nn.functional.relu(h, inplace=False)",
    ),
    "flag by position": (
        "act = nn.ReLU(True)\nh = act(torch.sigmoid(x))" + END,
        "act = nn.ReLU(True)",
        "act = nn.ReLU(False)",
    ),
    "operator": ("h = torch.exp(x)\nh  *=  x + 1" + END, "h  *=  x + 1", "h = h * (x + 1)"),
    "operator over two in brackets": (
        "h = torch.exp(x)\nh *= (x) + (w)" + END,
        "h *= (x) + (w)",
        "h = h * ((x) + (w))",
    ),
    "operator over one call": (
        "h = torch.exp(x)\nh *= (x + w).abs()" + END,
        "h *= (x + w).abs()",
        "h = h * (x + w).abs()",
    ),
    "item": ("h = torch.exp(x)\nh[0] = 0" + END, "h = torch.exp(x)", "h = torch.exp(x).clone()"),
    "copied in": ("h = torch.exp(x)\nh.copy_(w)" + END, "h.copy_(w)", "h = h.clone().copy_(w)"),
    "no twin": ("h = torch.exp(x)\nh.zero_()" + END, "h.zero_()", "h = torch.zeros_like(h)"),
    "indented": (
        "h = torch.exp(x)\nif True:\n    h.add_(1)  # é" + END,
        "    h.add_(1)  # é",
        "    h = h.add(1)  # é",
    ),
    "leaf": ("x.add_(1)", "x.add_(1)", "with torch.no_grad():\n    x.add_(1)"),
    "leaf in the forward": ("h = torch.relu_(x)", "h = torch.relu_(x)", "h = torch.relu(x)"),
    "rebound": (
        "x.sum().backward()\nx = x - 0.1 * x.grad\nx.sum().backward()\nx.grad.sum()",
        "x = x - 0.1 * x.grad",
        "with torch.no_grad():\n    x -= 0.1 * x.grad",
    ),
    "split": (
        "a, b = (x * 1).split([1, 2])\na.add_(1)",
        "a, b = (x * 1).split([1, 2])",
        "a, b = [one.clone() for one in (x * 1).split([1, 2])]",
    ),
    "overlap": ("t = torch.arange(8.0)\nt[1:] = t[:-1]", "t[1:] = t[:-1]", "t[1:] = t[:-1].clone()"),
    "expanded": (
        "t = torch.ones(1).expand(3)\nt.add_(1)",
        "t = torch.ones(1).expand(3)",
        "t = torch.ones(1).expand(3).clone()",
    ),
}


@pytest.mark.parametrize("name", FIRST)
def test_the_likeliest_rewrite(name: str) -> None:
    """What is proposed first, with the rest of the lines as they were."""
    text, old, new = FIRST[name]

    assert proposed(text)[0] == (old, new)


def test_a_leaf_is_not_rebound() -> None:
    """A save of a parameter may be a copy, or its update go behind backward; out of place it would update nothing."""
    text = "h = (w * w).sum()\nwith torch.no_grad():\n    w -= 0.1\nh.backward()"

    assert [new for _, new in proposed(text)][:2] == [
        "h = (w.clone() * w.clone()).sum()",
        "h.backward()\nwith torch.no_grad():\n    w -= 0.1",
    ]
    assert not any("w = w" in new for _, new in proposed(text))


def test_a_view_is_written_to_behind_a_copy_of_the_save() -> None:
    """Where the write goes through a view, the tensor that was saved gets a copy at its maker."""
    text = "h = torch.exp(x)\nrow = h.view(3)\nrow.add_(1)" + END

    assert ("h = torch.exp(x)", "h = torch.exp(x).clone()") in proposed(text)


def test_a_saved_input_is_copied_where_it_is_saved() -> None:
    """`h * t` saves t: the product can have a copy of it."""
    text = "t = torch.rand(3)\nh = x * t\nt.add_(1)" + END

    assert ("h = x * t", "h = x * t.clone()") in proposed(text)


def test_the_call_of_an_updating_function_is_moved() -> None:
    """Parameters that a helper writes to before backward: the helper is called behind it."""
    function = "def decay(ps):\n    for p in ps:\n        with torch.no_grad():\n            p.mul_(0.9)\n"
    text = function + "h = (w * w).sum()\ndecay([w])\nh.backward()"

    assert ("decay([w])\nh.backward()", "h.backward()\ndecay([w])") in proposed(text)


APART = {
    "repeated": (
        "slots = [torch.zeros(2)] * 3\nfor slot in slots:\n    slot += 1\nt = torch.stack(slots)",
        "slots = [torch.zeros(2)] * 3",
        "slots = [torch.zeros(2) for _ in range(3)]",
    ),
    "repeated name": (
        "z = torch.zeros(2)\nslots = 2 * [z]\nfor slot in slots:\n    slot += 1\nt = torch.stack(slots)",
        "slots = 2 * [z]",
        "slots = [z.clone() for _ in range(2)]",
    ),
    "kept": (
        "t = torch.zeros(2)\nkept = []\nfor i in range(3):\n    t += i\n    kept.append(t)\ns = torch.stack(kept)",
        "    kept.append(t)",
        "    kept.append(t.clone())",
    ),
    "kept by key": (
        "t = torch.zeros(2)\nkept = {}\nfor i in 1, 2:\n    t += i\n    kept[i] = t\ns = torch.stack([*kept.values()])",
        "    kept[i] = t",
        "    kept[i] = t.clone()",
    ),
    "swap": (
        "t = torch.arange(6.0).view(3, 2)\nt[0], t[1] = t[1], t[0]",
        "t[0], t[1] = t[1], t[0]",
        "t[0], t[1] = t[1].clone(), t[0].clone()",
    ),
}


@pytest.mark.parametrize("name", APART)
def test_what_shares_bytes_is_kept_apart(name: str) -> None:
    """Items of a list and snapshots become tensors of their own, and a swap reads copies."""
    text, old, new = APART[name]

    assert proposed(text)[0] == (old, new)


@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_a_gradient_flows_again() -> None:
    """A statement under `no_grad` is let out of it, and losses are stacked."""
    under = (
        "on, end = nn.Linear(3, 3), nn.Linear(3, 1)\nwith torch.no_grad():\n    z = on(torch.ones(2, 3))\n"
        "end(z).sum().backward()\ng = on.weight.grad"
    )
    old = "    z = on(torch.ones(2, 3))"
    parts = (
        "on = nn.Linear(3, 2)\nout = on(torch.ones(4, 3))\nparts = [out[0].sum(), out[1].sum()]\n"
        "loss = torch.tensor(parts).sum()\nloss.requires_grad_()\nloss.backward()\ng = on.weight.grad"
    )

    assert (old, f"    with torch.enable_grad():\n    {old}") in proposed(under)
    assert ("loss = torch.tensor(parts).sum()", "loss = torch.stack(parts).sum()") in proposed(parts)


def test_an_inference_tensor_is_copied_where_it_is_used() -> None:
    """A copy made outside inference mode is an ordinary tensor."""
    text = "with torch.inference_mode():\n    t = torch.rand(3)\nh = x * t"

    assert proposed(text)[0] == ("h = x * t", "h = x * t.clone()")


def test_an_assignment_is_not_moved() -> None:
    """What it assigns may be needed before the backward; the parameter is copied for the line that saves it."""
    text = (
        "emb = nn.Embedding(3, 2, max_norm=1.0)\nt = emb.weight @ torch.rand(2, 2, requires_grad=True)\n"
        "h = t.sum() + emb(torch.tensor([0])).sum()\nh.backward()"
    )
    old = "t = emb.weight @ torch.rand(2, 2, requires_grad=True)"

    assert shown(text) == (old, old.replace("weight", "weight.clone()"))
    assert not any(new.startswith("h.backward()\nh = ") for _, new in proposed(text))


def test_no_rewrite_for_what_shares_its_line() -> None:
    """Two statements on a line are left alone."""
    assert proposed("h = torch.exp(x); h.add_(1)" + END) == []


def test_an_optimizer_is_not_copied() -> None:
    """The step of an optimizer can only be moved."""
    text = "o = torch.optim.SGD([w], lr=0.1)\nh = (w * w).sum()\nw.grad = torch.ones(3)\no.step()\nh.backward()"

    found = [new for _, new in proposed(text)]

    assert "h.backward()\no.step()" in found
    assert not any("o = o" in new for new in found)


def test_a_text_that_speaks_of_a_step_is_no_step() -> None:
    """The step of an optimizer is a call, and so is the backward that a write is moved behind."""
    text = "notes = {}\nh = torch.exp(x)\nh[len('o.step()') * 0] = 0\nnotes['a'] = 'backward()'" + END

    found = [new for _, new in proposed(text)]

    assert "h = h.clone()\nh[len('o.step()') * 0] = 0" in found
    moved = [one.splitlines() for one in found if one.endswith("= 0")][-1]
    assert moved == ["notes['a'] = 'backward()'", "h.sum().backward()", "h[len('o.step()') * 0] = 0"]


def test_an_array_is_copied_as_numpy_copies() -> None:
    """`clone` is a method of tensors: what was made an array has `copy`."""
    text = "h = torch.exp(x)\na = h.detach().numpy()\na[0] = 0" + END

    assert ("a[0] = 0", "a = a.copy()\na[0] = 0") in proposed(text)


def test_difference_is_what_applied_makes() -> None:
    """A difference leads from one text to the other, also where lines are only put in."""
    texts = ["a\nb\nc\n", "a\nx\nc\n", "a\nb\nb2\nc\n", "x\na\nb\nc\n", "a\nc\n", "a\nb\nc\nd\n"]
    for old in texts:
        for new in texts:
            if old != new:
                assert applied(old, difference("f", old, new)) == new


@pytest.mark.parametrize("text", ["h = torch.exp(x)\nh.add_(1)", "h = [torch.exp(x)] * 2\nh[0].add_(1); h = h[1]"])
def test_a_report_and_its_picture_parse_a_source_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks, fixes and the picture ask the same tree, however many findings there are."""
    trace = record_text(LEAVES + text + END).trace
    parsed, parse = [], ast.parse
    monkeypatch.setattr(ast, "parse", lambda text, *more, **named: parsed.append(text) or parse(text, *more, **named))

    diagram(analyze(trace))

    assert parsed.count(trace.sources[0].text) == 1


def test_lines_are_counted_as_python_counts_them() -> None:
    """A form feed or a line separator in a comment ends no line."""
    text = "# one \x0c two \u2028 three\nh = torch.exp(x)\nh.add_(1)" + END

    old, new = proposed(text)[0]

    assert (old, new) == ("h.add_(1)", "h = h.add(1)")
    assert applied(text + "\n", Rewrite("f", 3, old, new)) == text.replace("h.add_(1)", new) + "\n"
