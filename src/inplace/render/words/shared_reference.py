"""What is said of `shared-reference`: names or items reach the same bytes."""

from __future__ import annotations

from inplace.checks.shared_reference import SharedReference
from inplace.facts.model import Trace
from inplace.reading.trace.place import Place
from inplace.render.words.parts import culprits, joined, name, quote, victim, where
from inplace.render.words.telling import Words

_REMEDIES = {
    "twins": "Make the second a copy: `copy.deepcopy(module)`, or a list of `.clone()`s.",
    "modules": "Make each its own: `[nn.Linear(4, 4) for _ in range(n)]`, or `copy.deepcopy(layer)` for each.",
    "made once": "Let the default be `None`, and make the module in the function.",
    "argument": "Work out of place there (`inplace=False`), or hand over a clone.",
    "class": "Make it for each object: `self.total = torch.zeros(3)` in `__init__`, or `field(default_factory=...)`.",
    "handed": "Hand over a clone, or let the function work out of place.",
    "result": "Work out of place there (`inplace=False`), or hand over a clone.",
    "default": "Let the default be `None`, and make the tensor in the function.",
    "cached": "Let the function give out a clone, or change a copy of what it gives out.",
    "item": "Clone the item before it is changed, or change it out of place.",
    "repeated": "Make each item its own tensor: `[torch.zeros(2) for _ in range(3)]`, or store `t.detach().clone()`.",
    "array": "Make each its own: `torch.tensor(array)`, or `torch.from_numpy(array.copy())`.",
    "refilled": "Make each its own: `torch.tensor(array)`, or `torch.from_numpy(array.copy())`.",
    "swap": "Swap with one indexed assignment, `x[[0, 1]] = x[[1, 0]]`, or clone the right side.",
    "snapshot": "If each is to be its own, keep a copy: `.clone()` of a tensor, `copy.deepcopy` of a `state_dict`.",
    "bucket": "Keep a copy, `p.grad.clone()`, or build the model with `gradient_as_bucket_view=False`.",
    "across": "If the others are not to follow, write into a copy: `.clone()`.",
    "data": "Set the parameters to a copy, `vector.clone()`, or copy the values: `p.data.copy_(part)`.",
    "sum": "Divide out of place, so that the sum stays one: `mean = total / n`.",
    "state": "Keep a copy: `copy.deepcopy(optimizer.state_dict())`.",
    "states": "Load a copy: `copy.deepcopy(...)` of what the other's `state_dict()` gives out.",
    "groups": "Put each parameter into one group only: leave out those that an earlier group has.",
}


_READS = {
    "compared": "compares them with themselves",
    "restored": "copies them onto themselves",
    "kept": "reads them back",
    "state": "loads them as they are now",
    "twins": "takes them for two",
}

_ARGUMENTS = {
    "argument": "works in place on {name}, which its caller goes on with ({keep})",
    "result": "works in place on {name}, whose values are read again",
    "default": "writes to the default of {name}, which is made once ({keep})",
    "class": "writes to {name}, which is made once for all objects of its class ({keep})",
    "handed": "works in place on {name}, which its caller goes on with ({keep})",
    "cached": "writes to {name} in place, and so to what a function keeps for its next call ({keep})",
    "sum": "works in place on {name}, which is added up elsewhere ({keep})",
    "item": "writes to {name} in place, and so to what the data set keeps ({keep})",
}
_OF_ARGUMENTS = {
    "argument": "{read} reads it again, and finds what was made of it.",
    "class": "{read} finds what one object has made of the tensor of all.",
    "handed": "{read} goes on with it as if it were as before.",
    "result": "{read} reads it by the name that it had before, and finds what was made of it.",
    "default": "The next call begins with what the last has left in it: {read} wrote to the same tensor.",
    "cached": "The function gives out the same tensor again, as it is now: {read} was given that.",
    "sum": "What is left is no sum: nothing set it anew, and {read} has it changed once more.",
    "item": "Each time the item is taken out it is changed again: {read} wrote to the same bytes.",
}


_BESIDE = {"refilled": "fills it anew", "swap": "reads what it overwrote", "groups": "refused"}
_OF_OTHERS = {
    "foreign": ("is memory of an array", "Whoever has the array finds it changed."),
    "across": (
        "lies in memory that other processes can share",
        "A process that has the same tensor finds it changed, and its version counter does not tell.",
    ),
}


def _writers(finding: SharedReference, trace: Trace) -> str:
    first = finding.culprits[0]
    return "that line" if first == finding.keep else f"{where(first, trace)} ({quote(first)})"


def _over_array(finding: SharedReference, trace: Trace, writer: str, read: Place) -> tuple[str, str]:
    given = f"{where(read, trace)} ({quote(read)})"
    if finding.how == "array" or finding.keep is None:
        what = f"{writer} makes tensors over one array, and several of them lived at once."
        return what, f"{given} was given each of them: what is written into the array shows in all."
    made = f"{where(finding.keep, trace)} ({quote(finding.keep)}) makes tensors of it that are no copies"
    return f"{writer} fills the array anew, and {made}.", f"{given} finds the values that it got last in all of them."


