"""Items that a line changes in place when a data set has given them out: what the data set keeps changes too."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.facts.model import Call
from inplace.reading.sharing.arguments import SETTING, WrittenArgument, giving_calls
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index


def changed_items(index: Index) -> Iterator[WrittenArgument]:
    """Yield the items that a line changes from their old values each time that a data set has given them out.

    Who changes the data once, for good, does so once for each item.
    """
    if not any("Dataset" in (source.text or "") for source in index.trace.sources):
        return
    seen: set[object] = set()
    for writes in index.history.writes_to.values():
        lines: dict[object, tuple[Write, Call]] = {}
        for write in writes:
            call = write.call
            if call.function.label in SETTING or call.raised is not None:
                continue
            taken = _taking_call(index, write)
            if taken is None:
                continue
            key = call.stack.frames[0].site, write.before.offset, write.before.layout
            earlier, first = lines.setdefault(key, (write, taken))
            keep = index.places.of(first)
            statement = index.places.statement_of(call)
            if first is not taken and keep is not None and statement not in seen:
                seen.add(statement)
                text = index.spelled.text(call, write.argument.path) or ""
                yield WrittenArgument(keep, earlier, call, text)


def _taking_call(index: Index, write: Write) -> Call | None:
    """The call by which a data set gave out what is written, or what that is a view of, outside of the data set."""
    for call in giving_calls(index, write):
        if _is_in_data_set(index, call):
            return None if _is_in_data_set(index, write.call) else call
    return None


def _is_in_data_set(index: Index, call: Call) -> bool:
    """Whether a data set was giving out an item: one of PyTorch's, or of a class that derives from one."""
    for frame in call.stack.frames:
        if (frame.entry or "").endswith("Dataset.__getitem__"):
            return True
        site = index.places.site(frame)
        if site.function.rpartition(".")[2] != "__getitem__":
            continue
        around = index.places.codes[site.source].source_code.statements_around(site.position)
        owners = [one for one in around if isinstance(one, ast.ClassDef)]
        if owners and any("Dataset" in ast.unparse(base) for base in owners[-1].bases):
            return True
    return False
