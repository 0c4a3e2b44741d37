"""What is said of `graph-detached`: the autograd path ends where a gradient was expected."""

from __future__ import annotations

from inplace.checks.graph_detached import Cut
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, joined, name, quote, where
from inplace.render.words.telling import Words

_CUTS = {
    "detach": "detaches it",
    "data": "takes `.data`, which has no history",
    "deepcopy": "makes copies that have no path to what they were made of",
    "item": "reads it as a Python number",
    "numpy": "hands it to numpy",
    "rebuilt": "makes a new tensor of its values",
    **dict.fromkeys(["no-grad", "own step"], "runs under `no_grad`"),
    "inference": "runs under `inference_mode`",
    "left off": "leaves gradient mode off",
    "dtype": "gives a result that can't carry a gradient",
    "wrapped": "makes a new leaf of a result",
    "collective": "hands the values on, and no gradient comes back from other ranks",
}
_REMEDIES = {
    "detach": "Leave the `detach()` out, or detach only what must not be trained.",
    "data": "Leave `.data` out: work on the tensor itself.",
    "deepcopy": "Compute the loss with the module that is to be trained; or build the optimizer over the copy.",
    "item": "Keep it a tensor: combine with `torch.stack(...)` or `torch.cat(...)`, and read numbers for logging only.",
    "numpy": "Stay in PyTorch for what the loss needs, and convert only copies for plotting.",
    "rebuilt": "Combine the tensors with `torch.stack(...)` or `torch.cat(...)`, which keep the path.",
    "no-grad": "Move it out of the `no_grad` block.",
    "inference": "Move it out of `inference_mode`, which stays on until whoever entered it leaves it.",
    "left off": "Switch gradients off in a block, `with torch.no_grad():`, which switches them on again at its end.",
    "own step": "Update the leaf in place (`-=`) under `no_grad`, or call `requires_grad_()` on the result.",
    "dtype": "Use a differentiable form (soft targets, probabilities) where the loss needs it.",
    "wrapped": "Use the result itself: an `nn.Parameter` has no path to what it was made of.",
    "frozen": "Call `requires_grad_()` on what is to be trained.",
    "collective": "Put this rank's own part back behind the call (`parts[rank] = own`), "
    "or use the functions of `torch.distributed.nn.functional`, which have a backward.",
}


_REFUSED = {
    "result": ("asks for what only a leaf has", "{name} is the result of a call: its gradient is passed on, not kept."),
    "integer": ("asks an integer or boolean tensor to require grad", "Only floating point and complex tensors can."),
    "out": (
        "writes its result into a buffer by `out=`",
        "PyTorch refuses: autograd could not record it, and an argument requires grad.",
    ),
    "copied": (
        "gives {name} a gradient path, and it is to be copied with it",
        "`deepcopy` refuses: the copy would be without the graph that the tensor is a part of.",
    ),
    "no formula": ("runs a function that has no derivative", "`backward()` raises when it comes to it."),
    "unused": ("is computed without {name}", "So there is no path to {name}, and no gradient for it."),
    "unreduced": (
        "makes a loss that does not depend on {lost}",
        "DistributedDataParallel waits for the gradient of every parameter, and its next forward raises.",
    ),
    "unregistered": (
        "leaves the optimizer without parameters",
        "Only modules, parameters, and what an `nn.ModuleList` or `nn.ModuleDict` holds are registered.",
    ),
    "no inputs": ("collects no tensor for `backward(inputs=...)`", "`backward()` raises: it has nowhere to go to."),
    "plain": ("makes a tensor that does not require grad", "No gradient path leads to it, so none can be asked for."),
    "zero": (
        "has a derivative of zero, and every path to {name} goes through it",
        "So the gradient is zero everywhere, whatever the loss.",
    ),
    "sampled": (
        "draws random numbers, whose derivative is zero, and every path to {name} goes through it",
        "So the gradient is zero everywhere, whatever the loss.",
    ),
    "derivative": (
        "takes a derivative without a graph of its own, and it is a term of the loss",
        "To `backward()` it is a constant: that term gives no parameter a gradient.",
    ),
    "elsewhere": (
        "gives {name} a tensor without a gradient path, in code that was not recorded, such as another thread's",
        "`backward()` raises: the loss it starts from does not require grad.",
    ),
    "detached view": (
        "detaches a view in place",
        "PyTorch refuses: the view is a part of its base, whose history can't be cut there.",
    ),
    "node": ("deletes the `grad_fn` of {name}", "PyTorch refuses: only `detach` takes a tensor off its graph."),
    "elements": (
        "gives the elements of {name} to a Python function",
        "PyTorch refuses: {name} requires grad, and autograd can't record what the function does.",
    ),
    "frozen module": (
        "leaves the module without a parameter that requires grad",
        "`DistributedDataParallel` has nothing to average then.",
    ),
    "hooked": (
        "makes {name} the result of a call, and a hook is put on it that waits for its `.grad`",
        "Only a leaf accumulates a gradient: that of a result is passed on.",
    ),
    "view": (
        "writes, and a view that was made under `no_grad` is involved",
        "PyTorch refuses: the view has no history, and the write would have to go into it.",
    ),
}
_REFUSED_REMEDIES = {
    "unreduced": "Use every parameter in the loss, freeze what is not trained before the model is wrapped, "
    "or build it with `find_unused_parameters=True`.",
    "result": "Call `retain_grad()` on it before `backward()`, or use a hook; to stop its gradient, `detach()` it.",
    "integer": "Convert it with `.float()` first; what is not trained is a buffer.",
    "out": "Leave `out=` away, or put the call under `torch.no_grad()`.",
    "copied": "Keep a detached copy, `.detach().clone()`, or copy what is made of leaves (a module) only.",
    "no formula": "Use another function, or `detach()` the argument for which it has no derivative.",
    "unused": "Use it in what the loss is made of, or ask for the gradient of the tensor that went in.",
    "unregistered": "Use `nn.ModuleList`, `nn.ModuleDict` or `nn.ParameterList` for what is to be trained.",
    "no inputs": "Give it the tensors that are to get a gradient, and let them require grad.",
    "plain": "Let it require grad, `requires_grad_()`, before anything is computed from it.",
    "zero": "Let the gradient pass: `x + (x.round() - x).detach()`, or use a smooth function.",
    "sampled": "Draw noise that depends on no parameter, and compute with it (`mean + std * torch.randn_like(std)`); "
    "for numbers that are counted, let the loss have their `log_prob`.",
    "derivative": "Say `create_graph=True`, or `detach()` it where it is meant to be a constant.",
    "elsewhere": "Grad mode belongs to a thread: let no `no_grad` be around it there, or compute it in this thread.",
    "detached view": "Write `detach()`, which gives a new tensor, or detach the whole before the view is taken.",
    "node": "Write `.detach()`, which gives a tensor without a graph.",
    "elements": "Use PyTorch's own functions, or work on `.detach()` where no gradient is needed.",
    "frozen module": "Call `requires_grad_()` on what is to be trained, or use the module without it.",
    "hooked": "Use `register_hook(...)`, which is given the gradient that passes; on a leaf this hook works.",
    "view": "Do both under `no_grad`, or both outside.",
}


