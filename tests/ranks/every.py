"""All programs of two ranks, and what ends those that something ends."""

from __future__ import annotations

from tests.ranks import programs, sharded, styles

PROGRAMS = {**programs.PROGRAMS, **styles.STYLES, **sharded.SHARDED}
RAISING = {**programs.RAISING, **styles.RAISING}
