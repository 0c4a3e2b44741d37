"""What is said of `rebound-leaf`: the gradient is with a leaf that its name no longer stands for."""

from __future__ import annotations

from inplace.checks.rebound_leaf import ReboundLeaf
from inplace.facts.model import Act, Trace
from inplace.render.words.parts import culprits, name, victim
from inplace.render.words.telling import Words

_NO_NAME = {
    "rebound": "the leaf it stood for has no name any more",
    "unnamed": "the leaf behind it has no name",
}


def _sentences(finding: ReboundLeaf, trace: Trace) -> tuple[str, str]:
    own = name(finding)
    if finding.how == "replaced":
        did = "put" if finding.is_put else "computes with"
        what = f"{culprits(finding, trace)} {did} a new parameter in the place of one that an optimizer was built over."
        return what, f"The optimizer goes on with the old one: {own} gets gradients that nobody applies."
    if finding.how == "once":
        what = f"{culprits(finding, trace)} computes with {own}, and no line has since"
        if finding.victim is not None:
            what += f" {victim(finding, trace)} first changed it"
        return f"{what}.", "Each loss is computed from that one result, so none of them sees what the steps change."
    what = f"{culprits(finding, trace)} makes {own} the name of a result; {_NO_NAME[finding.how]}."
    return what, f"The gradient goes to the leaf, and {name(finding, '.grad')} stays `None`."


def _remedy(finding: ReboundLeaf, trace: Trace) -> str:
    if finding.how == "replaced":
        cell = _cell_of_optimizer(finding, trace)
        if cell is not None:
            return f"Run the cell of the optimizer, {cell}, again: it is to hold the new parameters."
        return "Build the optimizer after the replacement, or add the parameter with `optimizer.add_param_group(...)`."
    if finding.how == "once":
        return f"Compute it anew from {name(finding)} in each turn, in front of the loss."
    return (
        f"Give the result another name, or update the leaf in place under `torch.no_grad()`; "
        f"for a new start, end the line with `.detach().requires_grad_()` and read {name(finding, '.grad')} of that."
    )


def _cell_of_optimizer(finding: ReboundLeaf, trace: Trace) -> str | None:
    """The earlier run of a cell that built the optimizer which goes on with the old parameter."""
    built = [act for act in trace.acts if act.act is Act.BUILT and finding.leaf in act.numbers and act.stack.frames]
    # By the cell and not by the step: a cell that builds it and calls nothing ends where the next begins.
    frames = built[-1].stack.frames if built and trace.is_session else ()
    cells = [source.label for frame in frames if (source := trace.sources[trace.site(frame).source]).is_cell]
    return None if cells[-1:] in ([], [trace.title]) else cells[-1]


def _did(finding: ReboundLeaf) -> str:
    if finding.how == "once":
        return "computed once"
    return "replaces the parameter" if finding.how == "replaced" else "rebinds the name"


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=_did,
    needs=lambda _: "changes it in vain",
    example="E32",
)
