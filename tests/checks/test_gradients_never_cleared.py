"""Gradients that nothing clears from step to step are told; sums that are meant, and all that clears them, are not."""

from __future__ import annotations

import pytest

from inplace.checks.gradients_never_cleared import UnclearedGradients
from inplace.facts.model import Act
from inplace.fixes.editing import applied
from inplace.render.words.telling import message
from tests.recording import record_text
from tests.sessions import Session, play
from tests.windows import in_windows

HEAD = "torch.manual_seed(0)\nx, y = torch.randn(8, 3), torch.randn(8, 1)\nmodel = nn.Linear(3, 1)\n"  # 3 lines
SGD = HEAD + "opt = torch.optim.SGD(model.parameters(), lr=0.01)\n"  # 4 lines
LOSS = "(model(x) - y).pow(2).mean()"
TURN = f"    {LOSS}.backward()\n    opt.step()\n"
KIND = "gradients-never-cleared"

# The lines of backward, that of the step, the names of which one is told, whether there is a change, and the code.
WRONG: dict[str, tuple[tuple[int, ...], int, bool, str]] = {
    "a loop": ((6,), 7, True, f"{SGD}for _ in range(5):\n{TURN}"),
    "three steps": ((6,), 7, True, f"{SGD}for _ in range(3):\n{TURN}"),
    "many steps": ((6,), 7, True, f"{SGD}for _ in range(40):\n{TURN}"),
    "cleared before there was any": ((7,), 8, True, f"{SGD}opt.zero_grad()\nfor _ in range(5):\n{TURN}"),
    "Adam, and a scheduler": (
        (7,),
        8,
        True,
        f"{HEAD}opt = torch.optim.Adam(model.parameters())\nplan = torch.optim.lr_scheduler.StepLR(opt, 1)\n"
        f"for _ in range(4):\n{TURN}    plan.step()\n",
    ),
    "a loss that is named, and clipped": (
        (7,),
        9,
        True,
        f"{SGD}for _ in range(4):\n    loss = {LOSS}\n    loss.backward()\n"
        "    nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n    opt.step()\n",
    ),
    "a gradient that is looked at": (
        (6,),
        8,
        True,
        f"{SGD}for _ in range(4):\n    {LOSS}.backward()\n    norm = model.weight.grad.norm().item()\n    opt.step()\n",
    ),
    "in functions": (
        (6,),
        8,
        True,
        f"{SGD}def turn():\n    {LOSS}.backward()\n    norm = model.bias.grad.norm()\n    opt.step()\n"
        "for _ in range(4):\n    turn()\n",
    ),
    "a class": (
        (10,),
        11,
        True,
        f"{HEAD}class Trainer:\n    def __init__(self, model):\n        self.model = model\n"
        "        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.01)\n    def fit(self, times):\n"
        "        for _ in range(times):\n            (self.model(x) - y).pow(2).mean().backward()\n"
        "            self.optimizer.step()\nTrainer(model).fit(4)\n",
    ),
    "apart from each other": (
        (6,),
        8,
        False,
        f"{SGD}def backward():\n    {LOSS}.backward()\ndef step():\n    opt.step()\n"
        "for _ in range(4):\n    backward()\n    step()\n",
    ),
    "several backwards for a step": (
        (6,),
        8,
        False,
        f"{SGD}for i in range(8):\n    ({LOSS} / 2).backward()\n    if i % 2:\n        opt.step()\n",
    ),
    "one of two players": (
        (13,),
        14,
        True,
        "torch.manual_seed(0)\nx = torch.randn(8, 3)\nG, D = nn.Linear(3, 3), nn.Linear(3, 1)\n"
        "optG = torch.optim.SGD(G.parameters(), lr=0.1)\noptD = torch.optim.SGD(D.parameters(), lr=0.1)\n"
        "for _ in range(4):\n    optD.zero_grad()\n    fake = G(x)\n"
        "    (D(x).mean() - D(fake.detach()).mean()).backward()\n    optD.step()\n"
        "    # the other\n    score = D(fake).mean()\n    score.backward()\n    optG.step()\n",
    ),
    "a plain leaf": (
        (4,),
        5,
        True,
        "w = torch.ones(3, requires_grad=True)\nopt = torch.optim.Adam([w], lr=0.1)\nwhile w.sum() > 1.5:\n"
        "    (w * w).sum().backward()\n    opt.step()\n",
    ),
}

