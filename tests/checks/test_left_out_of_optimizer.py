"""Parameters that are unfrozen in the midst of a training, and optimizers over the wrong ones; with sound twins."""

from __future__ import annotations

import pytest

from tests.recording import record_text

HEAD = """
torch.manual_seed(0)
x, y = torch.randn(8, 4), torch.randn(8, 2)
body, head = nn.Linear(4, 4), nn.Linear(4, 2)
net = nn.Sequential(body, nn.Tanh(), head)
def loss():
    return (net(x) - y).pow(2).mean()
def step(opt):
    opt.zero_grad()
    loss().backward()
    opt.step()
"""

GAN = """
G, D = nn.Linear(3, 4), nn.Linear(4, 1)
opt_d = torch.optim.SGD(D.parameters(), lr=0.1)
opt_g = torch.optim.SGD({}
for _ in range(3):
    opt_d.zero_grad()
    (D(x).mean() - D(G(torch.randn(8, 3)).detach()).mean()).backward()
    opt_d.step()
    D.requires_grad_(False)
    opt_g.zero_grad()
    D(G(torch.randn(8, 3))).mean().backward()
    opt_g.step()
    D.requires_grad_(True)
"""

# The line at fault is marked.
WRONG = {
    "unfrozen by attribute": """
body.requires_grad_(False)
opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=0.01)
for epoch in range(5):
    if epoch == 2:
        for p in body.parameters():
            p.requires_grad = True  # here
    step(opt)
""",
    "unfrozen by the module's method": """
for p in body.parameters():
    p.requires_grad = False
opt = torch.optim.SGD(head.parameters(), lr=0.01, momentum=0.9)
step(opt)
step(opt)
body.requires_grad_(True)  # here
step(opt)
step(opt)
""",
    "unfrozen before the first step": """
body.requires_grad_(False)
opt = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
for p in body.parameters():
    p.requires_grad = True  # here
for _ in range(3):
    step(opt)
""",
    "unfrozen by a function before the first step": """
def freeze(module, on):
    for p in module.parameters():
        p.requires_grad_(not on)  # here
freeze(body, True)
opt = torch.optim.Adam(filter(lambda p: p.requires_grad, net.parameters()))
freeze(body, False)
step(opt)
""",
    "unfrozen by a method of the trainer's": """
class Trainer:
    def __init__(self):
        body.requires_grad_(False)
        self.opt = torch.optim.SGD(filter(lambda p: p.requires_grad, net.parameters()), lr=0.1)
    def unfreeze(self):
        for name, p in net.named_parameters():
            p.requires_grad_()  # here
    def fit(self, epochs):
        for epoch in range(epochs):
            if epoch == 1:
                self.unfreeze()
            step(self.opt)
Trainer().fit(4)
""",
    "the critic's optimizer over the actor": """
actor, critic = nn.Linear(4, 2), nn.Linear(2, 1)
one = torch.optim.Adam(actor.parameters())
two = torch.optim.Adam(actor.parameters())  # here
for _ in range(3):
    two.zero_grad()
    critic(actor(x).detach()).pow(2).mean().backward()
    two.step()
    one.zero_grad()
    (-critic(actor(x))).mean().backward()
    one.step()
""",
    "the generator's optimizer over the discriminator": GAN.format("D.parameters(), lr=0.1)  # here"),
}

