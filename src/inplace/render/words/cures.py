"""What is said of a change that is shown: what it does, and how it is known that it mends what was found."""

from __future__ import annotations

from inplace.checks.finding import Cure, Finding, Rewrite
from inplace.render.words.changes import changed_lines, without_comment
from inplace.render.words.phrase import code

_LONGEST = 90  # characters of a changed line that is quoted
_READ = "every later read that was seen is by that name, and no other name of it stands in the code that follows"
_COPY = "a copy has the same values, and its gradient flows on unchanged"

# What each does, with `{new}` for the one line that it puts in, and the condition of its rule that was looked at.
_CURES: dict[Cure, tuple[str, str]] = {
    Cure.OUT_OF_PLACE: ("Write {new} instead, which makes a new tensor.", _READ),
    Cure.NO_FLAG: ("Build the module without its flag for in-place work.", "nobody else reads what it wrote to"),
    Cure.CLONE_BEFORE: ("Write to a copy that takes the name.", _READ),
    Cure.CLONE_VALUE: (
        "Copy what is read before anything is written: {new}.",
        "only the order of reads and writes changes",
    ),
    Cure.CLONE_MADE: (
        "Make it a tensor of its own where it is made: {new}.",
        "what it was a view of is not read later",
    ),
    Cure.CLONE_SAVED: ("Have a copy saved: {new}.", _COPY),
    Cure.CLONE_GIVEN: ("Give the call a copy: {new}.", _COPY),
    Cure.STACKED: ("Make a new tensor of new pieces: {new}.", _READ),
    Cure.ACCUMULATED: ("Add once for each time an index comes up: {new}.", "the indices are tensors of integers"),
    Cure.BEHIND_BACKWARD: (
        "Move it behind the backward() that needs the old values.",
        "until then nothing reads what it writes, or writes what it reads, and no gradient that it uses is added to",
    ),
    Cure.FORWARD_AGAIN: (
        "Compute the loss again behind the write, right before its backward().",
        "the lines between assign nothing else, and the graph before them is still there",
    ),
    Cure.WITHOUT_GRAD: ("Put the update under torch.no_grad().", "no graph that is alive has saved the leaf"),
    Cure.MODE_IN_BLOCK: ("Switch gradients off in a block only.", "the function goes backward nowhere below it"),
    Cure.WITH_GRAD: ("Have autograd record it again.", "its result goes into nothing else that isn't recorded"),
    Cure.VIEW_RECORDED: ("Make the view where autograd records.", "its base is no leaf, and no node has saved it"),
    Cure.UPDATE_LEAF: ("Update the leaf itself: {new}.", "shape and dtype stay, and no backward needs the old values"),
    Cure.AS_LEAF: ("Make the result a leaf of its own: {new}.", "the leaf it came from is used for nothing else"),
    Cure.UNCUT: (
        "Leave the cut out: {new}.",
        "no other backward goes where the path leads, nobody writes to it, and numpy is not given it",
    ),
    Cure.TENSORS_KEPT: ("Keep tensors in the list, and join them.", "the list is read for nothing else"),
    Cure.RESULT_USED: ("Use the result itself: {new}.", "no module asks for a parameter there"),
    Cure.RETAIN_GRAD: ("Have its gradient kept with retain_grad().", "a backward comes between this line and the read"),
    Cure.DETACHED: (
        "Give the name a tensor without history: {new}.",
        "it is a variable of this function, put nowhere else",
    ),
    Cure.TRAINED: ("Let it require grad from the start: {new}.", "nothing else behind the loss could"),
    Cure.CREATE_GRAPH: ("Have the gradient itself recorded: {new}.", "the values stay as they are"),
    Cure.FLOATING: ("Only floating point tensors can require grad: {new}.", "its values stay as they are"),
    Cure.EXPORT_DETACHED: ("Hand over a tensor without history: {new}.", "no backward comes of the result"),
    Cure.CAST: ("Cast what is written: {new}.", "both are floating point"),
    Cure.RETAIN_GRAPH: (
        "Have the first backward keep the graph: {new}.",
        "nothing that it has saved is written to later",
    ),
    Cure.USE_DETACHED: (
        "Let the first backward stop there: {new}.",
        "the gradients that it computes beyond are cleared before anybody uses them",
    ),
    Cure.CARRIED_DETACHED: (
        "Carry over the values only, without their graph.",
        "every parameter behind the loss has another path, and what is carried has the names shown",
    ),
    Cure.REGISTERED: ("Keep the modules where they are registered: {new}.", "all items are modules"),
    Cure.GROUP_ADDED: ("Tell the optimizer of the new parameters.", "the optimizer has those that were replaced"),
    Cure.CLEARED_LATER: ("Clear the gradients behind the step that used them.", "none was there before the first turn"),
    Cure.CLEARED_FIRST: (
        "Clear the gradients before each backward.",
        "one backward comes before each step",
    ),
    Cure.CLIPPED_LATER: ("Clip between backward() and the step.", "no step comes between"),
    Cure.UNSCALED: ("Unscale the gradients before they are clipped.", "the scaler steps one optimizer only"),
    Cure.COPY_KEPT: ("Keep a copy: {new}.", "a copy has the values of this moment, and nobody else writes to it"),
    Cure.COPY_SWAPPED: ("Read copies of both ends: {new}.", "only the order of reads and writes changes"),
    Cure.WRITE_RECORDED: ("Write {new} instead, so that autograd has it.", _READ),
    Cure.INDEXED_ONCE: (
        "Index once, on the left of the assignment: {new}.",
        "autograd lets what is indexed be written to, and no graph that is needed later has saved it",
    ),
    Cure.METHOD_CALLED: ("", "it takes nothing else, and every backward goes to another parameter too"),
    Cure.RESULT_KEPT: ("", "no other name of the tensor is read later"),
    Cure.WRITTEN_INTO: (
        "Write into the tensor itself: {new}.",
        "the result has its shape and dtype, and no graph that is needed later has saved it",
    ),
    Cure.OPTION_SET: ("", "the optimizer reads it from its groups"),
    Cure.COPY_MADE: ("Make a copy where the second name was given: {new}.", "a copy has the values of this moment"),
    Cure.ARGUMENT_SPARED: (
        "Leave the argument as it was: {new}.",
        "the function goes on with what the line gives out",
    ),
    Cure.MADE_EACH_TIME: (
        "Let the default be `None`, and make the tensor in the function.",
        "the calls stay as they are",
    ),
    Cure.ITEM_COPIED: ("Change a copy of the item: {new}.", "a copy has the same values"),
    Cure.MADE_APART: ("Make the second one a copy: {new}.", "a copy has the same values"),
    Cure.CUSTOM_ASKED: ("", "the refusal and the source of the function say what is missing"),
    Cure.MARKED: ("", "the input is what `forward` returns"),
    Cure.CUT_SHORT: ("Keep it a tensor: {new}.", "it has one element, and goes into arithmetic only"),
    Cure.WRAPPED_COPY: ("Copy the array where it becomes a tensor: {new}.", "a copy has the values of this moment"),
    Cure.UNMARKED: ("", "the forward made it itself"),
    Cure.FULL_HOOK: ("", "no result of a call that has a gradient path is written to"),
    Cure.NUMBER_KEPT: (
        "Keep what is no tensor as an attribute of `ctx`.",
        "`backward` reads it by the place where it was saved",
    ),
    Cure.SETUP_CONTEXT: (
        "Fill the context in `setup_context`.",
        "what is kept are arguments, or what `forward` returns",
    ),
    Cure.NOT_REENTRANT: ("Checkpoint without reentrance: {new}.", "the values stay as they are"),
    Cure.NO_GRAD_MODE: ("", "it computes the same values"),
    Cure.LEFT_TO_TRANSFORM: ("", "the function asks for no gradient itself"),
    Cure.MADE_OF_ARGUMENT: ("", "the line writes what comes of that argument"),
    Cure.REDUCED: (
        "Go backward from the mean, or from the sum if that is meant: {new}.",
        "it has several elements, and was given no gradient to begin with",
    ),
    Cure.KEPT_AWAY: ("Keep the argument away from zero: {new}.", "no other call there has such a derivative"),
    Cure.STRAIGHT_THROUGH: (
        "Let the gradient pass as if it were not there: {new}.",
        "the values stay as they are",
    ),
    Cure.WHOLE_ASKED: (
        "Ask for the gradient of the tensor that went in, and take the part: {new}.",
        "the graph goes to that tensor",
    ),
    Cure.GRADIENT_HOOK: (
        "Use a hook that is given the gradient: {new}.",
        "the hook reads nothing else, and returns nothing",
    ),
    Cure.ATTRIBUTE_DETACHED: ("Keep it without its history: {new}.", "a backward has gone through that already"),
    Cure.GIVEN_ALIKE: (
        "Bring it to the form of the tensor first: {new}.",
        "there are as many elements, and only that was wrong",
    ),
    Cure.COPIED_INTO: ("Copy the new values into the leaf, under `torch.no_grad()`.", "shape and dtype stay"),
    Cure.RESHAPED: ("Let it copy where it has to: {new}.", "nobody writes to what comes of it"),
    Cure.OWN_MEMORY: ("Work on a copy that is PyTorch's own: {new}.", "the array is not read later"),
    Cure.VIEWS_LATER: ("Take the views behind the write.", "until then nobody uses them"),
}


def change_summary(finding: Finding) -> str | None:
    """What the change that is shown does; None where none is, or the finding says it better."""
    rewrite = finding.rewrite
    if rewrite is None or rewrite.cure is None:
        return None
    return _CURES[rewrite.cure][0].replace("{new}", _new_line(rewrite)) or None


def how_known(finding: Finding) -> str:
    """How it is known that the change that is shown mends what was found; empty where none is shown."""
    if finding.proof is not None:
        return finding.proof.text
    if finding.rewrite is None or finding.rewrite.cure is None:
        return ""
    return f"fits this recording: {_CURES[finding.rewrite.cure][1]}."


def _new_line(rewrite: Rewrite) -> str:
    """The one line that a rewrite puts in, as code without its comment; `as shown` where it is long, or several."""
    lines = [without_comment(line[2:].strip()) for line in changed_lines(rewrite) if line.startswith("+ ")]
    return code(lines[0]) if len(lines) == 1 and len(lines[0]) <= _LONGEST else "as shown"
