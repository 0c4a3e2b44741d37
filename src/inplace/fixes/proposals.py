"""Changes of the user's own source that may mend a finding, in the order of least change: the one engine of proposals.

A finding says which cures may mend it; here stands which rule tries each. A rule's change `fits` where its
preconditions hold on the trace; whether another one mends the finding only a replay can say (`judge`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

from inplace.checks.finding import Cure, Finding, Rewrite
from inplace.fixes import (
    aliases,
    at_cut,
    at_request,
    at_save,
    at_write,
    carried,
    context,
    custom,
    derivatives,
    effects,
    first_use,
    given,
    indexing,
    modes,
    rebinding,
    registering,
    reorder,
    training,
)
from inplace.fixes.candidate import Candidates, Look
from inplace.fixes.copies import copies_kept, copies_swapped
from inplace.fixes.editing import applied
from inplace.fixes.leaves import becomes_leaf, updates_leaf
from inplace.fixes.scopes import takes_over
from inplace.fixes.statement import Statement
from inplace.fixes.unbound import keeps_receivers, lacks_receiver

_MOST = 8

_RULES: dict[Cure, Callable[[Look, Finding], Candidates]] = {
    Cure.OUT_OF_PLACE: at_write.writes_out_of_place,
    Cure.NO_FLAG: at_write.without_flags,
    Cure.CLONE_BEFORE: at_write.clones_before,
    Cure.CLONE_VALUE: at_write.clones_value,
    Cure.ACCUMULATED: at_write.accumulates,
    Cure.WITHOUT_GRAD: at_write.without_recording,
    Cure.CLONE_SAVED: at_save.clones_saved,
    Cure.CLONE_GIVEN: at_save.clones_given,
    Cure.CLONE_MADE: at_save.clones_made,
    Cure.STACKED: at_save.stacks_pieces,
    Cure.BEHIND_BACKWARD: reorder.moves_behind,
    Cure.FORWARD_AGAIN: reorder.runs_again,
    Cure.UNCUT: at_cut.leaves_cut_out,
    Cure.TENSORS_KEPT: at_cut.keeps_tensors,
    Cure.WITH_GRAD: at_cut.records_again,
    Cure.MODE_IN_BLOCK: at_cut.switches_in_block,
    Cure.RESULT_USED: at_cut.uses_result,
    Cure.RETAIN_GRAD: at_request.retains_gradient,
    Cure.DETACHED: at_request.detaches_name,
    Cure.TRAINED: at_request.makes_leaf,
    Cure.CREATE_GRAPH: at_request.keeps_graph,
    Cure.FLOATING: at_request.floats,
    Cure.VIEW_RECORDED: at_request.views_recorded,
    Cure.EXPORT_DETACHED: at_request.exports_detached,
    Cure.CAST: at_request.casts_value,
    Cure.REGISTERED: registering.registers,
    Cure.GROUP_ADDED: registering.adds_group,
    Cure.RETAIN_GRAPH: carried.retains_graph,
    Cure.USE_DETACHED: first_use.detaches_use,
    Cure.CARRIED_DETACHED: carried.detaches_carried,
    Cure.CLEARED_LATER: training.clears_after_step,
    Cure.CLEARED_FIRST: training.clears_before_backward,
    Cure.CLIPPED_LATER: training.clips_later,
    Cure.UNSCALED: training.unscales_first,
    Cure.UPDATE_LEAF: updates_leaf,
    Cure.AS_LEAF: becomes_leaf,
    Cure.COPY_KEPT: copies_kept,
    Cure.COPY_SWAPPED: copies_swapped,
    Cure.WRITE_RECORDED: at_write.records_write,
    Cure.INDEXED_ONCE: indexing.indexes_once,
    Cure.METHOD_CALLED: effects.calls_method,
    Cure.RESULT_KEPT: effects.keeps_result,
    Cure.WRITTEN_INTO: rebinding.writes_into,
    Cure.OPTION_SET: effects.sets_option,
    Cure.COPY_MADE: aliases.copies_alias,
    Cure.ARGUMENT_SPARED: aliases.spares_argument,
    Cure.MADE_EACH_TIME: aliases.made_each_time,
    Cure.ITEM_COPIED: aliases.copies_item,
    Cure.MADE_APART: aliases.made_apart,
    Cure.CUSTOM_ASKED: custom.asked_of_custom,
    Cure.MARKED: custom.marks,
    Cure.CUT_SHORT: at_cut.keeps_number,
    Cure.WRAPPED_COPY: aliases.copies_array,
    Cure.UNMARKED: custom.unmarks,
    Cure.FULL_HOOK: custom.hooks_fully,
    Cure.NUMBER_KEPT: context.kept_as_attribute,
    Cure.SETUP_CONTEXT: context.with_setup_context,
    Cure.NOT_REENTRANT: modes.checkpoints_plainly,
    Cure.NO_GRAD_MODE: modes.without_inference,
    Cure.LEFT_TO_TRANSFORM: modes.left_to_transform,
    Cure.MADE_OF_ARGUMENT: modes.made_of_argument,
    Cure.REDUCED: derivatives.reduces,
    Cure.KEPT_AWAY: derivatives.keeps_away,
    Cure.STRAIGHT_THROUGH: derivatives.passes_straight,
    Cure.WHOLE_ASKED: derivatives.asks_whole,
    Cure.GRADIENT_HOOK: derivatives.hooks_gradient,
    Cure.ATTRIBUTE_DETACHED: derivatives.detaches_attribute,
    Cure.GIVEN_ALIKE: given.given_alike,
    Cure.COPIED_INTO: given.copies_into,
    Cure.RESHAPED: given.reshapes,
    Cure.OWN_MEMORY: given.own_memory,
    Cure.VIEWS_LATER: given.views_later,
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that may mend a finding; `fits` is whether the preconditions of its rule hold on the trace."""

    rewrite: Rewrite
    fits: bool


def proposals(look: Look, finding: Finding) -> tuple[Proposal, ...]:
    """Changes that may mend a finding, in the order of least change; none where we know of none."""
    if finding.severity == "info":
        return ()
    found: dict[Rewrite, bool] = {}
    for cure in finding.cures():
        for one in _RULES[cure](look, finding):
            rewrite = one.site.rewrite(one.edits, one.cure or cure)
            if rewrite.old != rewrite.new and _holds(one.site, rewrite):
                fits = one.fits and keeps_receivers(one.site.text, applied(one.site.text, rewrite))
                found[rewrite] = found.get(rewrite, False) or fits
    return tuple(Proposal(rewrite, fits) for rewrite, fits in found.items())[:_MOST]


def _holds(site: Statement, rewrite: Rewrite) -> bool:
    """Whether a source is Python still with a rewrite made, and each name in it means what it meant."""
    text, changed = site.text, applied(site.text, rewrite)
    try:
        ast.parse(changed)
    except SyntaxError:
        return False
    return not takes_over(text, changed) and not lacks_receiver(text, changed)
