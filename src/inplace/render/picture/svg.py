"""Report -> one self-contained SVG: what broke, where and why, names and bytes, and the graph. No script in it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from inplace.checks.report import Report
from inplace.render.picture.canvas import INK, PAD, SANS, SOFT, Canvas, clean, visible
from inplace.render.picture.diagram import Diagram, diagram
from inplace.render.picture.ledger_svg import draw_ledger
from inplace.render.picture.model import Diff, NodeBox, NodeLink, SourcePane, TensorBox, Verdict
from inplace.render.words.setting import columns
from inplace.render.words.text import to_text

_WIDTH = 880
_LETTER = 7.22  # pixels of one letter of the code's typeface at 12 px
_LINE, _CARD = "#d9dde5", "#ffffff"
_ACCENTS = {"error": "#b8380b", "warning": "#8a5a00", "info": "#2c5aa0"}
_TINTS = {"error": "#fdeee8", "warning": "#fdf3dc", "info": "#e8effa"}
_ADDED = "#1a6b3c"
_MOST_CHANGED = 8  # lines of a proposed change
_VICTIM = "#2c5aa0"
_MOST_LINES, _MOST_BOXES, _MOST_TENSORS, _MOST_REST = 16, 24, 6, 5


def to_svg(report: Report, picture: Diagram | None = None) -> str:
    """The report as an SVG picture on a card of its own, readable on light and dark pages; `picture` is its diagram."""
    picture = picture or diagram(report)
    canvas = Canvas()
    first = picture.findings[0] if picture.findings else None
    _head(canvas, picture, report, first)
    if first is not None:
        pane = next((pane for n, pane in enumerate(picture.sources) if _spots(first, n)), None)
        if pane is not None:
            _source(canvas, pane, first, picture.sources.index(pane))
    _references(canvas, picture, first)
    if picture.autograd.note or 0 < len(picture.autograd.boxes) <= _MOST_BOXES:
        _autograd(canvas, picture)
    if report.ledger.is_telling:
        draw_ledger(canvas, picture.gradients)
    _foot(canvas, picture, report)
    return _document(canvas, picture, first)


def _document(canvas: Canvas, picture: Diagram, first: Verdict | None) -> str:
    height = canvas.y + 8
    label = "".join(first.headline) if first is not None else f"{picture.title}: {picture.all_clear}"
    accent = _ACCENTS[first.severity if first is not None else "error"]
    arrow = '<marker id="ip-a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    hatch = '<pattern id="ip-h" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="torch-inplace" viewBox="0 0 {_WIDTH} {height:.0f}" '
        f'width="{_WIDTH}" height="{height:.0f}" role="img" aria-label={quoteattr(visible(label))}>'
        f'<defs>{arrow}<path d="M0 0 8 4 0 8z" fill="{accent}"/></marker>'
        f'{hatch}<rect width="2" height="6" fill="#ffffff" fill-opacity=".75"/></pattern></defs>'
        f'<rect x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1:.0f}" rx="10" fill="{_CARD}" '
        f'stroke="{_LINE}"/>{"".join(canvas.parts)}</svg>'
    )


# ---------------------------------------------------------------- the sections


def _head(canvas: Canvas, picture: Diagram, report: Report, first: Verdict | None) -> None:
    canvas.y += 6
    canvas.text(PAD, f"inplace  /  {picture.title}", size=12, fill=SOFT)
    canvas.y += 30
    if first is None:
        canvas.text(PAD, to_text(report).splitlines()[-1], size=17, font_weight="650")
        canvas.y += 10
        return
    accent = _ACCENTS[first.severity]
    pill = 7.4 * len(first.severity) + 18
    middle = PAD + pill / 2
    canvas.box(PAD, canvas.y - 15, pill, 20, rx="10", fill=accent)
    canvas.text(middle, first.severity, y=canvas.y - 1, size=12, fill="#fff", font_weight="600", text_anchor="middle")
    canvas.text(PAD + pill + 10, first.kind, y=canvas.y, size=12, fill=SOFT)
    canvas.y += 28
    canvas.prose(PAD, first.headline, width=88, step=23, size=17, font_weight="650")
    canvas.y += 4
    canvas.paragraph("why", first.why)
    if first.facts:
        canvas.paragraph("seen", first.facts)
    canvas.paragraph("fix", first.fix)
    if first.diff is not None:
        _change(canvas, first.diff)


def _change(canvas: Canvas, diff: Diff) -> None:
    for line in diff.lines[:_MOST_CHANGED]:
        colour = {"-": _ACCENTS["error"], "+": _ADDED}.get(line[:1], SOFT)
        canvas.text(PAD + 40, visible(line)[:104], size=12, fill=colour, mono="1")
        canvas.y += 18
    if diff.proof is not None:
        canvas.y += 2
        canvas.paragraph("", (diff.proof,))


def _spots(finding: Verdict, source: int) -> list[tuple[int, int, int, str]]:
    """(line, first column, last column, role) of the places of a finding in one source; of bounds what is said."""
    roles = "culprit", *(said or "further" for said in finding.also)
    found = list(zip(finding.culprits, roles, strict=False))
    found += [(finding.victim, "victim")] if finding.victim is not None else []
    found += [(spot, said) for spot, said in zip(finding.bounds, finding.bounds_are, strict=True)]
    return [
        (spot.line, spot.column, spot.end_column if spot.end_line == spot.line else 10_000, role)
        for spot, role in found
        if spot.source == source
    ]


def _source(canvas: Canvas, pane: SourcePane, finding: Verdict, number: int) -> None:
    spots = _spots(finding, number)
    lines = sorted({near for line, *_ in spots for near in (line - 1, line, line + 1)})
    lines = [line for line in lines if 0 <= line - pane.first < len(pane.lines)][:_MOST_LINES]
    canvas.title(f"SOURCE  {pane.label}")
    top = canvas.y
    places: dict[str, tuple[float, float]] = {}
    canvas.box(PAD, top, _WIDTH - 2 * PAD, 22 * len(lines) + 12, rx="6", fill="#f7f8fa", stroke=_LINE)
    canvas.y += 22
    longest = max((columns(_expanded(pane.lines[line - pane.first])[:104]) for line, *_ in spots), default=0)
    canvas.aside = PAD + 48 + _LETTER * longest + 56
    for line in lines:
        text = pane.lines[line - pane.first]
        canvas.text(PAD + 34, str(line), size=11, fill=SOFT, mono="1", text_anchor="end")
        for _, start, stop, role in (spot for spot in spots if spot[0] == line):
            places.setdefault(role, _underline(canvas, text, start, stop, (role, finding)))
        canvas.text(PAD + 48, _expanded(text)[:104], size=12, mono="1")
        canvas.y += 22
    canvas.y = top + 22 * len(lines) + 12
    if {"culprit", "victim"} <= places.keys():  # one arrow, from the culprit to its victim
        (x1, y1), (x2, y2) = places["culprit"], places["victim"]
        bend = max(x1, x2) + 34
        d = f"M{x1 + 6:.1f} {y1:.1f} C{bend:.1f} {y1:.1f} {bend:.1f} {y2:.1f} {x2 + 8:.1f} {y2:.1f}"
        canvas.path(d, stroke=_ACCENTS[finding.severity], stroke_width="1.6", marker_end="url(#ip-a)")


def _underline(canvas: Canvas, text: str, start: int, stop: int, kind: tuple[str, Verdict]) -> tuple[float, float]:
    """Mark a range of a line; gives the point right of it."""
    role, finding = kind
    severity = finding.severity
    raw = text.encode()
    left = PAD + 48 + _LETTER * columns(_expanded(raw[:start].decode(errors="replace")))
    right = PAD + 48 + _LETTER * columns(_expanded(raw[:stop].decode(errors="replace")))
    did = role in {"culprit", "further"}
    accent = _ACCENTS[severity] if did else _VICTIM
    if did:
        canvas.box(left - 3, canvas.y - 14, right - left + 6, 19, rx="3", fill=_TINTS[severity])
    dash = "" if did else "4 2" if role == "victim" else "1 3"
    canvas.path(
        f"M{left:.1f} {canvas.y + 4:.1f} H{right:.1f}", stroke=accent, stroke_width="2", stroke_dasharray=dash or "none"
    )
    label = {"culprit": finding.did, "further": "", "victim": finding.needs}.get(role, role)
    if label and canvas.aside < _WIDTH - 120:
        canvas.text(canvas.aside, label, size=11, fill=accent, font_weight="600")
    return right, canvas.y - 4


def _expanded(text: str) -> str:
    return text.expandtabs(4)


def _references(canvas: Canvas, picture: Diagram, first: Verdict | None) -> None:
    wanted = list(first.storages) if first is not None else []
    boxes = {box.id: box for box in picture.references.storages}
    tensors = [tensor for tensor in picture.references.tensors if tensor.names]
    shared = [s for s in boxes if sum(len(t.names) for t in tensors if t.storage == s) > 1]
    named = [tensor.storage for tensor in tensors] if first is None else []
    chosen = [one for one in dict.fromkeys([*wanted, *shared, *named]) if any(t.storage == one for t in tensors)][:3]
    if not chosen:
        return
    canvas.title("NAMES AND MEMORY")
    accent = _ACCENTS[first.severity] if first is not None else INK
    versions = {counter.id: counter.versions for counter in picture.references.counters}  # as differences
    for storage in chosen:
        own = [tensor for tensor in tensors if tensor.storage == storage][:_MOST_TENSORS]
        for tensor in own:
            _tensor(canvas, tensor, boxes[storage].bytes, versions.get(tensor.counter, ()), accent)
        canvas.text(
            _WIDTH - PAD,
            f"{boxes[storage].bytes} bytes on {boxes[storage].device}",
            y=canvas.y + 12,
            size=10,
            fill=SOFT,
            text_anchor="end",
        )
        canvas.y += 24


def _tensor(canvas: Canvas, tensor: TensorBox, size: int, moves: tuple[int, ...], accent: str) -> None:
    names = ", ".join(tensor.names[:3])
    names = names if len(names) <= 26 else names[:25] + "…"  # noqa: PLR2004 - the width of the column
    y = canvas.y + 6
    canvas.box(PAD, y, 8 + _LETTER * (columns(names) + 1), 22, rx="11", fill=_CARD, stroke="#9aa3b2")
    canvas.text(PAD + 8, names, y=y + 15, size=12, mono="1", font_weight="600")
    shape = f"[{', '.join(map(str, tensor.shape))}]"
    grad = ", requires grad" if tensor.requires_grad else ""
    canvas.text(PAD + 216, f"{shape} {tensor.dtype}{grad}", y=y + 15, size=11, fill=SOFT)
    first, last = (moves[0], sum(moves)) if moves else (0, 0)
    badge = f"version {first}" if first == last else f"version {first} → {last}"
    canvas.text(PAD + 400, badge, y=y + 15, size=11, font_weight="600", fill=INK if first == last else accent)
    left, width = PAD + 510.0, _WIDTH - 2 * PAD - 510.0
    canvas.box(left, y + 4, width, 14, rx="3", fill="#eef0f4")
    for start, stop in tensor.pieces[:64]:
        scale = width / max(size, 1)
        canvas.box(left + start * scale, y + 4, max((stop - start) * scale, 1.5), 14, rx="3", fill="#5d6b82")
    if not tensor.exact:
        canvas.box(left, y + 4, width, 14, rx="3", fill="url(#ip-h)")
    canvas.y += 30


def _autograd(canvas: Canvas, picture: Diagram) -> None:
    graph = picture.autograd
    scale = min(1.0, (_WIDTH - 2 * PAD) / max(graph.width, 1))
    canvas.title("AUTOGRAD  leaf to loss")
    if graph.note:
        canvas.y += 14
        canvas.text(PAD, graph.note, size=12, fill=SOFT)
        canvas.y += 14
        return
    shift = (_WIDTH - graph.width * scale) / 2
    inner = "".join([*(_link(link) for link in graph.links), *(part for box in graph.boxes for part in _node(box))])
    canvas.parts.append(f'<g transform="translate({shift:.1f} {canvas.y:.1f}) scale({scale:.3f})">{inner}</g>')
    canvas.y += graph.height * scale + 6
    if graph.hidden:
        canvas.text(PAD, f"… {graph.hidden} more nodes of {graph.total}", size=11, fill=SOFT)
        canvas.y += 14


def _link(link: NodeLink) -> str:
    if not link.points:
        return ""
    first, *rest = link.points
    d = f"M{first[0]} {first[1]}" + (" C" if len(rest) >= 3 else " L") + " ".join(f"{x} {y}" for x, y in rest)  # noqa: PLR2004
    broken = link.kind == "overwrite"
    style = f'stroke="{_ACCENTS["error"] if broken else "#9aa3b2"}" stroke-width="{1.8 if broken else 1.2}"'
    return f'<path d="{d}" fill="none" {style}{" marker-end=" + quoteattr("url(#ip-a)") if broken else ""}/>'


def _node(box: NodeBox) -> Iterator[str]:
    broken = any(keep.stale or keep.silent for keep in box.keeps)
    culprit = box.kind == "culprit"
    accent = _ACCENTS["error"]
    stroke = accent if broken or culprit else "#9aa3b2"
    x, y = box.x - box.w / 2, box.y - box.h / 2
    round_ = box.h / 2 if box.kind == "leaf" else 5
    fill = accent if culprit else _CARD
    yield (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.w:.1f}" height="{box.h:.1f}" rx="{round_:.1f}" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="{2 if broken else 1.2}"/>'
    )
    ink = "#ffffff" if culprit else INK
    rows = [(box.title, 12.0, ink, "600"), (box.subtitle, 10.0, "#ffffff" if culprit else SOFT, "400")]
    rows += [
        (_keep(keep.text, stale=keep.stale or keep.silent), 10.0, accent if keep.stale or keep.silent else SOFT, "600")
        for keep in box.keeps
    ]
    rows = [row for row in rows if row[0]]
    step = box.h / (len(rows) + 0.35)
    for number, (text, size, colour, weight) in enumerate(rows):
        yield (
            f'<text x="{box.x:.1f}" y="{y + step * (number + 0.8):.1f}" font-size="{size:g}" fill="{colour}" '
            f'font-weight="{weight}" text-anchor="middle" font-family="{SANS}">{clean(text[:44])}</text>'
        )


def _keep(text: str, *, stale: bool) -> str:
    return f"✗ {text}" if stale else text


def _foot(canvas: Canvas, picture: Diagram, report: Report) -> None:
    canvas.y += 14
    for verdict in picture.findings[1 : 1 + _MOST_REST]:
        for number, line in enumerate(textwrap.wrap(f"{verdict.severity}: {visible(''.join(verdict.headline))}", 124)):
            canvas.text(PAD + (12 if number else 0), line, size=12, fill=_ACCENTS[verdict.severity])
            canvas.y += 18
    more = len(report.findings) - 1 - _MOST_REST
    if more > 0:
        canvas.text(PAD, f"… {more} more", size=12, fill=SOFT)
        canvas.y += 18
    if picture.findings:
        canvas.text(PAD, to_text(report).splitlines()[-1], size=11, fill=SOFT)
        canvas.y += 14
