"""Sums that are divided in place each time that their mean is read; and sound twins."""

from __future__ import annotations

import pytest

from tests.recording import record_text

TOLD = {
    "a method": (
        """
        class Meter:
            def __init__(self):
                self.total, self.n = torch.zeros(3), 0
            def update(self, x):
                self.total.add_(x); self.n += 1
            def mean(self):
                return self.total.div_(self.n)
        m = Meter()
        for _ in range(3):
            m.update(torch.rand(3))
            m.mean()
        """,
        7,
        11,
    ),
    "read twice": (
        """
        class Meter:
            def __init__(self):
                self.reset()
            def reset(self):
                self.total = torch.zeros(3)
                self.n = 0
            def update(self, x):
                self.total += x
                self.n += len(x)
            def compute(self):
                self.total /= max(self.n, 1)
                return self.total
        m = Meter()
        m.update(torch.rand(3))
        first = m.compute()
        print(m.compute())
        """,
        11,
        16,
    ),
    "buffers, a tensor that counts, and a root": (
        """
        class Rms(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("squares", torch.zeros(2, 3))
                self.register_buffer("count", torch.zeros(2, 1))
            def update(self, k, x):
                self.squares[k] += x.pow(2)
                self.count[k] += 1
            def compute(self):
                return self.squares.div_(self.count.clamp(min=1)).sqrt_()
        m = Rms()
        for epoch in range(2):
            for k in range(2):
                m.update(k, torch.rand(3))
            print(m.compute().sum())
        """,
        10,
        15,
    ),
    "a property": (
        """
        class Accuracy:
            def __init__(self, size):
                self.size, self.correct = size, torch.zeros(())
            def __iadd__(self, hits):
                self.correct += hits
                return self
            @property
            def value(self):
                return self.correct.div_(self.size)
        a = Accuracy(10)
        for _ in range(3):
            a += torch.tensor(4.)
            print(float(a.value))
        """,
        9,
        13,
    ),
    "functions": (
        """
        total, n = torch.zeros(3), 0
        def add(x):
            global n
            total.add_(x); n = n + 1
        def mean():
            return total.mul_(1 / n)
        for epoch in range(2):
            for _ in range(3):
                add(torch.rand(3))
            print(mean().sum())
        """,
        6,
        10,
    ),
    "items of a dictionary": (
        """
        def log(sums, loss):
            sums["loss"] += loss
            sums["n"] += 1
            return sums["loss"].div_(sums["n"])
        sums = {"loss": torch.zeros(()), "n": 0}
        net = nn.Linear(2, 1)
        for _ in range(3):
            loss = net(torch.rand(4, 2)).mean()
            loss.backward()
            log(sums, loss.detach())
        """,
        4,
        10,
    ),
    "a loop": (
        """
        total = torch.zeros(())
        for i, x in enumerate(torch.rand(4)):
            total += x
            print(total.div_(i + 1).item())
        """,
        4,
        4,
    ),
}
SOUND = {
    "out of place": """
        class Meter:
            def __init__(self):
                self.total, self.n = torch.zeros(3), 0
            def update(self, x):
                self.total.add_(x); self.n += 1
            @property
            def mean(self):
                return self.total / self.n
        m = Meter()
        for _ in range(3):
            m.update(torch.rand(3)); print(m.mean)
        """,
    "of a copy": """
        total, n = torch.zeros(3), 0
        for x in torch.rand(3, 3):
            total += x; n += 1
            print(total.clone().div_(n))
        """,
    "begun anew behind each reading": """
        class Meter:
            def __init__(self):
                self.total, self.n = torch.zeros(3), 0
            def reset(self):
                self.total.zero_()
                self.n = 0
            def update(self, x):
                self.total += x
                self.n += 1
            @property
            def mean(self):
                return self.total.div_(self.n)
        m = Meter()
        for _ in range(3):
            m.reset()
            m.update(torch.rand(3)); m.update(torch.rand(3))
            print(m.mean)
        """,
    "a new sum for each turn": """
        def evaluate(net):
            total, n = torch.zeros(()), 0
            for x in torch.rand(3, 2):
                total += net(x).sum().detach(); n += 1
            return total.div_(n)
        net = nn.Linear(2, 1)
        for _ in range(3):
            print(evaluate(net))
        """,
    "read once": """
        total, n = torch.zeros(3), 0
        for x in torch.rand(3, 3):
            total += x; n += 1
        print(total.div_(n))
        """,
    "a running mean": """
        class Mean:
            def __init__(self):
                self.m, self.n = torch.zeros(3), 0
            def update(self, x):
                self.m.mul_(self.n).add_(x)
                self.n += 1
                return self.m.div_(self.n)
        m = Mean()
        for _ in range(3):
            print(m.update(torch.rand(3)))
        """,
    "a running mean in one statement": """
        m, n = torch.zeros(3), 0
        for x in torch.rand(3, 3):
            n += 1
            m.mul_(n - 1).add_(x).div_(n)
        """,
    "a model averaged with its clients": """
        server = torch.rand(3)
        for _ in range(3):
            n = 1
            for client in torch.rand(2, 3):
                server.add_(client); n += 1
            server.div_(n)
        """,
    "the same in a function": """
        def average(server, clients):
            n = 1
            for client in clients:
                server.add_(client); n += 1
            return server.div_(n)
        server = torch.rand(3)
        for _ in range(3):
            average(server, torch.rand(2, 3))
        """,
    "the same of an object whose count is set from outside": """
        class Server:
            def __init__(self):
                self.w, self.n = torch.rand(3), 1
            def take(self, w):
                self.w.add_(w); self.n += 1
            def average(self):
                return self.w.div_(self.n)
        s = Server()
        for _ in range(3):
            s.n = 1
            s.take(torch.rand(3)); s.take(torch.rand(3))
            s.average()
        """,
    "weights of a mean": """
        class Smoothed:
            def __init__(self, k):
                self.k, self.m = k, torch.zeros(3)
            def step(self, x):
                self.m.add_(x, alpha=self.k)
                return self.m.div_(1 + self.k)
        s = Smoothed(.5)
        for _ in range(3):
            print(s.step(torch.rand(3)))
        """,
    "a trace that decays": """
        class Trace:
            def __init__(self):
                self.e = torch.zeros(3)
            def see(self, g):
                self.e.add_(g)
            def decay(self):
                return self.e.div_(2)
        t = Trace()
        for _ in range(3):
            t.see(torch.rand(3)); print(t.decay())
        """,
    "centres that are begun anew": """
        x, centres = torch.rand(9, 2), torch.rand(2, 2)
        counts = torch.zeros(2, 1)
        for _ in range(3):
            nearest = torch.cdist(x, centres).argmin(1)
            centres.zero_(); counts.zero_()
            for row, k in zip(x, nearest):
                centres[k] += row
                counts[k] += 1
            centres.div_(counts.clamp(min=1))
        """,
    "a property that projects": """
        class Weight:
            def __init__(self):
                self.v, self.w = torch.ones(3), torch.ones(3)
            def move(self, g):
                self.v.add_(g); self.w.add_(g)
            @property
            def unit(self):
                return self.v.div_(self.v.norm())
            @property
            def clamped(self):
                return self.w.clamp_(0, 1)
        w = Weight()
        for _ in range(3):
            w.move(torch.rand(3)); print(w.unit, w.clamped)
        """,
    "gradients over micro batches": """
        net, micro = nn.Linear(2, 1), 0
        opt = torch.optim.SGD(net.parameters(), .1)
        for step in range(6):
            net(torch.rand(4, 2)).sum().backward()
            micro += 1
            if micro == 2:
                for p in net.parameters():
                    p.grad.add_(p.detach(), alpha=.01)
                    p.grad.div_(micro)
                opt.step()
                opt.zero_grad(set_to_none=False)
                micro = 0
        """,
    "a speed that is damped more and more": """
        speed, damping = torch.zeros(3), 1.0
        for _ in range(3):
            speed.add_(torch.rand(3))
            damping += 0.1
            speed.div_(damping)
        """,
    "undone before more is added": """
        class Mean:
            def __init__(self):
                self.m, self.n = torch.zeros(3), 1
            def update(self, x):
                self.m.mul_(self.n)
                self.m.add_(x)
                self.n += 1
            @property
            def value(self):
                return self.m.div_(self.n)
        m = Mean()
        for _ in range(3):
            m.update(torch.rand(3)); print(m.value)
        """,
}


def told(text: str) -> list[tuple[str, int, int | None]]:
    """What is wrong with a piece of code: the kind, the line that writes, and the one that has it done again."""
    loud = [one for one in record_text(text).report.findings if one.severity != "info"]
    return [
        (
            one.kind,
            one.culprits[0].position.line,
            one.victim.place.position.line if one.victim is not None and one.victim.place is not None else None,
        )
        for one in loud
    ]


@pytest.mark.parametrize(("text", "line", "again"), TOLD.values(), ids=TOLD)
def test_a_sum_that_is_divided_again_is_told(text: str, line: int, again: int) -> None:
    """What the first division has left is no sum."""
    assert told(text) == [("shared-reference", line, again)]


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_a_sum_that_is_begun_anew_is_not(text: str) -> None:
    """Nor one that nobody goes on with, nor a mean that is kept in place."""
    assert told(text) == []
