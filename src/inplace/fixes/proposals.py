"""Changes of the user's own source that may mend a finding, the likeliest first; `judge` says whether one does.

A finding says which cures may mend it; here stands at which places of the source each is tried.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from inplace.checks.finding import Cure, Finding, Rewrite
from inplace.fixes.copies import kept_apart
from inplace.fixes.rules import (
    Edits,
    behind_backward,
    clone_before,
    clone_value,
    clone_where_made,
    clone_where_saved,
    no_flag,
    out_of_place,
    uncut,
    update_leaf,
    with_grad,
    without_grad,
)
from inplace.fixes.statement import Statement
from inplace.reading.index import Index
from inplace.reading.place import Place

_MOST = 6
_CALLERS = 4  # frames looked at

Proposals = Iterator[tuple[Statement, Edits]]

# What is done to the statement that wrote.
_AT_CULPRITS: dict[Cure, Callable[[Statement], Iterator[Edits]]] = {
    Cure.OUT_OF_PLACE: out_of_place,
    Cure.NO_FLAG: no_flag,
    Cure.CLONE_BEFORE: clone_before,
    Cure.CLONE_VALUE: clone_value,
    Cure.BEHIND_BACKWARD: behind_backward,
    Cure.WITHOUT_GRAD: without_grad,
    Cure.WITH_GRAD: with_grad,
    Cure.UPDATE_LEAF: update_leaf,
    Cure.UNCUT: uncut,
}
# A leaf's name has to go on standing for it, so these are none for a write to one.
_NOT_OF_LEAVES = frozenset({Cure.OUT_OF_PLACE, Cure.NO_FLAG, Cure.CLONE_BEFORE})


def rewrites(index: Index, finding: Finding) -> tuple[Rewrite, ...]:
    """Changes that may mend a finding; none where we know of none."""
    if finding.severity == "info":
        return ()
    found: dict[Rewrite, None] = {}
    for statement, edits in _proposed(index, finding):
        rewrite = statement.rewrite(edits)
        if rewrite.old != rewrite.new and _parses(rewrite):
            found[rewrite] = None
    return tuple(found)[:_MOST]


def _parses(rewrite: Rewrite) -> bool:
    try:
        ast.parse("if True:\n" + "\n".join(f" {line}" for line in rewrite.new.splitlines()))
    except SyntaxError:
        return False
    return True


def _proposed(index: Index, finding: Finding) -> Proposals:
    for where, cures in groupby(finding.cures(), lambda cure: _ELSEWHERE.get(cure, _at_culprits)):
        yield from where(index, finding, list(cures))


def _at_culprits(index: Index, finding: Finding, cures: Sequence[Cure]) -> Proposals:
    of_leaf = False
    for place in finding.culprits[:2]:
        statement = Statement.of(index, place)
        if statement is None:
            continue
        is_leaf = statement.is_step or _writes_leaf(index, place)
        of_leaf = of_leaf or is_leaf
        for cure in cures:
            if not (is_leaf and cure in _NOT_OF_LEAVES):
                yield from ((statement, edits) for edits in _AT_CULPRITS[cure](statement))
    if of_leaf and Cure.BEHIND_BACKWARD in cures:
        yield from _moved_with_callers(index, finding)


def _moved_with_callers(index: Index, finding: Finding) -> Proposals:
    """A function that updates parameters is called before backward: its call goes behind it."""
    step = finding.culprits[0].step if finding.culprits else None
    for frame in index.trace.calls[step].stack.frames[1:_CALLERS] if step is not None else ():
        statement = Statement.of(index, index.places.at(frame, step))
        if statement is not None:
            yield from ((statement, edits) for edits in behind_backward(statement))


def _writes_leaf(index: Index, place: Place) -> bool:
    """Whether the call of a culprit writes to a leaf that requires grad, whose name has to go on standing for it."""
    if place.step is None:
        return False
    written = [index.trace.states[one.before] for one in index.trace.writes(index.trace.calls[place.step])]
    return any(state.is_leaf and state.requires_grad for state in written)


def _at_victim(index: Index, finding: Finding, _: Sequence[Cure]) -> Proposals:
    """What is kept for backward there gets a copy."""
    broken = finding.broken()
    result = broken is not None and broken.saved.startswith(("result", "output"))
    names = [name for storage in finding.storages() for name in index.names.over(storage)]
    names += [name for tensor in finding.tensors() for name in index.names.of(tensor)]
    for place in (finding.victim.place if finding.victim is not None else None, *finding.culprits[:1]):
        statement = Statement.of(index, place) if place is not None else None
        if statement is not None:
            yield from ((statement, edits) for edits in clone_where_saved(statement, names, result=result))
        if result:
            return  # the culprit only changes what the victim gave out


def _at_makers(index: Index, finding: Finding, _: Sequence[Cure]) -> Proposals:
    """What must not be written to is made a tensor of its own where it is made."""
    step = finding.culprits[0].step if finding.culprits else None
    if step is None:
        return
    for tensor in finding.tensors()[:1]:
        maker = index.history.maker(tensor, step)
        place = index.places.of(maker) if maker is not None else None
        statement = Statement.of(index, place) if place is not None else None
        if statement is not None:
            yield from ((statement, edits) for edits in clone_where_made(statement))


def _where_kept(index: Index, finding: Finding, cures: Sequence[Cure]) -> Proposals:
    yield from kept_apart(index, finding, swapped=Cure.COPY_SWAPPED in cures)


_ELSEWHERE: dict[Cure, Callable[[Index, Finding, Sequence[Cure]], Proposals]] = {
    Cure.CLONE_SAVED: _at_victim,
    Cure.CLONE_MADE: _at_makers,
    Cure.COPY_KEPT: _where_kept,
    Cure.COPY_SWAPPED: _where_kept,
}
