"""What the runs of a program with a rewrite show about it, beside runs of the program as it is.

NOTE [ What is compared ]
Nothing raises; the finding is not there again at its place; and what the code computes is what it did before, or would
have done had autograd let it: where saves are the fault, the values at the end are those of a twin in which every
saved tensor is a copy; where PyTorch refused the code, what the first backward is called on is what the code computes
without autograd, so that a write which a rewrite drops is seen. Whether gradients are right, finite differences say
(`differences.py`), which take for constant what the code takes out of the graph. A rewrite must not take out more:
where the twin's gradient agrees with finite differences too, autograd knows of every write, and gradients are alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from inplace.checks.finding import Proof, Rewrite
from inplace.judge.about import About, detaches, ends_leaves, means_other_values
from inplace.judge.runs import Answer, ReplayAnswer, Runs

_ASSIGNED = re.compile(r"^\s*(\w[\w, ]*?)\s*=(?!=)", re.MULTILINE)  # what is left of it in a line put in
_KEY = re.compile(r"\['(\w+)'\]")
_GRAPH = re.compile(r",\s+(grad_fn=<[^>]*>|requires_grad=True)")  # in the text of a tensor
_NAMED = 4
_TOLD = 120  # characters of an exception's message
TWIN = "a run in which every saved tensor is a copy"


def why_refused(about: About, rewrites: tuple[Rewrite, ...], runs: Runs) -> Proof | None:
    """Why some rewrites are not proved by what was run, as far as no gradient is asked for; None where they may be."""
    answer, twin = runs.answer, runs.twin
    if isinstance(answer, str):
        return undecided(answer)
    if answer.refused is not None:
        return undecided(f"the code does what a replay may not do ({answer.refused})")
    if answer.raised is not None:
        kind, message = answer.raised
        why = f"with this change it raises {kind}: {message.partition(chr(10))[0][:_TOLD].rstrip('.')}"
        return undecided(f"{why}, at a later backward") if answer.entered > about.backward + 1 else disproved(why)
    if any(about.is_found_by(one, rewrites) for one in answer.findings):
        return disproved("with this change the same is found again at its place")
    new = next((one.kind for one in answer.findings if any(spot is None for spot in one.before(rewrites))), None)
    if new is not None:
        return disproved(f"with this change {new} is found in the lines that it puts in")
    if isinstance(twin, str) or twin.refused is not None:
        return undecided("there is no run to compare it with")
    ended = (
        (*about.names, *_begun_at(about, twin)) if about.without is not None or any(map(ends_leaves, rewrites)) else ()
    )
    kept = {*answer.grads, *(name for name in twin.grads if _as_attribute(name) in answer.grads)}
    lost = next((name for name in twin.grads if name not in kept and name not in ended), None)
    if lost is not None:
        return disproved(f"with this change {lost} is no longer a leaf that requires grad")
    other = _other_values(about, rewrites, answer, twin, runs.values)
    if other is not None:
        is_later = about.backward > 0 and any(map(means_other_values, rewrites))  # whose steps before it may be others
        return undecided(other) if is_later else disproved(other)
    ends = any(map(ends_leaves, rewrites))
    untrained = None if ends else _untrained(about, runs, answer, twin)
    if untrained is not None:
        return disproved(f"with this change no backward reaches {untrained}")
    unsure = _without_effect(about, answer, twin) or (None if ends else _fewer(about, runs, answer, twin))
    later = None if any(map(detaches, rewrites)) else _other_later(about, answer, runs)
    unsure = unsure or later
    fewer = about.keeps_loss and twin.raised is None and answer.steps < twin.steps
    unsure = unsure or ("optimizers make fewer steps with this change" if fewer else None)
    unbegun = about.is_refused and answer.entered <= about.backward and not is_as_whole(about, rewrites, runs)
    unsure = unsure or ("the backward that was refused is not begun with this change" if unbegun else None)
    return None if unsure is None else undecided(unsure)


def _other_later(about: About, answer: ReplayAnswer, runs: Runs) -> str | None:
    """Whether the backward that was refused, a later one, is begun at another value: steps before it may be others."""
    values = runs.values
    if not about.is_refused or not isinstance(values, ReplayAnswer) or values.is_updated:
        return None
    count = about.backward + 1
    same = all(map(_is_loss_of, answer.roots[:count], values.roots[:count]))
    return None if same else "a later backward is called on another value with this change"


def _as_attribute(name: str) -> str:
    """The name of a parameter in a dictionary once that is a `ParameterDict`."""
    return _KEY.sub(r".\1", name)


def _untrained(about: About, runs: Runs, answer: ReplayAnswer, twin: ReplayAnswer) -> str | None:
    """A leaf that a backward reached, and that none reaches any more."""
    whole = _whole(runs, twin)
    if whole is None or about.without is not None:
        return None
    trained = {*answer.trained, *about.names}
    return next((one for one in whole.trained if one not in trained and _as_attribute(one) not in trained), None)


def _fewer(about: About, runs: Runs, answer: ReplayAnswer, twin: ReplayAnswer) -> str | None:
    """Whether backwards reach fewer leaves: which of those without a name are gone is not known.

    Where a path was cut in each turn of a loop, each may have made a leaf of its own.
    """
    whole = None if about.without is not None and answer.entered > 1 else _whole(runs, twin)
    less = whole is not None and answer.reached_in_all < whole.reached_in_all
    return "backwards reach fewer leaves with this change" if less else None


def _whole(runs: Runs, twin: ReplayAnswer) -> ReplayAnswer | None:
    """What the code computes where nothing is refused, gradients too; None where no run shows that."""
    if twin.raised is None:
        return twin
    return runs.values if isinstance(runs.values, ReplayAnswer) and runs.values.is_whole else None


def _without_effect(about: About, answer: ReplayAnswer, twin: ReplayAnswer) -> str | None:
    """Whether a change that is to keep the loss alters it, or one that is to alter values leaves all as they were."""
    if twin.raised is not None:
        return None
    if about.without is not None:
        same = _all_equal(twin.roots[:1], answer.roots[:1]) or not twin.roots or not answer.roots
        return None if same else "what the first backward is called on is another value with this change"
    if about.keeps_values or about.is_silent:
        return None
    named = all(_equal(value, answer.values.get(name)) for name, value in twin.values.items())
    graded = all(_equal(value, answer.grads.get(name)) for name, value in twin.grads.items())
    others = _all_equal(twin.other_grads, answer.other_grads) and _all_equal(twin.other_values, answer.other_values)
    alike = named and graded and others and _all_equal(twin.roots, answer.roots)
    return (
        "all that can be compared is as it was without this change" if alike and _is_as_outside(answer, twin) else None
    )


def _begun_at(about: About, twin: ReplayAnswer) -> list[str]:
    """The leaves that backwards were begun at: made to require grad where the path had ended, they may be results."""
    if about.without is None:
        return []
    return [name for name in twin.grads if any(_equal(twin.values.get(name), root) for root in twin.roots)]


def _other_values(
    about: About, rewrites: tuple[Rewrite, ...], answer: ReplayAnswer, twin: ReplayAnswer, values: Answer | None
) -> str | None:
    """What the code computes that it did not before."""
    begun = _other_begun(about, answer, twin)
    if begun is not None:
        return begun
    if twin.raised is not None:
        return None if not isinstance(values, ReplayAnswer) else _other_forward(about, answer, values)
    if about.without is not None:
        return _other_gradients(about, answer, twin)
    if not about.keeps_values:
        return None
    if any(means_other_values(one) for one in rewrites):
        return _other_before(rewrites, answer, twin)
    for name, value in twin.values.items():
        if name in answer.values and not _equal(value, answer.values[name]):
            return f"{name} ends with another value"
    if not _all_equal(twin.other_values, answer.other_values):
        return "a tensor without a name ends with another value"
    if not _all_equal(twin.roots, answer.roots):
        return "what backward is called on ends with another value"
    return _other_outside(answer, twin)


def _other_begun(about: About, answer: ReplayAnswer, twin: ReplayAnswer) -> str | None:
    """What backwards are called on before anything is to be another: at the first, or until the code is refused."""
    count = about.backward if twin.raised is not None and not about.is_refused else 0
    if about.keeps_loss:
        count = len(twin.roots) if twin.raised is not None else 1
    for one, two in zip(twin.roots[:count], answer.roots, strict=False):
        if one is not None and bool(one.isfinite().all()) and not _is_loss_of(two, one):
            return "what backward is called on is another value"
    return None


def _is_as_outside(answer: ReplayAnswer, twin: ReplayAnswer) -> bool:
    """Whether nothing else was printed or drawn at random."""
    return _other_outside(answer, twin) is None


def _other_outside(answer: ReplayAnswer, twin: ReplayAnswer) -> str | None:
    """What was printed, or drawn at random, before the backward that matters."""
    one, two = answer.reached, twin.reached
    if one is None or two is None:
        return None
    if one["printed"] != two["printed"]:
        return "it prints something else before the backward"
    return None if torch.equal(one["random"], two["random"]) else "it draws other random numbers before the backward"


def _other_before(rewrites: tuple[Rewrite, ...], answer: ReplayAnswer, twin: ReplayAnswer) -> str | None:
    """What was there when the backward that matters began, but for what the rewrites assign."""
    one, two = answer.reached, twin.reached
    if one is None or two is None:
        return "the backward is not reached"
    left = [part for one in rewrites for part in _ASSIGNED.findall(one.new)]
    assigned = {name.strip() for part in left for name in part.split(",")}
    for name, value in two["values"].items():
        if name.partition(".")[0].partition("[")[0] in assigned:
            continue
        if name in one["values"] and not _equal(value, one["values"][name]):
            return f"{name} has another value when backward begins"
    return None if one["printed"] == two["printed"] else "it prints something else before the backward"


def _other_forward(about: About, answer: ReplayAnswer, values: ReplayAnswer) -> str | None:
    """Whether the code computes something else than it does where nothing is refused, up to the backward that matters.

    Where only updates of leaves were refused, up to its end.
    """
    if values.is_updated:
        return _other_updates(about, answer, values)
    if values.entered and answer.entered:
        expected = values.roots[: 1 if about.is_refused else about.backward + 1]
        given = answer.roots[: len(expected)]
        if len(given) != len(expected) or not all(map(_is_loss_of, given, expected)):
            return "what backward is called on is not what the code computes: a write is lost"
        return _otherwise_printed(answer, values)
    if values.raised is not None or not about.keeps_values:
        return None
    for name, value in values.values.items():
        if name in answer.values and not _equal(value, answer.values[name]):
            return f"{name} is not what the code computes: a write is lost"
    return None


def _otherwise_printed(answer: ReplayAnswer, values: ReplayAnswer) -> str | None:
    """What was printed before the backward that matters; but for what a tensor's text says of its graph."""
    if answer.reached is None or values.reached is None:
        return None
    one, two = (_GRAPH.sub("", found.reached["printed"]) for found in (answer, values) if found.reached is not None)
    return "it prints something else before the backward" if one != two else None


