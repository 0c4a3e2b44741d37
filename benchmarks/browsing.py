"""How a cell of a hundred thousand calls opens and scrolls in a real browser; overhead.py writes it into the docs.

Needs playwright, and Chromium at /usr/bin/chromium or at the path in CHROMIUM.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import sync_playwright

import inplace

FRAMES = 300  # frames of a scroll from the first call to the last
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

# Times from the start of the page until its rows are there and painted, in milliseconds.
OPEN = "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
# One step of a scroll in each frame: how far the frames lie apart, in milliseconds.
SCROLL = """async ([selector, frames]) => {
  const list = document.querySelector(selector);
  const far = list.scrollHeight - list.clientHeight;
  const gaps = [];
  let last = await new Promise(requestAnimationFrame);
  for (let frame = 1; frame <= frames; frame += 1) {
    list.scrollTop = (far * frame) / frames;
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - last);
    last = now;
  }
  return gaps;
}"""
# One call chosen in each frame, as when a key is held down.
STEP = """async frames => {
  const range = document.querySelector(".ip-range");
  const gaps = [];
  let last = await new Promise(requestAnimationFrame);
  for (let frame = 1; frame <= frames; frame += 1) {
    range.value = String(frame * 100);
    range.dispatchEvent(new Event("input", { bubbles: true }));
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - last);
    last = now;
  }
  return gaps;
}"""


def browsed(chain: Callable[[int], None], calls: int = 100_000) -> dict[str, Any]:
    """Record `calls` calls of `chain` and look at them: seconds, bytes and frames a second."""
    with inplace.record() as recording:
        chain(calls)
        x = torch.ones(4, requires_grad=True)
        h = torch.sigmoid(x)
        h.mul_(2)
        begun = time.perf_counter()
    page = recording.to_html()
    made = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        file = Path(folder) / "page.html"
        file.write_text(page, encoding="utf-8")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            tab = browser.new_page(viewport={"width": 1360, "height": 1000})
            opened = []
            for _ in range(3):
                tab.goto(file.as_uri())
                tab.wait_for_selector(".ip-call")
                opened.append(tab.evaluate(OPEN))
            tab.locator(".ip-link-button").click()  # every call a row of its own
            scrolled, stepped = tab.evaluate(SCROLL, [".ip-list", FRAMES]), tab.evaluate(STEP, FRAMES)
        finally:
            browser.close()
    return {
        "frames": FRAMES,
        "calls": calls,
        "made": made,
        "payload": len(page.encode()),
        "opened": min(opened) / 1000,
        "scrolled": 1000 / statistics.mean(scrolled),
        "stepped": 1000 / statistics.mean(stepped),
        "longest": max(scrolled),
    }
