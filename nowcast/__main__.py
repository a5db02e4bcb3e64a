"""``nowcast`` and ``python -m nowcast``."""

import os
import sys
from contextlib import suppress

from nowcast.errors import INTERRUPTED


def main() -> None:
    """Run the program; an interrupt is answered from the first moment on, before the imports that take long."""
    try:
        from nowcast.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        _leave(INTERRUPTED)
    except SystemExit as end:
        # obstore's threads may ask for the interpreter while it ends, which then aborts.
        if end.code == INTERRUPTED or ("obstore" in sys.modules and isinstance(end.code, int)):
            _leave(end.code)
        raise


def _leave(code: int) -> None:
    """End at once: threads of libraries that were cut off would complain on the way, or be waited for."""
    with suppress(OSError):  # the reader may have gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
