"""``nowcast`` and ``python -m nowcast``."""

import sys

from nowcast.errors import INTERRUPTED


def main() -> None:
    """Run the program; an interrupt is answered from the first moment on, before the imports that take long."""
    try:
        from nowcast.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
