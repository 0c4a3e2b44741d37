"""The kinds of findings, in the order in which they are looked for: one line here, and a file here and of words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from inplace.checks.custom_function import CustomFunction, custom_functions
from inplace.checks.export_refused import ExportRefused, refused_exports
from inplace.checks.finding import Finding
from inplace.checks.freed_graph import FreedGraph, freed_graphs
from inplace.checks.gradient_lost_before_step import LostGradient, lost_gradients
from inplace.checks.gradients_never_cleared import UnclearedGradients, uncleared_gradients
from inplace.checks.graph_detached import Cut, detached_graphs
from inplace.checks.inference_tensor import InferenceTensor, inference_tensors
from inplace.checks.leaf_inplace import LeafWrite, leaf_writes
from inplace.checks.lost_write import LostWrite, lost_writes
from inplace.checks.multi_output_view_inplace import MultiOutputWrite, multi_output_writes
from inplace.checks.non_finite_gradient import NonFiniteGradient, non_finite_gradients
from inplace.checks.non_scalar_loss import NonScalarLoss, non_scalar_losses
from inplace.checks.not_optimized import NotOptimized, unoptimized_parameters
from inplace.checks.overlapping_write import OverlappingWrite, overlapping_writes
from inplace.checks.rebound_leaf import ReboundLeaf, rebound_leaves
from inplace.checks.refused_call import RefusedCall, refused_calls
from inplace.checks.result_does_not_fit import ResultDoesNotFit, results_that_do_not_fit
from inplace.checks.safe_in_place import SafeWrite, safe_writes
from inplace.checks.saved_tensor_modified import StaleSave, stale_saves
from inplace.checks.shared_reference import SharedReference, shared_references
from inplace.checks.silent_corruption import UnseenWrite, unseen_writes
from inplace.checks.view_impossible import ViewImpossible, impossible_views
from inplace.checks.view_of_leaf_inplace import LeafViewWrite, leaf_view_writes
from inplace.reading.trace.index import Index


@dataclass(frozen=True, slots=True)
class FindingKind:
    """One kind: its class, and what looks for it in a trace."""

    finding: type[Finding]
    look: Callable[[Index], Iterator[Finding]]


KINDS: tuple[FindingKind, ...] = (
    FindingKind(StaleSave, stale_saves),
    FindingKind(LeafWrite, leaf_writes),
    FindingKind(LeafViewWrite, leaf_view_writes),
    FindingKind(MultiOutputWrite, multi_output_writes),
    FindingKind(InferenceTensor, inference_tensors),
    FindingKind(OverlappingWrite, overlapping_writes),
    FindingKind(ResultDoesNotFit, results_that_do_not_fit),
    FindingKind(ViewImpossible, impossible_views),
    FindingKind(ExportRefused, refused_exports),
    FindingKind(FreedGraph, freed_graphs),
    FindingKind(NonScalarLoss, non_scalar_losses),
    FindingKind(UnseenWrite, unseen_writes),
    FindingKind(CustomFunction, custom_functions),
    FindingKind(LostWrite, lost_writes),
    FindingKind(ReboundLeaf, rebound_leaves),
    FindingKind(Cut, detached_graphs),
    FindingKind(NotOptimized, unoptimized_parameters),
    FindingKind(LostGradient, lost_gradients),
    FindingKind(UnclearedGradients, uncleared_gradients),
    FindingKind(NonFiniteGradient, non_finite_gradients),
    FindingKind(SharedReference, shared_references),
    FindingKind(RefusedCall, refused_calls),
    FindingKind(SafeWrite, safe_writes),
)