def _is_loss_of(one: Any, several: Any) -> bool:
    """Whether a backward is called on what it was before; where that were several elements, on their mean or sum."""
    if one is None or several is None or one.numel() != 1 or several.numel() <= 1:
        return _equal(one, several)
    return _equal(one, several.mean()) or _equal(one, several.sum())


def _other_updates(about: About, answer: ReplayAnswer, values: ReplayAnswer) -> str | None:
    """Whether the code computes something else, or gives a leaf no gradient, than where its updates are let.

    A copy may be written to in place of the leaf, where a backward begins at what is computed with it.
    """
    if not _all_equal(values.roots, answer.roots):
        return "what backward is called on is not what the code computes: a write is lost"
    for name, gradient in values.grads.items():
        if gradient is not None and answer.grads.get(name) is None:
            return f"with this change {name} gets no gradient"
    may_differ = about.names if answer.entered > about.backward else ()
    for name, value in values.values.items():
        if name in answer.values and name not in may_differ and not _equal(value, answer.values[name]):
            return f"{name} is not what the code computes: a write is lost"
    if not may_differ and not _all_equal(values.other_values, answer.other_values):
        return "a tensor without a name is not what the code computes: a write is lost"
    return None


def _other_gradients(about: About, answer: ReplayAnswer, twin: ReplayAnswer) -> str | None:
    """What had no gradient has one now, and the others are as they were.

    Others of the path may have gained one, and what was a leaf only because the path ended there has none any more.
    """
    without = [name for name in twin.grads if name in (about.without or ()) and twin.grads[name] is None]
    may_end = {*about.names, *_begun_at(about, twin)}
    for name, gradient in twin.grads.items():
        if name in without and answer.grads.get(name) is None:
            return f"with this change {name} still gets no gradient"
        gained, ended = gradient is None, answer.grads.get(name) is None and name in may_end
        # A gradient that was there, and was wrong; or one behind steps of what is trained now and was not.
        meant = name in (about.without or ()) or answer.entered > 1
        if not meant and not gained and not ended and not _equal(gradient, answer.grads[name]):
            return f"the gradient of {name} is not what it was"
    return None


