"""Which line of the user's code made a call: cheap keys while the code runs, places in its source afterwards."""

from __future__ import annotations

import dis
import inspect
import linecache
import site
import sysconfig
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, TracebackType

import torch

from inplace.capture.code.custom_forwards import APPLY, is_forward
from inplace.capture.code.positions import position_of
from inplace.capture.code.qualnames import qualname_of
from inplace.facts.model import Site, Source, Stack, StackFrame
from inplace.facts.source_code import SourceCode

USER, LIBRARY, STOP, MODULE, BETWEEN = 0, 1, 2, 3, 4
_WITH = frozenset({"BEFORE_WITH", "SETUP_WITH"})  # what runs when a `with` block is entered
_SUSPENDED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
# What runs cells and tests: above it is nothing of the user's, but dozens of frames.
_RUNNERS = ("IPython/core/interactiveshell.py", "_pytest/python.py", "_pytest/unittest.py")
_DEEPEST = 48  # user frames kept of a stack; recursion beyond it says nothing new

Key = tuple[int, ...]
_OURS = str(Path(__file__).resolve().parents[2])
_BETWEEN = str(Path(_OURS) / "capture" / "patches" / "mode_off.py")  # what runs functions of PyTorch's for the user
_TORCH = str(Path(torch.__file__).resolve().parent)
_MODULE_CALL = torch.nn.Module._call_impl.__code__


def _library_roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"], _TORCH}
    found.update(site.getsitepackages() if hasattr(site, "getsitepackages") else [])
    found.add(site.getusersitepackages() if hasattr(site, "getusersitepackages") else _TORCH)
    return tuple(str(Path(path).resolve()) for path in found if path)


_LIBRARIES = _library_roots()


@lru_cache(4096)
def role_of_file(name: str) -> int:
    """Whose code a file is, by its name: `USER`, `LIBRARY`, or ours."""
    if name.startswith("<") and not name.startswith("<ipython-input"):
        return LIBRARY
    path = str(Path(name).resolve()) if not name.startswith("<") else name
    if path == _BETWEEN:
        return BETWEEN
    if path.startswith(_OURS) or Path(path).as_posix().endswith(_RUNNERS):
        return STOP
    return LIBRARY if path.startswith(_LIBRARIES) else USER


def is_module_call(code: CodeType) -> bool:
    """Whether this is the code that runs a module's forward; its `self` is the module."""
    return code is _MODULE_CALL


