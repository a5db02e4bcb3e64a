"""How the commands that services run are ended from outside."""

import signal


def end_in_order_on_sigterm() -> None:
    """Treat SIGTERM, by which systemd and container engines stop a service, as Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
