"""What is said of `view-impossible`: the memory of a tensor does not allow a view, or a size."""

from __future__ import annotations

from inplace.checks.view_impossible import ViewImpossible
from inplace.facts.model import Trace
from inplace.render.words.parts import name, quote, where
from inplace.render.words.telling import Words

_ASKS = {
    "strides": "asks for a view of {0} that its strides do not allow",
    "count": "asks for a shape that the elements of {0} do not fill",
    "storage": "asks for more elements than the storage of {0} has",
    "foreign": "gives {0} another size, and its memory is not PyTorch's",
    "graph": "gives {0} another size, and autograd records it",
}
_WHY = {
    "strides": "A view has the same bytes: elements that are to be one dimension must lie at equal distances.",
    "count": "A view has the same elements: their number can't change.",
    "storage": "PyTorch refuses: the view would reach bytes behind the end.",
    "foreign": "PyTorch refuses: memory that numpy or another library has given can't grow.",
    "graph": "PyTorch refuses: its gradient would have the old size.",
}
_REMEDIES = {
    "strides": "Write `.reshape(...)`, which copies where it must, or `.contiguous().view(...)`.",
    "count": "Let one size be `-1`, and check the others against the shape.",
    "storage": "Ask for fewer elements or smaller strides; for sliding windows use `.unfold(...)`.",
    "foreign": "Work on a copy that is PyTorch's own: `torch.tensor(array)`, or `.clone()`.",
    "graph": "Make a new tensor of the new size and copy the values, or resize under another name after `.detach()`.",
}


def _sentences(finding: ViewImpossible, trace: Trace) -> tuple[str, str]:
    first = finding.culprits[0]
    what = f"{where(first, trace)}: {quote(first)} {_ASKS[finding.how].format(name(finding))}"
    if finding.shape is not None:
        what += f": its shape is {list(finding.shape)}"
        if finding.how == "strides" and finding.strides is not None:
            what += f", its strides are {list(finding.strides)}"
    made = finding.culprits[1:2] if finding.how == "strides" else ()
    by = f" They are so since {where(made[0], trace)}: {quote(made[0])}." if made else ""
    return f"{what}.", _WHY[finding.how] + by


def _remedy(finding: ViewImpossible, _: Trace) -> str:
    return _REMEDIES[finding.how]


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "refused",
    example="E60",
)
