"""Which tests are run, on how many threads, and one headless Chromium for all tests of a worker.

Playwright can be started once in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.some import WHOLE, part

# A fork has only the thread that forked, and waits for ever where OpenMP would share work among those it had before.
torch.set_num_threads(1)

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is only run with all."""
    if not WHOLE:
        kept = list(part(items))
        ids = {id(test) for test in kept}
        config.hook.pytest_deselected(items=[test for test in items if id(test) not in ids])
        items[:] = kept


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium; tests are skipped where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: set CHROMIUM to its path")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()
