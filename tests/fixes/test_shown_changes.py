"""A change is shown for each of these, and mends it: with it nothing raises, and nothing is found there any more."""

from __future__ import annotations

import textwrap

import pytest

from inplace.checks.finding import Finding, Rewrite
from inplace.fixes.editing import applied
from inplace.fixes.statement import Statement
from tests.recording import Recorded, record_text

LOUD = ("error", "warning")
IMPORTS = (
    "import copy\nimport numpy as np\nimport torch.nn.functional as F\nfrom torch.utils.checkpoint import checkpoint\n"
)
FUNCTION = """
class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, {given}):
        {forward}

    @staticmethod
    def backward(ctx, grad):
        {backward}
"""


def function(forward: str, backward: str, given: str = "x") -> str:
    """A custom function with some lines."""
    lines = (textwrap.indent(textwrap.dedent(part), " " * 8).strip() for part in (forward, backward))
    return FUNCTION.format(given=given, **dict(zip(("forward", "backward"), lines, strict=True)))


LEAF = "x = torch.ones(3, requires_grad=True)\n"
MENDED = {
    "rows of a bank that come from the loop": """
net = nn.Linear(4, 4)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
bank = torch.zeros(6, 4)
for step in range(3):
    rows = torch.tensor([step, step + 1])
    z = nn.functional.normalize(net(torch.randn(2, 4)), dim=1)
    bank[rows] = z
    loss = (z @ bank.t()).logsumexp(1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()""",
    "numpy of one tensor twice in a line": "p = nn.Linear(2, 1)(torch.rand(3, 2)).sigmoid()\n"
    "score = 2 * p.numpy().max() / (p.numpy().sum() + 1)",
    "numpy of a parameter twice in a function": "def spread(t):\n    return t.numpy().max() - t.numpy().min()\n"
    "spread(nn.Linear(2, 2).weight)",
    # a write into a copy
    "method on rows": "p = torch.rand(5, 2)\ni = torch.tensor([0, 2])\np[i].sub_(p[i].mean(0))\np.sum()",
    "activation on rows": "p = torch.randn(5, 2)\nm = p[:, 0] > 0\np[m].relu_()\np.sum()",
    "zeros on rows": "p = torch.rand(5, 2)\np[[0, 2]].zero_()\np.sum()",
    "flag on rows": "p = torch.randn(5, 2)\nF.relu(p[[0, 2]], inplace=True)\np.sum()",
    "column of rows": "p = torch.rand(3, 2)\nm = torch.tensor([True, False, True])\np[m][:, 0] = 7.0\np.sum()",
    "first of rows": "p = torch.rand(3, 2)\nm = torch.tensor([True, False, True])\np[m][0] = 7.0\np.sum()",
    "column of rows, added": "p = torch.rand(3, 2)\nm = torch.tensor([True, False, True])\np[m][:, 0] += 7.0\np.sum()",
    "selected rows": "p = torch.rand(3, 2)\ni = torch.tensor([0, 2])\np.index_select(0, i).add_(1)\np.sum()",
    "rows of an attribute": """
        class Cloud:
            def __init__(self, points):
                self.points = points
            def center(self, index):
                self.points[index].sub_(self.points[index].mean(0))
        cloud = Cloud(torch.rand(5, 2))
        cloud.center(torch.tensor([0, 2]))
        cloud.points.sum()""",
    "frozen by attribute": """
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        net[1].requires_grad = False
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        net(torch.rand(3, 2)).sum().backward()
        opt.step()""",
    "a method that is not called": """
        net = nn.Linear(2, 1)
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(2):
            opt.zero_grad
            net(torch.rand(3, 2)).sum().backward()
            opt.step()""",
    "a flag that no tensor has": """
        body, head = nn.Linear(2, 2), nn.Linear(2, 1)
        for p in body.parameters():
            p.require_grad = False
        head(body(torch.rand(3, 2))).sum().backward()""",
    "a result that is dropped": """
        def masked(scores, mask):
            scores.masked_fill(mask, -1e9)
            return scores.softmax(-1)
        masked(torch.rand(2, 3), torch.ones(2, 3, dtype=torch.bool).tril())""",
    "an option of the optimizer": """
        net = nn.Linear(2, 1)
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for step in range(3):
            opt.lr = 0.1 / (step + 1)
            opt.zero_grad()
            net(torch.rand(3, 2)).sum().backward()
            opt.step()""",
    # an alias that should have been a copy
    "target in the prediction": """
        net = nn.Linear(2, 3)
        def targets(q, a):
            target = q.detach()
            target[torch.arange(len(a)), a] = 1.0
            return target
        q = net(torch.rand(4, 2))
        loss = F.mse_loss(q, targets(q, torch.tensor([0, 1, 2, 0])))
        loss.backward()""",
    "array before a write": "t = torch.ones(4)\nbefore = t.numpy()\nt += 1\ndelta = torch.tensor(t.numpy() - before)",
    "gradients kept": """
        net = nn.Linear(2, 1)
        x = torch.rand(4, 2)
        net(x[:2]).sum().backward()
        kept = [p.grad for p in net.parameters()]
        net.zero_grad(set_to_none=False)
        net(x[2:]).pow(2).sum().backward()
        F.cosine_similarity(kept[0], net.weight.grad)""",
    "default": "def f(rows, acc=torch.zeros(2)):\n    for r in rows:\n        acc += r\n    return acc\n"
    "first = f(torch.ones(3, 2)).clone()\nsecond = f(torch.ones(3, 2))",
    "default behind a text": 'def f(r, *, acc=torch.zeros(2)):\n    """Sum."""\n    acc += r\n    return acc\n'
    "first = f(torch.ones(2)).clone()\nsecond = f(torch.ones(2))",
    # custom functions
    "a gradient too few": function("ctx.a = a\nreturn x * a", "return grad * ctx.a", "x, a")
    + LEAF
    + "Scale.apply(x, 0.5).sum().backward()",
    "a gradient too few, as a tuple": function("ctx.a = a\nreturn x * a", "return (grad * ctx.a,)", "x, a, b")
    + LEAF
    + "Scale.apply(x, 0.5, 'name').sum().backward()",
    "a number saved": function(
        "ctx.save_for_backward(x, a)\nreturn x * a", "x, a = ctx.saved_tensors\nreturn grad * a, None", "x, a"
    )
    + LEAF
    + "Scale.apply(x, 0.5).sum().backward()",
    "a number saved first": function(
        "ctx.save_for_backward(a, x)\nreturn x * a", "return grad * ctx.saved_tensors[0], None", "x, a"
    )
    + LEAF
    + "Scale.apply(x, 0.5).sum().backward()",
    "saved, read twice": "x = torch.ones(3, requires_grad=True)\n"
    + function(
        "ctx.save_for_backward(a, b)\nreturn a * b",
        "a = ctx.saved_tensors[0]\nb = ctx.saved_tensors[1]\nreturn grad * b, grad * a",
        "a, b",
    )
    + "checkpoint(lambda t: Scale.apply(t, t * 2), x, use_reentrant=False).sum().backward()",
    "marked though made": function("y = x * 2\nctx.mark_dirty(y)\nreturn y", "return grad * 2")
    + LEAF
    + "Scale.apply(x).sum().backward()",
    "an input saved as output": "class Same(torch.autograd.Function):\n    @staticmethod\n    def forward(x):\n"
    "        return x\n    @staticmethod\n    def setup_context(ctx, inputs, output):\n"
    "        ctx.save_for_backward(output)\n    @staticmethod\n    def backward(ctx, grad):\n        return grad\n"
    + LEAF
    + "Same.apply(x).sum().backward()",
    "no setup_context": function(
        "ctx.save_for_backward(x)\nreturn x * x", "(x,) = ctx.saved_tensors\nreturn 2 * x * grad"
    )
    + "torch.func.grad(lambda x: Scale.apply(x).sum())(torch.ones(3))",
    "a result kept without setup_context": function(
        "y = x.exp()\nctx.save_for_backward(y)\nctx.n = len(x)\nreturn y", "(y,) = ctx.saved_tensors\nreturn y * grad"
    )
    + "torch.func.grad(lambda x: Scale.apply(x).sum())(torch.ones(3))",
    "a hook with too many": "m = nn.Linear(3, 3)\n"
    "m.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))\n"
    "m(torch.ones(2, 3, requires_grad=True)).sum().backward()",
    "arrays unpacked": LEAF
    + "with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().numpy(), lambda a: a):\n"
    "    y = x.pow(2)\ny.sum().backward()",
    "a hook of the old kind": "net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())\n"
    "net.register_backward_hook(lambda m, gi, go: None)\nnet(torch.rand(2, 3, requires_grad=True)).sum().backward()",
    # modes
    "a reentrant checkpoint": LEAF
    + "out = checkpoint(torch.sin, x, use_reentrant=True)\ntorch.autograd.grad(out.sum(), x)",
    "a module built in inference mode": "@torch.inference_mode()\ndef load():\n    return nn.Linear(3, 1)\n"
    "model = load()\nmodel(torch.rand(4, 3, requires_grad=True)).sum().backward()",
    "asked inside a transform": "def f(x):\n    y = x.detach().clone().requires_grad_()\n    return (y ** 2).sum()\n"
    "torch.func.grad(f)(torch.ones(3))",
    "made inside vmap": "def f(x):\n    acc = torch.zeros(3)\n    acc[0] = x.sum()\n    return acc\n"
    "torch.func.vmap(f)(torch.rand(4, 3))",
    # what is differentiated
    "several elements": LEAF + "loss = x * 2\nloss.backward()",
    "several elements, read later": LEAF + "loss = x * 2\nloss.backward()\nprint(loss.item())",
    "several elements of an expression": "net = nn.Linear(2, 1)\n(net(torch.rand(4, 2)) - 1).pow(2).backward()",
    "a column asked for": "net = nn.Linear(2, 1)\nx = torch.rand(4, 2, requires_grad=True)\nu = net(x).pow(2)\n"
    "t = x[:, 1]\n(g,) = torch.autograd.grad(u.sum(), t)\nprint(g.shape)",
    "a column asked for, by its number": "net = nn.Linear(2, 1)\nx = torch.rand(4, 2, requires_grad=True)\n"
    "u = net(x).pow(2)\nt = x[:, 1:]\ng = torch.autograd.grad(u.sum(), [t])[0]\nprint(g.shape)",
    "a result on a copied module": "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.fc = nn.Linear(3, 3)\n    def forward(self, x):\n        self.cache = self.fc(x)\n"
    "        return self.cache.sum()\nnet = Net()\nnet(torch.rand(2, 3)).backward()\nbest = copy.deepcopy(net)",
    "a number of a parameter": """
        class Scaled(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)
                self.gamma = nn.Parameter(torch.tensor(0.1))
            def forward(self, x):
                return x + self.gamma.item() * self.fc(x)
        net = Scaled()
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        net(torch.rand(2, 3)).sum().backward()
        opt.step()
        print(net.gamma.grad)""",
    "an own step of an attack": """
        net = nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
        def attack(image, label):
            adv = image.clone().requires_grad_()
            for _ in range(3):
                F.cross_entropy(net(adv), label).backward()
                with torch.no_grad():
                    pass
                adv = (adv + 0.1 * torch.sign(adv.grad)).clamp(0, 1)
            return adv
        attack(torch.rand(1, 1, 3, 3), torch.tensor([2]))""",
    # in functions, whose callers go on
    "a picture of features": """
        def to_picture(feat):
            vis = feat.detach()[0]
            vis -= vis.min()
            return vis.mean()
        def step(net, head, x):
            feat = net(x)
            logits = head(feat)
            return logits.logsumexp(1).mean(), to_picture(feat)
        loss, _ = step(nn.Linear(3, 4), nn.Linear(4, 2), torch.rand(2, 3))
        loss.backward()""",
    "corners of boxes": """
        def area(boxes):
            x1, y1, x2, y2 = boxes.unbind(-1)
            x2 += 1
            y2 += 1
            return (x2 - x1) * (y2 - y1)
        boxes = nn.Linear(4, 4)(torch.rand(3, 4))
        area(boxes).mean().backward()""",
    "a gradient that a hook writes": """
        a, b = nn.Linear(3, 2), nn.Linear(3, 2)
        x = torch.rand(4, 3)
        left, right = a(x).sigmoid(), b(x).sigmoid()
        right.register_hook(lambda g: g.clamp_(-0.5, 0.5))
        both = left + right
        (both * 10).pow(2).sum().backward()""",
    "an input that is not marked": function("x[1:2] += b\nreturn x", "return grad, grad[1:2].sum().reshape(1)", "x, b")
    + "base, patch = torch.ones(3, requires_grad=True), torch.ones(1, requires_grad=True)\n"
    "canvas = base + 1\nScale.apply(canvas, patch)\n(canvas * torch.arange(3.0)).sum().backward()",
    "an array that the environment overwrites": """
        net = nn.Linear(3, 1)
        obs = np.ones(3, dtype=np.float32)
        losses = []
        for t in range(3):
            losses.append(net(torch.from_numpy(obs)).pow(2))
            obs += 1
        torch.cat(losses).mean().backward()""",
    # what is given to a tensor
    "a gradient of another dtype": "w = torch.ones(3, dtype=torch.float16, requires_grad=True)\nw.grad = torch.ones(3)",
    "a gradient of another shape": "w = torch.zeros(3, 1, requires_grad=True)\ng = torch.ones(3)\nw.grad = g",
    "data of integers": "p = nn.Parameter(torch.randn(3))\np.data = (p.data * 10).round().to(torch.int8)",
    "element by element": "w = torch.randn(3, requires_grad=True)\nw.apply_(lambda v: max(v, 0.0))",
    "set": "w = torch.zeros(3, requires_grad=True)\nw.set_(torch.ones(3))",
    "a view of a transposed one": "t = torch.rand(2, 3).t()\nv = t.view(6)\nprint(v.sum())",
    "a size of another's memory": "a = np.zeros(3, dtype=np.float32)\nt = torch.from_numpy(a)\nt.resize_(10)",
    "views before a write": LEAF + "track = x.repeat(2, 1) + 1\nrows = track.unbind(0)\ntrack.mul_(2)\n"
    "rows[0].sum().backward()",
    "a write through detach": "net = nn.Linear(2, 2)\ns = net(torch.rand(3, 2))\ns.detach().mul_(torch.rand(3, 2))\n"
    "s.pow(2).sum().backward()",
    "a result of the module that a function writes": """
        w = torch.rand(2, 3, requires_grad=True)
        h = torch.sigmoid(w)
        def turned():
            h.t_()
        turned()
        h.sum().backward()""",
    "a result of a function around": """
        def outer():
            w = torch.rand(3, requires_grad=True)
            h = torch.exp(w * 2)
            def inner():
                h.add_(1)
                h.sum().backward()
            inner()
        outer()""",
}


