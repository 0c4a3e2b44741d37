"""Which functions talk to other processes, and what each may write: the one table that capture and checks share.

NOTE [ Collectives ]
They arrive at a function mode as functions of `torch/distributed/distributed_c10d.py`, and nothing marks what they
write: they have no `aten` schema. Most don't move `_version` (`all_reduce`, `broadcast`, `reduce`, `scatter`, `recv`,
`all_to_all_single`), some do (`all_gather`, `reduce_scatter`, `gather`, what is coalesced), those begun with `async_op`
when they complete. A rank need not be written at all, as the source of a broadcast. So what counts is whether the bytes
have changed: of a collective's arguments those were written whose state is another afterwards.
"""

from __future__ import annotations

_MODULE = "torch.distributed.distributed_c10d."
SYNC_BUFFERS = "torch.nn.parallel.DistributedDataParallel._sync_buffers"
"""The broadcast of rank 0's buffers that DistributedDataParallel makes before a forward (`distributed.py`)."""

REDUCED = "torch.nn.parallel.DistributedDataParallel.reduce"
"""What DistributedDataParallel does to gradients during a backward, in buckets that they may be views of."""

_FIRST = {
    "all_reduce": "tensor",
    "all_reduce_coalesced": "tensors",
    "broadcast": "tensor",
    "reduce": "tensor",
    "scatter": "tensor",
    "recv": "tensor",
    "irecv": "tensor",
    "all_gather": "tensor_list",
    "all_gather_single": "output_tensor",
    "all_gather_into_tensor": "output_tensor",
    "_all_gather_base": "output_tensor",
    "all_gather_coalesced": "output_tensor_lists",
    "reduce_scatter": "output",
    "reduce_scatter_single": "output",
    "reduce_scatter_tensor": "output",
    "_reduce_scatter_base": "output",
    "all_to_all_single": "output",
    "all_to_all": "output_tensor_list",
}
_WRITES = {**{name: ("0", keyword) for name, keyword in _FIRST.items()}, "gather": ("1", "gather_list")}
_OUTPUT_OF_PARTS = frozenset({"all_gather_single", "all_gather_into_tensor", "_all_gather_base"})
_PART_OF_INPUT = frozenset({"reduce_scatter_single", "reduce_scatter_tensor", "_reduce_scatter_base"})
_BETWEEN_TWO = frozenset({"send", "recv", "isend", "irecv"})


def is_collective(name: str) -> bool:
    """Whether the function of this name talks to other processes."""
    return name.startswith(_MODULE) or name in {SYNC_BUFFERS, REDUCED}


def written_by(name: str) -> tuple[str, ...]:
    """The arguments that the collective of this name may write, by position and keyword; empty for others."""
    return _WRITES.get(name.removeprefix(_MODULE), ()) if name.startswith(_MODULE) else ()


def is_between_two(label: str) -> bool:
    """Whether a function sends to or receives from one other process, so that the others have no part in it."""
    return label in _BETWEEN_TWO


def may_lie_within(label: str) -> bool:
    """Whether the smaller tensor of a collective may be this rank's part of the larger: then it works in place."""
    return label in _OUTPUT_OF_PARTS or label in _PART_OF_INPUT