LEAVES = "torch.manual_seed(0)\nx, y = torch.randn(8, 3), torch.randn(8)\nw = torch.randn(3, requires_grad=True)\n"
SQUARE = "((x @ w - y) ** 2).mean()"
CLASS = (
    "class Own(torch.optim.Optimizer):\n    def __init__(self, params):\n        super().__init__(params, {{}})\n"
    "    @torch.no_grad()\n    def step(self, closure=None):\n        for p in self.param_groups[0]['params']:\n"
    "            state, g = self.state[p], p.grad\n{update}"
)  # 6 lines, and those of the update
OWN_LOOP = f"opt = Own(model.parameters())\nfor _ in range(5):\n{TURN}"


def _own(*update: str) -> str:
    """A training with an optimizer of the user's own, whose update stands on line 11."""
    return HEAD + CLASS.format(update="".join(f"            {line}\n" for line in update)) + OWN_LOOP


BACK = f"{LEAVES}for _ in range(5):\n    {SQUARE}.backward()\n"
DOWN = "    w.data -= 0.1 * w.grad\n"
# By hand, with closures, and with a scaler that is off: the line of backward, that of the update, and the code.
BY_HAND: dict[str, tuple[int, int, str]] = {
    "under no_grad": (
        5,
        7,
        f"{LEAVES}for _ in range(4):\n    {SQUARE}.backward()\n    with torch.no_grad():\n        w -= 0.1 * w.grad\n",
    ),
    "through data": (5, 6, f"{LEAVES}for _ in range(4):\n    {SQUARE}.backward()\n    w.data -= 0.1 * w.grad.data\n"),
    "given new data": (
        5,
        6,
        f"{LEAVES}for _ in range(4):\n    {SQUARE}.backward()\n    w.data = w.data - 0.1 * w.grad.data\n",
    ),
    "copied in": (
        5,
        7,
        f"{LEAVES}for _ in range(4):\n    {SQUARE}.backward()\n    with torch.no_grad():\n"
        "        w.copy_(w - 0.1 * w.grad)\n",
    ),
    "added with a factor": (
        5,
        6,
        f"{LEAVES}for _ in range(4):\n    {SQUARE}.backward()\n    w.data.add_(w.grad, alpha=-0.1)\n",
    ),
    "by a function": (
        8,
        6,
        f"{LEAVES}def update(params, lr):\n    with torch.no_grad():\n        for p in params: p.sub_(lr * p.grad)\n"
        f"for _ in range(4):\n    {SQUARE}.backward()\n    update([w], 0.1)\n",
    ),
    "all at once": (
        5,
        7,
        f"{HEAD}for _ in range(4):\n    {LOSS}.backward()\n    params = list(model.parameters())\n"
        "    with torch.no_grad(): torch._foreach_add_(params, [p.grad for p in params], alpha=-0.1)\n",
    ),
    "with momentum": (
        6,
        8,
        f"{LEAVES}v = torch.zeros(3)\nfor _ in range(4):\n    {SQUARE}.backward()\n    v = 0.9 * v + w.grad\n"
        "    w.data -= 0.1 * v\n",
    ),
    "a loss that is looked at, and clipped": (
        5,
        8,
        f"{LEAVES}for _ in range(4):\n    {SQUARE}.backward()\n    norm = w.grad.norm().item()\n"
        "    nn.utils.clip_grad_norm_([w], 1.0)\n    w.data -= 0.1 * w.grad\n",
    ),
    "an optimizer of one's own": (14, 11, _own("p.sub_(g, alpha=0.01)")),
    "one with momentum": (
        16,
        13,
        _own(
            "if 'buf' not in state: state['buf'] = torch.clone(g).detach()",
            "else: state['buf'].mul_(0.9).add_(g)",
            "p.add_(state['buf'], alpha=-0.01)",
        ),
    ),
    "one with moments": (
        17,
        14,
        _own(
            "if not state: state['m'], state['s'] = torch.zeros_like(p), torch.zeros_like(p)",
            "state['m'].mul_(0.9).add_(g, alpha=0.1)",
            "state['s'].mul_(0.9).addcmul_(g, g, value=0.1)",
            "p.addcdiv_(state['m'], state['s'].sqrt().add_(1e-8), value=-0.01)",
        ),
    ),
    "a closure": (
        7,
        10,
        f"{SGD}def closure():\n    loss = {LOSS}\n    loss.backward()\n    return loss\nfor _ in range(5):\n"
        "    opt.step(closure)\n",
    ),
    "a closure that is called often": (
        7,
        10,
        f"{HEAD}opt = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)\ndef closure():\n    loss = {LOSS}\n"
        "    loss.backward()\n    return loss\nfor _ in range(5):\n    opt.step(closure)\n",
    ),
    "a closure that is called often, cleared before each step": (
        7,
        11,
        f"{HEAD}opt = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)\ndef closure():\n    loss = {LOSS}\n"
        "    loss.backward()\n    return loss\nfor _ in range(2):\n    opt.zero_grad()\n    opt.step(closure)\n",
    ),
    "a closure within a loop that clears by hand, searching along lines": (
        9,
        11,
        f"{HEAD}opt = torch.optim.LBFGS(model.parameters(), max_iter=4, line_search_fn='strong_wolfe')\n"
        "for _ in range(3):\n    for p in model.parameters(): p.grad = None\n    def closure():\n"
        f"        loss = {LOSS}\n        loss.backward()\n        return loss\n    opt.step(closure)\n",
    ),
    "a closure that clamps, and does not clear": (
        9,
        11,
        f"{HEAD}opt = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)\ndef closure():\n"
        f"    with torch.no_grad():\n        model.weight.clamp_(-9, 9)\n    loss = {LOSS}\n    loss.backward()\n"
        "    return loss\nopt.step(closure)\n",
    ),
    "a scaler that is switched off": (
        7,
        8,
        f"{SGD}scaler = torch.amp.GradScaler('cpu', enabled=False)\nfor _ in range(5):\n"
        f"    scaler.scale({LOSS}).backward()\n    scaler.step(opt)\n    scaler.update()\n",
    ),
}