class Stacks:
    """Interns the user's stacks. Holds code objects, which hold no tensor, until the trace is frozen.

    Attributes:
        times: the calls that were made from each stack; who notes a call counts it.
        cut: the frames kept of those stacks that have more of the user's, by the stack.
    """

    __slots__ = ("_block", "_codes", "_forwards", "_ids", "_is_cell", "_keys", "_outside", "_roles", "cut", "times")

    def __init__(self, is_cell: Callable[[str], bool]) -> None:
        self._is_cell = is_cell
        self._roles: dict[int, int] = {}
        self._codes: dict[int, CodeType] = {}
        self._forwards: set[int] = set()  # the codes of custom functions' forwards that C++ calls
        self._ids: dict[Key, int] = {}
        self._keys: list[Key] = []  # by their ids
        self.times: list[int] = []
        self.cut: dict[int, int] = {}
        self._block: FrameType | None = None
        self._outside: tuple[Key, FrameType | None] = ((), None)

    def enter(self, frame: FrameType | None) -> None:
        """The recording begins by a `with` block of `frame`, if that is what it is just doing.

        While the block runs, the frames outside of it stay where they are, and so are looked at once. Not where it is a
        generator's: whoever goes on with it is another one each time.
        """
        if frame is None or frame.f_code.co_flags & _SUSPENDED or not self.is_user(frame.f_code):
            return
        if dis.opname[frame.f_code.co_code[frame.f_lasti]] in _WITH:
            self._outside = self._walked(frame.f_back)
            self._block = frame

    def begin_again(self) -> None:
        """Let go of the stacks so far; the codes stay known."""
        self._ids.clear()
        self._keys.clear()
        self.times.clear()
        self.cut.clear()

    def stop(self) -> None:
        """The block is over: hold no frame any more."""
        self._block, self._outside = None, ((), None)

    def key_of(self, frame: FrameType | None) -> tuple[int, FrameType | None]:
        """The id of the user's stack at `frame`, and the innermost frame in which an `nn.Module` runs its forward."""
        key, module = self._walked(frame)
        found = self._ids.get(key)
        if found is None:
            found = self._intern(key)
            if len(key) > 3 * _DEEPEST:
                self._note_cut(found, len(key) // 3, frame)
        return found, module

    def _note_cut(self, stack: int, kept: int, frame: FrameType | None) -> None:
        """Note whether the user has more frames than were kept of a stack."""
        frames = 0
        while frame is not None and frames <= kept and self._roles.get(id(frame.f_code)) != STOP:
            frames += self.is_user(frame.f_code)
            frame = frame.f_back
        if frames > kept:
            self.cut[stack] = kept

    def _walked(self, frame: FrameType | None) -> tuple[Key, FrameType | None]:
        key: list[int] = []
        entry = 0
        module: FrameType | None = None
        roles, block = self._roles, self._block
        while frame is not None:
            code = id(frame.f_code)
            role = roles.get(code)
            if role is None:
                role = self._classify(frame.f_code)
            if role == LIBRARY:
                entry = code
            elif role == USER:
                key += (code, frame.f_lasti, entry)
                if frame is block:
                    outside, owner = self._outside
                    return tuple(key) + outside, owner if module is None else module
                entry = 0
                if len(key) > 3 * _DEEPEST:
                    break
            elif role == STOP:
                break
            elif role == MODULE:
                entry = code
                if module is None:
                    module = frame
            frame = frame.f_back
        return tuple(key), module

    def key_of_line(self, frame: FrameType | None) -> int | None:
        """The id of the user's stack at the beginning of a line, for code that made no call there."""
        while frame is not None and not self.is_user(frame.f_code):
            frame = frame.f_back
        if frame is None:
            return None
        outer, _ = self.key_of(frame.f_back)
        return self._intern((id(frame.f_code), -frame.f_lineno, 0, *self._keys[outer]))

    def is_user(self, code: CodeType) -> bool:
        """Whether this code was written by the user."""
        role = self._roles.get(id(code))
        return (self._classify(code) if role is None else role) == USER

    def key_of_traceback(self, traceback: TracebackType | None) -> int | None:
        """The id of the user's stack that an exception left, None if no frame of it is the user's."""
        frames: list[tuple[int, int, int]] = []
        entry_of_last = 0
        while traceback is not None:
            code = traceback.tb_frame.f_code
            if self.is_user(code):
                frames.append((id(code), traceback.tb_lasti, 0))
                entry_of_last = 0
            elif frames and not entry_of_last and self._roles[id(code)] != STOP:
                entry_of_last = id(code)
                frames[-1] = (*frames[-1][:2], entry_of_last)
            traceback = traceback.tb_next
        if not frames:
            return None
        return self._intern(tuple(part for found in reversed(frames) for part in found))

    def _intern(self, key: Key) -> int:
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self._ids)
            self._keys.append(key)
            self.times.append(0)
        return found

    def _classify(self, code: CodeType) -> int:
        role = self._role(code)
        self._codes[id(code)] = code  # held, so that its id stays taken
        self._roles[id(code)] = role
        if role == USER and is_forward(code):
            self._forwards.add(id(code))
        return role

    def _role(self, code: CodeType) -> int:
        name = code.co_filename
        if is_module_call(code):
            return MODULE
        if self._is_cell(name):
            return USER
        return role_of_file(name)

    def place(self, stack: int, label: Callable[[str], str | None]) -> str | None:
        """The innermost line of a stack in words: `line 3 (h = torch.sigmoid(x))`, or with its file's name."""
        resolver = _Resolver(self._codes, self._forwards, self._is_cell, label)
        frames = resolver.stack(self._keys[stack]).frames
        if not frames:
            return None
        site = resolver.sites[frames[0].site]
        source = resolver.sources[site.source]
        number = site.position.line
        line = resolver.codes[site.source].line(number).strip()
        code = f" ({line})" if line else ""
        return f"{'' if source.is_cell else source.label + ', '}line {number}{code}"

    # ------------------------------------------------------------ freezing

    def freeze(self, label: Callable[[str], str | None]) -> tuple[tuple[Source, ...], tuple[Site, ...], list[Stack]]:
        """Resolve every interned stack: sources with their text, places in them, and the stacks over those."""
        resolver = _Resolver(self._codes, self._forwards, self._is_cell, label)
        stacks = [resolver.stack(key) for key in self._ids]
        return tuple(resolver.sources), tuple(resolver.sites), stacks


class _Resolver:
    def __init__(
        self,
        codes: dict[int, CodeType],
        forwards: Collection[int],
        is_cell: Callable[[str], bool],
        label: Callable[[str], str | None],
    ) -> None:
        self._codes, self._forwards, self._is_cell, self._label = codes, forwards, is_cell, label
        self.sources: list[Source] = []
        self.codes: list[SourceCode] = []
        self.sites: list[Site] = []
        self._source_ids: dict[str, int] = {}
        self._site_ids: dict[tuple[int, int], int] = {}

    def stack(self, key: Key) -> Stack:
        above = (0, *key[0::3])  # the frame that each one called
        called = zip(above, key[0::3], key[1::3], key[2::3], strict=False)
        return Stack(tuple(StackFrame(self._site(c, i), self._entry(e, a)) for a, c, i, e in called))

    def _entry(self, code: int, above: int) -> str | None:
        if not code:
            return APPLY if above in self._forwards else None
        return qualname_of(self._codes[code])

    def _site(self, code: int, instruction: int) -> int:
        found = self._site_ids.get((code, instruction))
        if found is None:
            owner = self._codes[code]
            source = self._source(owner.co_filename)
            place = position_of(owner, instruction, self.codes[source])
            found = self._site_ids[(code, instruction)] = len(self.sites)
            self.sites.append(Site(source, qualname_of(owner), place))
        return found

    def _source(self, name: str) -> int:
        found = self._source_ids.get(name)
        if found is None:
            text = "".join(linecache.getlines(name)) or None
            label = self._label(name) or Path(name).name
            found = self._source_ids[name] = len(self.sources)
            self.sources.append(Source(label, name, text, self._is_cell(name)))
            self.codes.append(SourceCode(text))
        return found
