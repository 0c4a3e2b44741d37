"""What is said of `multi-output-view-inplace`: PyTorch refused a write to a view that forbids it."""

from __future__ import annotations

from inplace.checks.multi_output_view_inplace import MultiOutputWrite
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, name, quote, victim, where
from inplace.render.words.telling import Words

_CREATIONS = {
    "multi_output_node": "one of several views that one call gave out",
    "multi_output_safe": "one of several views that one call gave out",
    "no_grad_mode": "a view that was made under `no_grad`",
    "in_custom_function": "a view that a custom function gave out",
}


def _sentences(finding: MultiOutputWrite, trace: Trace) -> tuple[str, str]:
    if finding.victim is not None:
        views = f" ({where(finding.made, trace)}: {quote(finding.made)})" if finding.made is not None else ""
        what = f"{culprits(finding, trace)} wrote below views that one call had given out together{views}"
        return f"{what}, and {victim(finding, trace)} uses one of them.", (
            "PyTorch refuses every use of them since: autograd can't make the path of one of several views anew."
        )
    what = f"{culprits(finding, trace)} writes to {name(finding)}, {_CREATIONS[finding.creation]}"
    made = f" ({where(finding.made, trace)}: {quote(finding.made)})" if finding.made is not None else ""
    return f"{what}{made}.", "PyTorch refuses: autograd can't say how such a write changes the tensor behind the view."


def _remedy(finding: MultiOutputWrite, _trace: Trace) -> str:
    if finding.victim is not None:
        return "Take the views after the write, or write out of place or to a clone."
    return "Index the tensor instead (`img[i]`), or write out of place and `torch.stack(...)` the pieces."


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda finding: "refused" if finding.victim is None else "voids the views",
    example="E58",
)
