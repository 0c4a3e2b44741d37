"""What is said of `refused-call`: the exception that ended the code, and what was on its line."""

from __future__ import annotations

from inplace.checks.refused_call import RefusedCall
from inplace.facts.model import TensorState, Trace
from inplace.render.words.meanings import meaning_of
from inplace.render.words.parts import quote, where
from inplace.render.words.phrase import code
from inplace.render.words.telling import Words

_LONGEST = 160  # characters of a message


def _sentences(finding: RefusedCall, trace: Trace) -> tuple[str, str]:
    place = finding.culprits[0]
    said = finding.message if len(finding.message) <= _LONGEST else f"{finding.message[: _LONGEST - 1]}…"
    what = f"{where(place, trace)}: {quote(place)} raised {finding.type}: {said.replace('`', chr(39)).rstrip('.')}."
    meaning = meaning_of(finding.what)
    there = _told(finding)
    if meaning is None:
        return f"{what} {there}".strip(), "What it is about is not told by the calls."
    return what, f"{meaning.means} {there}".strip()


def _told(finding: RefusedCall) -> str:
    """The tensors of the line, in one sentence."""
    told = [f"{code(name)} is {_described(state)}" for name, state in finding.there]
    return f"On that line {'; '.join(told)}." if told else ""


def _described(state: TensorState) -> str:
    if state.storage is None:
        return "a tensor whose memory can't be read"
    size = f"{state.layout.dtype.removeprefix('torch.')} {list(state.layout.shape)}"
    grad = "requires grad" if state.requires_grad else "requires no grad"
    made = ", made under `inference_mode`" if state.version is None else ", a view" if state.base is not None else ""
    leaf = "a leaf" if state.is_leaf else "no leaf"
    return f"{size}, {grad}, {leaf}{made}"


def _remedy(finding: RefusedCall, _: Trace) -> str:
    meaning = meaning_of(finding.what)
    if meaning is None:
        return "Compare what was on the line with what the call asks for."
    return f"{meaning.remedy} Usual causes: {meaning.causes}."


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "raised here",
    example="E64",
)