def _called(first: str) -> str:
    """A closure that is called several times in one step, and begins with a line."""
    return (
        f"{HEAD}opt = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)\ndef closure():\n    {first}\n"
        f"    loss = {LOSS}\n    loss.backward()\n    return loss\nfor _ in range(3):\n    opt.step(closure)\n"
    )


NOT_BY_HAND = {
    "set to None": f"{BACK}{DOWN}    w.grad = None\n",
    "zeroed": f"{BACK}    with torch.no_grad():\n        w -= 0.1 * w.grad\n        w.grad.zero_()\n",
    "zeroed through data": f"{BACK}    w.data -= 0.1 * w.grad.data\n    w.grad.data.zero_()\n",
    "none so far": f"{LEAVES}for _ in range(5):\n    if w.grad is not None: w.data -= 0.1 * w.grad\n"
    "    (x @ w.detach()).sum()\n",
    "zeroed first": f"{LEAVES}for _ in range(5):\n    if w.grad is not None: w.grad.zero_()\n    {SQUARE}.backward()\n"
    "    w.data -= 0.1 * w.grad\n",
    "zeroed by a function": f"{LEAVES}def clear(params):\n    for p in params: p.grad.detach_().zero_()\n"
    f"for _ in range(5):\n    {SQUARE}.backward()\n    w.data -= 0.1 * w.grad\n    clear([w])\n",
    "zeroed by the model": f"{HEAD}for _ in range(5):\n    model.zero_grad()\n    {LOSS}.backward()\n"
    "    for p in model.parameters(): p.data -= 0.1 * p.grad\n",
    "zeroed in a thread": f"{LEAVES}import threading\nfor _ in range(5):\n    {SQUARE}.backward()\n"
    "    w.data -= 0.1 * w.grad\n    one = threading.Thread(target=w.grad.zero_)\n    one.start()\n    one.join()\n",
    "filled anew": f"{BACK}{DOWN}    w.grad.fill_(0)\n",
    "decayed": f"{BACK}{DOWN}    w.grad *= 0.5\n",
    "accumulated": f"{LEAVES}for i in range(12):\n    {SQUARE}.backward()\n    if i % 3 == 2:\n"
    "        w.data -= 0.1 * w.grad\n        w.grad = None\n",
    "cleared for each sequence": f"{LEAVES}for i in range(12):\n    {SQUARE}.backward()\n    w.data -= 0.1 * w.grad\n"
    "    if i % 6 == 5: w.grad.zero_()\n",
    "asked for": f"{LEAVES}for _ in range(5):\n    g, = torch.autograd.grad({SQUARE}, w)\n    w.data -= 0.1 * g\n",
    "the difference of two sums": f"{LEAVES}last = torch.zeros(3)\nfor _ in range(5):\n    {SQUARE}.backward()\n"
    "    w.data -= 0.1 * (w.grad - last)\n    last = w.grad.clone()\n",
    "the difference of two sums, added": f"{LEAVES}last = torch.zeros(3)\nfor _ in range(5):\n    {SQUARE}.backward()\n"
    "    w.data.add_(torch.add(w.grad, last, alpha=-1), alpha=-0.1)\n    last = w.grad.clone()\n",
    "from the first weights": f"{LEAVES}first = w.detach().clone()\nfor _ in range(5):\n    {SQUARE}.backward()\n"
    "    w.data.copy_(first - 0.1 * w.grad)\n",
    "only looked at": f"{BACK}    print(w.grad.norm())\n    w.data -= 0.1 * w.detach()\n",
    "two updates": f"{LEAVES}for _ in range(2):\n    {SQUARE}.backward()\n    w.data -= 0.1 * w.grad\n",
    "updates of one backward": f"{LEAVES}{SQUARE}.backward()\nfor _ in range(5):\n    w.data -= 0.1 * w.grad\n",
    "an optimizer of one's own, cleared": _own("p.sub_(g, alpha=0.01)") + "    opt.zero_grad()\n",
    "one that clears": _own("p.sub_(g, alpha=0.01)", "p.grad = None"),
    "one that averages": _own("state.setdefault('first', p.clone())", "p.copy_(state['first'] - 0.1 * g)"),
    "one that differs": _own("p.sub_(g - state.get('last', 0 * g), alpha=0.01)", "state['last'] = g.clone()"),
    "a closure that clears last": f"{SGD}def closure():\n    loss = {LOSS}\n    loss.backward()\n    return loss\n"
    "for _ in range(5):\n    opt.step(closure)\n    opt.zero_grad()\n",
    "cleared before a closure": f"{SGD}def closure():\n    loss = {LOSS}\n    loss.backward()\n    return loss\n"
    "for _ in range(5):\n    model.zero_grad()\n    opt.step(closure)\n",
    "a closure that sets to None": f"{SGD}def closure():\n    for p in model.parameters(): p.grad = None\n"
    f"    loss = {LOSS}\n    loss.backward()\n    return loss\nfor _ in range(5):\n    opt.step(closure)\n",
    "a closure that is called often, and clears": _called("opt.zero_grad()"),
    "one that zeroes": _called("opt.zero_grad(set_to_none=False)"),
    "one that clears by the model": _called("model.zero_grad()"),
    "one that sets to None": _called("for p in model.parameters(): p.grad = None"),
    "one that zeroes through data": _called("for p in model.parameters(): p.grad is None or p.grad.data.zero_()"),
    "one that zeroes where nothing is recorded": _called(
        "with torch._C.DisableTorchFunction(): [p.grad.zero_() for p in model.parameters() if p.grad is not None]"
    ),
    "one that sums the losses of parts": _called(
        "opt.zero_grad()\n    for part in x[:3]: model(part).sum().backward()"
    ),
    "one that asks for gradients": f"{HEAD}opt = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)\n"
    f"def closure():\n    loss = {LOSS}\n    for p, g in zip(model.parameters(), torch.autograd.grad(loss, "
    "[*model.parameters()])): p.grad = g\n    return loss\nfor _ in range(3):\n    opt.step(closure)\n",
    "a scaler that is switched off, and cleared": f"{SGD}scaler = torch.amp.GradScaler('cpu', enabled=False)\n"
    f"for _ in range(5):\n    scaler.scale({LOSS}).backward()\n    scaler.unscale_(opt)\n    scaler.step(opt)\n"
    "    scaler.update()\n    opt.zero_grad()\n",
}

