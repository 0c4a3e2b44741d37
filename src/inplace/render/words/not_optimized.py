"""What is said of `not-optimized`: gradients that no optimizer applies."""

from __future__ import annotations

from inplace.checks.not_optimized import NotOptimized
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, name, where
from inplace.render.words.telling import Words


def _sentences(finding: NotOptimized, trace: Trace) -> tuple[str, str]:
    told = culprits(finding, trace)
    count = len(finding.leaves)
    if finding.how == "unused":
        return f"{told} builds an optimizer over parameters that no loss was computed from.", _left(count)
    if finding.how == "idle":
        return f"{told} makes a step over parameters that have no gradient: the loss was computed from others.", _left(
            count
        )
    if finding.how == "double":
        return (
            f"{told} makes a second optimizer over the same parameters, which finds no gradient at its steps.",
            _left(count),
        )
    many = f"{name(finding)}" if count == 1 else f"{name(finding)} and {count - 1} more"
    gets = "gets" if count == 1 else "get"
    stays = "stays as it is" if count == 1 else "stay as they are"
    why = f"{many} {gets} gradients that nobody applies, and {stays}."
    if finding.how == "hidden":
        return f"{told} makes parameters that no module registers: a plain list, dict or attribute keeps them.", why
    built = f" ({where(finding.optimizer, trace)})" if finding.optimizer is not None else ""
    if finding.how == "unfrozen":
        what = f"{told} lets parameters require grad that were frozen when the optimizer was built{built}."
        return what, why
    return f"{told} makes parameters after the optimizer was built{built}.", why


def _left(count: int) -> str:
    return f"What got gradients ({count} parameter{'s' if count > 1 else ''}) is in no optimizer, and stays as it is."


def _remedy(finding: NotOptimized, _: Trace) -> str:
    if finding.how == "hidden":
        kept = "Keep modules in an `nn.ModuleList` or `nn.ModuleDict`, parameters in an `nn.ParameterList`"
        return f"{kept}, and a tensor as an `nn.Parameter`."
    if finding.how == "unfrozen":
        return (
            "Add them with `optimizer.add_param_group(...)`, or build the optimizer over all parameters: "
            "it passes over those without a gradient."
        )
    if finding.how == "late":
        return "Build the optimizer after it, or add the parameter with `optimizer.add_param_group(...)`."
    return "Build the optimizer over the parameters of the very model that the loss is computed with."


WORDS = Words(sentences=_sentences, remedy=_remedy, did=lambda _: "not optimized", example="E54")
