from types import FrameType
from typing import Any

from inplace.capture.calls.call_notes import CallNotes
from inplace.capture.calls.known import Known
from inplace.capture.calls.listener import Listener
from inplace.capture.code.stacks import Stacks
from inplace.capture.tables.arrivals import Arrivals
from inplace.capture.tables.tensors_seen import TensorsSeen

DIGEST: str

class Shorthand:
    def __init__(
        self, notes: CallNotes, seen: TensorsSeen, arrivals: Arrivals, stacks: Stacks, hooks: Listener
    ) -> None: ...
    def begin(self, known: Known, args: Any, kwargs: dict[str, Any], frame: FrameType) -> int: ...
    def end(self, known: Known, step: int, args: Any, kwargs: dict[str, Any], result: Any) -> bool: ...
    def was_compared(self, step: int) -> bool: ...
