"""Write the documentation as pages that need no network: `python tools/make_site.py [FOLDER]` (default: build/site).

The pages are those of `docs`, the README, the reference from the docstrings, and every notebook with its outputs. The
tools are in the extra `docs`. Open `index.html` in the folder; no server is needed.
"""

from __future__ import annotations

import sys
from pathlib import Path

SETTINGS = Path(__file__).resolve().parent / "mkdocs.yml"


def main() -> int:
    """Write the site, and print the path of its first page."""
    try:
        from mkdocs.commands.build import build
        from mkdocs.config import load_config
        from mkdocs.exceptions import Abort
    except ModuleNotFoundError as missing:
        print(
            f"{str(missing.name).partition('.')[0]} is not installed: run python -m pip install --editable '.[docs]'",
            file=sys.stderr,
        )
        return 2
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else SETTINGS.parents[1] / "build" / "site").resolve()
    try:
        config = load_config(str(SETTINGS), site_dir=str(folder))
        config.plugins.on_startup(command="build", dirty=False)
        build(config)
        config.plugins.on_shutdown()
    except Abort as stopped:
        print(f"the site is not complete: {stopped}", file=sys.stderr)
        return 1
    print(folder / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
