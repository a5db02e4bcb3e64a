"""Errors a user may meet, each with the exit code the command line gives for it.

A message says what went wrong, where, what was expected, what was found and what to do next, in one or two lines.
"""

from __future__ import annotations

INTERRUPTED = 130
"""Exit code of a process that was interrupted."""


class NowcastError(Exception):
    """Base of every error that nowcast raises on purpose. ``exit_code`` is the process's exit status."""

    exit_code = 1


class UsageError(NowcastError, ValueError):
    """The call itself makes no sense: options that exclude each other, a negative count."""

    exit_code = 2


class InputError(NowcastError, ValueError):
    """Input data cannot be used: unreadable, empty, of the wrong kind, in the wrong place."""

    exit_code = 3


class ConfigError(NowcastError, ValueError):
    """A configuration file has a wrong key, type or value."""

    exit_code = 3


class OutputError(NowcastError, OSError):
    """A result cannot be written: no permission, no space, no such folder."""

    exit_code = 3


class PartialFailure(NowcastError, RuntimeError):
    """Some items of a batch failed, the others are done."""

    exit_code = 4


class FallbackPublished(NowcastError, RuntimeError):
    """The forecast asked for could not be made, and a simpler one was published in its place."""

    exit_code = 5
