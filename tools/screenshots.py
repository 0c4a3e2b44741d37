"""Draw the pictures of docs/img anew: `python tools/screenshots.py [FOLDER]`.

Needs playwright, and Chromium at /usr/bin/chromium or at the path in CHROMIUM.

Each is the interactive page of one run: the README's cell at first sight, opened in light, in dark and in a narrow side
panel, the film of its bytes, a longer case, a graph made to fit and one zoomed into, gradients, a model whose calls
fold by module, and the finding on paper. finding.svg is the still picture of the README's cell.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from inplace.checks.report import Report  # noqa: E402 - found only now
from inplace.render.picture.diagram import diagram  # noqa: E402 - as above
from inplace.render.picture.html import to_html  # noqa: E402 - as above
from inplace.render.picture.svg import to_svg  # noqa: E402 - as above
from tests.browser.traces import README, record, record_file  # noqa: E402 - as above

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
CASES = ROOT / "tests" / "cases"


MODEL = """\
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        h = self.act(self.up(self.norm(x)).sigmoid())
        return x + self.down(h)

torch.manual_seed(0)
net = nn.Sequential(*[Block(4) for _ in range(6)])
loss = net(torch.ones(2, 4)).pow(2).mean()
loss.backward()
"""


SLICES = """\
import torch
states = torch.ones(2, 4)
first, last = states[0], states[-1]
for step in range(3):
    first += step + 1
    last[1:] = first[:3]
scores = states.sum(1)
print(scores)
"""


TRAINING = """\
import torch
from torch import nn
torch.manual_seed(0)
x, y = torch.randn(64, 3), torch.randn(64, 1)
encoder, head = nn.Linear(3, 8), nn.Linear(8, 1)
optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    optimizer.zero_grad()
    features = encoder(x)
    if step >= 3:
        features = features.detach()
    loss = (head(features.relu()) - y).pow(2).mean()
    loss.backward()
    optimizer.step()
"""


@dataclass(frozen=True)
class Shot:
    """One picture: its file, what it shows, the width of the page in pixels and the colour scheme."""

    file: str
    report: Report
    width: int = 1360
    scheme: str = "light"
    tab: str = "all"  # what is open
    press: str = ""  # a button that is pressed before
    media: str = "screen"


def shots() -> list[Shot]:
    """What is pictured."""
    with contextlib.redirect_stdout(io.StringIO()):  # the cases print
        readme = record(README)
        critic = record_file(CASES / "critic_step_between_actor_loss_and_backward.py")
    return [
        Shot("first.png", readme, width=1100, tab=""),
        Shot("first-narrow.png", readme, width=600, scheme="dark", tab=""),
        Shot("light.png", readme),
        Shot("dark.png", readme, scheme="dark"),
        Shot("film.png", readme, width=1100, tab="film"),
        Shot("film-dark.png", record(SLICES), width=1100, scheme="dark", tab="film", press="Next write"),
        Shot("critic.png", critic),
        Shot("graph.png", record(MODEL), width=1100, tab="autograd", press="Fit (0)"),
        Shot("graph-zoomed.png", record(MODEL), width=1100, tab="autograd", press="Larger (+)"),
        Shot("gradients.png", record(TRAINING), width=1100, tab="gradients"),
        Shot("print.png", readme, width=716, media="print"),
        Shot("model.png", record(MODEL)),
        Shot("narrow.png", readme, width=400),
    ]


def take(browser: Any, shot: Shot, folder: Path) -> Path:
    """Open one page and write its picture, at twice the pixels."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "page.html"
        file.write_text(to_html(diagram(shot.report)), encoding="utf-8")
        page = browser.new_page(
            viewport={"width": shot.width, "height": 800},
            device_scale_factor=2,
            color_scheme=shot.scheme,
            reduced_motion="reduce",
        )
        page.goto(file.as_uri())
        page.wait_for_selector(".ip-call")
        if shot.tab != "all":
            page.locator(f".ip-tab[data-tab='{shot.tab or 'all'}']").click()
        if shot.press:
            page.get_by_label(shot.press).click()
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        page.emulate_media(media=shot.media, color_scheme=shot.scheme)
        target = folder / shot.file
        # The window is made as tall as the page first: a picture of more than the window is laid out anew while taken.
        page.set_viewport_size({"width": shot.width, "height": page.evaluate("document.documentElement.scrollHeight")})
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        page.screenshot(path=str(target), clip=page.locator("main").bounding_box())
        page.close()
    return target


def still(folder: Path) -> Path:
    """Write the picture that needs no script."""
    target = folder / "finding.svg"
    target.write_text(to_svg(record(README)), encoding="utf-8")
    return target


def main() -> None:
    """Draw all pictures into the folder given, else into docs/img."""
    from playwright.sync_api import sync_playwright

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "img"
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for shot in shots():
            print(take(browser, shot, folder))
        browser.close()
    print(still(folder))


if __name__ == "__main__":
    main()