SOUND = {
    "two steps": f"{SGD}for _ in range(2):\n{TURN}",
    "cleared first": f"{SGD}for _ in range(5):\n    opt.zero_grad()\n{TURN}",
    "cleared last": f"{SGD}for _ in range(5):\n{TURN}    opt.zero_grad()\n",
    "cleared by the model": f"{SGD}for _ in range(5):\n{TURN}    model.zero_grad()\n",
    "zeroed": f"{SGD}for _ in range(5):\n{TURN}    opt.zero_grad(set_to_none=False)\n",
    "set to None": f"{SGD}for _ in range(5):\n{TURN}    for p in model.parameters():\n        p.grad = None\n",
    "deleted": f"{SGD}for _ in range(5):\n{TURN}    for p in model.parameters():\n        del p.grad\n",
    "zeroed by hand": f"{SGD}for _ in range(5):\n{TURN}    for p in model.parameters():\n        p.grad.zero_()\n",
    "zeroed through data": f"{SGD}for _ in range(5):\n{TURN}    for p in model.parameters():\n"
    "        p.grad.data.zero_()\n",
    "zeroed through another name": f"{SGD}kept = None\nfor _ in range(5):\n{TURN}"
    "    kept = kept or [p.grad.detach() for p in model.parameters()]\n    for g in kept:\n        g.fill_(0)\n",
    "zeroed by a foreach": f"{SGD}for _ in range(5):\n{TURN}"
    "    torch._foreach_zero_([p.grad for p in model.parameters()])\n",
    "zeroed by numpy": f"{SGD}for _ in range(5):\n{TURN}    for p in model.parameters():\n"
    "        p.grad.numpy()[:] = 0\n",
    "kept in part": f"{SGD}for _ in range(5):\n{TURN}    for p in model.parameters():\n        p.grad.mul_(0.9)\n",
    "kept in part by index": f"{SGD}for _ in range(5):\n{TURN}    for p in model.parameters():\n"
    "        p.grad[:] *= 0.9\n",
    "put there": f"{SGD}for _ in range(5):\n"
    f"    for p, g in zip(model.parameters(), torch.autograd.grad({LOSS}, list(model.parameters()))):\n"
    "        p.grad = g\n    opt.step()\n",
    "accumulated": f"{SGD}for i in range(12):\n    {LOSS}.backward()\n    if i % 3 == 2:\n"
    "        opt.step()\n        opt.zero_grad()\n",
    "accumulated, over before its clear": f"{SGD}for i in range(5):\n    {LOSS}.backward()\nopt.step()\n",
    "cleared each second step": f"{SGD}for i in range(8):\n{TURN}    if i % 2:\n        opt.zero_grad()\n",
    "cleared late": f"{SGD}for i in range(30):\n{TURN}    if i == 25:\n        opt.zero_grad()\n",
    "cleared by a hook": f"{SGD}for p in model.parameters():\n"
    "    p.register_post_accumulate_grad_hook(lambda p: None)\n"
    "opt.register_step_post_hook(lambda o, *_: o.zero_grad())\n"
    f"for i in range(5):\n{TURN}",
    "cleared in a thread": f"{SGD}import threading\nfor i in range(5):\n{TURN}"
    "    one = threading.Thread(target=opt.zero_grad)\n    one.start()\n    one.join()\n",
    "cleared where nothing is recorded": f"{SGD}for i in range(5):\n{TURN}"
    "    with torch._C.DisableTorchFunction():\n        for p in model.parameters():\n            p.grad.zero_()\n",
    "a step in backward": f"{HEAD}opts = {{p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()}}\n"
    "def use(p):\n    opts[p].step()\n    opts[p].zero_grad()\nfor p in model.parameters():\n"
    f"    p.register_post_accumulate_grad_hook(use)\nfor _ in range(5):\n    {LOSS}.backward()\n",
    "closures that clear": f"{HEAD}opt = torch.optim.LBFGS(model.parameters(), lr=0.1)\ndef closure():\n"
    f"    opt.zero_grad()\n    loss = {LOSS}\n    loss.backward()\n    return loss\n"
    "for _ in range(4):\n    opt.step(closure)\n",
    "steps of one backward": f"{SGD}{LOSS}.backward()\nfor _ in range(5):\n    opt.step()\n",
    "functional": f"{HEAD}ws = {{k: v.detach() for k, v in model.named_parameters()}}\ndef loss(ws):\n"
    "    return (torch.func.functional_call(model, ws, (x,)) - y).pow(2).mean()\nfor _ in range(5):\n"
    "    ws = {k: ws[k] - 0.1 * g for k, g in torch.func.grad(loss)(ws).items()}\n",
    "scaled": f"{SGD}scaler = torch.amp.GradScaler('cpu', init_scale=1024.0)\nfor _ in range(5):\n"
    f"    scaler.scale({LOSS}).backward()\n    scaler.step(opt)\n    scaler.update()\n",
    "a graph of the gradient": f"{SGD}for _ in range(5):\n    {LOSS}.backward(create_graph=True)\n    opt.step()\n"
    "    for p in model.parameters():\n        p.grad = None\n",
    "an optimizer for each of several copies": HEAD
    + "import copy\nfor _ in range(5):\n    model = copy.deepcopy(model)\n"
    f"    opt = torch.optim.SGD(model.parameters(), lr=0.01)\n{TURN}",
}


