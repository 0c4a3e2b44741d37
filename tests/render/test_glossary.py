"""The words of the widget are explained by one table: on a page of the docs, and where they stand in the widget."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import inplace.render
from inplace.render.words.glossary import GLOSSARY

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import make_glossary  # noqa: E402  # a script of `tools`

FORMS = (Path(inplace.render.__file__).parent / "js" / "words.js").read_text(encoding="utf-8")


def test_the_page_is_the_table() -> None:
    """Whoever changes a word writes the page anew: `python tools/make_glossary.py`."""
    assert make_glossary.PAGE.read_text(encoding="utf-8") == make_glossary.page()


def test_what_the_widget_explains_is_in_the_table() -> None:
    """Each word that it looks for in sentences is one of the glossary."""
    known = re.findall(r'\["([^"]+)", "[^"]+"\]', FORMS)

    assert len(known) > 10
    assert [word for word in known if word not in GLOSSARY] == []