SOUND = {
    "unfrozen into a group of its own": """
body.requires_grad_(False)
opt = torch.optim.SGD(head.parameters(), lr=0.1)
step(opt)
body.requires_grad_(True)
opt.add_param_group({"params": body.parameters(), "lr": 0.01})
step(opt)
""",
    "unfrozen, with all of them in the optimizer from the first": """
body.requires_grad_(False)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
step(opt)
body.requires_grad_(True)
step(opt)
""",
    "unfrozen for an optimizer of its own": """
body.requires_grad_(False)
opt = torch.optim.SGD(head.parameters(), lr=0.1)
step(opt)
body.requires_grad_(True)
opt = torch.optim.SGD(net.parameters(), lr=0.01)
step(opt)
step(opt)
""",
    "unfrozen for a look at the gradients between the steps": """
body.requires_grad_(False)
opt = torch.optim.SGD(head.parameters(), lr=0.1)
step(opt)
body.requires_grad_(True)
loss().backward()
print(body.weight.grad.norm() > 0)
body.requires_grad_(False)
step(opt)
""",
    "unfrozen and updated by hand": """
body.requires_grad_(False)
opt = torch.optim.SGD(head.parameters(), lr=0.1)
step(opt)
body.requires_grad_(True)
for _ in range(2):
    step(opt)
    with torch.no_grad():
        for p in body.parameters():
            p -= 0.01 * p.grad
            p.grad = None
""",
    "unfrozen before the first step, in a group of its own": """
body.requires_grad_(False)
opt = torch.optim.SGD(head.parameters(), lr=0.1)
body.requires_grad_(True)
opt.add_param_group({"params": body.parameters()})
step(opt)
""",
    "unfrozen before the first step, for an optimizer beside": """
body.requires_grad_(False)
opt = torch.optim.SGD(head.parameters(), lr=0.1)
body.requires_grad_(True)
slow = torch.optim.SGD(body.parameters(), lr=0.01)
for _ in range(3):
    step(opt)
    slow.step()
    slow.zero_grad()
""",
    "unfrozen before the first step, to read the gradients": """
body.requires_grad_(False)
opt = torch.optim.SGD(head.parameters(), lr=0.1)
body.requires_grad_(True)
for _ in range(3):
    step(opt)
    print([p.grad.norm() > 0 for p in body.parameters()])
""",
    "unfrozen and frozen again before the first step": """
body.requires_grad_(False)
opt = torch.optim.SGD(head.parameters(), lr=0.1)
body.requires_grad_(True)
body.requires_grad_(False)
step(opt)
""",
    "unfrozen behind the last step": """
body.requires_grad_(False)
opt = torch.optim.SGD(head.parameters(), lr=0.1)
step(opt)
step(opt)
body.requires_grad_(True)
loss().backward()
""",
    "two optimizers over the same, by turns": """
slow = torch.optim.SGD(net.parameters(), lr=0.01)
fast = torch.optim.SGD(net.parameters(), lr=0.1)
for turn in range(4):
    step(fast if turn % 2 else slow)
""",
    "a discriminator that is frozen while the generator learns": GAN.format("G.parameters(), lr=0.1)"),
    "a leaf of a dictionary that is replaced with its optimizer": """
params = {"w": torch.zeros(4, 2, requires_grad=True)}
for turn in range(2):
    opt = torch.optim.SGD(params.values(), lr=0.1)
    for _ in range(2):
        opt.zero_grad()
        (x @ params["w"] - y).pow(2).mean().backward()
        opt.step()
    params["w"] = params["w"].detach().clamp(-0.1, 0.1).requires_grad_()
""",
    "an image that is attacked with the same line beside a training": """
images = {"now": torch.zeros(8, 4, requires_grad=True)}
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(3):
    opt.zero_grad()
    (net(images["now"]) - y).pow(2).mean().backward()
    opt.step()
    images["now"] = (images["now"] + 0.1 * images["now"].grad.sign()).detach().requires_grad_()
""",
}


def _formed(name: str, programs: dict[str, str], *, wrap: bool) -> str:
    text = (HEAD + programs[name]).strip("\n") + "\n"
    return "def main():\n" + "".join(f"    {line}\n" for line in text.splitlines()) + "main()\n" if wrap else text


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
@pytest.mark.parametrize("name", WRONG)
def test_it_is_told(name: str, *, wrap: bool) -> None:
    """Once, at the line that unfroze them, or that built the wrong optimizer."""
    text = _formed(name, WRONG, wrap=wrap)
    line = next(number for number, one in enumerate(text.splitlines(), 1) if "# here" in one)

    found = [one for one in record_text(text).report.findings if one.severity != "info"]

    assert [one.kind for one in found] == ["not-optimized"]
    assert line in [place.position.line for place in found[0].culprits]


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
@pytest.mark.parametrize("name", SOUND)
def test_sound_code_is_quiet(name: str, *, wrap: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """No alarm where an optimizer has them, somebody looks at their gradients, or no step comes any more."""
    ran = record_text(_formed(name, SOUND, wrap=wrap))

    assert ran.error is None
    assert [one for one in ran.report.findings if one.severity != "info"] == []
    capsys.readouterr()


@pytest.mark.parametrize("kept", ['params["w"]', "model.w", "weights[0]"])
def test_a_leaf_that_another_takes_the_place_of_is_told(kept: str) -> None:
    """Of plain tensors by the expression that took both, one after the other; no change of the line is shown."""
    made = "torch.zeros(4, 2, requires_grad=True)"
    begin = {"p": f'params = {{"w": {made}}}', "m": f"class Model: pass\nmodel = Model()\nmodel.w = {made}"}
    text = f"""{begin.get(kept[0], f"weights = [{made}]")}
x, y = torch.randn(8, 4), torch.randn(8, 2)
opt = torch.optim.SGD([{kept}], lr=0.1)
for turn in range(5):
    opt.zero_grad()
    (x @ {kept} - y).pow(2).mean().backward()
    opt.step()
    if turn == 1:
        {kept} = {kept}.detach().clamp(-0.1, 0.1).requires_grad_()
"""

    (found,) = [one for one in record_text(text).report.findings if one.severity != "info"]

    assert found.kind == "rebound-leaf"
    assert found.culprits[0].position.line == len(text.splitlines())
    assert found.rewrite is None
