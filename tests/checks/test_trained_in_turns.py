"""Training in turns, by parts, or with what is frozen on purpose: gradients come and go, and nothing is alarmed."""

from __future__ import annotations

import pytest

from tests.recording import record_text

HEAD = """
from torch import nn
import torch.nn.functional as F
torch.manual_seed(0)
x, y = torch.randn(16, 4), torch.randn(16, 2)
"""

SOUND = {
    "every second step": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    features = torch.relu(enc(x))
    if step % 4:
        features = features.detach()
    loss = F.mse_loss(head(features), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "every fourth step, four steps": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for step in range(4):
    features = torch.relu(enc(x))
    features = features if step % 4 == 0 else features.detach()
    loss = F.mse_loss(head(features), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "frozen by schedule": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    if step == 3:
        enc.requires_grad_(False)
    loss = F.mse_loss(head(torch.relu(enc(x))), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "frozen by attribute, and features detached": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    if step == 3:
        for p in enc.parameters():
            p.requires_grad = False
    f = torch.relu(enc(x))
    if step >= 3:
        f = f.detach()
    loss = F.mse_loss(head(f), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "gradual unfreezing": """
layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
head = nn.Linear(4, 2)
opt = torch.optim.SGD([*layers.parameters(), *head.parameters()], lr=0.1)
layers.requires_grad_(False)
for epoch in range(6):
    if epoch and epoch % 2 == 0:
        layers[3 - epoch // 2].requires_grad_(True)
    h = x
    for l in layers:
        h = l(h).tanh()
    opt.zero_grad(); F.mse_loss(head(h), y).backward(); opt.step()
""",
    "warm up: head first by no_grad": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    with torch.set_grad_enabled(step >= 3):
        f = torch.relu(enc(x))
    loss = F.mse_loss(head(f), y)
    opt.zero_grad(); loss.backward(); opt.step()
""",
    "heads in turns": """
enc = nn.Linear(4, 8)
heads = nn.ModuleDict({'a': nn.Linear(8, 2), 'b': nn.Linear(8, 2)})
opt = torch.optim.SGD([*enc.parameters(), *heads.parameters()], lr=0.1)
for step in range(8):
    task = 'a' if step < 4 else 'b'
    loss = F.mse_loss(heads[task](enc(x)), y)
    opt.zero_grad(); loss.backward(); opt.step()
""",
    "layer-wise greedy": """
layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
heads = nn.ModuleList([nn.Linear(4, 2) for _ in range(3)])
opt = torch.optim.SGD([*layers.parameters(), *heads.parameters()], lr=0.1)
for depth in range(3):
    for _ in range(3):
        h = x
        for l in layers[:depth]:
            h = l(h).tanh().detach()
        loss = F.mse_loss(heads[depth](layers[depth](h)), y)
        opt.zero_grad(); loss.backward(); opt.step()
""",
    "block coordinate": """
u, v = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(3, 2))
opt = torch.optim.SGD([u, v], lr=0.01)
for step in range(8):
    first = step < 4
    a, b = (u, v.detach()) if first else (u.detach(), v)
    opt.zero_grad()
    (x @ a @ b - y).pow(2).mean().backward()
    opt.step()
""",
    "learned initial state, truncated": """
cell, out = nn.GRUCell(4, 3), nn.Linear(3, 2)
h0 = nn.Parameter(torch.zeros(1, 3))
opt = torch.optim.SGD([*cell.parameters(), *out.parameters(), h0], lr=0.1)
h = h0.expand(16, 3)
for t in range(5):
    h = cell(x, h)
    opt.zero_grad()
    F.mse_loss(out(h), y).backward()
    opt.step()
    h = h.detach()
""",
    "learned initial state, two chunks": """
cell, out = nn.GRUCell(4, 3), nn.Linear(3, 2)
h0 = nn.Parameter(torch.zeros(1, 3))
opt = torch.optim.SGD([*cell.parameters(), *out.parameters(), h0], lr=0.1)
h = h0.expand(16, 3)
for t in range(2):
    h = cell(x, h)
    opt.zero_grad()
    F.mse_loss(out(h), y).backward()
    opt.step()
    h = h.detach()
""",
    "delayed policy with one optimizer": """
enc, actor, critic = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(6, 1)
opt = torch.optim.Adam([*enc.parameters(), *actor.parameters(), *critic.parameters()])
for i in range(6):
    z = enc(x)
    a = actor(z)
    q = critic(torch.cat([z, a if i % 3 == 0 else a.detach()], 1))
    opt.zero_grad(); q.pow(2).mean().backward(); opt.step()
""",
    "phases on lines of their own": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for _ in range(3):
    opt.zero_grad(); F.mse_loss(head(enc(x)), y).backward(); opt.step()
for _ in range(3):
    with torch.no_grad():
        f = enc(x)
    opt.zero_grad(); F.mse_loss(head(f), y).backward(); opt.step()
""",
    "second phase has its own optimizer, one function": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
def phase(params, frozen):
    opt = torch.optim.SGD(params, lr=0.1)
    for _ in range(3):
        f = enc(x)
        if frozen:
            f = f.detach()
        opt.zero_grad(); F.mse_loss(head(f), y).backward(); opt.step()
for frozen in (False, True):
    phase([*head.parameters()] if frozen else [*enc.parameters(), *head.parameters()], frozen)
""",
    "experts, one never chosen again": """
gate = nn.Linear(4, 3); experts = nn.ModuleList([nn.Linear(4, 2) for _ in range(3)])
opt = torch.optim.SGD([*gate.parameters(), *experts.parameters()], lr=0.1)
for step in range(6):
    p = gate(x).softmax(-1)
    k = min(step // 2, 2)
    out = experts[k](x) * p[:, k:k+1]
    opt.zero_grad(); F.mse_loss(out, y).backward(); opt.step()
""",
    "stochastic depth": """
blocks = nn.ModuleList([nn.Linear(4, 4) for _ in range(4)]); head = nn.Linear(4, 2)
opt = torch.optim.SGD([*blocks.parameters(), *head.parameters()], lr=0.1)
keep = [[1,1,1,1],[1,0,1,1],[1,1,1,0],[0,1,1,0],[1,1,0,0]]
for row in keep:
    h = x
    for b, k in zip(blocks, row):
        if k:
            h = h + b(h)
    opt.zero_grad(); F.mse_loss(head(h), y).backward(); opt.step()
""",
    "auxiliary loss of a warm-up, logged later": """
enc, head, aux = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters(), *aux.parameters()], lr=0.1)
log = []
for step in range(6):
    h = enc(x)
    loss = F.mse_loss(head(h), y)
    extra = F.mse_loss(aux(h), y)
    if step < 3:
        loss = loss + extra
    log.append(extra.item())
    opt.zero_grad(); loss.backward(); opt.step()
""",
    "GAN helper with two optimizers": """
G, D = nn.Linear(3, 4), nn.Linear(4, 1)
oG, oD = torch.optim.Adam(G.parameters()), torch.optim.Adam(D.parameters())
def update(o, loss):
    o.zero_grad(); loss.backward(); o.step()
for i in range(5):
    fake = G(torch.randn(16, 3))
    for o, train_d in ((oD, True), (oG, False)):
        update(o, D(fake.detach()).mean() - D(x).mean() if train_d else -D(fake).mean())
""",
    "random stop": """
import random
random.seed(1)
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    f = enc(x)
    if random.random() < 0.5:
        f = f.detach()
    opt.zero_grad(); F.mse_loss(head(f), y).backward(); opt.step()
""",
    "the last batch is for a report": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for step in range(5):
    f = enc(x)
    opt.zero_grad(); F.mse_loss(head(f), y).backward(); opt.step()
print(head(enc(x).detach()).mean().item())
""",
    "codebook moved by hand": """
enc, dec = nn.Linear(4, 4), nn.Linear(4, 4)
book = nn.Parameter(torch.randn(5, 4))
opt = torch.optim.SGD([*enc.parameters(), *dec.parameters(), book], lr=0.1)
for step in range(6):
    z = enc(x)
    ids = torch.cdist(z, book).argmin(1)
    q = book[ids] if step < 2 else book[ids].detach()
    loss = F.mse_loss(dec(z + (q - z).detach()), x) + (F.mse_loss(q, z.detach()) if step < 2 else 0)
    opt.zero_grad(); loss.backward(); opt.step()
    if step >= 2:
        with torch.no_grad():
            book.data[ids] = 0.9 * book[ids] + 0.1 * z
""",
    "teacher forcing, one optimizer, encoder detached by alternate epochs": """
enc, a, b = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 2)
opt = torch.optim.SGD([*enc.parameters(), *a.parameters(), *b.parameters()], lr=0.1)
for epoch in range(4):
    train_enc = epoch in (0, 2)
    for _ in range(2):
        z = enc(x)
        if not train_enc:
            z = z.detach()
        opt.zero_grad(); F.mse_loss(a(z) + b(z), y).backward(); opt.step()
""",
    "early exit": """
blocks = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)]); heads = nn.ModuleList([nn.Linear(4, 2) for _ in range(3)])
opt = torch.optim.SGD([*blocks.parameters(), *heads.parameters()], lr=0.1)
for step, depth in enumerate([3, 3, 2, 1, 1]):
    h = x
    for b in blocks[:depth]:
        h = b(h).relu()
    opt.zero_grad(); F.mse_loss(heads[depth - 1](h), y).backward(); opt.step()
""",
    "dead relu zeros, set_to_none False": """
enc, head = nn.Linear(4, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*enc.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    if step == 3:
        with torch.no_grad():
            enc.bias.fill_(-100.)
    opt.zero_grad(set_to_none=False); F.mse_loss(head(torch.relu(enc(x))), y).backward(); opt.step()
""",
    "momentum encoder": """
import copy
q, k = nn.Linear(4, 4), nn.Linear(4, 4)
k.load_state_dict(q.state_dict())
opt = torch.optim.SGD(q.parameters(), lr=0.1)
for step in range(5):
    with torch.no_grad():
        keys = k(x)
    opt.zero_grad(); F.cross_entropy(q(x) @ keys.t(), torch.arange(16)).backward(); opt.step()
    with torch.no_grad():
        for a, b in zip(k.parameters(), q.parameters()):
            a.lerp_(b, 0.1)
""",
    "PPG-like phases by one function, own losses": """
enc, pi, v = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 1)
opt = torch.optim.Adam([*enc.parameters(), *pi.parameters(), *v.parameters()])
def update(loss):
    opt.zero_grad(); loss.backward(); opt.step()
for _ in range(3):
    h = enc(x)
    update(F.mse_loss(pi(h), y) + v(h).pow(2).mean())
for _ in range(3):
    h = enc(x).detach()
    update(v(h).pow(2).mean())
""",
    "actor and critic share a step": """
enc, pi, v = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 1)
opt = torch.optim.Adam([*enc.parameters(), *pi.parameters(), *v.parameters()])
for i in range(6):
    h = enc(x)
    adv = y[:, :1] - v(h).detach()
    loss = -(pi(h).log_softmax(-1)[:, :1] * adv).mean() + F.mse_loss(v(h.detach()), y[:, :1])
    opt.zero_grad(); loss.backward(); opt.step()
""",
    "pruned weights": """
import torch.nn.utils.prune as prune
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(5):
    if step == 2:
        prune.l1_unstructured(net[0], 'weight', 0.3)
    opt.zero_grad(); F.mse_loss(net(x), y).backward(); opt.step()
""",
}


def _in_main(text: str) -> str:
    return "def main():\n" + "".join(f"    {line}\n" if line else "\n" for line in text.splitlines()) + "main()\n"


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
@pytest.mark.parametrize("name", SOUND)
def test_gradients_that_stop_on_purpose_are_not_told(name: str, *, wrap: bool) -> None:
    """No error and no warning."""
    text = (HEAD + SOUND[name]).strip("\n")

    recorded = record_text("print = lambda *_: None\n" + (_in_main(text) if wrap else text))

    assert recorded.error is None
    assert [finding.kind for finding in recorded.report.findings if finding.severity != "info"] == []