# ---------------------------------------------------------------- gradients


def judged(
    about: About, rewrites: tuple[Rewrite, ...], runs: Runs, differences: Mapping[str, Any] | str | None
) -> Proof:
    """The verdict on rewrites that nothing else speaks against.

    Args:
        about: what is to be mended.
        rewrites: the changes.
        runs: what was run.
        differences: what came of comparing their gradient with finite differences; None where no backward is reached.
    """
    answer, twin = runs.answer, runs.twin
    if isinstance(answer, str) or isinstance(twin, str):
        return undecided("there is no run to compare it with")
    told = [*_compared(about, runs, twin)]
    if differences is None:
        return _proved(told, "there is no gradient to compare")
    if isinstance(differences, str) or differences["agree"] is None:
        why = differences if isinstance(differences, str) else differences["why"]
        return undecided(f"{_joined(told)}, but its gradient can't be compared with finite differences ({why})")
    if not differences["agree"]:
        return disproved(f"its gradient does not agree with finite differences: it is {differences['why']}")
    if about.is_silent and isinstance(runs.plain, ReplayAnswer) and _same_gradients(answer, runs.plain):
        return disproved("the gradients are the same as without it")
    missing = differences["missing"] or ([] if is_as_whole(about, rewrites, runs) else differences["early"])
    if missing:
        takes = "takes" if len(missing) == 1 else "take"
        why = f"{_joined(missing)} {takes} out of the graph what a loss is computed with"
        return undecided(f"{_joined(told)}, but {why}, and no replay can tell whether that is meant")
    count = f"{differences['directions']} directions"
    told.append(f"{_gradients(answer)} with finite differences in double precision along {count}")
    return _proved(told, None)


