"""`docs/error-texts.md` is what the table of texts and their scripts say, and every text that we know is on it."""

from __future__ import annotations

import sys
from pathlib import Path

from inplace.reading.trace.ending import _TEXTS, recognized
from inplace.render.words.custom_function import REFUSED
from inplace.render.words.meanings import MEANINGS
from tests.texts import custom, leaves, others

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import make_error_texts  # noqa: E402  # a script of `tools`

KNOWN = {what for what, _ in _TEXTS}


def test_the_page_is_the_table() -> None:
    """Whoever changes a meaning or a script writes the page anew: `python tools/make_error_texts.py`."""
    assert make_error_texts.PAGE.read_text(encoding="utf-8") == make_error_texts.page()


def test_every_text_has_its_words() -> None:
    """What is recognized is explained, and nothing is explained that can't be recognized."""
    assert KNOWN - {*MEANINGS, *REFUSED} == {"unreduced"}  # another form of "not reduced"
    assert {*MEANINGS, *REFUSED} - KNOWN == {"marked", "partial hook"}  # which are warnings


def test_every_script_raises_a_text_of_the_table() -> None:
    """But for the one that shows the honest line of any other error."""
    scripts = [*leaves.SCRIPTS, *custom.SCRIPTS, *others.SCRIPTS]

    assert [script.text for script in scripts if script.kind and not recognized(script.text)[0]] == []


def test_the_page_is_linked() -> None:
    """From the README, the questions, and the site."""
    for file in ("README.md", "docs/faq.md", "tools/mkdocs.yml"):
        assert "error-texts.md" in (ROOT / file).read_text(encoding="utf-8")