def worst(recorded: Recorded) -> Finding:
    """The first finding that is no information."""
    return next(one for one in recorded.report.findings if one.severity in LOUD)


@pytest.mark.filterwarnings("ignore:Using a non-full backward hook")
@pytest.mark.parametrize("name", MENDED)
def test_a_change_mends(name: str) -> None:
    """With the change that is shown the program ends, and nothing loud is found at the lines that were blamed."""
    text = IMPORTS + textwrap.dedent(MENDED[name])
    finding = worst(record_text(text))
    assert finding.rewrite is not None
    blamed = {place.position.line for place in finding.culprits}

    again = record_text(applied(text, finding.rewrite))

    assert again.error is None
    loud = [one for one in again.report.findings if one.severity in LOUD]
    assert not [one for one in loud if one.kind == finding.kind or {p.position.line for p in one.culprits} & blamed]


HELD = {
    "features that were detached once for many steps": """
        body, head = nn.Linear(2, 2), nn.Linear(2, 1)
        opt = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.1)
        features = body(torch.rand(3, 2)).detach()
        for _ in range(3):
            opt.zero_grad()
            head(features).sum().backward()
            opt.step()""",
    "a table that was detached once, in a class": """
        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed, self.head = nn.Embedding(4, 2), nn.Linear(2, 1)
                self.table = torch.tanh(self.embed(torch.arange(4))).data
            def forward(self, at):
                return self.head(self.table[at])
        model = Model()
        opt = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            opt.zero_grad()
            model(torch.tensor([0, 2])).sum().backward()
            opt.step()""",
    "a gradient that both backwards add to": """
        net, head = nn.Linear(2, 2), nn.Linear(2, 1)
        opt = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.1)
        h = net(torch.rand(3, 2))
        head(h).sum().backward()
        opt.step()
        opt.zero_grad()
        head(h).mean().backward()""",
    "a loop of steps whose shared part is written": """
        net, head = nn.Linear(2, 2), nn.Linear(2, 1)
        opt = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.1)
        h = net(torch.rand(3, 2)).tanh()
        a, b = head(h).sum(), head(h).mean()
        a.backward()
        opt.step()
        b.backward()""",
    "a base that was saved": LEAF + "p = torch.rand(3)\ny = x * p\np[[0, 2]].add_(1)\n(y + p).sum().backward()",
    "an argument that requires grad": function("ctx.a = a\nreturn x * a", "return grad * ctx.a", "x, a")
    + LEAF
    + "a = torch.ones(3, requires_grad=True)\nScale.apply(x, a).sum().backward()",
    "a view that is read later": function("x.add_(1)\nctx.mark_dirty(x)\nreturn x, b + 1", "return grad, grad", "x, b")
    + "h = torch.ones(2, 3, requires_grad=True) * 1\nrow = h[0]\nScale.apply(row, torch.ones(3))\nprint(h)",
    "all that there is to freeze": """
        net = nn.Linear(2, 1)
        net.requires_grad = False
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        net(torch.rand(3, 2)).sum().backward()
        opt.step()""",
    "a result that is written": "t = torch.rand(2, 3).t()\nv = t.view(6)\nv[0] = 1\nprint(t)",
    "features that are read later": """
        def to_picture(feat):
            vis = feat.detach()[0]
            vis -= vis.min()
            return vis.mean()
        def step(net, head, x):
            feat = net(x)
            logits = head(feat)
            picture = to_picture(feat)
            return logits.logsumexp(1).mean() + feat.detach().mean(), picture
        loss, _ = step(nn.Linear(3, 4), nn.Linear(4, 2), torch.rand(2, 3))
        loss.backward()""",
    "a number that is compared": """
        t = torch.tensor(0.2, requires_grad=True)
        w = torch.rand(3, requires_grad=True)
        opt = torch.optim.SGD([t, w], lr=0.1)
        limit = t.item()
        loss = (w - limit).sum() if limit > 0 else w.sum()
        loss.backward()
        opt.step()""",
    "an array that is read later": "a = np.zeros(3, np.float32)\nt = torch.from_numpy(a)\nt.resize_(10)\nprint(a)",
    "views that are used before": LEAF + "track = x.repeat(2, 1) + 1\nrows = track.unbind(0)\nn = rows[0] * 2\n"
    "track.mul_(2)\nrows[0].sum().backward()",
    "a cut for numpy": """
        net = nn.Linear(2, 1)
        opt = torch.optim.SGD(net.parameters())
        p = net(torch.rand(3, 2)).detach().numpy()
        loss = torch.tensor(p.sum(), requires_grad=True)
        loss.backward()
        opt.step()""",
    "a sum above the loop that is added to in a function": """
        def add(total, value):
            total.add_(value)
        net, total = nn.Linear(3, 1), torch.zeros(())
        for x in torch.rand(3, 2, 3):
            loss = net(x).pow(2).mean()
            add(total, loss)
            (loss + total).backward()""",
}


