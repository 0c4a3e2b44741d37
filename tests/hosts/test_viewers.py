"""What a viewer without a kernel has of a notebook that was run: nbviewer, which is nbconvert, VS Code and GitHub."""

from __future__ import annotations

import os
import re
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

VIEW = "application/vnd.jupyter.widget-view+json"
CELLS = (
    "%load_ext inplace\nimport torch, inplace",
    "%%inplace\nx = torch.ones(3, requires_grad=True)\nh = torch.sigmoid(x)\nh.relu_()",
    "inplace.last",
    "%%inplace\nh.sum().backward()",
)


@pytest.fixture(scope="module")
def notebook() -> Any:
    """A notebook that a real kernel has run, with no state of its widgets."""
    found = nbformat.v4.new_notebook()
    found.cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    static = os.environ.pop("INPLACE_STATIC", None)
    try:
        NotebookClient(found, allow_errors=True, kernel_name="python3", store_widget_state=False).execute()
    finally:
        if static is not None:
            os.environ["INPLACE_STATIC"] = static
    return found


def test_each_output_has_text_and_each_widget_a_still_picture(notebook: Any) -> None:
    """Whatever a viewer can't show, there is something beside it: text in every output, and a picture in the cell."""
    for cell in notebook.cells[1:]:
        bundles = [one.data for one in cell.outputs if "data" in one]
        assert bundles
        assert all(bundle["text/plain"].strip() for bundle in bundles)
        assert any(VIEW in bundle for bundle in bundles)
        (still,) = [bundle for bundle in bundles if "image/svg+xml" in bundle]
        assert "h.relu_()" in still["text/plain"]


def test_page_without_widgets_shows_the_finding(notebook: Any) -> None:
    """Where no state of a widget was kept, nbconvert falls back to the pictures, one for each recording."""
    page, _ = HTMLExporter().from_notebook_node(notebook)

    outputs = re.findall(r"(?s)<div class=\"jp-OutputArea jp-Cell-outputArea\">.*?(?=<div class=\"jp-Cell |\Z)", page)
    assert [output.count("</svg>") > 0 or "image/svg+xml" in output for output in outputs[-3:]] == [True] * 3
    assert VIEW not in page.partition("<body")[2]
