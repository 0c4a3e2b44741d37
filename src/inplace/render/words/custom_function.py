"""What is said of `custom-function`: a custom function or hook, and what it was lent or kept."""

from __future__ import annotations

from inplace.checks.custom_function import CustomFunction
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, instead, name, quote, victim
from inplace.render.words.phrase import code
from inplace.render.words.telling import Words

_DID = {
    "gradient": "edits a lent gradient",
    "input": "not marked dirty",
    "marked": "marks no input",
    "save": "overwrites it",
    "context": "overwrites it",
    "view": "writes to a view",
    "partial hook": "sees part of it",
}

# What a line does that was refused, why PyTorch refuses, and what to do; `{0}` and so on are parts of PyTorch's text.
REFUSED: dict[str, tuple[str, str, str]] = {
    "gradient count": (
        "gives out {2} of the {1} gradients that are asked for",
        "`backward` has to give one for each argument of `forward`, in their order.",
        "Return one gradient for each argument of `forward`: `None` for those that need none.",
    ),
    "gradient shape": (
        "gives out a gradient of shape {2} for an input of shape {3} (number {1})",
        "A gradient has the shape of what it is the gradient of.",
        "Give it the shape of its input: sum over what was broadcast, and put zeros where the rest of the input was.",
    ),
    "gradient type": (
        "gives out a gradient that does not fit its input (number {1})",
        "PyTorch says: {2}.",
        "Give out a tensor of the dtype and on the device of the input.",
    ),
    "kept number": (
        "gives `save_for_backward` a {1}, which is no tensor",
        "It can only keep tensors.",
        "Keep what is no tensor as an attribute: `ctx.alpha = alpha`.",
    ),
    "returned input": (
        "saves a tensor that is input and output in one",
        "Autograd makes a new output of an input that is given out as it is, so it does not know which one is meant.",
        "Return `x.view_as(x)` or a clone from `forward`, and save that, or save the input.",
    ),
    "dirty not returned": (
        "marks an input as dirty that is not given out",
        "What was changed in place has a new history, which the caller only gets with the output.",
        "Return the changed input itself, or work on a clone and leave `mark_dirty` away.",
    ),
    "dirty view": (
        "marks a view as changed in place, and more than one tensor is given out",
        "The history of a view's base can be made anew for one output only.",
        "Give it a clone of the view (`.clone()`), or return the changed input alone.",
    ),
    "read twice": (
        "reads `ctx.saved_tensors` a second time",
        "With `clear_saved_tensors_on_access` the first reading has dropped them.",
        "Read it once: `a, b = ctx.saved_tensors`.",
    ),
    "unpacked twice": (
        "reads a second time what a checkpoint recomputes",
        "A checkpoint recomputes what was saved for one reading, and drops it then.",
        "Read `ctx.saved_tensors` once in a backward: `a, b = ctx.saved_tensors`.",
    ),
    "once": (
        "says that this backward is not to be differentiated, and it was to be",
        "A second derivative goes through `backward` itself (`create_graph=True`).",
        "Leave `once_differentiable` away and write `backward` in functions that have a derivative themselves.",
    ),
    "legacy": (
        "is a `forward` without `@staticmethod`",
        "PyTorch does not run such functions any more.",
        "Write `forward(ctx, ...)` and `backward(ctx, grad)` with `@staticmethod`, and call `.apply(...)`.",
    ),
    "tangent": (
        "gives out a new tangent for an input that `forward` changed in place",
        "The tangent has to be changed in place too, as its tensor was.",
        "Change the tangent in place and return it: `t.mul_(2)`.",
    ),
    "no setup": (
        "is a `forward` that fills `ctx` itself",
        "Under `torch.func` the context is filled by `setup_context`, which is not defined.",
        "Write `forward(x)` without `ctx`, and `setup_context(ctx, inputs, output)` for what is kept.",
    ),
    "hook count": (
        "gives out {0} gradients where the module has {1}",
        "A full backward hook gives out one gradient for each tensor that went in, or nothing.",
        "Return one for each tensor in `grad_input`, as a tuple, or `None` to leave them as they are.",
    ),
    "hook type": (
        "gives out a {0} in place of a gradient",
        "A hook gives out a tensor, or nothing.",
        "Return a tensor, or `None` to leave the gradient as it is.",
    ),
    "hook shape": (
        "gives out a gradient that does not fit the one it was given",
        "A hook may change a gradient's values, and not its shape, dtype or device.",
        "Return a tensor of the shape, dtype and device of the gradient, or `None`.",
    ),
    "pack writes": (
        "changes in place what it is given to pack",
        "A pack hook is given the very tensor that is in use: to change it changes the result.",
        "Pack a copy: write out of place, or begin with `.clone()`.",
    ),
    "unpack type": (
        "gives out something that is no tensor",
        "An unpack hook has to give back a tensor like the one that was packed.",
        "Return a tensor from the unpack hook: `torch.from_numpy(...)`, `torch.tensor(...)`.",
    ),
    "recomputed otherwise": (
        "did something else when the checkpoint ran it again for backward",
        "A checkpoint runs its function twice, and both runs have to save the same tensors.",
        "Let the function do the same both times: what it depends on are its arguments, and it changes nothing else.",
    ),
    "reentrant": (
        "is a reentrant checkpoint",
        "It runs a backward of its own, through which neither `torch.autograd.grad` nor `inputs=` can go.",
        "Write `checkpoint(..., use_reentrant=False)`.",
    ),
    "backward inside": (
        "goes backward inside a function that `torch.func` transforms",
        "The transform differentiates the function itself.",
        "Return the loss, and take the gradient from the transform: `torch.func.grad(f)(x)`.",
    ),
    "requires grad inside": (
        "asks a tensor to require grad inside a function that `torch.func` transforms",
        "There the transform alone says what is differentiated.",
        "Leave it to the transform: give the tensor as an argument of the function.",
    ),
    "data inside": (
        "takes `.data` inside a function that `torch.func` transforms",
        "`.data` would let values out of the transform.",
        "Use `.detach()`.",
    ),
    "write outside": (
        "changes in place a tensor from outside of the function that `torch.func` transforms",
        "The transform's own values would get into a tensor that lives on after it.",
        "Give the tensor as an argument, or write out of place and return the result.",
    ),
    "number inside": (
        "reads a tensor as a Python number under `vmap`",
        "There the tensor stands for many, each with a value of its own.",
        "Keep it a tensor; for a choice use `torch.where(...)`.",
    ),
    "marked": (
        "marks as dirty a tensor that is no input",
        "PyTorch warns and does not heed it: only an input can have been changed in place.",
        "Leave `mark_dirty` away: what `forward` makes anew needs none.",
    ),
    "partial hook": (
        "puts a hook of the old kind on a module of several parts",
        "Such a hook is given the gradients of the module's last node, and not of what went into the module.",
        "Use `register_full_backward_hook`.",
    ),
}  # fmt: skip


