"""``nowcast serve``: the newest cycle of a batch job in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import flush_answer, print_json, print_note, print_result
from nowcast.cli.interrupts import end_in_order_on_sigterm
from nowcast.cli.options import Json


def serve(
    root: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Output root of a batch job, or a folder in it.", show_default=False),
    ],
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 lets everybody in the network look.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    max_age: Annotated[
        str, typer.Option("--max-age", metavar="TIME", help="A cycle older than this is shown to be stale.")
    ] = "35min",
    as_json: Json = False,
) -> None:
    """Show the newest cycle of a batch job in a browser, and go on to the next by itself, until interrupted.

    It only reads, and only this machine can look unless --host says otherwise. The page is that of `nowcast view`.

    Example: nowcast serve /srv/nowcast --port 8000
    """
    from nowcast.operations.quantities import seconds_of
    from nowcast.operations.serve import Server, Viewer

    try:
        limit = seconds_of(max_age)
    except ValueError as error:
        raise typer.BadParameter(f"{error}, got {max_age!r}", param_hint="--max-age") from error
    end_in_order_on_sigterm()
    with Server(Viewer(root, limit), host, port) as server:
        if as_json:
            print_json({"address": server.address, "root": str(root)})
        else:
            print_result(server.address)
        flush_answer()  # whoever reads it from a pipe is not to wait
        print_note("Open it in a browser; Ctrl-C ends it.")
        server.serve_forever()
