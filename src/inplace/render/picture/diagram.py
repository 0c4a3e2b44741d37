"""Report -> Diagram: everything the picture shows, chosen, measured and bounded. No torch, no clock, no drawing."""

from __future__ import annotations

from itertools import islice

from inplace.checks.report import Report
from inplace.facts.model import Trace
from inplace.facts.pause import no_collection
from inplace.facts.progress import Tell, silent
from inplace.reading.trace.place import Place
from inplace.render.picture.findings import about, lessons, verdicts
from inplace.render.picture.graph import Graph
from inplace.render.picture.ledger import ledger_pane
from inplace.render.picture.model import Autograd, Diagram, Ending, RunSpan
from inplace.render.picture.references import ReferencesPane
from inplace.render.picture.source import Texts, marks_of, panes, shown_sources
from inplace.render.picture.timeline import Timeline
from inplace.render.picture.timeline_model import CALLS
from inplace.render.words.not_looked_at import all_clear, sentences

__all__ = ["Diagram", "diagram"]

_TOLD = 20_000  # calls after which it is said how far it is


@no_collection()
def diagram(report: Report, tell: Tell = silent) -> Diagram:
    """The picture of one run: the findings, the source, the references, the autograd graph and the timeline."""
    trace, texts = report.trace, Texts(report.index)
    abouts = [about(finding, trace) for finding in report.findings]
    index = report.index
    broken = [(one.node, one.saved) for finding in report.findings if (one := finding.broken()) is not None]
    timeline, memory = Timeline(index.history, texts), ReferencesPane(index, abouts, texts, broken)
    for call in islice(trace.calls, CALLS):
        if call.step % _TOLD == 0:
            tell(call.step / min(len(trace.calls), CALLS))
        timeline.add(call)
    memory.look()
    shown = shown_sources(report, texts, timeline.count_visits())
    marks = marks_of(report, texts, timeline.written, timeline.first_written)
    told = verdicts(report, abouts, texts, shown)
    return Diagram(
        title=trace.title[:200],
        torch=trace.torch,
        findings=told,
        findings_hidden=len(report.findings) - len(told),
        lessons=lessons(told),
        sources=panes(texts, shown, marks),
        references=memory.references(),
        autograd=Graph(report, abouts, memory, texts).pane(),
        calls=timeline.calls(shown),
        notes=_notes(report),
        all_clear=all_clear(report),
        ending=_ending(trace, texts, shown),
        runs=_runs(trace),
        gradients=ledger_pane(report, texts, shown),
    )


def more_nodes(report: Report, most: int) -> Autograd:
    """The autograd pane with up to so many nodes, for who asks for more of it than the picture has."""
    texts = Texts(report.index)
    abouts = [about(finding, report.trace) for finding in report.findings]
    return Graph(report, abouts, ReferencesPane(report.index, abouts, texts), texts, most).pane()


def _runs(trace: Trace) -> tuple[RunSpan, ...]:
    """The runs of cells of which calls are shown, and the last; where there is only that, none need be told apart."""
    runs = [run for place, run in enumerate(trace.runs) if not (place and run.continues)]
    if not runs:
        return ()
    ends = [*(run.begin for run in runs[1:]), len(trace.calls)]
    shown = [run for run, end in zip(runs, ends, strict=True) if run.begin < end or run is runs[-1]]
    spans = [RunSpan(run.title, run.begin, "" if run.failure is None else run.failure.type) for run in shown]
    return tuple(spans) if len(spans) > 1 else ()


def _notes(report: Report) -> tuple[str, ...]:
    """What the recorder could not do, and what was left out."""
    told = [note.text for note in report.trace.notes] + [f"Not looked at: {one}" for one in sentences(report)]
    return tuple(text[:500] for text in told[:20])


def _ending(trace: Trace, texts: Texts, shown: dict[int, int]) -> Ending | None:
    failure = trace.failure
    if failure is None:
        return None
    spot = None
    site = next(texts.in_cell(failure.stack), None) if failure.stack is not None else None
    if site is not None:
        source = trace.sources[site.source]
        step = len(trace.calls) - 1 if len(trace.calls) else None
        spot = texts.spot(Place(source.label, source.file, site.position, texts.piece(site), step), shown)
    return Ending(failure.type, failure.message[:2_000], spot)
