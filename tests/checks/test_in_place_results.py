"""Activations in place on what the same function reads again by another name than the result's; and sound twins."""

from __future__ import annotations

import pytest
from torch.nn import functional

from tests.recording import record_text

TOLD = {
    "a sequence, and its argument again": (
        """
        feats = torch.randn(5, 4)
        pre = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2))
        post = nn.Linear(4, 2)
        out = pre(feats) + post(feats)
        out.sum().backward()
        """,
        4,
    ),
    "an activation before the skip is added": (
        """
        class Pre(nn.Module):
            def __init__(self):
                super().__init__()
                self.act = nn.ReLU(inplace=True); self.fc = nn.Linear(4, 4)
            def forward(self, x):
                identity = x
                out = self.act(x)
                out = self.fc(out)
                return out + identity
        net = nn.Sequential(nn.Linear(4, 4), Pre())
        net(torch.randn(8, 4)).sum().backward()
        """,
        7,
    ),
    "a skip that was named before": (
        """
        class Pre(nn.Module):
            def __init__(self):
                super().__init__()
                self.act = nn.LeakyReLU(.1, True); self.fc = nn.Linear(4, 4)
            def forward(self, x):
                skip = x
                x = self.act(x)
                x = self.fc(x)
                x = x + skip
                return x
        net = nn.Sequential(nn.Linear(4, 4), Pre())
        net(torch.randn(8, 4)).sum().backward()
        """,
        7,
    ),
    "a function": (
        """
        def head(h, w):
            y = F.relu(h, inplace=True)
            z = torch.tanh(h)
            return (y @ w).sum() + z.sum()
        head(torch.randn(6, 3), torch.rand(3, 1, requires_grad=True)).backward()
        """,
        2,
    ),
    "added to what it was given": (
        """
        block = nn.Sequential(nn.ReLU(inplace=True), nn.Conv1d(2, 2, 1))
        x = torch.randn(1, 2, 9)
        y = x + block(x)
        print(y.sum())
        """,
        3,
    ),
    "a dropout in a method": (
        """
        class M(nn.Module):
            def __init__(self):
                super().__init__()
                self.drop = nn.Dropout(.5, inplace=True); self.a = nn.Linear(4, 1); self.b = nn.Linear(4, 1)
            def forward(self, h):
                noisy = self.drop(h)
                return self.a(noisy) + self.b(h)
        M()(torch.randn(3, 4)).sum().backward()
        """,
        6,
    ),
}
SOUND = {
    "what is made of it by a sequence": """
        class Gate(nn.Module):
            def __init__(self):
                super().__init__()
                act = nn.Hardsigmoid(inplace=True)
                self.f = nn.Sequential(nn.Linear(4, 2), nn.ReLU(inplace=True), nn.Linear(2, 4), act)
            def forward(self, x):
                return x * self.f(x)
        Gate()(torch.randn(3, 4)).sum().backward()
        """,
    "a sequence with activations in it": """
        G = nn.Sequential(nn.Linear(2, 4), nn.ReLU(True), nn.Linear(4, 3))
        D = nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(0.2, inplace=True), nn.Linear(4, 1))
        real, z = torch.rand(4, 3), torch.randn(4, 2)
        for _ in range(2):
            fake = G(z)
            loss = D(real).mean() - D(fake.detach()).mean() + D(fake).mean()
            loss.backward()
        """,
    "a residual block that goes on with results": """
        class R(nn.Module):
            def __init__(self):
                super().__init__()
                self.c = nn.Linear(4, 4); self.act = nn.ReLU(inplace=True)
            def forward(self, x):
                identity = x
                out = self.act(self.c(x))
                out = self.c(out)
                out = out + identity
                return self.act(out)
        net = nn.Sequential(R(), R()); net(torch.randn(20, 4)).sum().backward()
        """,
    "relu of what relu gave out": """
        class P(nn.Module):
            def __init__(self):
                super().__init__()
                self.act = nn.ReLU(inplace=True); self.c = nn.Linear(4, 4)
            def forward(self, x):
                skip = x
                y = self.act(x)
                return self.c(y) + skip
        h = torch.relu(torch.randn(20, 4)); P()(F.dropout(h, .5)).sum().backward()
        """,
    "on a line of its own, and under its own name": """
        h = torch.randn(8, 4)
        F.relu(h, inplace=True)
        z = h * 2
        h = F.leaky_relu(h, .1, inplace=True)
        print((h + z).sum())
        """,
    "a second name of the result": """
        def f(h, lin):
            y = F.relu(h, inplace=True)
            s = y
            return lin(y) + s
        print(f(torch.randn(8, 4), nn.Linear(4, 4)).sum())
        """,
    "a dropout that is evaluated": """
        d = nn.Dropout(.5, inplace=True).eval(); h = torch.randn(30, 3)
        y = d(h); print((y + h).sum())
        """,
}


def told(text: str) -> list[tuple[str, list[int]]]:
    """What is wrong with a piece of code."""
    loud = [one for one in record_text(text, F=functional).report.findings if one.severity != "info"]
    return [(one.kind, [place.position.line for place in one.culprits]) for one in loud]


@pytest.mark.parametrize(("text", "line"), TOLD.values(), ids=TOLD)
def test_an_argument_that_is_read_again_is_told(text: str, line: int) -> None:
    """It is no longer what it was when it got that name."""
    ((kind, culprits),) = told(text)

    assert kind == "shared-reference"
    assert line in culprits


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_what_nobody_reads_as_it_was_is_not(text: str) -> None:
    """It was meant to be changed, it was not changed, or its result is read."""
    assert told(text) == []