def _in_main(text: str) -> str:
    return "def main():\n" + "".join(f"    {line}\n" for line in text.splitlines()) + "main()\n"


def _found(text: str) -> list[UnclearedGradients]:
    recorded = record_text(text)
    assert recorded.error is None
    return [one for one in recorded.report.findings if isinstance(one, UnclearedGradients)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
def test_it_is_told(name: str, *, wrap: bool) -> None:
    """The backwards that add, and the step that uses the sum; nothing else, and not where the change is made."""
    backwards, step, changed, text = WRONG[name]
    text = _in_main(text) if wrap else text

    report = record_text(text).report
    (finding,) = [one for one in report.findings if one.severity != "info"]

    assert finding.kind == KIND
    assert tuple(place.position.line - wrap for place in finding.culprits)[: len(backwards)] == backwards
    assert finding.victim is not None
    assert finding.victim.place.position.line - wrap == step
    assert (finding.rewrite is not None) is changed
    if finding.rewrite is not None:
        again = record_text(applied(text, finding.rewrite))
        assert again.error is None
        assert [one.kind for one in again.report.findings if one.severity != "info"] == []


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
def test_sums_that_are_used_otherwise_are_told(name: str, *, wrap: bool) -> None:
    """By lines of the user's own, by steps that go backward themselves, and through a scaler that is switched off."""
    backward, update, text = BY_HAND[name]

    report = record_text(_in_main(text) if wrap else text).report
    (finding,) = [one for one in report.findings if one.severity != "info"]

    assert finding.kind == KIND
    assert [place.position.line - wrap for place in finding.culprits][-1] == backward
    assert finding.victim is not None
    assert finding.victim.place is not None
    assert finding.victim.place.position.line - wrap == update


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", NOT_BY_HAND)
@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
def test_what_is_cleared_or_meant_to_be_a_sum_is_not_told(name: str, *, wrap: bool) -> None:
    """Whoever clears, replaces or writes the gradient, or takes the difference of two sums."""
    assert _found(_in_main(NOT_BY_HAND[name]) if wrap else NOT_BY_HAND[name]) == []


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
def test_sound_code_is_quiet(name: str, *, wrap: bool) -> None:
    """What clears, replaces or writes gradients between steps, or means their sum, is told of nothing."""
    assert _found(_in_main(SOUND[name]) if wrap else SOUND[name]) == []


def test_the_sentences() -> None:
    """They say what adds, what uses the sum, and what clears."""
    (finding,) = _found(WRONG["a loop"][-1])

    assert message(finding, record_text(WRONG["a loop"][-1]).trace).splitlines() == [
        "cell, line 6: (model(x) - y).pow(2).mean().backward() adds to gradients that the steps before have used: "
        "nothing has cleared them.",
        "Each of 5 steps (cell, line 7) uses what all backwards up to it have added.",
        "Clear the gradients before each backward.",
    ]


def test_the_sentences_of_a_closure() -> None:
    """They say how often it was called, and where to clear."""
    text = BY_HAND["a closure that is called often, cleared before each step"][-1]
    (finding,) = _found(text)

    assert message(finding, record_text(text).trace).splitlines() == [
        "cell, line 7: loss.backward() adds to gradients that the closure's calls before have left.",
        "One step (cell, line 11) called the closure 4 times, and nothing cleared the gradients in between: it was "
        "given their sum.",
        "Clear them in the closure, with zero_grad() before its first backward.",
    ]


def test_of_cleared_and_others_the_others_are_told() -> None:
    """Where one module of two is cleared, the parameters of the other are named."""
    text = (
        f"{HEAD}head = nn.Linear(1, 1)\nopt = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.01)\n"
        "for _ in range(4):\n    model.zero_grad()\n    (head(model(x)) - y).pow(2).mean().backward()\n    opt.step()\n"
    )

    (finding,) = _found(text)

    assert {name for name in finding.names if "." in name} >= {"head.weight", "head.bias"}
    assert not {name for name in finding.names if name.startswith("model.")}


def test_a_clear_in_another_cell_is_one() -> None:
    """A loop in one cell is told; where a cell before or between has cleared them, nothing is."""
    wrong = play(SGD, f"for _ in range(4):\n{TURN}")
    cleared = play(SGD, f"{LOSS}.backward()\nopt.zero_grad()", f"for _ in range(4):\n{TURN}")
    steps = [f"{LOSS}.backward()\nopt.step()"]
    between = play(SGD, *steps, "opt.zero_grad()", *steps, "opt.zero_grad()", *steps, "opt.zero_grad()", *steps)

    assert [kind for kind, *_ in wrong[-1].told()] == [KIND]
    assert [run.told() for run in (*cleared, *between)] == [[]] * (len(cleared) + len(between))


def test_a_cell_that_is_not_recorded_may_have_cleared() -> None:
    """Steps of several cells, between which a cell that nobody recorded has cleared, are no row."""
    session = Session()
    runs = [session.run(SGD)]
    for _ in range(5):
        runs.append(session.run(f"{LOSS}.backward()\nopt.step()"))
        session.wait("opt.zero_grad()")

    assert [run.told() for run in runs] == [[]] * len(runs)


def test_a_run_in_windows_waits_for_its_end() -> None:
    """A clear in a later window is one; so it is told when the run is over."""
    assert (KIND, (6,), 7) in in_windows(f"{SGD}for _ in range(40):\n{TURN}", 100).lines("warning")
    assert (
        in_windows(f"{SGD}for i in range(40):\n{TURN}    if i == 35: opt.zero_grad()\n", 100).lines("warning") == set()
    )
    assert (
        in_windows(f"{SGD}for i in range(40):\n{TURN}    if i == 5: opt.zero_grad()\n", 100).lines("warning") == set()
    )


def test_sound_loops_are_asked_twice_only() -> None:
    """The second step finds gradients that are others, and nobody looks for more."""
    recorded = record_text(SOUND["cleared first"])

    assert [act for act in recorded.trace.acts if act.act is Act.ADDED] == []


def test_what_is_noted_ends_after_some_steps() -> None:
    """Of a loop that runs for long the first steps are noted, each with how often every gradient was written."""
    recorded = record_text(WRONG["many steps"][-1])

    assert [act.found for act in recorded.trace.acts if act.act is Act.ADDED] == ["11"] * 7