def _has_twin(about: About, rewrites: tuple[Rewrite, ...], runs: Runs) -> bool:
    """Whether the gradients with some rewrites are to be those of the twin."""
    if isinstance(runs.answer, str) or isinstance(runs.twin, str) or runs.twin.raised is not None:
        return False
    return about.without is None and about.keeps_values and not any(map(means_other_values, rewrites))


def is_as_whole(about: About, rewrites: tuple[Rewrite, ...], runs: Runs) -> bool:
    """Whether gradients at the end are those of a run in which none is lost."""
    if isinstance(runs.answer, str) or isinstance(runs.twin, str) or about.without is not None:
        return False
    whole = _whole(runs, runs.twin)
    if whole is runs.twin and not _has_twin(about, rewrites, runs):
        return False
    return whole is not None and _other_than(runs.answer, whole) is None


def other_gradient(about: About, rewrites: tuple[Rewrite, ...], runs: Runs) -> str | None:
    """The gradient that is another than the twin's; None where all are alike, or where they need not be."""
    answer, twin = runs.answer, runs.twin
    if isinstance(answer, str) or isinstance(twin, str) or not _has_twin(about, rewrites, runs):
        return None
    return _other_than(answer, twin)


def _other_than(answer: ReplayAnswer, twin: ReplayAnswer) -> str | None:
    for name, gradient in twin.grads.items():
        if name in answer.grads and not _equal(gradient, answer.grads[name]):
            return f"the gradient of {name}"
    if not _all_equal(twin.other_grads, answer.other_grads):
        return "the gradient of a leaf without a name"
    return None if _all_equal(twin.given, answer.given) else "what autograd.grad gives"


