"""Every sentence a user reads: what happened, where, why it matters, what to do.

Inside, code in a sentence stands in backticks (`phrase.py`), so that a picture can set it in the code's typeface.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inplace.checks.findings import (
    CustomFunction,
    Cut,
    Finding,
    InferenceTensor,
    LeafViewWrite,
    LeafWrite,
    MultiOutputWrite,
    OverlappingWrite,
    ReboundLeaf,
    SafeWrite,
    SharedReference,
    StaleSave,
    UnseenWrite,
)
from inplace.facts.model import Trace
from inplace.reading.place import Place
from inplace.render.words.evidence import evidence
from inplace.render.words.keeps import keeps, keeps_only
from inplace.render.words.phrase import Runs, code, plain, runs
from inplace.render.words.remedies import remedy

_LONGEST = 60  # characters of code quoted in a sentence
_EXAMPLES: dict[type[Finding], str] = {
    StaleSave: "E25",
    CustomFunction: "E13",
    UnseenWrite: "E18",
    LeafWrite: "E11",
    LeafViewWrite: "E11",
    MultiOutputWrite: "E13",
    OverlappingWrite: "E13",
    InferenceTensor: "E26",
    Cut: "E37",
    ReboundLeaf: "E32",
    SharedReference: "E15",
    SafeWrite: "E14",
}


@dataclass(frozen=True, slots=True)
class Telling:
    """A finding told, each sentence in runs: prose and code by turns, prose first."""

    headline: Runs
    why: Runs
    fix: Runs
    facts: Runs


def telling(finding: Finding, trace: Trace) -> Telling:
    """The sentences of a finding with their code marked, for pictures."""
    what, because = _SENTENCES[type(finding)](finding, trace)
    return Telling(runs(what), runs(because), runs(remedy(finding, trace)), runs(evidence(finding, trace)))


def headline(finding: Finding, trace: Trace) -> str:
    """One line: which line did what to what."""
    return plain(_SENTENCES[type(finding)](finding, trace)[0])


def why(finding: Finding, trace: Trace) -> str:
    """What follows from it, as observed."""
    return plain(_SENTENCES[type(finding)](finding, trace)[1])


def fix_summary(finding: Finding, trace: Trace) -> str:
    """What to write instead."""
    return plain(remedy(finding, trace))


def facts(finding: Finding, trace: Trace) -> str:
    """What was measured, where that says more than the sentences: which bytes. Empty where it does not."""
    return plain(evidence(finding, trace))


def message(finding: Finding, trace: Trace) -> str:
    """What happened, why it matters and what to do, a line each."""
    return "\n".join([headline(finding, trace), why(finding, trace), fix_summary(finding, trace)])


def example_of(finding: Finding) -> str | None:
    """The worked example that teaches the same thing."""
    return _EXAMPLES.get(type(finding))


# ---------------------------------------------------------------- parts of sentences


def where(place: Place, trace: Trace) -> str:
    """`line 4`, or `In[2], line 4` where it isn't in the recorded cell or script itself."""
    own = any(source.is_cell and source.file == place.file for source in trace.sources)
    return f"line {place.position.line}" if own else f"{place.label}, line {place.position.line}"


