"""What is said of `silent-corruption`: saved bytes were overwritten where no version counter saw it."""

from __future__ import annotations

from inplace.checks.silent_corruption import UnseenWrite
from inplace.facts.model import Trace
from inplace.render.words.keeps import keeps
from inplace.render.words.parts import culprits, name, quote, victim, where
from inplace.render.words.telling import Words

_HOW = {
    "data": "through an alias with a version counter of its own (`.data`)",
    "external": "from outside PyTorch (numpy, dlpack, shared memory)",
    "elsewhere": "in another process, which shares its memory,",
    "buffers": "without moving its version (running statistics)",
    "replaced": "by giving it other memory (`.data = ...`)",
    "collective": "in place, as collectives do without moving a version,",
    "begun": "while nobody had waited for it,",
    "broadcast": "to rank 0's values, since DistributedDataParallel broadcasts buffers before a forward,",
}
_UNSEEN = "No version counter moved, so `backward()` did not notice and computed its gradient with the new values."
_MOST = 4  # processes that are named
_REMEDIES = {
    "data": "Write to a copy, `.detach().clone()`, or write after `backward()`.",
    "external": "Edit a copy of the array (`.copy()`), or edit it after `backward()`.",
    "elsewhere": "Compute with a copy of your own (`.clone()`), or run `backward()` before others write.",
    "shared": "Compute with a copy of your own (`.clone()`), or run `backward()` before others write.",
    "buffers": "Run `backward()` before the next training-mode forward, or clone the buffers.",
    "receiver": "Compute the argument in a line of its own above, or write out of place.",
    "unfollowed": "Compute a new tensor and give that the name, so that the graph has it.",
    "replaced": "Change the values after `backward()`, in place under `torch.no_grad()`.",
    "collective": "Give the collective a copy (`.detach().clone()`), or call it after `backward()`.",
    "begun": "Wait for it (`work.wait()`) before what it writes is used.",
    "recomputed": "Run `backward()` before, or give the function a copy as an argument.",
    "rewritten": "Leave what writes it out of the checkpoint: it is to run once.",
    "another way": "Let the function do the same both times: what it depends on are its arguments.",
    "unrecorded": "Find what writes to it there, and let that write to a copy (`.clone()`), or after `backward()`.",
    "broadcast": "Use a `.clone()` of the buffer in forward, or build the model with `broadcast_buffers=False`.",
}


def _sentences(finding: UnseenWrite, trace: Trace) -> tuple[str, str]:
    if finding.how == "recomputed":
        what = f"{culprits(finding, trace)} changed {name(finding)} before backward ran {victim(finding, trace)} again."
        return what, "A checkpoint keeps its arguments only: the gradient is computed with the new values."
    if finding.how == "rewritten":
        what = f"{victim(finding, trace)} writes {name(finding)} each time it runs, and backward ran it again."
        return what, "The gradient is computed with what was written in between, not with the values of the forward."
    if finding.how == "another way":
        before = f" in place of {quote(finding.argument)}" if finding.argument is not None else ""
        what = f"{quote(finding.culprits[0])} was called{before} when backward ran {victim(finding, trace)} again."
        return what, "The gradient is that of another function than the one whose values were computed."
    if finding.node is None:
        read = f"{quote(finding.argument)} is computed" if finding.argument is not None else "its argument is computed"
        what = f"{culprits(finding, trace)} changes {name(finding)} before {read}."
        return what, "Python runs a chain from the left: the argument is made of the new values, not of the old ones."
    node = trace.node_by_id[finding.node].name
    if finding.how == "unfollowed":
        what = f"{culprits(finding, trace)} changed {name(finding)}, and autograd recorded nothing of it."
        return what, "The gradient is that of the values before, not of what was computed."
    saved = f"after {victim(finding, trace)} saved it"
    if finding.how == "shared":
        what = f"{name(finding)} changed in shared memory while {culprits(finding, trace)} ran, {saved}"
        return f"{what} ({keeps(node, finding.saved)}).", f"{_who(finding)} {_UNSEEN}"
    if finding.how == "unrecorded":
        what = f"{name(finding)} changed {_between(finding, trace)}, {saved} ({keeps(node, finding.saved)})."
        return what, _nobody(finding, trace)
    what = f"{culprits(finding, trace)} changed {name(finding)} {_HOW[finding.how]} {saved}"
    by = f"It was written by {_pids(finding.processes)}. " if finding.processes else ""
    return f"{what} ({keeps(node, finding.saved)}).", by + _UNSEEN


def _nobody(finding: UnseenWrite, trace: Trace) -> str:
    """What is known of a write that nobody shows."""
    if finding.argument is not None:
        given = f"{where(finding.argument, trace)}: {quote(finding.argument)}"
        return f"No recorded call shows that write; {given} was given the tensor meanwhile. {_UNSEEN}"
    who = "another thread, an array over the same memory, compiled or foreign code has made it"
    return f"No recorded call shows that write: {who}, or code that PyTorch shows to no mode. {_UNSEEN}"


def _between(finding: UnseenWrite, trace: Trace) -> str:
    """Between which lines bytes have changed that nobody was seen to write."""
    begin, end = finding.between or (None, None)
    if begin is None or end is None:
        return "between two calls"
    first, last = where(begin, trace), where(end, trace)
    return f"between {first} and {last}" if first != last else f"between two calls of {first}"


def _who(finding: UnseenWrite) -> str:
    """Who may have changed bytes that are shared."""
    if not finding.processes:
        return "Another process, or code outside PyTorch, wrote it; no recorded call did."
    return f"Also {_pids(finding.processes)} can write it, but no call recorded there did."


def _pids(processes: tuple[int, ...]) -> str:
    several = "es" if len(processes) > 1 else ""
    shown = ", ".join(map(str, processes[:_MOST]))
    return f"process{several} {shown}" + (f" and {len(processes) - _MOST} more" if len(processes) > _MOST else "")


def _remedy(finding: UnseenWrite, _: Trace) -> str:
    return _REMEDIES[finding.how]


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "changes it unseen",
    bounds=("not changed yet", "changed by here"),
    example="E47",
    cause=lambda finding: "E36" if finding.how in {"broadcast", "collective"} else "",
    needs=lambda finding: "what it changes" if finding.how == "unfollowed" else "still needed",
)
