"""What a trace becomes on the command line: its explanation, a page, a patch, JSON.

What a script has a module of its own of, or must not find imported, is imported when it has run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inplace.facts.pause import no_collection
from inplace.facts.progress import Progress, Tell
from inplace.shells.terminal.ending import with_error

if TYPE_CHECKING:
    from inplace.checks.finding import Rewrite
    from inplace.checks.report import Report
    from inplace.facts.model import Trace
    from inplace.shells.explanation import Explanation
    from inplace.shells.terminal.children import Left
    from inplace.shells.terminal.together import Together


@no_collection()
def explained(trace: Trace, tell: Tell) -> Explanation:
    """The explanation of a trace; `tell` is told how far it is."""
    from inplace.shells.explanation import Explanation

    return Explanation.of(trace, tell)


def as_one_of_several(trace: Trace) -> Trace:
    """A trace that says which process it is of."""
    from dataclasses import replace

    from inplace.capture.process import parent_of_others

    return replace(trace, process=trace.process or parent_of_others())


def told_of_each_other(traces: Sequence[Trace]) -> list[Trace]:
    """The traces of several processes, in which what one wrote into memory of another is noted."""
    from inplace.reading.ranks.written_elsewhere import told_of_each_other

    return told_of_each_other(traces)


def together_of(found: Explanation, children: Sequence[Left], *, is_launcher: bool) -> Together:
    """What is told of a process and those that it has started."""
    from inplace.shells.terminal.together import Together

    return Together.of(found, children, is_launcher=is_launcher)


def page_of(found: Explanation, bar: Progress) -> str:
    """The interactive page of an explanation."""
    from inplace.shells.explanation import ANALYSIS

    found.diagram(bar.part(ANALYSIS, 1))
    return found.to_html()


def shown_changes(report: Report) -> dict[str, list[Rewrite]]:
    """The changes that a report shows, by file; of those that change the same lines the first."""
    from inplace.fixes.patches import PatchError, changed_text

    texts = {source.file: source.text for source in report.trace.sources if source.text is not None}
    shown: dict[str, list[Rewrite]] = {}
    for rewrite in dict.fromkeys(finding.rewrite for finding in report.findings):
        if rewrite is None or rewrite.file not in texts:
            continue
        made = [*shown.get(rewrite.file, ()), rewrite]
        with contextlib.suppress(PatchError):
            changed_text(texts[rewrite.file], made)
            shown[rewrite.file] = made
    return shown


def patch_of(report: Report, folder: str) -> str:
    """The changes that a report shows as a unified diff, its files named as they are seen from a folder."""
    from inplace.fixes.patches import changed_text, unified

    texts = {source.file: source.text or "" for source in report.trace.sources}
    changes = shown_changes(report).items()
    return "".join(unified(file, texts[file], changed_text(texts[file], made), folder) for file, made in changes)


def json_of(found: Explanation | None, calls: int, error: BaseException | None, reasons: list[str]) -> str:
    """The JSON of a run; see `value_of`."""
    return as_json(value_of(found, calls, error, reasons))


def value_of(
    found: Explanation | None, calls: int, error: BaseException | None, reasons: Sequence[str]
) -> dict[str, Any]:
    """The public JSON value of a run."""
    from inplace.render.words.contract import no_diagnoses, with_reasons

    value: dict[str, Any] = no_diagnoses(calls) if found is None else found.to_json()
    return with_reasons(with_error(value, error), reasons)


def as_json(value: dict[str, Any]) -> str:
    """A value as the text of a JSON file."""
    import json  # not before the script has run, which may have a module of this name

    return json.dumps(value, indent=2) + "\n"


def page_of_ranks(value: dict[str, Any], pictured: Sequence[Explanation]) -> str:
    """The page of several processes, by their merged value and the pictures of each."""
    from inplace.render.picture.ranks import ranks_page

    return ranks_page(value, [(found.trace.process, found.diagram()) for found in pictured])
