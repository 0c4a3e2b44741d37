"""Draw the moving picture at the top of the README, light and dark: `python tools/moving_picture.py [FOLDER]`.

Needs Pillow, playwright and Chromium, as `tools/screenshots.py` does. It is the film of one cell below its headline:
each call that touches the bytes, one after the other. What is worked by hand in the page is left out of the picture.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from screenshots import ARGUMENTS, CHROMIUM, ROOT

from inplace.render.picture.diagram import diagram
from inplace.render.picture.html import to_html
from tests.browser.traces import record

CELL = """\
import torch
x = torch.linspace(-1, 1, 3, requires_grad=True)
h = torch.sigmoid(x)
first = h[0]
h.mul_(10)
h.sum().backward()
"""
_WIDTH = 1040  # pixels of the page
_FIRST, _EACH, _LAST = 1800, 2200, 3000  # milliseconds that a frame is shown
_COLORS = 128
# The sentences get the room that most of them take, so that nothing moves from frame to frame.
_STYLE = ".ip-told, .ip-bar, .ip-film-controls, .ip-to-film { display: none !important } .ip-tale { min-height: 96px }"


def frames(browser: Any, scheme: str) -> list[Image.Image]:
    """One picture for each frame of the film."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "page.html"
        file.write_text(to_html(diagram(record(CELL, title="In[2]"))), encoding="utf-8")
        page = browser.new_page(
            viewport={"width": _WIDTH, "height": 1000}, color_scheme=scheme, reduced_motion="reduce"
        )
        page.goto(file.as_uri())
        page.locator(".ip-tab[data-tab='film']").click()
        page.add_style_tag(content=_STYLE)
        cards = page.locator(".ip-strip [role=option]")
        found = []
        for number in range(cards.count()):
            cards.nth(number).click()
            page.mouse.move(0, 0)
            page.evaluate("document.activeElement.blur()")
            page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            taken = page.screenshot(clip=page.locator("main").bounding_box())
            found.append(Image.open(io.BytesIO(taken)).convert("RGB"))
        page.close()
    return found


def main() -> None:
    """Draw it into the folder given, else into docs/img."""
    from playwright.sync_api import sync_playwright

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "img"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for scheme, name in (("light", "moving.gif"), ("dark", "moving-dark.gif")):
            print(_written(frames(browser, scheme), folder / name))
        browser.close()


def _written(found: list[Image.Image], target: Path) -> Path:
    """Write pictures as one that moves."""
    height = max(one.height for one in found)
    whole = [Image.new("RGB", (one.width, height), one.getpixel((one.width // 2, one.height - 3))) for one in found]
    for canvas, one in zip(whole, found, strict=True):
        canvas.paste(one)
    # One palette for all, of the fullest frame, so that what stays the same doesn't flicker.
    palette = max(whole, key=lambda one: len(one.getcolors(1 << 24) or ())).quantize(_COLORS)
    reduced = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in whole]
    shown = [_FIRST, *[_EACH] * (len(reduced) - 2), _LAST]
    reduced[0].save(target, save_all=True, append_images=reduced[1:], duration=shown, loop=0, optimize=True)
    return target


if __name__ == "__main__":
    main()
