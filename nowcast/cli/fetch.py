"""``nowcast fetch``: radar volumes from the open NEXRAD archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli.console import counted, flush_answer, print_json, print_note, print_result, progress_bar
from nowcast.cli.interrupts import end_in_order_on_sigterm
from nowcast.cli.options import Json, given, parse_time

if TYPE_CHECKING:
    from nowcast.pipeline.fetch import FetchReport


def fetch(
    site: Annotated[str, typer.Argument(metavar="SITE", help="Radar: its four letters, such as KTLX.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the volumes.")],
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Volumes that began at or after this UTC time. [--follow: an hour ago]"),
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="... and before this one. [now]")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new volumes until interrupted.")] = False,
    every: Annotated[
        float, typer.Option(min=1.0, metavar="SECONDS", help="With --follow: seconds between looks for new volumes.")
    ] = 30.0,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Volumes fetched at the same time.")] = 8,
    bucket: Annotated[
        str | None, typer.Option(metavar="NAME", help="Bucket with the archive. [unidata-nexrad-level2]")
    ] = None,
    endpoint: Annotated[str | None, typer.Option(metavar="URL", help="S3 server of the bucket. [Amazon's]")] = None,
    as_json: Json = False,
) -> None:
    """Fetch NEXRAD Level II volumes from NOAA's open archive; those that are in DIR already are not asked for again.

    With --follow, --json prints one object a line whenever something came.

    Example: nowcast fetch KTLX --start 2013-05-20T19:30 --end 2013-05-20T21:00 -o KTLX/
    """
    import numpy as np

    from nowcast.errors import UsageError
    from nowcast.io.bucket import BucketConfig
    from nowcast.pipeline.fetch import FetchRequest, fetch_volumes, follow_volumes

    if follow and end is not None:
        raise UsageError("--follow goes on until interrupted: leave out --end")
    if start is None and not follow:
        raise UsageError("from which time on? Give --start TIME, or --follow for the newest volumes")
    now = np.datetime64("now", "ns")
    first, last = parse_time(start, "--start"), parse_time(end, "--end")
    span = (now - np.timedelta64(1, "h") if first is None else first, now if last is None else last)
    request = FetchRequest(site, *span, output, jobs, BucketConfig(**given(name=bucket, endpoint=endpoint)))
    end_in_order_on_sigterm()
    if follow:
        return follow_volumes(request, lambda report: _tell(report, as_json), every_s=every)
    with progress_bar(f"Fetching {site.upper()}") as progress:
        report = fetch_volumes(request, progress=progress)
    _tell(report, as_json)
    return report.raise_failures()


def _tell(report: FetchReport, as_json: bool) -> None:
    if as_json:
        print_json(report.answer())
    else:
        for volume in report.fetched:
            print_result(str(volume.path))
    flush_answer()  # whoever reads along with --follow is not to wait for more
    broken = {stored.key for stored in report.refused}
    for failure in report.failures:
        print_note(f"{'no volume' if failure['key'] in broken else 'failed'}: {failure['reason']}")
    came = sum(v.size for v in report.fetched) / 1e6
    here = f", {report.kept} were here already" if report.kept else ""
    print_note(f"{counted(len(report.fetched), 'volume')}, {came:.1f} MB in {report.seconds:.1f} s{here}")
