"""The table of claims: what is said, and what PyTorch did about it just now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from textwrap import TextWrapper
from typing import NamedTuple

from inplace.examples import SOURCES, Example
from inplace.examples.claims import check

_HEADS = ("id", "claim", "said by", "verdict", "evidence")
_WIDTH = 100
_BORDER = "border:1px solid currentColor"
_CELL = f"{_BORDER};padding:.3em .6em;text-align:left;vertical-align:top;white-space:normal;color:inherit"


class Row(NamedTuple):
    """One sentence, who says it, and what came of running it just now."""

    id: str
    claim: str
    said_by: str
    verdict: str
    """With its limit after a colon; where the verdict is no longer the recorded one, that is said instead."""
    evidence: str


def rows(claims: Iterable[Example]) -> Iterator[Row]:
    """Check each claim: its id, what is said and by whom, the verdict of today, and what was seen."""
    for example in claims:
        found = check(example.id)
        changed = f" (changed: was {example.verdict})"
        limit = f": {example.limit}" if example.limit else ""
        verdict = found.verdict + (limit if found.verdict == example.verdict else changed)
        yield Row(example.id, example.claim, told_by(example), verdict, found.text)


def told_by(example: Example) -> str:
    """The kinds of sources that say a sentence, in words."""
    return ", ".join(SOURCES[source] for source in example.said_by)


def to_text(claims: Iterable[Example]) -> str:
    """The table for a terminal, a paragraph for each claim."""
    return text_of(rows(claims))


def to_html(claims: Iterable[Example]) -> str:
    """The table for a notebook, in the colours of the page."""
    return html_of(rows(claims))


def text_of(table: Iterable[Row]) -> str:
    """Rows that have been checked, for a terminal."""
    return "\n\n".join(
        f"{row.id}  {row.verdict}\n{_wrapped('claim', f'{row.claim} ({row.said_by})')}\n"
        f"{_wrapped('evidence', row.evidence)}"
        for row in table
    )


def html_of(table: Iterable[Row]) -> str:
    """Rows that have been checked, for a notebook."""
    heads = "".join(f'<th scope="col" style="{_CELL}">{head}</th>' for head in _HEADS)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in table)
    return (
        '<table style="border-collapse:collapse;background:transparent;color:inherit">'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )


def _wrapped(head: str, text: str) -> str:
    wrapper = TextWrapper(_WIDTH, "  ", "    ", break_long_words=False, break_on_hyphens=False)
    return wrapper.fill(f"{head}: {text}")


def _cell(text: str) -> str:
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    strong = re.sub(r"\((changed: was \w+)\)", r"<strong>\1</strong>", marked)
    return f'<td style="{_CELL}">{strong}</td>'
