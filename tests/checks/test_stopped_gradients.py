"""Parameters that get no gradient from some step on."""

from __future__ import annotations

import pytest

from inplace.checks.graph_detached import Cut
from tests.recording import record_text

HEAD = """
from torch import nn
import torch.nn.functional as F
torch.manual_seed(0)
x, y = torch.randn(16, 4), torch.randn(16, 2)
"""

# The line that is to blame ends in `# here`.
STOPPED = {
    "detached from a step on": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    features = torch.relu(enc(x))
    if step >= 3:
        features = features.detach()  # here
    loss = F.mse_loss(head(features), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "a flag of a module": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.head = nn.Linear(4, 8), nn.Linear(8, 2)
        self.fast = False
    def encode(self, x):
        if self.fast:
            with torch.no_grad():
                h = self.enc(x)  # here
                return h
        return self.enc(x)
    def forward(self, x):
        return self.head(torch.tanh(self.encode(x)))
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for epoch in range(5):
    if epoch == 2:
        net.fast = True
    opt.zero_grad()
    F.mse_loss(net(x), y).backward()
    opt.step()
""",
    "the mode that a validation leaves": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        self.out = nn.Linear(8, 2)
    def forward(self, x):
        with torch.set_grad_enabled(self.training):  # here
            h = self.body(x)
        return self.out(h)
def validate(net):
    net.eval()
    with torch.no_grad():
        return F.mse_loss(net(x), y).item()
net = Net()
opt = torch.optim.AdamW(net.parameters())
net.train()
for epoch in range(3):
    for i in range(0, 16, 8):
        loss = F.mse_loss(net(x[i:i+8]), y[i:i+8])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
    validate(net)
""",
    "gradients that are zeroed": """
w = torch.randn(4, 8, requires_grad=True)
v = torch.randn(8, 2, requires_grad=True)
opt = torch.optim.SGD([w, v], lr=0.01)
for t in range(7):
    h = (x @ w).tanh()
    if t > 3:
        h = h.data  # here
    loss = (h @ v - y).pow(2).mean()
    opt.zero_grad(set_to_none=False)
    loss.backward()
    opt.step()
""",
    "cached features": """
class Cached(nn.Module):
    def __init__(self, enc):
        super().__init__()
        self.enc = enc
        self.memory = None
    def forward(self, x):
        if self.memory is None:
            out = self.enc(x)
            self.memory = out.detach()  # here
            return out
        return self.memory
model = nn.Sequential(Cached(nn.Linear(4, 8)), nn.ReLU(), nn.Linear(8, 2))
opt = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(4):
    opt.zero_grad()
    F.mse_loss(model(x), y).backward()
    opt.step()
""",
    "a closure that counts": """
def make(enc, head):
    calls = 0
    def forward(b):
        nonlocal calls
        calls += 1
        z = enc(b)
        return head(z if calls < 4 else z.detach())  # here
    return forward
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
f = make(enc, head)
opt = torch.optim.RMSprop([{'params': enc.parameters()}, {'params': head.parameters(), 'lr': 1e-3}])
for batch in range(8):
    opt.zero_grad()
    ((f(x) - y) ** 2).mean().backward()
    opt.step()
""",
    "by way of numpy": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD(list(enc.parameters()) + list(head.parameters()), lr=0.1)
def features(step):
    out = enc(x)
    if step >= 2:
        arr = out.detach().numpy()  # here
        arr = (arr - arr.mean()) / arr.std()
        out = torch.from_numpy(arr)
    return out
def train(steps):
    for s in range(steps):
        opt.zero_grad()
        l = F.mse_loss(head(features(s)), y)
        l.backward()
        opt.step()
train(5)
""",
    "a decorator of the user's": """
def maybe_frozen(fn):
    def inner(*a, freeze=False):
        if freeze:
            with torch.no_grad():
                return fn(*a)
        return fn(*a)
    return inner
emb = nn.Embedding(10, 4)
lin = nn.Linear(4, 3)
@maybe_frozen
def embed(ids):
    return emb(ids).mean(1)  # here
ids = torch.randint(0, 10, (6, 5)); lab = torch.randint(0, 3, (6,))
opt = torch.optim.Adam([*emb.parameters(), *lin.parameters()], lr=1e-2)
best, bad = 1e9, 0
for it in range(9):
    out = lin(embed(ids, freeze=bad > 2))
    loss = F.cross_entropy(out, lab)
    opt.zero_grad(); loss.backward(); opt.step()
    bad += 1
""",
    "a trainer": """
class Trainer:
    def __init__(self, model, head):
        self.model, self.head = model, head
        self.opt = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.05, momentum=0.9)
        self.global_step = 0
        self.stop_features_at = 4
    def loss(self, x, y):
        h = self.model(x)
        if self.global_step >= self.stop_features_at:
            h.detach_() if h.is_leaf else None
            h = h.detach()  # here
        return F.mse_loss(self.head(h), y)
    def step(self, x, y):
        loss = self.loss(x, y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        self.global_step += 1
        return loss.item()
    def fit(self, n):
        return [self.step(x, y) for _ in range(n)]
Trainer(nn.Sequential(nn.Linear(4, 8), nn.Tanh()), nn.Linear(8, 2)).fit(8)
""",
    "accumulated": """
scale = nn.Parameter(torch.tensor(1.0))
net = nn.Linear(4, 2)
opt = torch.optim.SGD([*net.parameters(), scale], lr=0.05)
for epoch in range(6):
    s = scale if epoch < 2 else torch.tensor(scale.item())  # here
    for k in range(2):
        loss = (net(x[k::2]) * s - y[k::2]).pow(2).mean() / 2
        loss.backward()
    opt.step()
    opt.zero_grad()
""",
    "scaled and clipped": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
params = [*enc.parameters(), *head.parameters()]
opt = torch.optim.AdamW(params, lr=1e-3)
scaler = torch.amp.GradScaler('cpu')
for step in range(6):
    z = enc(x)
    z = z if step < 3 else z.detach()  # here
    loss = F.mse_loss(head(z), y)
    opt.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    nn.utils.clip_grad_norm_(params, 1.0)
    scaler.step(opt)
    scaler.update()
""",
    "a forward that is replaced": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    if step == 3:
        enc.forward = torch.no_grad()(enc.forward)
    opt.zero_grad(); F.mse_loss(head(torch.relu(enc(x))), y).backward(); opt.step()  # here
""",
    "a term that becomes a number": """
net, aux = nn.Linear(4, 2), nn.Linear(4, 2)
opt = torch.optim.SGD([*net.parameters(), *aux.parameters()], lr=0.1)
for step in range(6):
    terms = [F.mse_loss(net(x), y)]
    extra = F.mse_loss(aux(x), y)
    if step < 3:
        terms.append(extra)
    else:
        terms.append(extra.item())  # here
    opt.zero_grad(); sum(terms).backward(); opt.step()
""",
    "a method under no_grad": """
class Enc(nn.Module):
    def __init__(self):
        super().__init__(); self.l = nn.Linear(4, 8); self.n = 0
    def forward(self, x):
        self.n += 1
        if self.n > 3:
            return self.infer(x)
        return self.l(x)
    @torch.no_grad()
    def infer(self, x):
        return self.l(x)  # here
enc, head = Enc(), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for batch in [x] * 6:
    opt.zero_grad(); F.mse_loss(head(torch.relu(enc(batch))), y).backward(); opt.step()
""",
}


def _in_main(text: str) -> str:
    return "def main():\n" + "".join(f"    {line}\n" if line else "\n" for line in text.splitlines()) + "main()\n"


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
@pytest.mark.parametrize("name", STOPPED)
def test_a_gradient_that_stops_is_told(name: str, *, wrap: bool) -> None:
    """One warning, on the line without whose cut the gradient would still come."""
    text = (HEAD + STOPPED[name]).strip("\n")
    line = next(number for number, one in enumerate(text.splitlines(), 1) if one.endswith("# here"))

    recorded = record_text(_in_main(text) if wrap else text)

    assert recorded.error is None
    loud = [finding for finding in recorded.report.findings if finding.severity != "info"]
    assert [one.kind for one in loud] == ["graph-detached"]
    assert line + wrap in [place.position.line for place in loud[0].culprits]
    assert isinstance(loud[0], Cut)
    assert loud[0].until is not None


def test_it_says_which_and_since_when() -> None:
    """Every parameter of the part that is cut off, and at how many steps it had its gradient."""
    (found,) = record_text((HEAD + STOPPED["a flag of a module"]).strip("\n")).report.of_type(Cut)

    assert (found.lost, found.until) == (("net.enc.weight", "net.enc.bias"), (2, 3))


def test_a_line_that_would_do_nothing_goes() -> None:
    """Without its cut `features = features.detach()` says nothing: it goes, with the `if` that has nothing else."""
    (found,) = record_text((HEAD + STOPPED["detached from a step on"]).strip("\n")).report.of_type(Cut)

    assert found.rewrite is not None
    assert found.rewrite.old.splitlines()[0].strip() == "if step >= 3:"
    assert "detach" not in found.rewrite.new
    assert "if" not in found.rewrite.new


def test_numpy_is_given_nothing_with_a_path() -> None:
    """`out.numpy()` would be refused: no change is shown."""
    (found,) = record_text((HEAD + STOPPED["by way of numpy"]).strip("\n")).report.of_type(Cut)

    assert found.rewrite is None
