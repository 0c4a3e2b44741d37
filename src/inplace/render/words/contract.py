"""The public JSON, what `inplace run --json` writes: see `diagnoses.schema.json` and docs/json-contract.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inplace.checks.finding import Finding
from inplace.checks.report import Report
from inplace.facts.model import NotLookedAt, Process, Trace
from inplace.reading.trace.place import Place
from inplace.render.words.ledger import ledger_json
from inplace.render.words.not_looked_at import sentences
from inplace.render.words.processes import compared, process_facts
from inplace.render.words.telling import example_of, fix_summary, message

FORMAT = 1
_BASES = {"recording": "fits this recording", "replay": "proved by a replay"}


def diagnoses(report: Report) -> dict[str, Any]:
    """The public JSON value of a report."""
    return {
        "format": FORMAT,
        **_completeness([note.text for note in report.trace.notes]),
        "error": _error(report.trace),
        "calls": len(report.trace.calls),
        "diagnoses": [told_json(finding, report.trace) for finding in report.findings],
        "not_looked_at": [
            left_out_json(one, said) for one, said in zip(report.not_looked_at, sentences(report), strict=True)
        ],
        "gradients": ledger_json(report.ledger),
        "process": process_facts(report.trace.process),
        "compared": compared(report.index),
    }


def no_diagnoses(calls: int, process: Process | None = None) -> dict[str, Any]:
    """The public JSON value of a run that could not be looked at; why is yet to be added."""
    return {
        "format": FORMAT,
        **_completeness([]),
        "error": None,
        "calls": calls,
        "diagnoses": [],
        "not_looked_at": [],
        "gradients": None,
        "process": process_facts(process),
        "compared": None,
    }


def with_reasons(value: dict[str, Any], reasons: Sequence[str]) -> dict[str, Any]:
    """The public JSON value with more sentences that say why it is not complete."""
    told = [value["reason"]] if value["reason"] is not None else []
    return {**value, **_completeness([*told, *reasons])}


def _completeness(reasons: Sequence[str]) -> dict[str, Any]:
    return {"complete": not reasons, "reason": " ".join(reasons) or None}


def _error(trace: Trace) -> dict[str, Any] | None:
    failure = trace.failure
    if failure is None:
        return None
    file, line = "", 0
    if failure.stack is not None and failure.stack.frames:
        site = trace.site(failure.stack.frames[0])
        file, line = trace.sources[site.source].file, site.position.line
    return {"type": failure.type, "message": failure.message, "file": file, "line": line}


def left_out_json(one: NotLookedAt, said: str) -> dict[str, Any]:
    """The public JSON value of something that was not looked at."""
    return {"what": one.what.value, "bound": one.bound, "count": one.count, "message": said}


def told_json(finding: Finding, trace: Trace) -> dict[str, Any]:
    """The public JSON value of a finding."""
    victim = finding.victim
    return {
        "kind": finding.kind,
        "severity": finding.severity,
        "culprits": [_place(place) for place in finding.culprits],
        "victim": None if victim is None else {**_place(victim.place), "node": victim.node},
        "names": list(finding.names),
        "message": message(finding, trace),
        "fix": _fix(finding, trace),
        "example": example_of(finding) or None,
    }


def _fix(finding: Finding, trace: Trace) -> dict[str, Any]:
    rewrite, proof = finding.rewrite, finding.proof
    change = None
    if rewrite is not None:
        change = {"file": rewrite.file, "line": rewrite.line, "old": rewrite.old, "new": rewrite.new}
    return {
        "summary": fix_summary(finding, trace),
        "rewrite": change,
        "basis": None if finding.basis is None else _BASES[finding.basis],
        "verified": None if proof is None else proof.verified,
        "gradients": None if proof is None else "equal" if proof.gradients else "not compared",
        "proof": None if proof is None else proof.text,
    }


def _place(place: Place) -> dict[str, Any]:
    return {
        "file": place.file,
        **({} if Path(place.file).name == place.label else {"cell": place.label}),
        "line": place.position.line,
        "col": place.position.column,
        "end_line": place.position.end_line,
        "end_col": place.position.end_column,
        "code": place.code,
    }
