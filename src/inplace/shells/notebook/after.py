"""`%inplace why` for a cell that failed without a recording, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

_RUN_AGAIN = (
    "To see the line that overwrote it, put %%inplace above the cell (above each, if it is several) and run again."
)
_MOST = 5


def explain(error: BaseException, namespace: Mapping[str, object]) -> str:
    """What can be told of an exception now, from the live graph, and how to learn the rest."""
    from inplace.capture.graph.postmortem import is_stale_save, stale_nodes

    kind = type(error).__name__
    if not is_stale_save(error):
        return (
            f"the last cell ended with {kind}, and was not recorded. "
            "If a tensor or its gradient is behind it, put %%inplace above the cell and run it again."
        )
    found = stale_nodes(error, namespace).found
    if not found:
        return (
            "backward() was refused because a tensor saved for it was overwritten. "
            f"The graph is gone, so no more can be told now. {_RUN_AGAIN}"
        )
    told = []
    for one in found[:_MOST]:
        shape = "x".join(map(str, one.shape)) or "a scalar"
        names = f" Its bytes are now reached as {', '.join(one.names[:_MOST])}." if one.names else ""
        told.append(
            f"{one.node} saved `{one.saved}` ({shape}), which was overwritten: its version is {one.version} now.{names}"
        )
    if len(found) > _MOST:
        told.append(f"{len(found) - _MOST} more nodes have a save that was overwritten.")
    return "\n".join(["backward() was refused. The graph is still alive, and shows why:", *told, _RUN_AGAIN])
