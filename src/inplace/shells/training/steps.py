"""Records steps of a training loop one by one: the first few, and each that raises; or all of them as one run.

NOTE [ Steps that are one run ]
With `keep` the recording that the first step begins goes on, between steps too, and lets go of what is over: it is told
of when the training ends, or by the step that raises. Who is never told that it has ended tells when Python ends.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from inplace.shells.keep import Keep, window_of
from inplace.shells.recorder import kept_by, recorder_of, windows_seen

if TYPE_CHECKING:
    from inplace.capture.record import Recorder
    from inplace.facts.model import Trace
    from inplace.shells.recording import Recording
    from inplace.shells.windows import WindowsSeen

FIRST = 3
"""Steps that are looked at, unless another number is given."""
_Step = TypeVar("_Step", bound=Callable[..., Any])


class Steps:
    """Records steps, each for itself, and keeps the first few and those that raise.

    Of the others nothing is kept, but each is recorded, as it may raise: it costs what `record()` does. What is found
    is printed on standard error, once for all steps that show the same. A step inside another recording is a part of
    that. A fault of ours costs the recording of one step, and is told once.

    Args:
        first: how many steps are kept and looked at.
        raising: whether later ones are recorded too, to be kept where they raise.
        strict: whether a write that would destroy what backward needs is stopped.
        light: whether to note versions, saves and writes only.
        keep: whether all steps are one recording that lets go of what is over, or the megabytes of its windows; then
            `first` and `raising` say nothing. See NOTE [ Steps that are one run ].

    Raises:
        ValueError: if `keep` is no size of a window.

    Attributes:
        recordings: those that were kept, in order.
        count: the steps so far.
    """

    def __init__(
        self,
        *,
        first: int = FIRST,
        raising: bool = True,
        strict: bool = False,
        light: bool = False,
        keep: Keep = False,
    ) -> None:
        self.recordings: list[Recording] = []
        self.count = self._begun = 0
        self._first, self._raising, self._strict, self._light = first, raising, strict, light
        self._window = window_of(keep)
        self._seen: WindowsSeen | None = None
        self._recorder: Recorder | None = None
        self._told: set[str] = set()

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """A block that is one step."""
        # The frame that entered the block, above that of `contextlib`.
        self.begin(sys._getframe(2))
        try:
            yield
        except BaseException as error:
            self.end(error)
            raise
        self.end()

    def begin(self, where: FrameType | FunctionType) -> None:
        """A step begins, of the code of a frame or function; one that has not ended is let go of."""
        if self._window is None:
            self.drop()
        self.count += 1
        if self._recorder is not None or (self._window is None and self.count > self._first and not self._raising):
            return
        from inplace.capture.record import Recorder

        if Recorder._current is not None:  # of whoever records all of it
            return
        code: CodeType = where.f_code if isinstance(where, FrameType) else where.__code__
        space = where.f_globals if isinstance(where, FrameType) else where.__globals__
        file = code.co_filename
        seen = windows_seen(self._window)
        how = {"strict": self._strict, "light": self._light, "gives_way": seen is not None, **kept_by(seen)}
        recorder = recorder_of([file], space, title=Path(file).name, **how)
        try:
            recorder.start()
            self._recorder, self._seen, self._begun = recorder, seen, self.count
            if seen is not None:
                atexit.register(self.close)
        except Exception as fault:  # of ours, or a refusal: the step runs as it would without us
            self._blame(fault)

    def end(self, error: BaseException | None = None) -> None:
        """The step has ended, by an exception if one is given."""
        recorder = self._recorder
        if recorder is None:
            return
        if error is None and self._window is not None:
            return
        if error is None and self.count > self._first:
            self.drop()
            return
        self._finish(recorder, error)

    def close(self) -> None:
        """The training has ended: what goes on as one run is told of, any other is let go of."""
        if self._recorder is not None and self._window is not None:
            self._finish(self._recorder, None)
        self.drop()

    def _finish(self, recorder: Recorder, error: BaseException | None) -> None:
        """End a recording, and keep it."""
        self._recorder = None
        atexit.unregister(self.close)
        try:
            trace = recorder.stop(error)
            self._keep(trace, recorder.session()[0] if self._seen is not None else None)
        except Exception as fault:
            self._blame(fault)
        finally:
            recorder.undo()
            if error is not None:
                recorder.strip(error)

    def drop(self) -> None:
        """Let go of a recording that goes on, of which nothing is to be known."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.abandon()

    def _keep(self, trace: Trace, session: Trace | None) -> None:
        from inplace.shells.recording import Recording

        recording = Recording.of(trace, session, seen=self._seen)
        self.recordings.append(recording)
        if recording.is_loud:
            self._say(str(recording))

    def _say(self, text: str) -> None:
        if text not in self._told and sys.stderr is not None:
            self._told.add(text)
            steps = f"step {self.count}"
            if self._seen is not None and self._begun < self.count:
                steps = f"steps {self._begun:,} to {self.count:,}"
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"inplace: {steps}\n{text}\n")

    def _blame(self, fault: Exception) -> None:
        told = " ".join(f"{type(fault).__name__}: {fault}".split())
        self._say(f"This step was not recorded ({told}). It was not affected.")


@overload
def steps(function: _Step, /) -> _Step: ...


@overload
def steps(
    function: None = None,
    /,
    *,
    first: int = ...,
    raising: bool = ...,
    strict: bool = ...,
    light: bool = ...,
    keep: Keep = ...,
) -> Callable[[_Step], _Step]: ...


def steps(
    function: Any = None,
    /,
    *,
    first: int = FIRST,
    raising: bool = True,
    strict: bool = False,
    light: bool = False,
    keep: Keep = False,
) -> Any:
    """A decorator for the function that is one training step: records the first calls, and each that raises.

    `@inplace.steps` and `@inplace.steps(first=5)` both do. What is found is printed on standard error; the recordings
    are kept in the function's attribute `steps.recordings`.

    Args:
        function: the step.
        first: how many calls are looked at.
        raising: whether later calls are recorded too, to be explained where they raise.
        strict: whether a write that would destroy what backward needs is stopped.
        light: whether to note versions, saves and writes only, which costs least.
        keep: whether the whole training, with what is between the steps, is one recording that lets go of what can't
            matter any more, or the megabytes of its windows; then `first` and `raising` say nothing. It is told of by
            the step that raises, else when Python ends, or when the function's `steps.close()` is called.

    Raises:
        ValueError: if `keep` is no size of a window.
    """
    window_of(keep)

    def decorate(step: _Step) -> _Step:
        kept = Steps(first=first, raising=raising, strict=strict, light=light, keep=keep)
        own: Any = inspect.unwrap(step)

        @functools.wraps(step)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            kept.begin(own)
            try:
                found = step(*args, **kwargs)
            except BaseException as error:
                kept.end(error)
                raise
            kept.end()
            return found

        recorded.steps = kept  # type: ignore[attr-defined]
        return recorded  # type: ignore[return-value]

    return decorate if function is None else decorate(function)


def callback_of(hooks: type, base: type, steps: Steps) -> Any:
    """A trainer's callback, of the class that the trainer asks for, whose hooks begin and end steps."""
    found: Any = type("StepsCallback", (hooks, base), {})()
    found.steps = steps
    return found
