"""The site's page for each text that PyTorch raises: what it means, a script that raises it, and what the tool shows.

Each script of `tests/texts` is run when the site is built, in a process of its own, since some leave something behind.
What a page says that PyTorch said, and shows that we show, is what came of that run.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import torch._dynamo  # noqa: E402, F401  # which any optimizer imports: once, before the processes are forked
from IPython.core.interactiveshell import InteractiveShell  # noqa: E402
from IPython.utils.capture import capture_output  # noqa: E402
from make_error_texts import Entry, entries  # noqa: E402  # a script of `tools`
from traitlets.config import Config  # noqa: E402

from inplace.render.picture.svg import to_svg  # noqa: E402
from inplace.render.words.text import to_text  # noqa: E402
from inplace.shells.last import last  # noqa: E402

FOLDER = "errors"
_IMPORTS = "import torch\nfrom torch import nn\n\n"
_TO_BLAME = re.compile(r" *# here$", re.MULTILINE)  # the mark of the lines to blame
_WIDTH = 80  # columns of the report
_LONGEST = 70  # characters of the name of a page
_GUIDE = "[a failing step of a DDP model, from the shell to one page](../several-processes.md)"
_PROCESSES = f"It takes several processes: {_GUIDE}.\n"


def error_pages() -> Iterator[tuple[str, str]]:
    """The files of the site's folder of error texts: path in the site, and text."""
    for entry in entries():
        name = page_name(entry)
        parts = [
            f"# {entry.title}\n",
            entry.meaning.means + "\n",
            "## Usual causes\n",
            "".join(f"- {_sentence(cause)}\n" for cause in entry.meaning.causes.split(";")),
            f"## What to do\n\n{entry.meaning.remedy}\n",
        ]
        scripts = sorted(entry.scripts, key=lambda script: script.text != entry.meaning.text)  # its own words first
        for number, script in enumerate(scripts, 1):
            code = _TO_BLAME.sub("", script.code)
            raised, report, picture = _seen(code)
            file = f"{name}-{number}.svg"
            parts.append("## A script that raises it\n" if number == 1 else "## Another one\n")
            parts.append(f"```python\n{_IMPORTS}{code}```\n\nPyTorch says:\n\n```text\n{raised}\n```\n")
            parts.append(f"The tool says:\n\n```text\n{report}\n```\n")
            if picture:
                parts.append(f'![What the tool shows of this script]({file} "The picture of this script")\n')
                yield f"{FOLDER}/{file}", picture
        if not scripts:
            parts.append(_PROCESSES)
        parts.append("[All error texts](../error-texts.md)\n")
        yield f"{FOLDER}/{name}.md", "\n".join(parts)


def page_name(entry: Entry) -> str:
    """The name of a text's page, from its first words."""
    words = re.sub(r"[^a-z0-9]+", "-", entry.meaning.text.lower()).strip("-")
    return words[:_LONGEST].rstrip("-")


def with_links(markdown: str) -> str:
    """The index of error texts with a link to the page of each."""
    for entry in entries():
        head = f"## {entry.title}\n\n"
        link = f"[The script that raises it, and the picture]({FOLDER}/{page_name(entry)}.md)\n\n"
        before, found, after = markdown.partition(head)
        told, nothing, rest = after.partition("\n## ")
        markdown = f"{before}{found}{told.rstrip()}\n\n{link}{nothing.lstrip()}{rest}" if found else markdown
    return markdown


def _sentence(cause: str) -> str:
    text = cause.strip()
    return text[:1].upper() + text[1:] + "."


def _seen(code: str) -> tuple[str, str, str]:
    """What a script raised, the report of it and its picture, by a process of its own."""
    _session()
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    process = context.Process(target=_record, args=(code, theirs))
    process.start()
    theirs.close()
    answer: tuple[str, str, str] = mine.recv()
    process.join()
    return answer


@cache
def _session() -> InteractiveShell:
    """A session that has recorded a cell, so that the processes forked from it have all imported; none adds to it."""
    os.environ["INPLACE_STATIC"] = "1"
    warnings.simplefilter("ignore")
    shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    with capture_output():
        shell.run_cell(f"{_IMPORTS}%load_ext inplace")
        shell.run_cell("%%inplace\ntorch.zeros(2, requires_grad=True).add_(1)")
    return shell


def _record(code: str, answer: Any) -> None:
    """Run a script as the first cell of a session, and send what came of it."""
    with capture_output():
        done = _session().run_cell(f"%%inplace\n{code}")
    error = done.error_in_exec
    said = "" if error is None else f"{type(error).__name__}: {error}"
    raised = textwrap.fill(said, _WIDTH, replace_whitespace=False)
    report = last().report
    answer.send((raised, to_text(report, width=_WIDTH).strip(), to_svg(report)))
