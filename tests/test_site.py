"""The documentation is one set of pages that need no network, and says what the code says."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import inplace
from inplace.facts import errors
from inplace.shells.notebook.cell_magic import cell_magic
from inplace.shells.notebook.line_magic import USAGE
from inplace.shells.terminal import options
from tests.some import some

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LOADING = {"src", "srcset", "poster", "data", "xlink:href", "background"}
"""Attributes whose value a browser loads, whatever the tag; `href` is loaded where it stands in a `link`."""
STYLE = re.compile(r"""(?:@import\s*|url\()\s*["']?\s*((?:https?:)?//[^"')\s]+)""")


@dataclass
class Page(HTMLParser):
    """What a page links to, loads, and can be linked to."""

    text: str
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    pictures: list[tuple[str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the attributes of a tag name."""
        known = {name: value or "" for name, value in attrs}
        self.ids += [known[name] for name in ("id", "name") if name in known and (name == "id" or tag == "a")]
        self.loaded += [known[name] for name in LOADING if name in known]
        if tag == "link":
            self.loaded.append(known.get("href", ""))
        elif tag == "a" and "href" in known:
            self.links.append(known["href"])
        elif tag == "img":
            self.pictures.append((known.get("src", ""), known.get("alt")))

    def svgs(self) -> list[str]:
        """The pictures that are part of the page."""
        head = "data:image/svg+xml;base64,"
        return [b64decode(source[len(head) :]).decode() for source, _ in self.pictures if source.startswith(head)]


def from_network(text: str) -> list[str]:
    """What a page, style or picture loads from a host."""
    page = Page(text)
    hosts = [target for target in page.loaded if urlsplit(target).netloc]
    return hosts + STYLE.findall(text) + [host for svg in page.svgs() for host in from_network(svg)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the site."""
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, str(ROOT / "tools" / "make_site.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent)
    assert (done.returncode, done.stdout) == (0, f"{folder / 'index.html'}\n"), done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page of the site."""
    return {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_nothing_comes_from_the_network(site: Path) -> None:
    """No page, style or picture names a script, style, font or picture on a host."""
    files = [path for path in site.rglob("*") if path.suffix in {".html", ".css", ".svg"}]

    assert len(files) > 20
    assert {path.name: found for path in files if (found := from_network(path.read_text()))} == {}


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://host/a.js"></script>',
        '<link rel="stylesheet" href="//host/a.css">',
        '<img srcset="http://host/a.png">',
        "<style>@import 'https://host/a.css';</style>",
        '<p style="background: url(https://host/a.png)">',
        '<img src="data:image/svg+xml;base64,PGltYWdlIHhsaW5rOmhyZWY9Imh0dHA6Ly9ob3N0L2EiLz4=">',
    ],
)
def test_what_comes_from_the_network_is_noticed(text: str) -> None:
    """The check above can fail, and a link that a reader may follow is no offence."""
    assert len(from_network(text)) == 1
    assert from_network('<a href="https://host/">a host</a><img src="img/a.png">') == []


def broken(pages: dict[Path, Page]) -> Iterator[tuple[str, str]]:
    """The page and target of each link, picture, script and style within the site that isn't there."""
    for path, page in pages.items():
        for target in page.links + page.loaded:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            other = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            places = [*pages[other].ids, ""] if other in pages else [unquote(parts.fragment)]
            if not other.is_file() or unquote(parts.fragment) not in places:
                yield path.name, target


def test_links_lead_somewhere(pages: dict[Path, Page]) -> None:
    """Every link within the site leads to a file that is there, and to a place in it that is there."""
    assert sum(len(page.links) for page in pages.values()) > 500
    assert list(broken(pages)) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    """The check above can fail."""
    path = tmp_path / "page.html"
    path.write_text(
        '<h1 id="a"></h1><a href="#a"></a><a href="#b"></a><a href="c.html"></a><a href="https://host/"></a>'
    )

    assert list(broken({path: Page(path.read_text())})) == [("page.html", "#b"), ("page.html", "c.html")]


def test_every_notebook_is_a_page(site: Path, pages: dict[Path, Page]) -> None:
    """Each notebook is there with all of its pictures, which have words; the first page leads to it."""
    assert NOTEBOOKS
    for notebook in NOTEBOOKS:
        page = pages[site / "notebooks" / f"{notebook.stem}.html"]
        outputs = [each for cell in json.loads(notebook.read_text())["cells"] for each in cell.get("outputs", [])]
        pictures = ["".join(each["data"]["image/svg+xml"]) for each in outputs if "svg" in str(each.get("data", {}))]
        assert page.svgs() == pictures
        assert all(alt for _, alt in page.pictures), notebook.name
        assert f"notebooks/{notebook.stem}.html" in pages[site / "index.html"].links
        assert (site / "notebooks" / notebook.name).read_bytes() == notebook.read_bytes()


def test_every_error_text_has_its_page(site: Path, pages: dict[Path, Page]) -> None:
    """The index leads to a page for each text, with what PyTorch said, what the tool says, and the picture."""
    texts = sorted((site / "errors").glob("*.html"))
    index = pages[site / "error-texts.html"].links
    of_processes = "expected-to-"  # DDP's, whose scripts take several processes

    assert len(texts) == (ROOT / "docs" / "error-texts.md").read_text().count("\n## ")
    assert [path.name for path in texts if f"errors/{path.name}" not in index] == []
    for path in texts:
        told = path.read_text()
        assert "Usual causes" in told
        assert "What to do" in told
        if not path.name.startswith(of_processes):
            assert "PyTorch says" in told
            assert pages[path].pictures, path.name


def test_the_reference_has_every_public_name(site: Path, pages: dict[Path, Page]) -> None:
    """The page made from the docstrings has each public name and each public method of a recording, with its words."""
    ids = pages[site / "api.html"].ids
    methods = [name for name in vars(inplace.Recording) if not name.startswith("_")]
    raised = [errors.OverwriteError, errors.RecordingError, errors.TraceFormatError]

    assert [name for name in inplace.__all__ if f"inplace.{name}" not in ids] == []
    assert [name for name in methods if f"inplace.Recording.{name}" not in ids] == []
    assert [each for each in raised if f"inplace.facts.errors.{each.__name__}" not in ids] == []
    assert "Nothing in the file is run." in (site / "api.html").read_text()


def test_the_examples_of_the_reference_run(tmp_path: Path) -> None:
    """The Python blocks of the reference run as they stand."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)

    printed = [
        subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for block in blocks
    ]

    assert [text.splitlines()[-1] for text in printed] == ["3", "backward 0"]


@pytest.mark.browser
def test_pages_open_from_files(site: Path, pages: dict[Path, Page], chromium: Any) -> None:
    """A browser opens a page from its file without an error or a request to a host, and the search finds."""
    faults: list[str] = []
    tab = chromium.new_page()
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("request", lambda asked: faults.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    for path in some(pages, 3):
        tab.goto(path.as_uri())
    tab.goto((site / "faq.html").as_uri())
    tab.locator("[data-md-component=search-query]").focus()
    tab.keyboard.type("OverwriteError")
    tab.wait_for_selector(".md-search-result__item a[href*='magics.html']", state="attached", timeout=10_000)
    tab.goto((site / "faq.html").as_uri())
    tab.locator("[data-md-component=search-query]").focus()
    tab.keyboard.type("backward through the graph a second time")
    tab.wait_for_selector(".md-search-result__item a[href*='errors/trying']", state="attached", timeout=10_000)
    tab.close()

    assert faults == []


# ------------------------------------------------------------ the page of the magics


def rows(heading: str) -> dict[str, str]:
    """The first column of the table below a heading of the page, each with its second column."""
    text = (ROOT / "docs" / "magics.md").read_text()
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE))


def options_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The options of a command as its help shows them, each with its help."""
    return {
        _shown(action): str(action.help)
        for action in parser._actions
        if action.option_strings and "--help" not in action.option_strings
    }


def _shown(action: argparse.Action) -> str:
    """An option with the value that it takes; one that may stand without takes it behind `=` only."""
    option = action.option_strings[-1]
    return f"{option}[={action.metavar}]" if action.nargs == "?" else " ".join(filter(None, [option, action.metavar]))


def commands() -> dict[str, argparse.ArgumentParser]:
    """The commands of the command line by name."""
    (found,) = [action for action in options.parser_of_commands()._actions if isinstance(action.choices, dict)]
    return found.choices


def test_commands_are_described() -> None:
    """Each command has a section, whose table has the options of its `--help` in the same words."""
    assert set(commands()) == {"run", "show", "merge", "fix", "judge", "tour"}
    assert rows("inplace") == options_of(options.parser_of_commands())
    for name, parser in commands().items():
        assert rows(f"inplace {name}") == options_of(parser), name


def test_magics_are_described() -> None:
    """The options of `%%inplace` are those that it knows and its `?` shows; `%inplace` has the words that it takes."""
    listed = re.sub(r"\([^)]*\)", "", USAGE.partition(": ")[2]).rstrip(".").replace(" or ", " ")

    assert rows("%%inplace") == {name: words % {} for name, words in options_of(cell_magic.parser).items()}
    assert list(rows("%inplace")) == [word.strip() for word in listed.split(",")]
    shown = " ".join(cell_magic.__doc__.split())
    assert all(f"{name.partition('[')[0]} " in shown and words in shown for name, words in rows("%%inplace").items())
