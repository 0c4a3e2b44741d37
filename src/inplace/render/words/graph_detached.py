"""What is said of `graph-detached`: the autograd path ends where a gradient was expected."""

from __future__ import annotations

from inplace.checks.graph_detached import Cut
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, joined, name
from inplace.render.words.telling import Words

_CUTS = {
    "detach": "detaches it",
    "data": "takes `.data`, which has no history",
    "item": "reads it as a Python number",
    "numpy": "hands it to numpy",
    "rebuilt": "makes a new tensor of its values",
    "no-grad": "runs under `no_grad`",
    "dtype": "gives a result that can't carry a gradient",
}
_REMEDIES = {
    "detach": "Leave the `detach()` out, or detach only what must not be trained.",
    "data": "Leave `.data` out: work on the tensor itself.",
    "item": "Keep it a tensor: combine with `torch.stack(...)` or `torch.cat(...)`, and read numbers for logging only.",
    "numpy": "Stay in PyTorch for what the loss needs, and convert only copies for plotting.",
    "rebuilt": "Combine the tensors with `torch.stack(...)` or `torch.cat(...)`, which keep the path.",
    "no-grad": "Move it out of the `no_grad` block.",
    "dtype": "Use a differentiable form (soft targets, probabilities) where the loss needs it.",
    "frozen": "Call `requires_grad_()` on what is to be trained.",
}


def _sentences(finding: Cut, trace: Trace) -> tuple[str, str]:
    lost = joined(finding.without_grad)
    if finding.how == "frozen":
        return f"{culprits(finding, trace)} leaves nothing behind the loss that requires grad.", (
            "`backward()` raises: there is no gradient to compute."
        )
    what = f"{culprits(finding, trace)} {_CUTS[finding.how]}, so the autograd path through {name(finding)} ends there."
    if finding.raised:
        return what, "`backward()` raises: the loss it starts from does not require grad."
    return what, f"{lost} get{'s' if len(finding.without_grad) <= 1 else ''} no gradient: `.grad` stays `None`."


def _remedy(finding: Cut, _: Trace) -> str:
    return _REMEDIES[finding.how]


def _did(finding: Cut) -> str:
    return "nothing requires grad" if finding.how == "frozen" else "cuts the path"


def _needs(finding: Cut) -> str:
    return "made the loss" if finding.how == "frozen" else "had a path"


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=_did,
    example="E37",
    needs=_needs,
)
