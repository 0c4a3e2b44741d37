"""The picture of a run that rests on earlier cells: a strip of the runs, and each pane tells them apart."""

from __future__ import annotations

import pytest

from inplace.render.picture.diagram import diagram
from tests.browser.conftest import Open
from tests.browser.traces import README, record
from tests.sessions import play

pytestmark = pytest.mark.browser

CELLS = (
    "x = torch.randn(3, requires_grad=True)",
    "h = torch.sigmoid(x)",
    "h.mul_(2)",
    "h.sum().backward()",
)


def test_the_strip_goes_to_each_run(open_page: Open) -> None:
    """There is a field for each run; a click chooses its first write or call; the culprit's is marked."""
    page = open_page(diagram(play(*CELLS)[-1].findings))
    fields = page.locator(".ip-run")

    assert fields.all_inner_texts() == ["In[1]", "In[2]", "In[3]", "In[4]"]
    assert page.locator(".ip-run[data-severity]").all_inner_texts() == ["In[3]"]
    assert page.locator(".ip-run.is-chosen").inner_text() == "In[3]"
    fields.nth(1).click()
    assert page.locator(".ip-run.is-chosen").inner_text() == "In[2]"
    assert "In[2] line 1" in page.locator(".ip-did").inner_text()


def test_each_pane_names_the_run(open_page: Open) -> None:
    """The places of the finding, the calls and the tensors say which run of a cell they are of."""
    page = open_page(diagram(play(*CELLS)[-1].findings))

    assert page.locator(".ip-excerpt-file").all_inner_texts() == ["In[2]", "In[3]", "In[4]"]
    assert page.locator(".ip-role").all_inner_texts() == ["still needed", "overwrites it", "raised here"]
    assert page.locator(".ip-call-run").all_inner_texts() == ["In[1]", "In[2]", "In[3]", "In[4]"]
    assert "made in In[2] · version moved in In[3]" in page.locator(".ip-card-past").all_inner_texts()


def test_a_run_alone_has_no_strip(open_page: Open) -> None:
    """Where nothing rests on earlier cells the picture is that of the cell."""
    page = open_page(diagram(record(README)))

    assert page.locator(".ip-run, .ip-call-run, .ip-card-past").count() == 0
