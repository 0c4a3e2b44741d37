"""Changes of the user's own source that may mend a finding, the likeliest first; `verify` says whether one does."""

from __future__ import annotations

import ast
from collections.abc import Iterator

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
    Rewrite,
    SharedReference,
    StaleSave,
    UnseenWrite,
)
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


def rewrites(index: Index, finding: Finding) -> tuple[Rewrite, ...]:
    """Changes that may mend a finding; none where we know of none."""
    if finding.severity == "info":
        return ()
    found: dict[Rewrite, None] = {}
    for site, edits in _proposed(index, finding):
        rewrite = site.rewrite(edits)
        if rewrite.old != rewrite.new and _parses(rewrite):
            found[rewrite] = None
    return tuple(found)[:_MOST]


def _parses(rewrite: Rewrite) -> bool:
    try:
        ast.parse("if True:\n" + "\n".join(f" {line}" for line in rewrite.new.splitlines()))
    except SyntaxError:
        return False
    return True


def _proposed(index: Index, finding: Finding) -> Iterator[tuple[Statement, Edits]]:
    if isinstance(finding, SharedReference):
        yield from kept_apart(index, finding)
        return
    if isinstance(finding, MultiOutputWrite):  # one change, in place of one at each write
        yield from _at_makers(index, finding)
    of_leaf = False
    for place in finding.culprits[:2]:
        site = Statement.of(index, place)
        if site is not None:
            is_leaf = site.is_step or _writes_leaf(index, place)
            of_leaf = of_leaf or is_leaf
            for edits in _ways(site, finding, of_leaf=is_leaf):
                yield site, edits
    if isinstance(finding, OverlappingWrite):
        yield from _at_makers(index, finding)
    if of_leaf:
        yield from _moved_with_callers(index, finding)
    yield from _at_victim(index, finding)


def _at_victim(index: Index, finding: Finding) -> Iterator[tuple[Statement, Edits]]:
    """What is kept for backward there gets a copy."""
    if isinstance(finding, StaleSave | UnseenWrite):
        names, result = index.names_over(finding.storage), finding.saved.startswith(("result", "output"))
    elif isinstance(finding, InferenceTensor):
        names, result = index.names_of(finding.tensor), False
    else:
        return
    for place in (finding.victim.place if finding.victim is not None else None, *finding.culprits[:1]):
        site = Statement.of(index, place) if place is not None else None
        if site is not None:
            for edits in clone_where_saved(site, names, result=result):
                yield site, edits
        if result:
            return  # the culprit only changes what the victim gave out


def _at_makers(index: Index, finding: Finding) -> Iterator[tuple[Statement, Edits]]:
    for place in _makers(index, finding):
        site = Statement.of(index, place)
        if site is not None:
            for edits in clone_where_made(site):
                yield site, edits


def _moved_with_callers(index: Index, finding: Finding) -> Iterator[tuple[Statement, Edits]]:
    """A function that updates parameters is called before backward: its call goes behind it."""
    step = finding.culprits[0].step if finding.culprits else None
    for frame in index.calls[step].stack.frames[1:_CALLERS] if step is not None else ():
        site = Statement.of(index, index.at(frame, step))
        if site is not None:
            for edits in behind_backward(site):
                yield site, edits


def _writes_leaf(index: Index, place: Place) -> bool:
    """Whether the call of a culprit writes to a leaf that requires grad, whose name has to go on standing for it."""
    return place.step is not None and any(
        write.before.is_leaf and write.before.requires_grad for write in index.writes if write.call.step == place.step
    )


def _makers(index: Index, finding: Finding) -> Iterator[Place]:
    """Where the tensor that must not be written to was made."""
    if isinstance(finding, MultiOutputWrite) and finding.made is not None:
        yield finding.made
    if isinstance(finding, OverlappingWrite) and finding.culprits:
        step = finding.culprits[0].step
        maker = index.maker(finding.tensor, step) if step is not None else None
        place = index.place(maker) if maker is not None else None
        if place is not None:
            yield place


def _ways(site: Statement, finding: Finding, *, of_leaf: bool) -> Iterator[Edits]:
    if isinstance(finding, LeafWrite | LeafViewWrite):
        yield from without_grad(site)
    elif isinstance(finding, ReboundLeaf):
        yield from update_leaf(site)
    elif isinstance(finding, Cut) and finding.how == "no-grad":
        yield from with_grad(site)
    elif isinstance(finding, Cut):
        yield from uncut(site)
    elif isinstance(finding, OverlappingWrite):
        yield from _apart(site, finding)
    elif isinstance(finding, MultiOutputWrite):
        yield from clone_before(site)
    elif isinstance(finding, UnseenWrite):
        yield from behind_backward(site)
        yield from clone_before(site)
    elif isinstance(finding, StaleSave | CustomFunction) and of_leaf:
        yield from behind_backward(site)
    elif isinstance(finding, StaleSave | CustomFunction):
        yield from out_of_place(site)
        yield from no_flag(site)
        yield from clone_before(site)
        yield from behind_backward(site)


def _apart(site: Statement, finding: OverlappingWrite) -> Iterator[Edits]:
    if finding.how == "expanded":
        yield from clone_before(site)
    else:
        yield from clone_value(site)
        yield from clone_before(site)
