"""The still picture in the dark: a colour for each of its own, as rules of a page that it stands in.

By itself it has a card of its own, which can be read on a light page and on a dark one.
"""

from __future__ import annotations

_COLOURS = {
    "#ffffff": "#14171c",
    "#fff": "#14171c",
    "#f7f8fa": "#191d23",
    "#eef0f4": "#1e232a",
    "#d9dde5": "#2b313a",
    "#e2e5ea": "#2b313a",
    "#1a1d24": "#e9ecf1",
    "#5b6472": "#a2abb8",
    "#5d6b82": "#8793a6",
    "#9aa3b2": "#6b7482",
    "#b8380b": "#ff9066",
    "#8a5a00": "#f0b952",
    "#2c5aa0": "#8fb2ff",
    "#1a6b3c": "#6fcf97",
    "#fdeee8": "#3b2219",
    "#fdf3dc": "#35290f",
    "#e8effa": "#1f2c47",
}


def dark_still(where: str) -> str:
    """The rules by which the picture at a selector is dark where the page is; printed it stays light."""
    rules = [
        f'{where} [{what}="{light}"] {{ {what}: {dark}; }}'
        for light, dark in _COLOURS.items()
        for what in ("fill", "stroke")
    ]
    return "\n".join(["@media screen and (prefers-color-scheme: dark) {", *rules, "}\n"])
