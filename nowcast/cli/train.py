"""``nowcast train``: train GauMamba on fitted windows."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import print_json, print_result, progress_bar
from nowcast.cli.options import ConfigOption, Json, load_settings


def train(
    fits: Annotated[
        list[Path], typer.Argument(metavar="FITS...", help="Files of `nowcast fit --future N`.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the model and its log.")],
    config: ConfigOption = None,
    resume: Annotated[bool, typer.Option(help="Go on from the state that an earlier run left in DIR.")] = True,
    as_json: Json = False,
) -> None:
    """Train GauMamba on fitted windows of at least two events; some events are held out to score it.

    It runs on a CUDA device where there is one, see `device` in the settings; torchrun makes it use several.

    Example: nowcast train fits/*.nc --config settings.yaml -o model/

    On two devices: torchrun --nproc-per-node 2 -m nowcast train fits/*.nc -o model/
    """
    from nowcast.io.gaussians import read_windows
    from nowcast.plot import save_figure
    from nowcast.plot.training import plot_training
    from nowcast.train import read_log
    from nowcast.train import train as run_training
    from nowcast.train.distributed import is_first_process

    first = is_first_process()
    if not first:
        logging.getLogger("nowcast").setLevel(logging.ERROR)  # the first process tells all else
    settings = load_settings(config).train
    windows = [window for path in fits for window in read_windows(path)]
    with progress_bar("Training GauMamba") if first else nullcontext() as progress:
        report = run_training(windows, settings, output, resume=resume, progress=progress)
    if not first:
        return
    picture = save_figure(plot_training(read_log(report.log)), output / "loss.png")
    if as_json:
        print_json({**vars(report), "picture": picture})
        return
    print_result(
        f"held-out loss {report.untrained_loss:.4f} untrained, {report.best_loss:.4f} at epoch {report.best_epoch}"
    )
    for path in (report.checkpoint, report.log, picture):
        print_result(str(path))
