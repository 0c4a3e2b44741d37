"""Every sentence a user reads, stated: what happened, where, why it matters, what to do."""

from __future__ import annotations

import pytest

from inplace.render.words.telling import message
from tests.recording import record_text


def first_message(text: str) -> str:
    """What is said of the first finding in a piece of code."""
    recorded = record_text(text)
    return message(recorded.report.findings[0], recorded.trace)


SAID = {
    "a saved result overwritten": (
        """
        x = torch.ones(3, requires_grad=True)
        h = torch.exp(x)
        h.add_(1)
        h.sum().backward()
        """,
        "line 3: h.add_(1) changed h after line 2 saved it for backward (exp keeps its result).\n"
        "backward() raises: version is 1, version 0 was saved.\n"
        "Write h = h.add(1) instead, which makes a new tensor.",
    ),
    "one link of a chain": (
        """
        x = torch.ones(3, requires_grad=True)
        h = torch.sigmoid(x)
        g = h.relu_()
        g.sum().backward()
        """,
        "line 3: h.relu_() changed h after line 2 saved it for backward (sigmoid keeps its result).\n"
        "backward() raises: version is 1, version 0 was saved.\n"
        "Write g = h.relu() instead, which makes a new tensor.",
    ),
    "disjoint slices": (
        """
        x = torch.ones(4, requires_grad=True)
        h = x * 1
        y = h[:2].exp()
        left, right = h[:2], h[2:]
        z = left * left
        right.mul_(2)
        z.sum().backward()
        """,
        "line 6: right.mul_(2) changed left after line 5 saved it for backward (mul keeps its factors).\n"
        "backward() raises: version is 1, version 0 was saved. "
        "No byte of what was saved was written, but one version counter serves the whole storage.\n"
        "Write right = right.mul(2) instead, which makes a new tensor.",
    ),
    "a write through data": (
        """
        x = torch.ones(3, requires_grad=True)
        out = x.sigmoid()
        peek = out.data
        peek.zero_()
        out.sum().backward()
        """,
        "line 4: peek.zero_() changed out through an alias with a version counter of its own (.data) "
        "after line 2 saved it (sigmoid keeps its result).\n"
        "No version counter moved, so backward() did not notice and computed its gradient with the new values.\n"
        "Write to a copy, .detach().clone(), or write after backward().",
    ),
    "a leaf": (
        """
        w = torch.ones(3, requires_grad=True)
        w.add_(1)
        """,
        "line 2: w.add_(1) writes to w, a leaf that requires grad.\n"
        "PyTorch refuses at once and changes nothing: the leaf's own value is what its gradient is about.\n"
        "Put the update under torch.no_grad().",
    ),
    "a leaf that a module writes to": (
        """
        act = nn.ReLU(inplace=True)
        x = torch.ones(3, requires_grad=True)
        y = act(x)
        """,
        "line 3: act(x) writes to x, a leaf that requires grad.\n"
        "PyTorch refuses at once and changes nothing: the leaf's own value is what its gradient is about.\n"
        "Build the module without its flag for in-place work.",
    ),
    "a leaf that a step of the forward writes to": (
        """
        x = torch.ones(3, requires_grad=True)
        y = x.mul_(2)
        """,
        "line 2: x.mul_(2) writes to x, a leaf that requires grad.\n"
        "PyTorch refuses at once and changes nothing: the leaf's own value is what its gradient is about.\n"
        "Write y = x.mul(2) instead, which makes a new tensor.",
    ),
    "an expanded tensor": (
        """
        rows = torch.zeros(3).expand(2, 3)
        rows.add_(1)
        """,
        "line 2: rows.add_(1) writes to rows, several of whose elements are the same bytes (expand, unfold).\n"
        "PyTorch refuses: one write shows in several places, "
        "and of several writes to one place only the last stays.\n"
        "Make it a tensor of its own where it is made: rows = torch.zeros(3).expand(2, 3).clone().",
    ),
    "a rebound leaf": (
        """
        w = torch.ones(3, requires_grad=True)
        w = w * 2
        w.sum().backward()
        w.grad
        """,
        "line 2: w * 2 makes w the name of a result; the leaf it stood for has no name any more.\n"
        "The gradient goes to the leaf, and w.grad stays None.\n"
        "Update the leaf itself: as shown.",
    ),
    "one tensor many times": (
        """
        slots = [torch.zeros(2)] * 2
        for slot in slots:
            slot += 1
        torch.stack(slots)
        """,
        "line 4 joins items that are the same bytes: line 1 (slots = [torch.zeros(2)] * 2) put them there, "
        "line 3 (slot += 1) wrote them.\n"
        "A write through one of them shows in all of them.\n"
        "Keep a copy: slots = [torch.zeros(2) for _ in range(2)].",
    ),
    "one within a module": (
        """
        net = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.ReLU(inplace=True), nn.Linear(4, 1))
        loss = net(torch.ones(2, 3)).sum()
        loss.backward()
        """,
        "line 2: net(torch.ones(2, 3)) changed in net[2] what net[1] had saved for backward "
        "(sigmoid keeps its result).\n"
        "backward() raises: version is 1, version 0 was saved.\n"
        "Build the module without its flag for in-place work.",
    ),
    "one within a module of a module, written line by line": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.ReLU(inplace=True))
            def forward(self, x):
                return self.body(x).sum()
        net = Net()
        net(torch.ones(2, 3)).backward()
        """,
        "line 6: self.body(x) changed in net.body[2] what net.body[1] had saved for backward "
        "(sigmoid keeps its result).\n"
        "backward() raises: version is 1, version 0 was saved.\n"
        "Build the module without its flag for in-place work.",
    ),
    "one by a module, of a tensor with a name": (
        """
        act, h = nn.ReLU(inplace=True), torch.ones(3, requires_grad=True).sigmoid()
        y = act(h)
        y.sum().backward()
        """,
        "line 2: act(h) changed h after line 1 saved it for backward (sigmoid keeps its result).\n"
        "backward() raises: version is 1, version 0 was saved.\n"
        "Build the module without its flag for in-place work.",
    ),
    "the state of an optimizer, kept and loaded": (
        """
        w = torch.ones(3, requires_grad=True)
        opt = torch.optim.Adam([w])
        w.sum().backward(); opt.step()
        saved = opt.state_dict()
        opt.step()
        opt.load_state_dict(saved)
        """,
        "line 4 kept the same bytes (opt.state_dict()), line 5 (opt.step()) wrote them, "
        "and line 6 loads them as they are now.\n"
        "What was kept is a reference, not a copy: it shows what was written since.\n"
        "Keep a copy: copy.deepcopy(optimizer.state_dict()).",
    ),
    "the state of an optimizer, taken over": (
        """
        one, two = (torch.ones(3, requires_grad=True) for _ in "ab")
        first, second = torch.optim.Adam([one]), torch.optim.Adam([two])
        (one + two).sum().backward()
        first.step()
        second.load_state_dict(first.state_dict())
        first.step()
        second.step()
        """,
        "line 5: second.load_state_dict(first.state_dict()) takes over the state of another optimizer, no copy of it, "
        "and both go on stepping (line 6: first.step()).\n"
        "load_state_dict copies no tensor whose dtype and device fit: a step of one changes the state of both.\n"
        "Load a copy: copy.deepcopy(...) of what the other's state_dict() gives out.",
    ),
    "a safe one within a module": (
        """
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 1))
        net(torch.ones(2, 3)).sum().backward()
        """,
        "line 2: net(torch.ones(2, 3)) writes in net[1] to what net[0] made, which is safe: "
        "linear keeps its input, not its result.\n"
        "backward() ran through it.\n"
        "Nothing to fix.",
    ),
    "a safe one": (
        """
        x = torch.ones(2, 3)
        net = nn.Linear(3, 2)
        y = net(x).relu_()
        y.sum().backward()
        """,
        "line 3: net(x).relu_() is safe: linear keeps its input, not its result.\n"
        "backward() ran through it.\n"
        "Nothing to fix.",
    ),
}


@pytest.mark.parametrize("name", SAID)
@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_sentences(name: str) -> None:
    """A finding is told in exactly these words."""
    text, said = SAID[name]

    assert first_message(text) == said
