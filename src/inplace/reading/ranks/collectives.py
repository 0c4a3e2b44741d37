"""Questions about calls that talk to other processes."""

from __future__ import annotations

from inplace.facts.collectives import is_collective
from inplace.facts.model import Call
from inplace.reading.trace.index import Index


def is_own_part(index: Index, call: Call) -> bool:
    """Whether the smaller of a collective's two tensors is this rank's part of the larger, which is documented to work.

    NCCL calls that in place (`all_gather_into_tensor`, `reduce_scatter_tensor`), and FSDP2 makes every gather so. Where
    this rank's place in the group is not known, any whole part passes.
    """
    states = [index.trace.states[argument.before] for argument in call.inputs]
    if not is_collective(call.function.name) or len(states) != 2:  # noqa: PLR2004  # output and input
        return False
    small, large = sorted(states, key=lambda state: state.layout.numel)
    count, process = small.layout.numel, index.trace.process
    if not count or small.storage != large.storage or small.layout.dtype != large.layout.dtype:
        return False
    part, rest = divmod(small.offset - large.offset, count)
    group = next((one.group for one in index.trace.collectives if one.step == call.step), ())
    if rest or not 0 <= part < large.layout.numel // count:
        return False
    if not group or process is None or process.rank not in group:
        return True
    return part == group.index(process.rank)
