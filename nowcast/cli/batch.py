"""``nowcast batch``: one cycle of a scheduled job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli.console import command_line, ending_with, print_json, print_note, print_result
from nowcast.cli.interrupts import end_in_order_on_sigterm
from nowcast.cli.options import Json

if TYPE_CHECKING:
    from nowcast.operations.job import Job

WORSE = (0, 5, 3, 1)
"""The exit codes of a cycle, the worst last."""
SHORT_DEADLINE_S = 30.0
JobFile = Annotated[Path, typer.Argument(metavar="JOB.yaml", help="Job file.", show_default=False)]


def batch(
    job: JobFile,
    once_per: Annotated[
        str | None,
        typer.Option(
            "--once-per",
            metavar="5min",
            help="Do not redo a published cycle, nor one in the same 5 minutes of volume time.",
        ),
    ] = None,
    catch_up: Annotated[bool, typer.Option("--catch-up", help="Also do the cycles that were missed.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the job file and do nothing.")] = False,
    print_cron: Annotated[
        bool, typer.Option("--print-cron", help="Print a line for a crontab and do nothing.")
    ] = False,
    print_systemd: Annotated[
        bool, typer.Option("--print-systemd", help="Print a service and a timer for systemd and do nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run one cycle of a scheduled job: wait for volumes, forecast within the deadline, publish, tell, clean up.

    With --catch-up, --json prints an object a line for each cycle.

    Example: nowcast batch job.yaml --once-per 5min
    """
    from nowcast.operations.cycle import run_batch
    from nowcast.operations.job import read_job
    from nowcast.operations.lock import Locked
    from nowcast.operations.worker import KNOWN

    period = _seconds(once_per)
    if check and (print_cron or print_systemd):
        raise typer.BadParameter("prints no schedule: give one of them", param_hint="--check")
    if check or print_cron or print_systemd:
        if check:
            _check(job, as_json)
        else:
            options = ["--once-per", once_per or "1min", *(["--catch-up"] if catch_up else [])]
            _print_schedule(job, options, cron=print_cron, systemd=print_systemd)
        return
    end_in_order_on_sigterm()
    try:
        outcomes = run_batch(job, once_per=period, catch_up=catch_up, history=command_line())
    except Locked as error:
        print_note(str(error))
        raise typer.Exit(read_job(job).locked_exit) from None
    with ending_with(max((outcome.exit_code for outcome in outcomes), key=WORSE.index)):
        for outcome in outcomes:
            if as_json:
                print_json(outcome.facts)
            else:
                for file in outcome.facts["outputs"] if outcome.state != KNOWN else ():
                    print_result(str(file["path"]))


def _seconds(text: str | None) -> float | None:
    from nowcast.operations.quantities import seconds_of

    if text is None:
        return None
    try:
        period = seconds_of(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}, got {text!r}", param_hint="--once-per") from None
    if period <= 0:
        raise typer.BadParameter("expected more than nothing", param_hint="--once-per")
    return period


def _check(path: Path, as_json: bool) -> None:
    from nowcast.models import load_checkpoint
    from nowcast.operations.full_job import FullJob
    from nowcast.operations.job import read_job
    from nowcast.operations.places import check_places, new_folders
    from nowcast.radar.clutter import read_clutter_map
    from nowcast.weights import checkpoint

    job = read_job(path, FullJob)
    check_places(job)
    if (model := checkpoint(job.model)) is not None:
        load_checkpoint(model)
    for clutter in filter(None, (job.clutter, *job.mosaic.clutter.values())):
        read_clutter_map(clutter)
    radars = [] if job.input.nexrad else _radars(job)
    for folder in new_folders(job):
        print_note(f"{folder} is not there yet and will be made")
    if job.limits.deadline < SHORT_DEADLINE_S:
        print_note(
            f"limits.deadline is {job.limits.deadline:g} s: a cycle may take half a minute, above all the first one; "
            "expect fallbacks, or no forecast at all"
        )
    if as_json:
        print_json({"file": str(path), "valid": True, "input": str(job.input), "radars": radars})
    else:
        several = f", a folder for each radar: {', '.join(radars)}" if radars else ""
        print_result(f"{path}: valid; volumes come from {job.input}{several}")


def _radars(job: Job) -> list[str]:
    """The folders of several radars; tells which are gone, and what the input holds that is not looked at.

    Raises ConfigError where only folders match a pattern.
    """
    from nowcast.errors import ConfigError
    from nowcast.operations.feed import list_input
    from nowcast.operations.own_radars import OwnRadars

    known = OwnRadars(job).read()
    found = list_input(job.input, known)
    if found.only_folders:
        raise ConfigError(f"input.path is {job.input.path}, which only folders match: name the folder above them")
    if found.unlooked:
        print_note(f"not looked at: {found.unlooked}")
    own = {*found.folders, *filter(None, known)}
    for name in sorted(own.difference(found.folders)):
        print_note(f"the folder of radar {name} is gone: forecasts name it as missing until it comes back")
    return sorted(own)


def _print_schedule(path: Path, options: list[str], *, cron: bool, systemd: bool) -> None:
    from nowcast.operations.job import read_job
    from nowcast.operations.schedule import cron_line, systemd_units

    job = read_job(path)
    if cron:
        print_result(cron_line(job, path, options))
    if systemd:
        for name, text in systemd_units(job, path, options).items():
            print_result(f"# /etc/systemd/system/{name}\n{text}")
