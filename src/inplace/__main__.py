"""`python -m inplace`: hands over to `cli.main`."""

import sys

from inplace.shells.terminal.cli import main

if __name__ == "__main__":
    sys.exit(main())
