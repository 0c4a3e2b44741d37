from collections.abc import Callable
from typing import Any

from inplace.capture.calls.call_notes import CallNotes
from inplace.capture.calls.listener import Listener
from inplace.capture.code.stacks import Stacks
from inplace.capture.tables.arrivals import Arrivals
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import StateId

DIGEST: str

def has_any(tensor: Any, test: int) -> bool | None: ...
def entry_of(kind: type, in_frame: Callable[[Any, Any, Any], Any]) -> Any: ...

class Shorthand:
    def __init__(
        self, notes: CallNotes, seen: TensorsSeen, arrivals: Arrivals, stacks: Stacks, hooks: Listener
    ) -> None: ...
    def bury(self) -> None: ...
    def running(self) -> list[int]: ...
    def meet_view(self, tensor: Any, base: Any, step: int, made: int) -> StateId | None: ...
    @property
    def owners(self) -> Any: ...
