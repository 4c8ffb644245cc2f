"""`rtcompile` and `python -m rtcompile`: the command line, where what it needs is installed."""

from __future__ import annotations

import sys

from rtcompile.errors import RtcompileError
from rtcompile.extras import missing_extra

__all__ = ["run"]


def run() -> None:
    """Run the command line; without its libraries, say which extra brings them."""
    try:
        from rtcompile.cli import main
    except ModuleNotFoundError as error:
        extra = missing_extra(error)
        if extra is None:
            raise
        print(f"error: {extra}", file=sys.stderr)
        sys.exit(RtcompileError.exit_code)
    main(prog_name="rtcompile")


if __name__ == "__main__":
    run()