def quote(place: Place) -> str:
    """The code of a place on one short line, marked as code."""
    text = " ".join(place.code.split())
    return code(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def _culprits(finding: Finding, trace: Trace) -> str:
    """`line 4: h.relu_()`, and how many more."""
    if not finding.culprits:
        return "a write that no recorded call made"
    first = finding.culprits[0]
    more = len({(place.file, place.position.line) for place in finding.culprits}) - 1
    rest = f" (and {more} more line{'s' if more > 1 else ''})" if more else ""
    return f"{where(first, trace)}: {quote(first)}{rest}"


def _name(finding: Finding, default: str = "a tensor") -> str:
    return code(finding.names[0]) if finding.names else default


def _victim(finding: Finding, trace: Trace) -> str:
    return where(finding.victim.place, trace) if finding.victim is not None else "an earlier line"


def _joined(names: tuple[str, ...]) -> str:
    shown = [code(name) for name in names[:3]]
    if len(names) > len(shown):
        return f"{', '.join(shown)} and {len(names) - len(shown)} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown) or "a parameter"


# ---------------------------------------------------------------- for each kind: (what happened, why it matters)


def _stale(finding: StaleSave, trace: Trace) -> tuple[str, str]:
    node = finding.victim.node if finding.victim is not None else trace.node_by_id[finding.node].name
    what = f"{_culprits(finding, trace)} changed {_name(finding)} after {_victim(finding, trace)} saved it for backward"
    versions = f"version is {finding.version_now}, version {finding.version_saved} was saved"
    because = f"`backward()` raises: {versions}."
    if finding.disjoint:
        because += " No byte of what was saved was written, but one version counter serves the whole storage."
    return f"{what} ({keeps(node, finding.saved)}).", because


def _custom(finding: CustomFunction, trace: Trace) -> tuple[str, str]:
    if finding.saved == "grad_output":
        what = f"{_culprits(finding, trace)} edits in place a gradient that was only lent to it."
        return what, "Another branch was given the same tensor and reads it afterwards, so its gradient is wrong."
    if finding.node is None:
        what = f"{_culprits(finding, trace)} writes to an input of a custom function that does not mark it dirty."
        return what, "Autograd is not told of the write, so gradients through that input are silently wrong."
    kept = f"after the custom function at {_victim(finding, trace)} kept it"
    what = f"{_culprits(finding, trace)} changed {_name(finding)} {kept}."
    if finding.silent:
        return what, "It was kept on `ctx`, where autograd checks no version, so the gradient is silently wrong."
    return what, "`backward()` raises: the version of a tensor given to `save_for_backward` has moved on."


_HOW = {
    "data": "through an alias with a version counter of its own (`.data`)",
    "external": "from outside PyTorch (numpy, dlpack, shared memory)",
    "buffers": "without moving its version (running statistics)",
    "replaced": "by giving it other memory (`.data = ...`)",
}


def _unseen(finding: UnseenWrite, trace: Trace) -> tuple[str, str]:
    node = trace.node_by_id[finding.node].name
    saved = f"after {_victim(finding, trace)} saved it"
    what = f"{_culprits(finding, trace)} changed {_name(finding)} {_HOW[finding.how]} {saved}"
    because = "No version counter moved, so `backward()` did not notice and computed its gradient with the new values."
    return f"{what} ({keeps(node, finding.saved)}).", because


def _leaf(finding: LeafWrite, trace: Trace) -> tuple[str, str]:
    what = f"{_culprits(finding, trace)} writes to {_name(finding)}, a leaf that requires grad."
    return what, "PyTorch refuses at once and changes nothing: the leaf's own value is what its gradient is about."


def _leaf_view(finding: LeafViewWrite, trace: Trace) -> tuple[str, str]:
    what = f"{_culprits(finding, trace)} writes to a view of {_name(finding)}, a leaf that requires grad."
    return what, "PyTorch refuses at once and changes nothing: a write to the view would be a write to the leaf."


_CREATIONS = {
    "multi_output_node": "one of several views that one call gave out",
    "multi_output_safe": "one of several views that one call gave out",
    "no_grad_mode": "a view that was made under `no_grad`",
    "in_custom_function": "a view that a custom function gave out",
}


def _multi(finding: MultiOutputWrite, trace: Trace) -> tuple[str, str]:
    what = f"{_culprits(finding, trace)} writes to {_name(finding)}, {_CREATIONS[finding.creation]}"
    made = f" ({where(finding.made, trace)}: {quote(finding.made)})" if finding.made is not None else ""
    return f"{what}{made}.", "PyTorch refuses: autograd can't say how such a write changes the tensor behind the view."


def _overlap(finding: OverlappingWrite, trace: Trace) -> tuple[str, str]:
    name = _name(finding)
    if finding.how == "expanded":
        shared = "several of whose elements are the same bytes (`expand`, `unfold`)"
        what = f"{_culprits(finding, trace)} writes to {name}, {shared}."
        wrong = "One write shows in several places, and of several writes to one place only the last stays."
    elif finding.how == "indices":
        what = f"{_culprits(finding, trace)} updates {name} at indices of which some are repeated."
        wrong = "Every repeated index reads the old value, so only one of its updates stays."
    else:
        what = f"{_culprits(finding, trace)} reads and writes overlapping parts of {name} in one call."
        wrong = "What is read depends on which elements were written first, so the result is not defined."
    return what, ("PyTorch refuses: " + wrong[0].lower() + wrong[1:]) if finding.raised else wrong


def _inference(finding: InferenceTensor, trace: Trace) -> tuple[str, str]:
    what = f"{_culprits(finding, trace)} made {_name(finding)} under `inference_mode`."
    return (
        what,
        f"Autograd needed to save or track it at {_victim(finding, trace)}, and it has no version counter.",
    )


_CUTS = {
    "detach": "detaches it",
    "data": "takes `.data`, which has no history",
    "item": "reads it as a Python number",
    "numpy": "hands it to numpy",
    "rebuilt": "makes a new tensor of its values",
    "no-grad": "runs under `no_grad`",
    "dtype": "gives a result that can't carry a gradient",
}


def _cut(finding: Cut, trace: Trace) -> tuple[str, str]:
    lost = _joined(finding.without_grad)
    if finding.how == "frozen":
        return f"{_culprits(finding, trace)} leaves nothing behind the loss that requires grad.", (
            "`backward()` raises: there is no gradient to compute."
        )
    what = (
        f"{_culprits(finding, trace)} {_CUTS[finding.how]}, so the autograd path through {_name(finding)} ends there."
    )
    if finding.raised:
        return what, "`backward()` raises: the loss it starts from does not require grad."
    return what, f"{lost} get{'s' if len(finding.without_grad) <= 1 else ''} no gradient: `.grad` stays `None`."


def _rebound(finding: ReboundLeaf, trace: Trace) -> tuple[str, str]:
    own = finding.names[0] if finding.names else "a tensor"
    name = code(own) if finding.names else own
    if finding.severity == "warning":
        what = f"{_culprits(finding, trace)} put a new parameter in the place of one that an optimizer was built over."
        return what, f"The optimizer goes on with the old one: {name} gets gradients that nobody applies."
    leaf = "the leaf it stood for has no name any more" if finding.named else "the leaf behind it has no name"
    what = f"{_culprits(finding, trace)} makes {name} the name of a result; {leaf}."
    return what, f"The gradient goes to the leaf, and {code(own + '.grad')} stays `None`."


def _shared(finding: SharedReference, trace: Trace) -> tuple[str, str]:
    names = _joined(finding.reaching or finding.names[:2])
    writer = f"{where(finding.culprits[0], trace)}: {quote(finding.culprits[0])}" if finding.culprits else "a call"
    if finding.how == "swap":
        what = f"{_culprits(finding, trace)} copies from a view that the same statement has overwritten already."
        return what, "`x[0]` and `x[1]` are views, not copies, so both ends of the swap read the same bytes."
    if finding.how == "repeated":
        what = f"{_culprits(finding, trace)}: several items of one list are the same bytes ({names})."
        return what, "A write through one of them shows in all of them."
    return f"{names} reach the same bytes, which {writer} wrote.", "A write through one name shows under every other."


def _safe(finding: SafeWrite, trace: Trace) -> tuple[str, str]:
    return (
        f"{_culprits(finding, trace)} is safe: {keeps_only(finding.node, finding.saved)}.",
        "`backward()` ran through it.",
    )


_SENTENCES: dict[type[Finding], Callable[[Any, Trace], tuple[str, str]]] = {
    StaleSave: _stale,
    CustomFunction: _custom,
    UnseenWrite: _unseen,
    LeafWrite: _leaf,
    LeafViewWrite: _leaf_view,
    MultiOutputWrite: _multi,
    OverlappingWrite: _overlap,
    InferenceTensor: _inference,
    Cut: _cut,
    ReboundLeaf: _rebound,
    SharedReference: _shared,
    SafeWrite: _safe,
}
