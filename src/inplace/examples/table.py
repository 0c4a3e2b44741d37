"""The table of claims: what is said, and what PyTorch did about it just now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from textwrap import TextWrapper

from inplace.examples import Example
from inplace.examples.claims import check

_HEADS = ("id", "claim", "verdict", "evidence")
_WIDTH = 100
_BORDER = "border:1px solid currentColor"
_CELL = f"{_BORDER};padding:.3em .6em;text-align:left;vertical-align:top;white-space:normal;color:inherit"

Row = tuple[str, str, str, str]


def rows(claims: Iterable[Example]) -> Iterator[Row]:
    """Check each claim: its id, what is said, the verdict of today, and what was seen."""
    for example in claims:
        found = check(example.id)
        changed = "" if found.verdict == example.verdict else f" (changed: was {example.verdict})"
        yield example.id, example.claim, found.verdict + changed, found.text


def to_text(claims: Iterable[Example]) -> str:
    """The table for a terminal, a paragraph for each claim."""
    return text_of(rows(claims))


def to_html(claims: Iterable[Example]) -> str:
    """The table for a notebook, in the colours of the page."""
    return html_of(rows(claims))


def text_of(table: Iterable[Row]) -> str:
    """Rows that have been checked, for a terminal."""
    return "\n\n".join(
        f"{id_}  {verdict}\n{_wrapped('claim', claim)}\n{_wrapped('evidence', text)}"
        for id_, claim, verdict, text in table
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
