"""What is said of `freed-graph`: backward went through a graph that an earlier backward had freed."""

from __future__ import annotations

from inplace.checks.freed_graph import FreedGraph
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, name, quote, victim, where
from inplace.render.words.telling import Words


def _sentences(finding: FreedGraph, trace: Trace) -> tuple[str, str]:
    own = name(finding)
    if finding.ready:
        what = f"{culprits(finding, trace)} uses {own}, which `DistributedDataParallel` had counted as done before"
        return f"{what} `backward()` came to it.", "It raises: the gradient of each parameter may be ready once only."
    again = f"goes through the graph of {own} again"
    if finding.victim is not None:
        again = f"{victim(finding, trace)}: {quote(finding.victim.place)} {again}"
    first = finding.culprits[0] if finding.culprits else None
    if finding.turns:
        made = f", which {where(first, trace)} made before" if first is not None else ""
        line = victim(finding, trace) if finding.victim is not None else "that line"
        what = f"{again}{made}; an earlier turn of {line} has freed it."
    else:
        freed = f"{where(first, trace)}: {quote(first)}" if first is not None else "an earlier backward"
        what = f"{again}, which {freed} has freed."
    return what, "`backward()` raises: the first one frees what the graph has saved, unless it is told to keep it."


def _remedy(finding: FreedGraph, trace: Trace) -> str:
    if finding.ready:
        return "Checkpoint with `use_reentrant=False`, or run the same part once only in a forward."
    own = name(finding, ".detach()")
    if finding.turns:
        return f"Carry over the values only, {own}, or compute what is shared anew in each turn."
    if finding.again == "carried":
        return f"Carry over the values only, {own}: the cell takes them from its run before."
    made = finding.culprits[-1] if finding.culprits else None
    if made is not None and finding.again is not None:
        return f"Run the cell of {where(made, trace)} again first: a gradient needs a forward of its own."
    if made is not None and made.step is not None and finding.steps and made.step < trace.begin:
        return f"Run the cell of {where(made, trace)} again first, or give the first one `retain_graph=True`."
    return "Go backward once, from the sum of both, or give the first one `retain_graph=True`."


def _did(finding: FreedGraph) -> str:
    if finding.ready:
        return "uses it"
    return "kept from before" if finding.turns else "frees the graph"


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=_did,
    needs=lambda _: "goes through it again",
    example="E51",
)
