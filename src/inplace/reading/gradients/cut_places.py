"""Where a path of the graph was cut: the lines that are told of it, and how it was cut there."""

from __future__ import annotations

from typing import Literal

from inplace.facts.model import Call, GradMode
from inplace.reading.gradients.switched_off import SwitchedOff
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import CutCall, HowCut, how_cut, live_input
from inplace.reading.trace.place import Place

# Since PyTorch 2.15 what a mode makes of a function that it decorates is called as the mode
# (`torch/utils/_contextlib.py`).
_DECORATED = frozenset({"no_grad", "inference_mode", "set_grad_enabled"})

HowLost = HowCut | Literal["left off", "inference"]


def how_lost(cut: CutCall, off: SwitchedOff) -> HowLost:
    """How a path was cut, and whether that is because gradient mode was left off."""
    how = how_cut(cut)
    if how != "no-grad":
        return how
    if off.left_off(cut.call) is not None:
        return "left off"
    return "inference" if cut.call.grad_mode is GradMode.INFERENCE else how


def path_before(index: Index, cut: CutCall) -> Place | None:
    """Where what was cut off was made: on another line than the cut, where there is one."""
    here, state, step = index.places.of(cut.call), cut.given, cut.call.step
    found = here
    while not state.is_leaf and (maker := index.history.maker(state.tensor, step)) is not None:
        found = index.places.of(maker) or found
        state_before = live_input(index, maker)
        if here is None or found is None or found.position.line != here.position.line or state_before is None:
            return found
        state, step = state_before, maker.step
    return found


def places_of_cut(index: Index, cut: CutCall, off: SwitchedOff) -> list[Place]:
    """Where the path was lost: the call, and what switched gradient mode off where that says more."""
    found = list(index.places.chain(cut.call))
    how = how_cut(cut)
    if how == "collective":
        return [*found, *_first_use(index, cut.call)]
    if how == "wrapped" and found:
        code = index.places.code(found[0])
        reached = sorted(index.flow(found[0]).from_(found[0].position), key=lambda at: at.start)
        wrapping = [at for at in reached if "Parameter(" in code.text(at)]
        return [index.places.beside(found[0], wrapping[0]), *found[1:]] if wrapping else found
    if how != "no-grad" or not found:
        return found
    left = off.left_off(cut.call)
    if left is not None:
        return [left, *found]
    act = off.before(cut.call)
    if act is None:
        around = _library_around(index, cut.call)
        return [around] if around is not None else found
    switch, entry = index.places.at(act.stack.frames[0], None), act.stack.frames[0].entry or ""
    if entry in _DECORATED or "decorate_context" in entry or "_no_grad_wrapper" in entry:
        return [*found, switch]
    if entry.startswith("set_grad_enabled"):
        return [switch, *found]
    return found if entry.startswith("no_grad.") else [switch]


def _first_use(index: Index, call: Call) -> list[Place]:
    """The line that first took what a collective collected: where this rank's own part would have to be back."""
    states = index.trace.states
    live = {states[one.before].tensor for one in call.inputs if states[one.before].requires_grad}
    made = {states[one.before].tensor for one in call.inputs} | {states[one].tensor for one in call.outputs}
    steps = [step for one in made - live for step, _ in index.history.sightings.get(one, ()) if step > call.step]
    users = (index.places.of(index.trace.calls[step]) for step in sorted(steps)[:1] if step < len(index.trace.calls))
    return [place for place in users if place is not None]


def _library_around(index: Index, call: Call) -> Place | None:
    """The line that called what runs the user's code without gradients, such as a reentrant checkpoint."""
    in_cell = False
    for number, frame in enumerate(call.stack.frames):
        is_cell = index.trace.sources[index.trace.site(frame).source].is_cell
        if in_cell and not is_cell:  # what has run the recorded code
            return None
        in_cell = in_cell or is_cell
        if number and frame.entry is not None and not frame.entry.startswith("Module."):
            return index.places.at(frame, None)
    return None