def _sentences(finding: CustomFunction, trace: Trace) -> tuple[str, str]:
    if finding.how in REFUSED:
        what, because, _ = REFUSED[finding.how]
        parts = [code(part) if part.startswith("[") else part for part in finding.parts]
        return f"{culprits(finding, trace)} {what.format(*parts)}.", because.format(*parts)
    if finding.how == "gradient":
        what = f"{culprits(finding, trace)} edits in place a gradient that was only lent to it."
        return what, "Another branch was given the same tensor and reads it afterwards, so its gradient is wrong."
    if finding.how == "input":
        what = f"{culprits(finding, trace)} writes to an input of a custom function that does not mark it dirty."
        return what, "Autograd is not told of the write, so gradients through that input are silently wrong."
    if finding.how == "view":
        by = "the full backward hook of a module" if "hook" in finding.parts else "a custom function"
        what = f"{culprits(finding, trace)} writes to {name(finding)}, a view that {by} gave out."
        return what, "PyTorch refuses: the write would put another backward in the place of that function's own."
    kept = f"after the custom function at {victim(finding, trace)} kept it"
    what = f"{culprits(finding, trace)} changed {name(finding)} {kept}."
    if finding.how == "context":
        return what, "It was kept on `ctx`, where autograd checks no version, so the gradient is silently wrong."
    return what, "`backward()` raises: the version of a tensor given to `save_for_backward` has moved on."


def _remedy(finding: CustomFunction, trace: Trace) -> str:
    if finding.how in REFUSED:
        return REFUSED[finding.how][2]
    if finding.how == "input":
        return "Call `ctx.mark_dirty(...)` on the input, or write to a clone of it."
    if finding.how == "gradient":
        return "Work on a copy: `grad.clone()`, or return the result of the out-of-place form."
    if finding.how == "view":
        return _of_view(finding)
    return instead(finding, trace)


def _of_view(finding: CustomFunction) -> str:
    if not finding.culprits or "." in finding.culprits[0].code or "=" in finding.culprits[0].code:
        return "Write out of place (`inplace=False`), or change a copy of what was given out (`.clone()`)."
    return f"Let what {quote(finding.culprits[0])} runs write out of place (`inplace=False`), or give it a clone."


def _did(finding: CustomFunction) -> str:
    return _DID.get(finding.how, "refused")


def _needs(finding: CustomFunction) -> str:
    if finding.how in REFUSED:
        return "raised here"
    return "given to it" if finding.how == "input" else "still needed"


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=_did,
    example="E63",
    needs=_needs,
)