def is_less_of_graph(found: Mapping[str, Any] | str, twin: Mapping[str, Any] | str) -> bool:
    """Whether the backward that is judged gives other gradients than the twin's, which agrees with differences too."""
    if isinstance(found, str) or isinstance(twin, str) or not twin["agree"]:
        return False
    left = list(twin["gradients"])
    for gradient in found["gradients"]:
        same = next((number for number, one in enumerate(left) if _equal(one, gradient)), None)
        if same is None:
            return True
        del left[same]
    return any(one is not None and bool(one.count_nonzero()) for one in left)


def _compared(about: About, runs: Runs, twin: ReplayAnswer) -> list[str]:
    """What was compared beside gradients."""
    told = ["nothing raises", "what was found is gone from its place"]
    if twin.raised is None and about.without is not None:
        gained = [name for name in twin.grads if name in about.without and twin.grads[name] is None]
        told += [f"{_listed(gained)} {'gets' if len(gained) == 1 else 'get'} a gradient"] if gained else []
    elif twin.raised is None and about.keeps_values:
        count = len(twin.values) + len(twin.other_values)
        told.append(f"{count} values, what is printed and the random state are those of {TWIN}")
    elif isinstance(runs.values, ReplayAnswer) and runs.values.entered:
        told.append("what backward is called on is what the code computes where nothing is refused")
    return told


def _gradients(answer: ReplayAnswer) -> str:
    named = [name for name, gradient in answer.grads.items() if gradient is not None]
    others = sum(gradient is not None for gradient in answer.other_grads)
    parts = [_listed(named)] if named else []
    parts += [f"{others} {'leaf' if others == 1 else 'leaves'} without a name"] if others else []
    if not parts:
        return "what autograd.grad gives agrees"
    single = len(named) + others == 1
    return f"the gradient{'' if single else 's'} of {' and of '.join(parts)} agree{'s' if single else ''}"


def _same_gradients(answer: ReplayAnswer, plain: ReplayAnswer) -> bool:
    same = all(_equal(gradient, answer.grads.get(name)) for name, gradient in plain.grads.items())
    return same and _all_equal(plain.other_grads, answer.other_grads) and _all_equal(plain.given, answer.given)


# ---------------------------------------------------------------- verdicts


def undecided(why: str) -> Proof:
    """A replay that shows nothing."""
    return Proof(verified=False, text=f"not proved: {why}.")


def disproved(why: str) -> Proof:
    """A replay that speaks against a rewrite."""
    return Proof(verified=False, text=f"not proved: {why}.", disproved=True)


def _proved(told: Sequence[str], without: str | None) -> Proof:
    text = f"proved by a replay: {_joined(told)}" + (f"; {without}." if without is not None else ".")
    return Proof(verified=True, text=text, gradients=without is None)


def _joined(told: Sequence[str]) -> str:
    return " and ".join([part for part in (", ".join(told[:-1]), told[-1]) if part])


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _all_equal(ones: Sequence[Any], twos: Sequence[Any]) -> bool:
    return len(ones) == len(twos) and all(map(_equal, ones, twos))


def _equal(one: Any, two: Any) -> bool:
    """Whether two gradients or values are equal as `torch.testing.assert_close` has it."""
    if one is None or two is None:
        return one is two
    try:
        torch.testing.assert_close(one, two, equal_nan=True)
    except AssertionError:
        return False
    return True
