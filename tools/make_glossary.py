"""Write the words of the widget, `docs/glossary.md`: `python tools/make_glossary.py`."""

from __future__ import annotations

from pathlib import Path

from inplace.render.words.glossary import GLOSSARY

PAGE = Path(__file__).resolve().parents[1] / "docs" / "glossary.md"
HEAD = "# The words of the widget\n\nEach word means what it means in PyTorch, or is said to be ours.\n"


def page() -> str:
    """The text of the page."""
    return "\n".join([HEAD, *("\n".join([f"## {word}\n", *said, ""]) for word, said in GLOSSARY.items())])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
