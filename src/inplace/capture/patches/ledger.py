"""Everything that we change in other people's modules, and how each change is undone. It imports no torch.

NOTE [ An interrupt while we undo ]
An interrupt may come at any point: so a change is noted before it is made, each change is undone only where it is still
there, and none is forgotten before all are undone. Whoever is interrupted undoes once more, which repeats what was done
without effect and does what was not.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import ExitStack
from types import FrameType
from typing import Any

Replace = Callable[[Any, str, Callable[[Any], Any]], object]
"""What replaces an attribute of an owner by what is made of it, to be undone: `Ledger.replace` and the like."""
_NOTHING: Any = object()  # where there was no such attribute or entry


class Patch(ABC):
    """One change in somebody else's module."""

    @property
    def is_made(self) -> bool:
        """Whether the change is there now."""
        return self._is_made()

    def make(self) -> None:
        """Make the change."""
        self._make()

    def undo(self) -> None:
        """Undo the change; that does nothing where it is not there."""
        if self._is_made():
            self._undo()

    @abstractmethod
    def _is_made(self) -> bool: ...

    @abstractmethod
    def _make(self) -> None: ...

    @abstractmethod
    def _undo(self) -> None: ...


class Ledger:
    """The changes that are undone together, the last one first. Undoing them again changes nothing."""

    def __init__(self) -> None:
        self._patches: list[Patch] = []

    def __iter__(self) -> Iterator[Patch]:
        return iter(tuple(self._patches))

    def make(self, patch: Patch) -> None:
        """Make a change that is undone with the others."""
        self._patches.append(patch)
        patch.make()

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> Replacement:
        """Replace an attribute of a module, class or object by what `make` makes of it."""
        patch = Replacement(owner, name, make)
        self.make(patch)
        return patch

    def undo(self) -> None:
        """Undo all changes, each whatever comes of the others."""
        with ExitStack() as stack:
            for patch in self._patches:
                stack.callback(patch.undo)
        self._patches.clear()

    def undo_early(self, patch: Patch) -> None:
        """Undo one change before the others."""
        patch.undo()
        if patch in self._patches:
            self._patches.remove(patch)


class Replacement(Patch):
    """An attribute that is another one meanwhile.

    Attributes:
        theirs: what its owner gave out before.
        ours: what `make` has made of that.
    """

    def __init__(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        self.owner, self.name = owner, name
        self._own = vars(owner).get(name, _NOTHING)  # what a class or object inherits is not put into it
        self.theirs = getattr(owner, name)
        self.ours = make(self.theirs)

    def _is_made(self) -> bool:
        return vars(self.owner).get(self.name, _NOTHING) is self.ours

    def _make(self) -> None:
        if vars(self.owner).get(self.name, _NOTHING) is self._own:
            setattr(self.owner, self.name, self.ours)

    def _undo(self) -> None:
        if self._own is _NOTHING:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self._own)


class Inserted(Patch):
    """An item of ours in a list of somebody's: `owner.name`, which they may exchange for another list meanwhile."""

    def __init__(self, owner: Any, name: str, place: int, item: Any) -> None:
        self.owner, self.name, self.item = owner, name, item
        self._place, self._list = place, getattr(owner, name)

    def _is_made(self) -> bool:
        first, now = self._lists()
        return _has(first, self.item) or _has(now, self.item)

    def _make(self) -> None:
        self._list.insert(self._place, self.item)

    def _undo(self) -> None:
        for items in self._lists():
            for place in reversed(range(len(items))):
                if items[place] is self.item:
                    del items[place]

    def _lists(self) -> tuple[list[Any], list[Any]]:
        return self._list, getattr(self.owner, self.name)


class Hooked(Patch):
    """A hook that `register` puts among others, by a number of theirs."""

    def __init__(
        self, register: Callable[[Any], object], hook: Callable[..., Any], among: MutableMapping[Any, Any]
    ) -> None:
        self.hook, self.among, self._register = hook, among, register

    def _is_made(self) -> bool:
        return _has(self.among.values(), self.hook)

    def _make(self) -> None:
        self._register(self.hook)

    def _undo(self) -> None:
        for key, hook in list(self.among.items()):  # by the hook: who is interrupted may have no handle of it yet
            if hook is self.hook:
                del self.among[key]


class Put(Patch):
    """An entry of a dict that is another one meanwhile."""

    def __init__(self, entries: MutableMapping[Any, Any], key: Any, value: Any) -> None:
        self.entries, self.key, self.value = entries, key, value
        self._theirs = entries.get(key, _NOTHING)

    def _is_made(self) -> bool:
        return self.entries.get(self.key, _NOTHING) is self.value

    def _make(self) -> None:
        self.entries[self.key] = self.value

    def _undo(self) -> None:
        if self._theirs is _NOTHING:
            del self.entries[self.key]
        else:
            self.entries[self.key] = self._theirs


class LinesTraced(Patch):
    """Our tracer of lines, where nobody has one: `on_call` for new frames, and `on_line` for some that are running.

    Args:
        on_call: what `sys.settrace` is given.
        on_line: what the frames on the stack are given.
        is_traced: which of them.
    """

    def __init__(self, on_call: Any, on_line: Any, is_traced: Callable[[FrameType], bool]) -> None:
        self.on_call, self.on_line, self._is_traced = on_call, on_line, is_traced

    def _is_made(self) -> bool:
        return sys.gettrace() is self.on_call or _has([frame.f_trace for frame in _frames()], self.on_line)

    def _make(self) -> None:
        for frame in _frames():
            if self._is_traced(frame):
                frame.f_trace = self.on_line
        sys.settrace(self.on_call)

    def _undo(self) -> None:
        if sys.gettrace() is self.on_call:
            sys.settrace(None)
        for frame in _frames():
            if frame.f_trace is self.on_line:
                frame.f_trace = None


def _has(items: Iterable[object], item: object) -> bool:
    """Whether this very item is among some."""
    found = False
    for one in items:  # by no generator: an interrupt that comes while one is closed is lost
        found = found or one is item
    return found


def _frames() -> list[FrameType]:
    """The frames that are running, the innermost first."""
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames
