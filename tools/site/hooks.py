"""What MkDocs is told beside tools/mkdocs.yml: README.md is the first page, and each notebook is a page of its own.

The notebooks are taken as they are committed, with the outputs of their run; nothing is run here.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from jinja2 import DictLoader
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.structure.toc import get_toc
from nbconvert import HTMLExporter

from inplace.shells.terminal.tour import title

sys.path.insert(0, str(Path(__file__).resolve().parent))
from error_pages import error_pages, with_links  # it lies beside this file

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HERE = Path(__file__).resolve().parent

# The cells alone, without nbconvert's page around them, whose scripts come from the network. A picture's words, which
# the notebook carries for where no picture is shown, are what a screen reader is given.
TEMPLATE = """\
{%- extends 'basic/index.html.j2' -%}
{% block data_svg scoped -%}
<img src="data:image/svg+xml;base64,{{ output.data['image/svg+xml'] | text_base64 | escape_html }}"
 alt="{{ output.data['text/plain'] | escape_html }}">
{%- endblock data_svg %}
"""
# Code comes first, so that what looks like a link in it stays as it is.
LINK = re.compile(r"```.*?```|`[^`\n]*`|(?P<words>\[[^\[\]]*\])\((?P<target>[^()\s]+)\)", re.DOTALL)
HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)<a class="headerlink"', re.DOTALL)
ANCHOR = re.compile(r'(<h[1-6] id="|class="headerlink" href="#)([^"]+)"')  # its quotes are too much for the theme


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the notebooks where the navigation names them."""
    pages = [{title(notebook): f"notebooks/{notebook.stem}.md"} for notebook in NOTEBOOKS]
    nav: list[dict[str, Any]] = config.nav or []
    config.nav = [
        {title: pages if target == "notebooks/" else target} for item in nav for title, target in item.items()
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what doesn't lie in `docs`: the first page, the notebooks, our style and the stand-in for a worker."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=of_readme(readme)))
    for notebook in NOTEBOOKS:
        front = f"---\ntitle: {json.dumps(title(notebook))}\n---\n"
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=front))
        files.append(File.generated(config, f"notebooks/{notebook.name}", abs_src_path=str(notebook)))
    for asset in ("inplace.css", "iframe-worker.js"):
        files.append(File.generated(config, f"assets/{asset}", abs_src_path=str(HERE / asset)))
    for path, text in error_pages():
        files.append(File.generated(config, path, content=text))
    return files


def of_readme(text: str) -> str:
    """The README as a page beside those of `docs`; what lies elsewhere in the repository is named without a link."""
    pictures = re.sub(r'( src(?:set)?=")docs/', r"\1", text)  # that at the top, and those in the table of tutorials
    return _linked(pictures, {"docs/": "", "notebooks/": "notebooks/"})


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Lead links to the README and to notebooks to their pages, and error texts to theirs."""
    if page.file.src_uri == "error-texts.md":
        markdown = with_links(markdown)
    return markdown if page.file.src_uri == "index.md" else _linked(markdown, {"": "", "../notebooks/": "notebooks/"})


def _linked(markdown: str, folders: dict[str, str]) -> str:
    def link(found: re.Match[str]) -> str:
        words, target = found["words"], found["target"]
        if not target or "://" in target or target.startswith("#"):
            return found[0]
        if target == "../README.md":
            return f"{words}(index.md)"
        for folder, ours in folders.items():
            if target.startswith(folder) and not target.removeprefix(folder).startswith("../"):
                page = re.sub(r"\.ipynb(?=#|$)", ".md", target.removeprefix(folder))
                return f"{words}({ours}{page})"
        return words.removeprefix("[").removesuffix("]")

    return LINK.sub(link, markdown)


def on_page_content(html: str, page: Page, **_: object) -> str:
    """Fill the page of a notebook, and list its headings."""
    notebook = ROOT / "notebooks" / f"{Path(page.file.src_uri).stem}.ipynb"
    if not page.file.src_uri.startswith("notebooks/"):
        return html
    body = to_html(notebook)
    headings = [
        {"level": 2, "id": identity, "name": re.sub("<[^>]+>", "", words), "html": words, "children": []}
        for identity, words in HEADING.findall(body)
    ]
    page.toc = get_toc(headings)
    return f'{body}\n<p><a href="{notebook.name}" download>This page as a notebook</a></p>'


def _plain(found: re.Match[str]) -> str:
    return found[1] + re.sub(r"(?:%[0-9A-F]{2}|[^\w-])+", "-", found[2]).strip("-") + '"'


def to_html(notebook: Path) -> str:
    """The cells of a notebook and their outputs, by nbconvert, with links to other notebooks' pages."""
    exporter = HTMLExporter(
        extra_loaders=[DictLoader({"cells.html.j2": TEMPLATE})],
        template_file="cells.html.j2",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    body, _ = exporter.from_filename(str(notebook))
    body = body.replace('class="anchor-link"', 'class="headerlink"')  # as the theme calls it
    body = ANCHOR.sub(_plain, body)
    return re.sub(r'href="([\w-]+)\.ipynb(#[^"]*)?"', r'href="\1.html\2"', body)


def on_post_build(config: MkDocsConfig) -> None:
    """Drop what only a server has a use for: its links begin at the root of a host."""
    for name in ("404.html", "sitemap.xml", "sitemap.xml.gz"):
        Path(config.site_dir, name).unlink(missing_ok=True)
