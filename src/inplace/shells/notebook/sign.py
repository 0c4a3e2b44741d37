"""A sign of life below a cell that takes long while it is recorded: how many calls so far, and for how many seconds.

NOTE [ The thread that tells ]
A thread of ours would be noticed (`threading.enumerate`, warnings of `fork`), and a look at the clock in each call
would be paid in each call. The kernel has a thread that sends what cells print; we ask it to send one line a second.
So a cell pays nothing for it, `%%capture` does not see it, and nothing of it is left when the cell has ended but the
line.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

DELAY = 2.0  # seconds before anything is said
APART = 1.0  # seconds between two things said


class Sign:
    """The line below one cell.

    Args:
        shell: in which the cell runs.
        calls: how many calls were recorded so far; asked in another thread.
        clock: the time in seconds.
    """

    def __init__(self, shell: Any, calls: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._calls, self._clock, self._began = calls, clock, clock()
        self._session, self._pub = shell.kernel.session, shell.display_pub
        self._loop, self._parent = shell.kernel.iopub_thread.io_loop, shell.get_parent()
        self._id = uuid.uuid4().hex
        self._is_shown = self._has_ended = False
        self._loop.add_callback(self._wait, DELAY)

    @classmethod
    def of(cls, shell: Any, calls: Callable[[], int]) -> Sign | None:
        """The sign of a cell that is about to run; None where the shell is that of no kernel we know how to ask."""
        try:
            return cls(shell, calls)
        except Exception:  # a kernel of another make: there is no sign, and all else goes on
            return None

    def end(self) -> None:
        """Say no more; a line that is shown says how many calls there were."""
        self._has_ended = True
        if self._is_shown:
            self._say(f"inplace: recorded {self._calls():,} calls in {self._seconds():.0f} s")

    # ------------------------------------------------------------ in the kernel's thread

    def _wait(self, seconds: float) -> None:
        self._loop.call_later(seconds, self._tell)

    def _tell(self) -> None:
        if self._has_ended:
            return
        self._say(f"inplace: recording, {self._calls():,} calls so far, {self._seconds():.0f} s")
        self._wait(APART)

    def _seconds(self) -> float:
        return self._clock() - self._began

    def _say(self, text: str) -> None:
        kind = "update_display_data" if self._is_shown else "display_data"
        self._is_shown = True
        content = {"data": {"text/plain": text}, "metadata": {}, "transient": {"display_id": self._id}}
        self._session.send(self._pub.pub_socket, kind, content, parent=self._parent, ident=self._pub.topic)
