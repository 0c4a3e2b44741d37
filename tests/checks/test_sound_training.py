"""Real ways to train that drop, cut, scale or leave out gradients on purpose: nothing is alarmed."""

from __future__ import annotations

import pytest

from tests.recording import record_text

HEAD = """
import copy
from torch import nn
import torch.nn.functional as F
torch.manual_seed(0)
x, y = torch.randn(16, 4), torch.randn(16, 2)
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.05)
def mse(out):
    return (out - y).pow(2).mean()
"""

SOUND = {
    "clients that train copies of one model, each with an optimizer of its own": """
def fit(net, data):
    net = copy.deepcopy(net)
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for part in data:
        opt.zero_grad()
        F.mse_loss(net(part), y[:4]).backward()
        opt.step()
    return net.state_dict()
server = nn.Linear(4, 2)
for turn in range(3):
    states = [fit(server, [part]) for part in x.split(4)]
    server.load_state_dict({key: sum(one[key] for one in states) / len(states) for key in states[0]})
""",
    "a copy that is trained, and an optimizer of the first that never steps": """
student = copy.deepcopy(net)
own = torch.optim.SGD(student.parameters(), lr=0.1)
for _ in range(3):
    own.zero_grad()
    mse(student(x)).backward()
    own.step()
""",
    "an optimizer for each part, of which one turn steps a few": """
parts = {"trunk": nn.Linear(4, 4), "head": nn.Linear(4, 2)}
optimizers = {name: torch.optim.SGD(part.parameters(), lr=0.1) for name, part in parts.items()}
for _ in range(3):
    with torch.no_grad():
        h = parts["trunk"](x)
    optimizers["head"].zero_grad()
    mse(parts["head"](h)).backward()
    optimizers["head"].step()
""",
    "a net for each fold, made by a function": """
def fit(part):
    net = nn.Linear(4, 2)
    opt = torch.optim.Adam(net.parameters())
    opt.zero_grad()
    F.mse_loss(net(part), y[:4]).backward()
    opt.step()
    return net
nets = [fit(part) for part in x.split(4)]
""",
    "gradients that are dropped before anything is computed, twice": """
for part in x.split(4):
    opt.zero_grad()
    net.zero_grad()
    F.mse_loss(net(part), y[:4]).backward()
    opt.step()
""",
    "two optimizers of a GAN, with a penalty": """
D = nn.Linear(4, 1)
G = nn.Linear(3, 4)
optD = torch.optim.Adam(D.parameters(), lr=1e-2)
optG = torch.optim.Adam(G.parameters(), lr=1e-2)
for i in range(4):
    fake = G(torch.randn(16, 3))
    mixed = (0.5 * x + 0.5 * fake.detach()).requires_grad_()
    slope, = torch.autograd.grad(D(mixed).pow(2).sum(), mixed, create_graph=True)
    optD.zero_grad()
    (D(fake.detach()).mean() - D(x).mean() + (slope.norm(dim=1) - 1).pow(2).mean()).backward()
    optD.step()
    if i % 2:
        for p in D.parameters():
            p.requires_grad_(False)
        optG.zero_grad()
        (-D(G(torch.randn(16, 3)))).mean().backward()
        optG.step()
        for p in D.parameters():
            p.requires_grad_(True)
""",
    "accumulation under a scaler": """
scaler = torch.amp.GradScaler('cpu')
for i in range(6):
    scaler.scale(mse(net(x)) / 3).backward()
    if i % 3 == 2:
        scaler.unscale_(opt)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(opt)
        scaler.update()
        opt.zero_grad()
""",
    "a frozen backbone": """
back, head = nn.Sequential(nn.Linear(4, 8), nn.ReLU()), nn.Linear(8, 2)
for p in back.parameters():
    p.requires_grad = False
opt = torch.optim.SGD(head.parameters(), lr=0.1)
for _ in range(3):
    opt.zero_grad()
    mse(head(back(x))).backward()
    opt.step()
""",
    "a frozen backbone in the optimizer": """
for p in net[0].parameters():
    p.requires_grad_(False)
opt = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
for _ in range(3):
    opt.zero_grad()
    mse(net(x)).backward()
    opt.step()
""",
    "tied weights": """
emb, out = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
out.weight = emb.weight
opt = torch.optim.SGD([*emb.parameters(), *out.parameters()][:1], lr=0.1)
ids = torch.randint(0, 10, (16,))
for _ in range(3):
    opt.zero_grad()
    F.cross_entropy(out(emb(ids)), ids).backward()
    opt.step()
""",
    "a straight-through quantizer with a codebook": """
codes = nn.Parameter(torch.randn(5, 2))
opt = torch.optim.SGD([*net.parameters(), codes], lr=0.1)
for _ in range(3):
    z = net(x)
    near = torch.cdist(z.detach(), codes.detach()).argmin(dim=1)
    q = codes[near]
    st = z + (q - z).detach()
    loss = mse(st) + (q - z.detach()).pow(2).mean() + 0.25 * (q.detach() - z).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "meta-learning of the second order": """
meta = torch.optim.Adam(net.parameters(), lr=1e-2)
for _ in range(3):
    fast = dict(net.named_parameters())
    loss = mse(torch.func.functional_call(net, fast, (x,)))
    grads = torch.autograd.grad(loss, list(fast.values()), create_graph=True)
    fast = {name: p - 0.1 * g for (name, p), g in zip(fast.items(), grads)}
    meta.zero_grad()
    mse(torch.func.functional_call(net, fast, (x + 0.1,))).backward()
    meta.step()
""",
    "meta-learning of the first order": """
meta = torch.optim.Adam(net.parameters(), lr=1e-2)
for _ in range(3):
    inner = copy.deepcopy(net)
    sgd = torch.optim.SGD(inner.parameters(), lr=0.1)
    for _ in range(2):
        sgd.zero_grad()
        mse(inner(x)).backward()
        sgd.step()
    with torch.no_grad():
        for p, q in zip(net.parameters(), inner.parameters()):
            p.grad = p - q
    meta.step()
    meta.zero_grad()
""",
    "gradient surgery by autograd.grad": """
params = list(net.parameters())
for _ in range(3):
    out = net(x)
    one = torch.autograd.grad((out[:, 0] - y[:, 0]).pow(2).mean(), params, retain_graph=True)
    two = torch.autograd.grad((out[:, 1] - y[:, 1]).pow(2).mean(), params)
    for p, a, b in zip(params, one, two):
        dot = (a * b).sum()
        p.grad = a + b - (dot / b.norm().pow(2).clamp_min(1e-8) * b if dot < 0 else 0)
    opt.step()
    opt.zero_grad()
""",
    "low-rank adapters": """
class LoRA(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base
        self.a = nn.Parameter(torch.randn(base.in_features, 2) * 0.1)
        self.b = nn.Parameter(torch.zeros(2, base.out_features))
        for p in base.parameters():
            p.requires_grad_(False)
    def forward(self, h):
        return self.base(h) + h @ self.a @ self.b
net = nn.Sequential(LoRA(nn.Linear(4, 8)), nn.Tanh(), LoRA(nn.Linear(8, 2)))
opt = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-2)
for _ in range(4):
    opt.zero_grad()
    mse(net(x)).backward()
    opt.step()
""",
    "a delayed policy with soft targets": """
actor, critic = nn.Linear(4, 2), nn.Linear(6, 1)
actor_t, critic_t = copy.deepcopy(actor), copy.deepcopy(critic)
oa, oc = torch.optim.Adam(actor.parameters(), lr=1e-2), torch.optim.Adam(critic.parameters(), lr=1e-2)
for i in range(4):
    with torch.no_grad():
        target = y[:, :1] + 0.9 * critic_t(torch.cat([x, actor_t(x)], 1))
    oc.zero_grad()
    (critic(torch.cat([x, actor(x).detach()], 1)) - target).pow(2).mean().backward()
    oc.step()
    if i % 2:
        oa.zero_grad()
        (-critic(torch.cat([x, actor(x)], 1))).mean().backward()
        oa.step()
        with torch.no_grad():
            pairs = [*zip(actor_t.parameters(), actor.parameters()), *zip(critic_t.parameters(), critic.parameters())]
            for t, p in pairs:
                t.mul_(0.9).add_(p, alpha=0.1)
""",
    "a teacher and a student": """
teacher = nn.Linear(4, 2)
for _ in range(3):
    with torch.no_grad():
        soft = teacher(x).softmax(-1)
    opt.zero_grad()
    F.kl_div(net(x).log_softmax(-1), soft, reduction='batchmean').backward()
    opt.step()
""",
    "an average of the weights, put in for a validation": """
ema = copy.deepcopy(net)
for _ in range(3):
    opt.zero_grad()
    mse(net(x)).backward()
    opt.step()
    with torch.no_grad():
        for a, b in zip(ema.parameters(), net.parameters()):
            a.lerp_(b, 0.1)
kept = {name: value.clone() for name, value in net.state_dict().items()}
net.load_state_dict(ema.state_dict())
with torch.no_grad():
    mse(net(x))
net.load_state_dict(kept)
""",
    "sharpness-aware with hooks": """
for _ in range(3):
    mse(net(x)).backward()
    with torch.no_grad():
        norm = torch.stack([p.grad.norm() for p in net.parameters()]).norm()
        moved = [0.05 * p.grad / (norm + 1e-12) for p in net.parameters()]
        for p, e in zip(net.parameters(), moved):
            p.add_(e)
    opt.zero_grad()
    mse(net(x)).backward()
    with torch.no_grad():
        for p, e in zip(net.parameters(), moved):
            p.sub_(e)
    opt.step()
    opt.zero_grad()
""",
    "reversed gradients": """
class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return h.view_as(h)
    @staticmethod
    def backward(ctx, g):
        return -g
adversary = nn.Linear(2, 1)
opt = torch.optim.SGD([*net.parameters(), *adversary.parameters()], lr=0.1)
for _ in range(3):
    h = net(x)
    opt.zero_grad()
    (mse(h) + adversary(Reverse.apply(h)).pow(2).mean()).backward()
    opt.step()
""",
    "a step for every other layer": """
first = torch.optim.SGD(net[0].parameters(), lr=0.1)
last = torch.optim.SGD(net[2].parameters(), lr=0.1)
for i in range(4):
    one = first if i % 2 else last
    net.zero_grad()
    mse(net(x)).backward()
    one.step()
""",
    "an input is optimized": """
for p in net.parameters():
    p.requires_grad_(False)
image = torch.zeros(16, 4, requires_grad=True)
opt = torch.optim.Adam([image], lr=0.1)
for _ in range(3):
    opt.zero_grad()
    mse(net(image)).backward()
    opt.step()
    with torch.no_grad():
        image.clamp_(-1, 1)
""",
    "an attack on a model that is trained elsewhere": """
adv = x.clone().requires_grad_()
for _ in range(3):
    loss = mse(net(adv))
    g, = torch.autograd.grad(loss, adv)
    adv = (adv + 0.1 * g.sign()).detach().requires_grad_()
opt.zero_grad()
mse(net(adv.detach())).backward()
opt.step()
""",
    "truncated backpropagation": """
cell, out = nn.GRUCell(4, 3), nn.Linear(3, 2)
opt = torch.optim.SGD([*cell.parameters(), *out.parameters()], lr=0.1)
h = torch.zeros(16, 3)
for _ in range(4):
    h = cell(x, h.detach())
    opt.zero_grad()
    mse(out(h)).backward()
    opt.step()
""",
    "recomputed activations": """
from torch.utils.checkpoint import checkpoint
for _ in range(3):
    opt.zero_grad()
    mse(net[2](checkpoint(lambda h: net[1](net[0](h)), x, use_reentrant=False))).backward()
    opt.step()
""",
    "normed weights": """
net = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 8)), nn.Tanh(), nn.Linear(8, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(3):
    opt.zero_grad()
    mse(net(x)).backward()
    opt.step()
""",
    "weights clipped after each step": """
critic = nn.Linear(4, 1)
opt = torch.optim.RMSprop(critic.parameters(), lr=1e-2)
for _ in range(3):
    opt.zero_grad()
    (critic(x[:8]).mean() - critic(x[8:]).mean()).backward()
    opt.step()
    with torch.no_grad():
        for p in critic.parameters():
            p.clamp_(-0.01, 0.01)
""",
    "an evaluation between the steps": """
best = None
for i in range(4):
    net.train()
    opt.zero_grad()
    loss = mse(net(x))
    loss.backward()
    opt.step()
    net.eval()
    with torch.no_grad():
        seen = mse(net(x)).item()
    if best is None or seen < best:
        best, kept = seen, copy.deepcopy(net.state_dict())
""",
    "entropy with a guard": """
for _ in range(3):
    p = net(x).softmax(-1)
    opt.zero_grad()
    (-(p * (p + 1e-9).log()).sum(-1).mean()).backward()
    opt.step()
""",
    "gradients looked at between the micro-batches": """
for i in range(4):
    seen = []
    for part in range(2):
        opt.zero_grad()
        mse(net(x)).backward()
        seen.append([p.grad.clone() for p in net.parameters()])
    with torch.no_grad():
        for p, a, b in zip(net.parameters(), *seen):
            p.grad.copy_((a + b) / 2)
    opt.step()
""",
    "per-sample gradients": """
params = {name: p.detach() for name, p in net.named_parameters()}
def loss_of(params, one, target):
    return (torch.func.functional_call(net, params, (one[None],))[0] - target).pow(2).mean()
grads = torch.func.vmap(torch.func.grad(loss_of), (None, 0, 0))(params, x, y)
for name, p in net.named_parameters():
    p.grad = grads[name].mean(0)
opt.step()
""",
}


def _in_main(text: str) -> str:
    return "def main():\n" + "".join(f"    {line}\n" if line else "\n" for line in text.splitlines()) + "main()\n"


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_alarmed(name: str, *, wrap: bool) -> None:
    """No error and no warning."""
    text = (HEAD + SOUND[name]).strip("\n")

    recorded = record_text(_in_main(text) if wrap else text)

    assert recorded.error is None
    loud = [finding for finding in recorded.report.findings if finding.severity != "info"]
    assert [(one.kind, [place.position.line for place in one.culprits]) for one in loud] == []
