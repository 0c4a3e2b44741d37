"""axe-core finds nothing serious in the picture: themes, widths, with a finding, with none, and a big one."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from inplace.render.picture.diagram import diagram
from tests.browser.conftest import Open
from tests.browser.test_gradients import TEXT as TRAINING
from tests.browser.traces import README, big_report, record

pytestmark = pytest.mark.browser

PICTURES = {
    "finding": lambda: diagram(record(README)),
    "nothing": lambda: diagram(record("import torch\na = torch.ones(3)\na.add_(1)")),
    "gradients": lambda: diagram(record(TRAINING)),
    "big": lambda: diagram(big_report(2_000)),
}


def serious(page: Any) -> list[str]:
    """What axe-core calls serious or critical, with the element."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {node['target']}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_nothing_serious_is_found(open_page: Open, name: str, scheme: str, width: int) -> None:
    """Contrast, names, roles, focus order and the rest of axe's rules."""
    page = open_page(PICTURES[name]())
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    page.locator(".ip-keys").click()

    assert serious(page) == []


@pytest.mark.one_of(2)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PICTURES)
def test_nothing_serious_is_found_in_the_film(open_page: Open, name: str, scheme: str) -> None:
    """The same of the film, where there is one."""
    page = open_page(PICTURES[name]())
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    if not page.locator(".ip-tab[data-tab='film']").count():
        pytest.skip("it has no film")
    page.locator(".ip-tab[data-tab='film']").click()

    assert serious(page) == []


def test_axe_sees_what_is_wrong(open_page: Open) -> None:
    """The check can fail: a button without a name is found."""
    page = open_page(PICTURES["nothing"]())
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")

    assert any(one.startswith("button-name") for one in serious(page))
