"""Writes into copies that nobody reads, and assignments that do nothing: in many styles, and their sound twins."""

from __future__ import annotations

import pytest

from inplace.checks.lost_write import LostWrite
from tests.recording import record_text
from tests.sessions import play

LOST = {
    "a mask, then a column": ("x = torch.zeros(3, 2)\nkeep = x[:, 0] == 0\nx[keep][:, 0] = 1.0\nprint(x.sum())", [3]),
    "an index tensor": ("x = torch.rand(4, 2)\nidx = torch.tensor([0, 2])\nx[idx].sub_(1.0)\nx.sum()", [3]),
    "a clone": ("x = torch.rand(4)\nx.clone().zero_()\nx.sum()", [2]),
    "a dtype": ("x = torch.rand(4)\nx.double().mul_(2)\nx.sum()", [2]),
    "a device or dtype by to": ("x = torch.rand(4)\nx.to(torch.float64)[0] = 5.0\nx.sum()", [2]),
    "a contiguous copy": ("x = torch.rand(3, 4)\nx.t().contiguous().view(-1)[:2] = 0\nx.sum()", [2]),
    "a reshape of what is not contiguous": ("x = torch.rand(3, 4)\nx.t().reshape(-1).fill_(1.0)\nx.sum()", [2]),
    "in a method": (
        """
        class Cloud:
            def __init__(self):
                self.points = torch.rand(6, 3)
            def centre(self, rows):
                self.points[rows].sub_(self.points[rows].mean(0))
        def main():
            cloud = Cloud()
            for k in range(2):
                cloud.centre(torch.tensor([k, k + 2]))
            return cloud.points.sum()
        main()
        """,
        [5],
    ),
    "augmented, behind an index": ("x = torch.zeros(4, 3)\nx[[0, 1]][0] += 1\nx.sum()", [2]),
    "by a function that writes to its argument": (
        "def centre_(t):\n    t.sub_(t.mean())\nx = torch.rand(5)\ncentre_(x[x > 0.1])\nx.sum()",
        [2, 4],
    ),
    "by an activation with inplace=True": (
        "x = torch.randn(5)\nnn.functional.relu(x[torch.tensor([0, 1])], inplace=True)\nx.sum()",
        [2],
    ),
    "by an initialisation": (
        "w = torch.zeros(4, 4)\nrows = [0, 3]\nnn.init.ones_(w[rows])\nw.sum()",
        [3],
    ),
    "under a name": (
        "def zero_rows(x, mask):\n    rows = x[mask]\n    rows.zero_()\n    return x.sum()\n"
        "def main():\n    x = torch.rand(4)\n    return zero_rows(x, x > 0.1)\nmain()",
        [3, 2],
    ),
    "under a name, item by item": (
        "def run():\n    x = torch.rand(3, 4)\n    flat = x.t().reshape(-1)\n    flat[0] = 7.0\n    flat += 1\n"
        "    return x.sum()\n"
        "run()",
        [5, 3],
    ),
    "a loop over chosen rows": (
        "def run():\n    x = torch.rand(4, 2)\n    for row in x[[0, 1]]:\n        row.zero_()\n"
        "    return x.sum()\nrun()",
        [4, 3],
    ),
    "a chain of writes": ("x = torch.rand(4)\nx[x > 0].mul_(2).add_(1)\nx.sum()", [2]),
    "a method assigned to": ("x, y = torch.zeros(3), torch.ones(3)\nx.data.copy_ = y\nx.sum()", [2]),
    "a method that is not called": (
        "net = nn.Linear(3, 1)\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\nfor _ in range(2):\n"
        "    opt.zero_grad\n"
        "    net(torch.rand(4, 3)).sum().backward()\n    opt.step()",
        [4],
    ),
    "backward that is not called, in a function": (
        "def fit(net, opt, x):\n    opt.zero_grad()\n    loss = net(x).pow(2).mean()\n    loss.backward\n"
        "    opt.step()\n"
        "net = nn.Linear(3, 1)\nfit(net, torch.optim.Adam(net.parameters()), torch.rand(4, 3))",
        [4],
    ),
    "a step that is not called, of an attribute": (
        """
        class Trainer:
            def __init__(self, net):
                self.net, self.opt = net, torch.optim.SGD(net.parameters(), lr=0.1)
            def fit(self, x):
                self.opt.zero_grad()
                self.net(x).sum().backward()
                self.opt.step
        t = Trainer(nn.Linear(3, 1))
        t.fit(torch.rand(2, 3))
        t.fit(torch.rand(2, 3))
        """,
        [7],
    ),
    "an activation that is not called": ("x = torch.rand(4)\nh = x * 2\nh.relu_\nh.sum()", [3]),
    "a flag in another spelling": (
        "net = nn.Linear(3, 1)\nfor p in net.parameters():\n    p.require_grad = False\nnet(torch.rand(2, 3)).sum()",
        [3],
    ),
    "a flag in another spelling on a tensor": (
        "def run(x):\n    w = torch.zeros(3)\n    w.requires_gradient = True\n    return (x @ w).sum()\n"
        "run(torch.rand(3))",
        [3],
    ),
    "a method's name for a flag": (
        "def run(x):\n    w = torch.zeros(3)\n    w.requires_grad_ = True\n    return (x @ w).sum()\n"
        "run(torch.rand(3))",
        [3],
    ),
    "an option of an optimizer": (
        """
        def slower(optimizer, epoch):
            optimizer.lr = 0.1 / (1 + epoch)
        class Config:
            pass
        net, config = nn.Linear(2, 1), Config()
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for epoch in range(3):
            slower(opt, epoch)
            opt.zero_grad()
            net(torch.rand(1, 2)).sum().backward()
            opt.step()
        """,
        [2],
    ),
    "a result that is dropped": (
        "def attend(scores, mask):\n    scores.masked_fill(mask, -1e9)\n    return scores.softmax(-1)\n"
        "attend(torch.rand(3, 3), torch.eye(3).bool())",
        [2],
    ),
    "a clamp that is dropped, in a loop over weights": (
        "net = nn.Linear(3, 1)\nwith torch.no_grad():\n    for p in net.parameters():\n        p.clamp(-0.01, 0.01)\n"
        "net(torch.rand(2, 3)).sum()",
        [4],
    ),
    "what was joined": ("x, y = torch.rand(3), torch.rand(3)\ntorch.cat([x, y]).zero_()\nx.sum()", [2]),
    "all weights in one vector": (
        "def decay(net):\n    flat = nn.utils.parameters_to_vector(net.parameters())\n    with torch.no_grad():\n"
        "        flat.mul_(0.9)\nnet = nn.Linear(2, 1)\ndecay(net)\nnet(torch.rand(1, 2)).sum()",
        [4, 2],
    ),
    "pieces of chosen rows": (
        "w = torch.rand(6, 2)\nfor row in w[torch.tensor([0, 3])].unbind(0):\n    row.mul_(0)\nw.sum()",
        [3, 2],
    ),
    "chosen rows that are counted": (
        "def run(w):\n    for i, row in enumerate(w[w[:, 0] > 0.1]):\n        row /= i + 1\n    return w.sum()\n"
        "run(torch.rand(6, 2))",
        [3, 2],
    ),
    "chosen rows beside others": (
        "w = torch.rand(6, 2)\nfor row, n in zip(w[[0, 3]], [1, 2]):\n    row[n - 1] = 0\nw.sum()",
        [3, 2],
    ),
    "a name of the script's own": ("x = torch.rand(4)\nrows = x[x > 0.1]\nrows.zero_()\nx.sum()", [3, 2]),
    "chosen items in pairs": ("x = torch.zeros(4)\na, b = x[[0]], x[[1]]\na += 1\nprint(x, b)", [3, 2]),
    "normalised and dropped": (
        "def pairs(e):\n    nn.functional.normalize(e, dim=1)\n    return e @ e.T\npairs(torch.rand(4, 3))",
        [2],
    ),
    "a cast that is dropped": ("def run(x):\n    x.to(torch.float64)\n    return x\nrun(torch.rand(3)).sum()", [2]),
    "a function's result that is dropped": (
        "def run(x):\n    torch.clamp(x, 0, 1)\n    print(x)\n    return x\nrun(torch.randn(3))",
        [2],
    ),
    "a mode that is not switched": (
        "net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))\nnet.eval\nnet(torch.rand(3, 2)).sum()",
        [2],
    ),
    "a mode that is assigned to": (
        "class Trainer:\n    def __init__(self):\n        self.net = nn.Dropout(0.5)\n    def test(self, x):\n"
        "        self.net.eval = True\n        return self.net(x)\nTrainer().test(torch.rand(3)).sum()",
        [5],
    ),
    "a flag on a module": (
        """
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        net[0].requires_grad = False
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(2):
            opt.zero_grad()
            net(torch.ones(1, 2)).sum().backward()
            opt.step()
        """,
        [2],
    ),
    "a flag that is to thaw, in a later turn": (
        """
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        net[0].requires_grad_(False)
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for turn in range(4):
            if turn == 2:
                net[0].requires_grad = True
            opt.zero_grad()
            net(torch.ones(1, 2)).sum().backward()
            opt.step()
        """,
        [6],
    ),
    "a flag on each child, in functions": (
        """
        def freeze(model):
            for child in model.children():
                child.requires_grad = False
        def main():
            net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
            freeze(net)
            opt = torch.optim.Adam(net.parameters())
            net(torch.ones(1, 2)).sum().backward()
            opt.step()
        main()
        """,
        [3],
    ),
    "an array's copy": ("x = torch.rand(4)\nx.numpy().copy()[0] = 5.0\nx.sum()", [2]),
    "a cast array, by a method": ("x = torch.rand(4)\nx.numpy().astype('float64')[1:].fill(0)\nx.sum()", [2]),
    "numpy's array of a tensor, augmented": (
        "import numpy as np\nx = torch.rand(4)\nnp.array(x.numpy())[0] += 1\nx.sum()",
        [3],
    ),
    "a list of a tensor": ("x = torch.rand(4)\nx.tolist()[0] = 5.0\nx.sum()", [2]),
    "an array's copy under a name": (
        "def run(ids):\n    rows = ids.cpu().numpy().copy()\n    rows[0] = 9\n    rows[1:] += 1\n    return ids.sum()\n"
        "run(torch.tensor([4, 2, 7]))",
        [3, 4, 2],
    ),
    "what a function of the user's gives back": (
        """
        def normalize(x):
            x = x - x.mean(0)
            return x / (x.std(0) + 1e-6)
        for batch in torch.randn(3, 16, 3):
            normalize(batch)
            batch.pow(2).sum()
        """,
        [5],
    ),
    "what an object's method gives back": (
        """
        class Scaler:
            def fit(self, data):
                self.mean, self.std = data.mean(0), data.std(0)
                return self
            def transform(self, data):
                return (data - self.mean) / self.std
        data = torch.randn(50, 3)
        scaler = Scaler().fit(data)
        scaler.transform(data)
        data.mean(0)
        """,
        [9],
    ),
    "what a called object gives back": (
        """
        class ToUnit:
            def __call__(self, image, *, eps=1e-6):
                low = image.min()
                return (image - low) / (image.max() - low + eps)
        class Images:
            def __init__(self):
                self.images, self.transform = torch.rand(2, 3, 4), ToUnit()
            def __getitem__(self, i):
                image = self.images[i]
                self.transform(image)
                return image
        Images()[1].sum()
        """,
        [10],
    ),
    "what a function gives back that calls another and writes to its own": (
        """
        def scaled(g, most):
            out = g.clone()
            out[:] = g * (most / g.norm())
            return out
        def clipped(g, most=1.0):
            return scaled(g.flatten(), most).view_as(g) if g.norm() > most else g * 1
        def run(g):
            clipped(g)
            return g.sum()
        run(torch.full((3, 3), 9.0))
        """,
        [8],
    ),
    "what a layer gives back": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc, self.act = nn.Linear(3, 3), nn.ReLU()
            def forward(self, x):
                h = self.fc(x)
                self.act(h)
                return h
        Net()(torch.rand(2, 3)).sum().backward()
        """,
        [7],
    ),
    "a gradient's clamp that is dropped": (
        """
        def fit(net, opt):
            net(torch.rand(4, 3)).sum().backward()
            for p in net.parameters():
                p.grad.data.clamp(-0.1, 0.1)
            opt.step()
        net = nn.Linear(3, 1)
        fit(net, torch.optim.SGD(net.parameters(), lr=0.1))
        """,
        [4],
    ),
}
SOUND = {
    "an array over the tensor": ("x = torch.rand(4)\nx.numpy()[0] = 5.0\nx.numpy().reshape(2, 2).T[1] *= 3\nx.sum()"),
    "an array that numpy did not copy": (
        "x = torch.rand(4)\nx.numpy().astype('float32', copy=False)[0] = 5.0\nx.sum()"
    ),
    "an array's copy that is read": (
        "def run(x):\n    a = x.numpy().copy()\n    a[0] = 5.0\n    return x.sum(), a.sum()\nrun(torch.rand(4))"
    ),
    "a function of the user's that writes to its argument": (
        """
        def normalize(x):
            x -= x.mean(0)
            x.div_(x.std(0))
            return x
        batch = torch.randn(16, 3)
        normalize(batch)
        batch.sum()
        """
    ),
    "a function that remembers": (
        """
        seen = {}
        def encode(x):
            y = x * 2
            seen["last"] = y.sum().item()
            return y
        class Norm:
            def __call__(self, x):
                self.mean = x.mean(0)
                return x - self.mean
        class Queue:
            def push(self, x):
                self.rows = []
                self.rows.append(x.sum().item())
                return x * 1
        x, norm, queue = torch.randn(4, 3), Norm(), Queue()
        encode(x)
        norm(x)
        queue.push(x)
        x.sum()
        """
    ),
    "a function that may refuse, or shows": (
        """
        def check(x):
            if not torch.isfinite(x).all():
                raise ValueError
            return x * 1
        def show(x):
            print(x.shape)
            return x * 1
        x = torch.randn(4, 3)
        check(x)
        show(x)
        x.sum()
        """
    ),
    "a function that is timed": (
        """
        import time
        def soft(x):
            e = (x - x.max()).exp()
            return e / e.sum()
        x = torch.randn(9)
        start = time.perf_counter()
        soft(x)
        took = time.perf_counter() - start
        for _ in range(3):
            soft(x)
        x.sum()
        """
    ),
    "a layer with a hook": (
        """
        seen = []
        act = nn.ReLU()
        act.register_forward_@(lambda module, given, out: seen.append(out.sum().item()))
        x = torch.randn(4)
        act(x)
        x.sum()
        """.replace("@", "hook")  # this file is a source of the recording too
    ),
    "a layer in place": "x, act = torch.randn(4), nn.ReLU(inplace=True)\nact(x)\nx.sum()",
    "a model that is run once": (
        "x, net = torch.randn(4, 3), nn.Sequential(nn.LazyLinear(3), nn.BatchNorm1d(3))\nnet(x)\nnet.eval()\n"
        "net(x)\nx.sum()"
    ),
    "one index": "x = torch.zeros(3, 2)\nx[x[:, 0] == 0, 0] = 1.0\nx.sum()",
    "a slice, then a write": "x = torch.rand(4, 2)\nx[1:3].sub_(1.0)\nx[0][1] = 5.0\nx.sum()",
    "assigned back": "x = torch.rand(4)\nx[x > 0] -= 1\nx[[0, 1]] = x[[0, 1]].mul_(2)\nx.sum()",
    "a copy that is used": "x = torch.rand(4)\ny = x.clone().zero_()\n(x + y).sum()",
    "a copy that is handed on": "x = torch.rand(4)\nout = [x[x > 0].mul_(2)]\nprint(x.clone().add_(1))\nout[0].sum()",
    "the same memory": "x = torch.rand(4)\nx.contiguous().zero_()\nx.float().add_(1)\nx.reshape(2, 2).mul_(2)\nx.sum()",
    "a reshape that is a view": "x = torch.rand(3, 4)\nx.reshape(-1).fill_(1.0)\nx.flatten()[0] = 2\nx.sum()",
    "read by what was called": (
        "total = torch.zeros(())\n"
        "def update(t):\n    t.mul_(2)\n    total.add_(t.sum())\nx = torch.rand(5)\nupdate(x[x > 0.1])\nprint(total)"
    ),
    "kept by what was called": (
        "kept = []\ndef push(t):\n    t.mul_(2)\n    kept.append(t)\nx = torch.rand(5)\npush(x[x > 0.1])\n"
        "x.sum()\nkept[0].sum()"
    ),
    "a named copy that is returned": (
        "def rows_of(x, mask):\n    rows = x[mask]\n    rows.mul_(2)\n    return rows\nx = torch.rand(4)\n"
        "y = rows_of(x, x > 0)\nx.sum(), y.sum()"
    ),
    "a named copy that is printed": (
        "def show(x):\n    flat = x.t().reshape(-1)\n    flat.mul_(2)\n    print(flat)\nx = torch.rand(3, 4)\n"
        "show(x)\nx.sum()"
    ),
    "a named clone as work space": (
        "def run(x):\n    work = x.clone()\n    work.sort()\n    work.zero_()\n    return x.sum()\nrun(torch.rand(4))"
    ),
    "a name that a function reads": (
        "def total():\n    return rows.sum()\nx = torch.rand(4)\nrows = x[x > 0.1]\nrows.zero_()\n"
        "print(x.sum(), total())"
    ),
    "a name that is kept in a list": "x = torch.rand(4)\nrows = x[x > 0.1]\nall = [rows]\nrows.zero_()\nx.sum()",
    "joined, and written where all read it": (
        "x, y = torch.rand(3), torch.rand(3)\nz = torch.cat([x, y])\nz.mul_(2)\nprint(z, x.sum())"
    ),
    "casts that are none": (
        "def run(x):\n    x.to(torch.float32)\n    x.float()\n    return x\nrun(torch.rand(3)).sum()"
    ),
    "modes that are switched": (
        "net = nn.Dropout(0.5)\nnet.eval()\nswitch = net.train\nswitch()\n"
        "is_on = net.training\nnet(torch.rand(3)).sum()"
    ),
    "rows that are zipped and read": (
        "w = torch.rand(6, 2)\nout = []\nfor row, n in zip(w[[0, 3]], [1, 2]):\n    row[0] = n\n"
        "    out.append(row)\nw.sum()"
    ),
    "a warm-up without a copy": "torch.empty(3).normal_()\ntorch.zeros(3).add_(1)\ntorch.rand(2)",
    "the last line of a cell": "x = torch.rand(4)\nx.sum()\nout = x[x > 0].mul_(2)",
    "a method called": "x, y = torch.zeros(3), torch.ones(3)\nx.data.copy_(y)\nx.sum()",
    "an attribute of somebody's own": (
        "class Config:\n    pass\nc = Config()\nc.requires_grad = False\nc.copy_ = 1\nx = torch.rand(2)\nx.sum()"
    ),
    "a flag on a parameter, and by the method": """
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        net[0].requires_grad_(False)
        net[1].bias.requires_grad = False
        opt = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
        net(torch.ones(1, 2)).sum().backward()
        opt.step()
        """,
    "methods that are kept to be called": """
        net = nn.Linear(3, 1)
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        clear, step = opt.zero_grad, opt.step
        for _ in range(2):
            clear()
            loss = net(torch.rand(4, 3)).sum()
            back = loss.backward
            back()
            step()
        """,
    "methods that are tried, or shown by a cell": """
        x = torch.rand(3)
        try:
            x.relu_
        except AttributeError:
            pass
        x.sum()
        x.relu_
        """,
    "attributes of one's own on parameters": """
        net = nn.Linear(3, 1)
        for number, p in enumerate(net.parameters()):
            p.number, p.no_weight_decay, p.requires_decay, p.requires_sync = number, True, False, True
        net(torch.rand(2, 3)).sum()
        """,
    "a flag of a class of one's own": """
        class Layer:
            def __init__(self):
                self.require_grad = True
        layer, x = Layer(), torch.rand(2)
        layer.require_grad = False
        x.sum()
        """,
    "options in the groups, and on one's own optimizer": """
        class Descent(torch.optim.Optimizer):
            def __init__(self, params, lr):
                super().__init__(params, {"lr": lr})
                self.lr = lr
            @torch.no_grad()
            def step(self):
                for group in self.param_groups:
                    for p in group["params"]:
                        p.sub_(self.lr * p.grad)
        net = nn.Linear(2, 1)
        for opt in (Descent(net.parameters(), 0.1), torch.optim.SGD(net.parameters(), lr=0.1)):
            for group in opt.param_groups:
                group["lr"] = 0.01
            if isinstance(opt, Descent):
                opt.lr = 0.02
            net(torch.rand(1, 2)).sum().backward()
            opt.step()
        """,
    "results that are timed, shown, or refused": """
        x = torch.rand(4)
        for _ in range(3):
            x.add(1)
            x.mul(2)
        try:
            x.view(3, 3)
        except RuntimeError:
            x.sum()
        x.square()
        """,
    "a flag that said what was so, until the parameters were told otherwise": """
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        net[0].requires_grad = True
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for turn in range(4):
            if turn == 2:
                net[0].requires_grad_(False)
            opt.zero_grad()
            net(torch.ones(1, 2)).sum().backward()
            opt.step()
        """,
    "a flag that says what is so": """
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        net[0].requires_grad_(False)
        net[0].requires_grad = False
        opt = torch.optim.SGD(net[1].parameters(), lr=0.1)
        net(torch.ones(1, 2)).sum().backward()
        opt.step()
        """,
}


def lost(text: str) -> list[list[int]]:
    """The lines of the culprits of each lost write in a piece of code."""
    found = record_text(text).report.of_type(LostWrite)
    return [[place.position.line for place in one.culprits] for one in found]


@pytest.mark.parametrize(("text", "lines"), LOST.values(), ids=LOST)
def test_what_changes_nothing_is_told(text: str, lines: list[int]) -> None:
    """Nobody has what was written: the write is the culprit, with the line of the temporary or of the copy."""
    assert lost(text) == [lines]


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_what_somebody_has_is_not(text: str) -> None:
    """The write lands in what was meant, or what was written is used."""
    assert lost(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "w = torch.zeros(3)\nw.require_grad = True\n(torch.rand(5, 3) @ w).sum().backward()",
        "class Linear:\n    def __init__(self):\n        self.w = torch.zeros(3)\n        self.w.requires_gard = True\n"
        "    def __call__(self, x):\n        return x @ self.w\nfit = Linear()\n"
        "fit(torch.rand(5, 3)).sum().backward()",
        "def make():\n    w = torch.zeros(3)\n    w.requires_grad_ = True\n    return w\nw = make()\n"
        "(torch.rand(5, 3) * w).mean().backward()",
    ],
    ids=["a variable", "an attribute", "in a function"],
)
def test_a_misspelled_flag_is_what_backward_refused(text: str) -> None:
    """One error, about the spelling; not that the loss has no path besides."""
    found = [one for one in record_text(text).report.findings if one.severity != "info"]

    assert [(one.kind, one.severity) for one in found] == [("lost-write", "error")]


def test_a_name_may_be_read_in_a_later_cell() -> None:
    """In a session nobody knows yet that a copy is read no more."""
    ran = play("x = torch.rand(4)", "rows = x[x > 0.1]\nrows.zero_()\nx.sum()")[-1]

    assert ran.told() == []
