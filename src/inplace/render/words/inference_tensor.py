"""What is said of `inference-tensor`: autograd met a tensor made under inference_mode."""

from __future__ import annotations

from inplace.checks.inference_tensor import InferenceTensor
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, name, victim
from inplace.render.words.telling import Words


def _sentences(finding: InferenceTensor, trace: Trace) -> tuple[str, str]:
    if finding.victim is None:
        what = f"{culprits(finding, trace)} asks autograd to track {name(finding)}, made under `inference_mode`."
        return what, "PyTorch refuses: such a tensor has no version counter."
    what = f"{culprits(finding, trace)} made {name(finding)} under `inference_mode`."
    return (
        what,
        f"Autograd needed to save or track it at {victim(finding, trace)}, and it has no version counter.",
    )


def _remedy(_finding: InferenceTensor, _trace: Trace) -> str:
    return "Use `torch.no_grad()` instead of `inference_mode`, or clone the tensor outside of it."


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "under inference mode",
    example="E61",
    needs=lambda _: "needs autograd",
)
