"""The tables of one window of a recording, and what fills them; a recording without windows has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch

from inplace.capture.bytes.contents import Contents
from inplace.capture.bytes.samples import Samples
from inplace.capture.calls.accumulated import Accumulated
from inplace.capture.calls.call_notes import CallNotes
from inplace.capture.calls.collectives import Collectives
from inplace.capture.calls.listener import Listener
from inplace.capture.calls.mode import CallMode
from inplace.capture.calls.optimizer_steps import SHOWN, OptimizerSteps
from inplace.capture.calls.strict import Saves
from inplace.capture.carried import Carried
from inplace.capture.code.stacks import Stacks
from inplace.capture.continued import Continued
from inplace.capture.faults import NAMES, Faults
from inplace.capture.freeze import Raw
from inplace.capture.gradients import Gradients
from inplace.capture.graph.walk import Walker
from inplace.capture.naming import Naming
from inplace.capture.patches.ledger import Ledger
from inplace.capture.tables.arrivals import Arrivals
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.capture.walks import Walks
from inplace.capture.windows import Windows

_LIGHT = "Recorded lightly: values, names, gradients and what others write to memory that they share were not noted."


class Parts:
    """What notes in one window, begun with empty tables; the other arguments are those of `Recorder`.

    Args:
        stacks: where the user's stacks get their ids, in all windows.
        ledger: where changes to Python and PyTorch are noted, and undone.
        mode: observes the calls.
        listener: what the mode tells of them.
        faults: catches ours.
        is_window: whether the run before goes on in this one.

    Attributes:
        samples: what reads a few bytes of what nodes may have saved; None where nobody does.
        continued: what it has as a run of a session, None where it is none.
    """

    def __init__(
        self,
        stacks: Stacks,
        ledger: Ledger,
        mode: CallMode,
        listener: Listener,
        faults: Faults,
        *,
        namespace: Mapping[str, object] | None,
        label: Callable[[str], str | None],
        light: bool,
        thorough: bool,
        earlier: Carried | None,
        windows: Windows | None,
        is_window: bool,
    ) -> None:
        self._light = light
        self.seen = TensorsSeen()
        self.walker = Walker(self.seen, reads_values=not light)
        self.arrivals = Arrivals(self.seen)
        self.notes = CallNotes(self.seen, self.arrivals, stacks, listener)
        self.log = self.notes.log
        if windows is not None:
            self.notes.most = windows.calls
        self.raw = Raw()
        if light:
            self.notes.detailed = 0
            self.raw.notes.append(_LIGHT)
        self.contents = self.raw.contents = Contents(
            self.seen, stacks, ledger, self.raw.left_out, partial(len, self.log)
        )
        self.samples = None if light else Samples(self.seen, self.log, self.notes.functions, self.contents)
        self.saves = Saves(self.seen, self.log, partial(stacks.place, label=label), self.raw.left_out)
        self.naming = Naming(self.raw, self.seen, stacks, namespace, partial(faults.lose, NAMES))
        self.gradients = self.raw.gradients = Gradients(self.seen, stacks, self.log)
        self.walks = Walks(
            *(self.walker, self.seen, self.log, self.raw, self.contents, self.gradients, faults),
            thorough=thorough,
            light=light,
        )
        self.collectives = Collectives(self.notes, self.seen, stacks, self.contents, partial(self.walks.wrote, None))
        self.accumulated = Accumulated(self.notes, self.seen)
        self.continued: Continued | None = None
        if earlier is not None:
            met = self.seen, self.raw, self.walker, self.gradients, self.accumulated, self.watch
            self.continued = Continued(earlier, *met, is_window=is_window, windows=windows)
        self.steps = OptimizerSteps(mode, self.notes, self.seen, stacks, shown=0 if light else SHOWN)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is just going on that calls to come belong to."""
        return not self.notes.running and not self.steps.is_left and not self.collectives.is_open

    def watch(self, tensor: torch.Tensor, since: int = 0) -> None:
        """Others may write the bytes of a tensor from now on; they have had them from the call `since` on."""
        if self._light:
            return
        last = len(self.log) - 1
        self.contents.watch(tensor, last, self.log.stack(last) if last >= 0 else None, since=since)

    def watch_external(self) -> None:
        """Watch the storages met lately whose memory others own."""
        external = self.seen.storages.external
        while external:
            tensor = self.seen.over(external.pop())
            if tensor is not None:
                self.watch(tensor)

    def look_once_more(self) -> None:
        """Compare all that others may have written, in the end."""
        self.contents.look(len(self.log))
        self.contents.look_asleep(len(self.log))
        self.contents.shared.end(self.seen.storages.external)

    def known(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The gradients that the code has in hand, and what there are samples of, which are compared once more."""
        gradients = [*self.accumulated.live()]
        if self.samples is None:
            return gradients, []
        sampled = [*self.samples.standing()]
        self.samples.look()
        return gradients, sampled

    def go_on(self, gradients: list[torch.Tensor], sampled: list[torch.Tensor]) -> None:
        """Know what was known in the window before, too."""
        for gradient in gradients:
            self.accumulated.know(gradient)
        if self.samples is not None:
            self.samples.go_on(sampled)

    def end_window(self) -> None:
        """Reach no tensor of the user's any more, and be let go of at once: another window goes on."""
        self.continued = None  # it has a method of ours
        self._uncouple()

    def close(self) -> None:
        """Reach nothing of the user's any more."""
        self._uncouple()
        self.samples = None
        self.naming.close()
        self.notes.known.clear()  # which has functions of theirs

    def _uncouple(self) -> None:
        self.seen.close()
        # What is compiled has these tables: they would wait for a cyclic collection, which may come windows later.
        self.arrivals.meet_view = self.seen.storages.owners = self.seen.compiled = None
