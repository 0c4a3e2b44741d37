"""Report: what was found in one trace."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from inplace.checks.finding import Finding, Severity
from inplace.facts.model import BEFORE, Look, NotLookedAt, Trace
from inplace.reading.gradients.ledger import Ledger, ledger
from inplace.reading.trace.index import Index

F = TypeVar("F", bound=Finding)


@dataclass(frozen=True)
class Report:
    """The findings of one trace, the worst first, and the index of the trace that they were found with.

    `standing` are warnings of earlier runs of the session that still hold.
    """

    index: Index
    findings: tuple[Finding, ...]
    standing: tuple[Finding, ...] = ()

    @property
    def trace(self) -> Trace:
        """The trace that was looked at."""
        return self.index.trace

    @property
    def not_looked_at(self) -> tuple[NotLookedAt, ...]:
        """What a bound of ours left out, while the code was recorded and while the trace was looked at."""
        overlaps = self.index.overlaps
        if not overlaps.undecided:
            return self.trace.not_looked_at
        left = NotLookedAt(Look.OVERLAP, overlaps.bound, overlaps.undecided, BEFORE, None, None)
        return (*self.trace.not_looked_at, left)

    @cached_property
    def ledger(self) -> Ledger:
        """What happened to the gradient of each parameter before each step."""
        return ledger(self.index)

    def of_type(self, kind: type[F]) -> list[F]:
        """The findings of one type, in order."""
        return [finding for finding in self.findings if isinstance(finding, kind)]

    @property
    def worst(self) -> Severity | None:
        """The gravest severity among the findings, None if there are none."""
        present = {finding.severity for finding in self.findings}
        order: tuple[Severity, ...] = ("error", "warning", "info")
        return next((severity for severity in order if severity in present), None)
