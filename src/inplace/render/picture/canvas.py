"""A page that is written from top to bottom: text, boxes and lines as elements of an SVG."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from inplace.render.words.phrase import Runs, lines
from inplace.render.words.setting import safe

PAD = 28
INK, SOFT = "#1a1d24", "#5b6472"
SANS = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif"
MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"


@dataclass
class Canvas:
    """Collects elements from top to bottom; `y` is where the next one begins."""

    parts: list[str] = field(default_factory=list)
    y: float = PAD
    aside: float = PAD  # where labels beside the source stand, clear of its marked lines and of the arrow

    def text(
        self, x: float, text: str, *, y: float | None = None, size: float = 13, fill: str = INK, **style: str
    ) -> None:
        """A piece of text with its base line at `y`; `style` are attributes with _ for -."""
        mono = style.pop("mono", "")
        family = MONO if mono else SANS
        rest = _attributes(style)
        place = f'x="{x:.1f}" y="{self.y if y is None else y:.1f}" font-size="{size:g}" fill="{fill}"'
        self.parts.append(f'<text {place} font-family="{family}" xml:space="preserve"{rest}>{clean(text)}</text>')

    def box(self, x: float, y: float, w: float, h: float, **style: str) -> None:
        """A rectangle with rounded corners."""
        rest = _attributes(style)
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"{rest}/>')

    def path(self, d: str, **style: str) -> None:
        """A path."""
        rest = _attributes(style)
        self.parts.append(f'<path d="{d}" fill="none"{rest}/>')

    def paragraph(self, lead: str, sentence: Runs) -> None:
        """A labelled paragraph."""
        self.text(PAD, lead, size=12, fill=SOFT, font_weight="600")
        self.prose(PAD + 40, sentence, width=108, step=19)

    def prose(self, x: float, sentence: Runs, *, width: int, step: float, size: float = 13, **style: str) -> None:
        """A sentence on lines of at most `width` characters, its code in a monospaced font."""
        rest = _attributes(style)
        for line in lines(sentence, width):
            place = f'x="{x:.1f}" y="{self.y:.1f}" font-size="{size:g}" fill="{INK}" font-family="{SANS}"'
            pieces = "".join(
                f'<tspan font-family="{MONO}" font-size="{size - 1:g}">{clean(piece)}</tspan>'
                if odd % 2
                else clean(piece)
                for odd, piece in enumerate(line)
            )
            self.parts.append(f'<text {place} xml:space="preserve"{rest}>{pieces}</text>')
            self.y += step

    def title(self, text: str) -> None:
        """The title of a section."""
        self.y += 26
        self.text(PAD, text, size=11, fill=SOFT, font_weight="600", letter_spacing="0.06em")
        self.y += 10


def _attributes(style: dict[str, str]) -> str:
    """Attributes of an element, with _ for - in their names."""
    return "".join(f" {name.replace('_', '-')}={quoteattr(value)}" for name, value in style.items())


def visible(text: str) -> str:
    """Text that XML can carry: without control characters."""
    return "".join(letter for letter in safe(text) if letter >= " " and letter not in "\ufffe\uffff")


def clean(text: str) -> str:
    """Text as XML writes it."""
    return escape(visible(text))
