"""Results that a function keeps (`functools.lru_cache`), and that a caller wrote in place: the next one finds that."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.facts.model import Call, Position
from inplace.facts.source_code import FUNCTIONS, node_position
from inplace.reading.sharing.arguments import WrittenArgument, written_and_made
from inplace.reading.source.code import Code
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index

_KEEPING = frozenset({"cache", "lru_cache"})


def written_results(index: Index) -> Iterator[WrittenArgument]:
    """Yield the results that were made in such a function, written outside of it, and found changed by another call."""
    keeping = [{node_position(one) for one in _keeping(code)} for code in index.places.codes]
    if not any(keeping):
        return
    told: set[object] = set()
    for maker, site, writes in written_and_made(index):
        around = [at for at in keeping[site.source] if at.holds(site.position)]
        for write in writes if around else ():
            text = index.spelled.text(write.call, write.argument.path)
            keep, read = index.places.of(maker), _read_anew(index, write)
            is_outside = len(write.call.stack.frames) > 0 and not _is_inside(index, write.call, site.source, around)
            if is_outside and text is not None and keep is not None and read is not None and keep.spot not in told:
                told.add(keep.spot)
                yield WrittenArgument(keep, write, read, text)
                break


def _keeping(code: Code) -> Iterator[ast.stmt]:
    for one in code.source_code.statements:
        marks = one.decorator_list if isinstance(one, FUNCTIONS) else []
        if any(ast.unparse(mark).partition("(")[0].rpartition(".")[2] in _KEEPING for mark in marks):
            yield one


def _is_inside(index: Index, call: Call, source: int, around: list[Position]) -> bool:
    sites = [index.places.site(frame) for frame in call.stack.frames]
    return any(site.source == source and any(at.holds(site.position) for at in around) for site in sites)


def _read_anew(index: Index, write: Write) -> Call | None:
    """The next run of the line that wrote, or the first call from elsewhere, that was given what was written."""
    own = write.call.stack
    sightings = index.history.sightings.get(write.before.tensor, [])
    for step, _ in sightings:
        call = index.trace.calls[step]
        if step > write.call.step and (call.stack == own or call.stack.frames[1:] != own.frames[1:]):
            return call
    return None