@pytest.mark.parametrize("name", HELD)
def test_no_change_is_shown(name: str) -> None:
    """Where the precondition of a rule does not hold there are words only."""
    text = IMPORTS + textwrap.dedent(HELD[name])
    changes: list[Rewrite | None] = [one.rewrite for one in record_text(text).report.findings if one.severity in LOUD]

    assert changes
    assert set(changes) == {None}


SOUND = {
    "a running value times what is learned": """
        rates, gamma = torch.rand(4, requires_grad=True), torch.tensor(0.9, requires_grad=True)
        running, out = torch.zeros(()), torch.zeros(4)
        for t in range(4):
            running *= gamma
            running += rates[t]
            out[t] = running
        out.sum().backward()""",
    "a gradient copied where it is collected": """
        net = nn.Linear(2, 1)
        kept = []
        for _ in range(3):
            net.zero_grad(set_to_none=False)
            net(torch.rand(4, 2)).pow(2).sum().backward()
            kept.append([p.grad.clone() for p in net.parameters()])
        torch.stack([one[0] for one in kept])""",
    "the norms of gradients": """
        net = nn.Linear(2, 1)
        kept = []
        for _ in range(3):
            net.zero_grad(set_to_none=False)
            net(torch.rand(4, 2)).pow(2).sum().backward()
            kept.append(net.weight.grad.norm())
        torch.stack(kept)""",
    "a marked input": function("x.add_(1)\nctx.mark_dirty(x)\nreturn x", "return grad")
    + "h = torch.ones(3, requires_grad=True) * 1\nScale.apply(h.clone())",
    "a copy for a function that writes": "def check(h):\n    h.clamp_(0, 1)\n    assert bool((h <= 1).all())\n"
    "t = torch.rand(3)\ncheck(t.clone())\nprint(t)",
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_twins_are_told_of_nothing(name: str) -> None:
    """What a change makes of a program, and the like, is sound."""
    recorded = record_text(IMPORTS + textwrap.dedent(SOUND[name]))

    assert recorded.error is None
    assert [one.kind for one in recorded.report.findings if one.severity in LOUD] == []


@pytest.mark.parametrize(
    ("given", "written"), [("import torch.nn.init as starts", None), ("starts = nn.init", "starts")]
)
def test_a_module_is_no_name_of_what_is_written(given: str, written: str | None) -> None:
    """What is imported has no `clone`: `dcp.load(state)` is not mended by `dcp = dcp.clone()`."""
    recorded = record_text(f"{given}\nw = torch.rand(3)\nstarts.zeros_(w)")
    place = recorded.report.index.places.of(recorded.calls("zero_")[0])

    statement = Statement.of(recorded.report.index, place) if place is not None else None

    assert statement is not None
    assert statement.written_name() == written