def _sentences(finding: Cut, trace: Trace) -> tuple[str, str]:
    if finding.how in _REFUSED:
        what, because = (_filled(text, finding) for text in _REFUSED[finding.how])
        return f"{culprits(finding, trace)} {what}.", because
    lost = joined(finding.lost or finding.without_grad)
    if finding.how == "frozen":
        return f"{culprits(finding, trace)} leaves nothing behind the loss that requires grad.", (
            "`backward()` raises: there is no gradient to compute."
        )
    what = f"{culprits(finding, trace)} {_CUTS[finding.how]}, so the autograd path through {name(finding)} ends there."
    if finding.how in {"collective", "left off"}:
        what = _two_lines(finding, trace)
    if finding.raised:
        return what, "`backward()` raises: the loss it starts from does not require grad."
    if finding.until is not None:
        had, since = finding.until
        first = f"the first {had} steps" if had > 1 else "the first step"
        return what, f"{lost} had a gradient at {first} of the optimizer, and none reached it at the {since} since."
    gets = "get" if len(finding.lost or finding.without_grad) > 1 else "gets"
    return what, f"{lost} {gets} no gradient: `.grad` stays `None`."


def _two_lines(finding: Cut, trace: Trace) -> str:
    """What a collective cuts, or a mode that is left off, and which line went on with it."""
    first, *rest = finding.culprits
    used = f"; {where(rest[0], trace)}: {quote(rest[0])} goes on with it" if rest else ""
    if finding.how == "left off":
        used = f", and {where(rest[0], trace)}: {quote(rest[0])} runs with it off" if rest else ""
        off = f"{where(first, trace)}: {quote(first)} {_CUTS['left off']}{used}"
        return f"{off}, so the autograd path through {name(finding)} ends there."
    cut = f"{where(first, trace)}: {quote(first)} {_CUTS['collective']}"
    return f"{cut}, so the autograd path through {name(finding)} ends there{used}."


def _filled(text: str, finding: Cut) -> str:
    return text.replace("{name}", name(finding)).replace("{lost}", joined(finding.lost or finding.without_grad))


def _remedy(finding: Cut, _: Trace) -> str:
    if finding.how == "left off" and finding.waits:
        return "Put `@torch.no_grad()` above the generator: it switches them on again whenever the generator waits."
    return _REFUSED_REMEDIES.get(finding.how) or _REMEDIES[finding.how]


def _did(finding: Cut) -> str:
    if finding.how in _REFUSED:
        return "no gradient here"
    return "nothing requires grad" if finding.how == "frozen" else "cuts the path"


def _needs(finding: Cut) -> str:
    if finding.how in _REFUSED:
        return "asks for it"
    return "made the loss" if finding.how == "frozen" else "had a path"


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=_did,
    example="E53",
    needs=_needs,
)