def _of_optimizers(finding: SharedReference, trace: Trace) -> tuple[str, str]:
    if finding.how == "states" and finding.keep is not None:
        taken = f"{where(finding.keep, trace)}: {quote(finding.keep)} takes over the state of another optimizer"
        steps = f"{where(finding.culprits[0], trace)}: {quote(finding.culprits[0])}"
        return (
            f"{taken}, no copy of it, and both go on stepping ({steps}).",
            "`load_state_dict` copies no tensor whose dtype and device fit: a step of one changes the state of both.",
        )
    shared = f" ({joined(finding.reaching)})" if finding.reaching else ""
    what = f"{culprits(finding, trace)} gives an optimizer the same parameter in two groups{shared}."
    return what, "The optimizer refuses: each of its steps would move it twice."


def _sentences(finding: SharedReference, trace: Trace) -> tuple[str, str]:
    names = joined(finding.reaching or finding.names[:2])
    writer = f"{where(finding.culprits[0], trace)}: {quote(finding.culprits[0])}" if finding.culprits else "a call"
    if finding.how in {"groups", "states"}:
        return _of_optimizers(finding, trace)
    if finding.how in _ARGUMENTS and finding.keep is not None:
        keep = f"{where(finding.keep, trace)}: {quote(finding.keep)}"
        what = _ARGUMENTS[finding.how].format(name=name(finding), keep=keep)
        return f"{writer} {what}.", _OF_ARGUMENTS[finding.how].format(read=victim(finding, trace))
    if finding.how in {"modules", "made once"} and finding.keep is not None:
        is_one = "is one module several times, not several"
        is_one = "is made once, for all that are built without another" if finding.how == "made once" else is_one
        what = f"{where(finding.keep, trace)}: {quote(finding.keep)} {is_one}."
        return (
            what,
            f"Its parameters are the same ones each time: {where(finding.culprits[-1], trace)} trains all at once.",
        )
    if finding.how == "repeated" and finding.keep is not None:
        kept = f"{where(finding.keep, trace)} ({quote(finding.keep)}) put them there"
        wrote = f"{_writers(finding, trace)} wrote them"
        what = f"{victim(finding, trace)} joins items that are the same bytes: {kept}, {wrote}."
        return what, "A write through one of them shows in all of them."
    if finding.how in {"array", "refilled"} and finding.victim is not None and finding.victim.place is not None:
        return _over_array(finding, trace, writer, finding.victim.place)
    if finding.how == "data" and finding.keep is not None and finding.victim is not None:
        gave = f"{where(finding.keep, trace)} ({quote(finding.keep)}) set `.data` of parameters to the bytes of"
        read = "that line" if finding.victim.place == finding.keep else where(finding.victim.place, trace)
        what = f"{gave} {name(finding)}, {_writers(finding, trace)} wrote them, and {read} reads {name(finding)} again."
        return what, "Setting `.data` copies nothing: what writes the parameters writes what they were set to."
    if finding.keep is not None and finding.victim is not None:
        kept = f"{where(finding.keep, trace)} kept the same bytes ({quote(finding.keep)})"
        read = f"{where(finding.victim.place, trace)} {_READS[finding.how]}"
        return (
            f"{kept}, {_writers(finding, trace)} wrote them, and {read}.",
            "What was kept is a reference, not a copy: it shows what was written since.",
        )
    if finding.how == "twins":
        what = f"{victim(finding, trace)} takes for two what are the same tensors, which {writer} wrote."
        return what, "One of the two is a reference, not a copy: it shows what was written since."
    if finding.how in _OF_OTHERS:
        lies, because = _OF_OTHERS[finding.how]
        return f"{writer} wrote {names}, which {lies}.", because
    if finding.how == "swap":
        what = f"{culprits(finding, trace)} copies from a view that the same statement has overwritten already."
        return what, "`x[0]` and `x[1]` are views, not copies, so both ends of the swap read the same bytes."
    if finding.how == "repeated":
        what = f"{culprits(finding, trace)}: several items of one list are the same bytes ({names})."
        return what, "A write through one of them shows in all of them."
    if finding.how == "bucket":
        lie = "lie" if len(finding.reaching) > 1 else "lies"
        what = f"{names} {lie} in a bucket of DistributedDataParallel, which {writer} filled again."
        return what, "The gradient that was kept has other values now."
    return f"{names} reach the same bytes, which {writer} wrote.", "A write through one name shows under every other."


def _remedy(finding: SharedReference, trace: Trace) -> str:
    is_wrapped = finding.storage is not None and trace.storages[finding.storage].external
    if finding.how == "repeated" and finding.keep is None and is_wrapped:
        return _REMEDIES["array"]
    return _REMEDIES.get(finding.how, _REMEDIES["snapshot"])


def _did(finding: SharedReference) -> str:
    if finding.how in _BESIDE:
        return _BESIDE[finding.how]
    if finding.keep is None or finding.culprits[0] == finding.keep:
        return "the same bytes"  # of all places; one wrote
    return "writes them" if finding.how in _READS else "writes to it" if finding.how in _ARGUMENTS else "the same bytes"


def _needs(finding: SharedReference) -> str:
    return "reads them" if finding.how in {*_READS, "refilled"} else ""


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=_did,
    example="E15",
    kept="the same bytes",
    needs=_needs,
)
