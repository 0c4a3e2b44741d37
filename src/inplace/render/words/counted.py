"""How many calls there were, as the last line of a report counts them."""

from __future__ import annotations

from inplace.checks.report import Report
from inplace.facts.model import Kind
from inplace.facts.rows import call_columns


def written(report: Report) -> int:
    """How many calls wrote in place, without those that gave a module its first values."""
    trace = report.trace
    columns = call_columns(trace.calls)
    building = [any(frame.builds for frame in stack.frames[:1]) for stack in columns.stacks]
    is_op = [function.kind is Kind.OP for function in columns.functions]
    ops = [
        step
        for step in columns.may_write
        if step >= trace.fresh and is_op[columns.function[step]] and not building[columns.stack[step]]
    ]
    return sum(1 for step in ops if step in columns.writing or any(True for _ in trace.writes(trace.calls[step])))


def let_go_of(calls: int, windows: int) -> str:
    """What was let go of in a long run, in a sentence."""
    return f"{calls:,} calls in {number_of(windows, 'window')}, each looked at before; pictures show what was kept."


def number_of(count: int, noun: str) -> str:
    """A number of things: `1 call`, `2 calls`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
