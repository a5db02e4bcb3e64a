"""The job file of ``nowcast batch``: ``docs/operations.md`` explains every key with an example."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from nowcast.checks import check_numbers
from nowcast.errors import ConfigError
from nowcast.operations.places import check_files
from nowcast.operations.quantities import Duration, Size
from nowcast.operations.templates import check_templates
from nowcast.pipeline.config import load_config

if TYPE_CHECKING:
    from nowcast.io.bucket import BucketConfig

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
STAGES = ("wait", "inputs", "grid", "fallback", "forecast", "publish", "scores")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Nexrad:
    """A radar in the open archive of NEXRAD volumes: ICAO name of the ``site``, and where the archive is."""

    site: str = ""
    bucket: str = "unidata-nexrad-level2"
    endpoint: str | None = None
    region: str = "us-east-1"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Z]{4}", self.site):
            raise ConfigError(f"input nexrad.site is {self.site!r}: expected four capital letters such as KTLX")
        _ = self.where

    def __str__(self) -> str:
        return f"{self.site} in {self.where}"

    @property
    def where(self) -> BucketConfig:
        from nowcast.io.bucket import BucketConfig

        return BucketConfig(self.bucket, self.endpoint, self.region)


@dataclass(frozen=True)
class Input:
    """Where volumes come from, and which of them count.

    Attributes
    ----------
    path
        A folder, or a pattern such as ``/data/ldm/KTLX*``; hidden files are not looked at. A folder of folders holds
        several radars, one in each.
    nexrad
        Or a radar of the open archive; ``path`` then is a folder of the job's own, which each cycle fetches the newest
        volumes into. They appear there whole, so that ``settle`` is 0.
    ignore
        Patterns of names that are not looked at either.
    settle
        A file that changed within so many seconds is still being written.
    marker
        Where given, ``NAME`` counts when a file ``NAME`` + marker stands beside it.
    max_age
        No new forecast when the newest volume is older than this.
    ahead
        A volume from farther in the future than this has a wrong time and is left out.
    partial
        Whether volumes count that lack sweeps.
    frames
        Number of volumes that a forecast starts from.
    """

    path: str = ""
    nexrad: Nexrad | None = None
    ignore: tuple[str, ...] = ("*.tmp", "*.part", "*.partial", "*.filepart")
    settle: Duration = 10.0
    marker: str = ""
    max_age: Duration = 30 * MINUTE
    ahead: Duration = 10 * MINUTE
    partial: bool = False
    frames: int = 4

    def __post_init__(self) -> None:
        check_numbers(self, "input", positive=("frames", "max_age"), not_negative=("settle", "ahead"))
        if self.nexrad is not None and self.marker:
            raise ConfigError("input names a marker, and the archive of nexrad has none: leave out marker")

    def __str__(self) -> str:
        return self.path if self.nexrad is None else str(self.nexrad)

    @property
    def folder(self) -> Path:
        """The path or, of a pattern, the folder above its first wildcard."""
        path = Path(self.path)
        return next(p for p in (path, *path.parents) if not glob.has_magic(str(p)))


@dataclass(frozen=True)
class Site:
    """The radar: its ``name`` in the output tree, and its position where the files tell none or a wrong one."""

    name: str = ""
    lat: float | None = None
    lon: float | None = None
    alt: float | None = None

    def __post_init__(self) -> None:
        if self.name and not _SLUG.fullmatch(self.name):
            raise ConfigError(f"site name is {self.name!r}: expected letters, digits, _ and -")
        if len({value is None for value in (self.lat, self.lon, self.alt)}) > 1:
            raise ConfigError("a site's position takes lat, lon and alt: give all three or none")
        if self.lat is not None and self.lon is not None and not (abs(self.lat) <= 90 and abs(self.lon) <= 360):
            raise ConfigError(
                f"site is at {self.lat:g}, {self.lon:g}: expected lat within -90..90, lon within -360..360"
            )


@dataclass(frozen=True)
class Output:
    """Where forecasts go.

    Attributes
    ----------
    root
        Nothing is ever written or removed outside of it. It must be one file system.
    folder
        The folder of a cycle below it, of ``{site}``, ``{job}`` and ``{time:%Y%m%d_%H%M}``, the newest volume's time.
    name
        The files in it, likewise, without suffix.
    latest
        A link to the newest cycle, without a time; empty for none.
    pictures
        Whether the forecast is drawn as well.
    observed
        Whether the volumes that the forecast started from are published beside it.
    keep_free
        A cycle does not start with less room than this on the disk.
    """

    root: Path
    folder: str = "{site}/{time:%Y%m%d}/{time:%H%M%S}"
    name: str = "forecast"
    latest: str = "{site}/latest"
    pictures: bool = True
    observed: bool = True
    keep_free: Size = 500_000_000

    def __post_init__(self) -> None:
        check_templates(self.folder, self.name, self.latest)


@dataclass(frozen=True)
class Retention:
    """Cycles older than ``age`` before the newest one are removed, and the oldest beyond ``size`` in all."""

    age: Duration | None = 7 * DAY
    size: Size | None = None


@dataclass(frozen=True)
class Shares:
    """By which share of the deadline each stage must have ended, ``wait`` being that for files which are still being
    written; what one leaves over goes to the next. ``file`` is what a single file may take."""

    file: float = 0.1
    wait: float = 0.15
    inputs: float = 0.25
    grid: float = 0.5
    fallback: float = 0.6
    forecast: float = 0.9

    def __post_init__(self) -> None:
        check_numbers(self, "shares", share=[f.name for f in fields(self)])
        rising = [0.0, self.wait, self.inputs, self.grid, self.fallback, self.forecast, 1.0]
        if any(b <= a for a, b in pairwise(rising)):
            raise ConfigError(f"shares {rising[1:-1]} do not rise within 0..1")


LEAST_MEMORY = 500_000_000


@dataclass(frozen=True)
class Limits:
    """What a cycle may take.

    Attributes
    ----------
    deadline
        A forecast, if only a simpler one, is published so long after the start.
    shares
        Of it for each stage.
    memory
        Most memory of the worker process; null for no limit.
    retries
        How often a worker that died is started again, as long as there is time.
    catch_up
        How far back ``--catch-up`` goes.
    """

    deadline: Duration = 4 * MINUTE
    shares: Shares = field(default_factory=Shares)
    memory: Size | None = 6_000_000_000
    retries: int = 1
    catch_up: Duration = 6 * HOUR

    def __post_init__(self) -> None:
        check_numbers(self, "limits", positive=("deadline",), not_negative=("retries", "catch_up"))
        if self.memory is not None and self.memory < LEAST_MEMORY:
            least = f"no worker starts with less than {LEAST_MEMORY / 1e6:g} MB"
            raise ConfigError(f"limits memory is {self.memory / 1e6:g} MB: {least}")


@dataclass(frozen=True)
class Scores:
    """Forecasts are scored when their valid times have arrived, over a ``window``, with a warning at ``warn_dbz``."""

    enabled: bool = True
    window: Duration = DAY
    warn_dbz: float = 35.0


@dataclass(frozen=True)
class Log:
    """One JSON line a stage: on stderr, or in a ``file`` that is rotated at ``size`` and kept ``count`` times."""

    file: Path | None = None
    size: Size = 10_000_000
    count: int = 5


@dataclass(frozen=True)
class Job:
    """One scheduled job.

    Attributes
    ----------
    name
        Tells the job from others in logs and metrics; the job file's own name unless given.
    model
        ``default`` for the weights that come with the program, ``none``, or a file of ``nowcast train``.
    leads, step_minutes
        Lead times and the minutes between them, null for the median step of the volumes.
    members, seed
        Of an ensemble.
    clutter
        A map of ``nowcast clutter``.
    locked_exit
        Exit code where another run of the job is still at work.
    status, metrics
        Files for the status, JSON, and for Prometheus' node exporter; null for ``NAME.status.json`` in the output's
        root, and for none.
    grid, quality, mosaic, fit, tally, products
        As in a file of ``--config``; checked when the worker starts.
    """

    input: Input
    output: Output
    name: str = ""
    site: Site = field(default_factory=Site)
    model: str = "default"
    leads: int = 12
    step_minutes: float | None = None
    members: int = 1
    seed: int = 0
    clutter: Path | None = None
    limits: Limits = field(default_factory=Limits)
    retention: Retention = field(default_factory=Retention)
    scores: Scores = field(default_factory=Scores)
    log: Log = field(default_factory=Log)
    locked_exit: int = 0
    status: Path | None = None
    metrics: Path | None = None
    grid: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    mosaic: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    tally: dict[str, Any] = field(default_factory=dict)
    products: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_numbers(self, "job", positive=("leads", "step_minutes", "members"), not_negative=("seed", "locked_exit"))
        if self.locked_exit > 255:
            raise ConfigError(f"job locked_exit is {self.locked_exit}: expected an exit code, at most 255")
        if self.name and not _SLUG.fullmatch(self.name):
            raise ConfigError(f"name is {self.name!r}: expected letters, digits, _ and -")
        if self.members > 1 and self.model == "none":
            raise ConfigError("an ensemble needs a model, which knows what is uncertain: give model: default or a path")

    @property
    def inside(self) -> Path:
        """The job's own folder: lock, work, what is carried from cycle to cycle."""
        return self.output.root / ".nowcast" / self.name

    @property
    def gridded(self) -> Path:
        """Where gridded volumes are kept for the next cycles, which could be made again."""
        return self.inside / "volumes"

    @property
    def archive(self) -> Path:
        """Where volumes of the open archive are kept, those of each radar in a folder of its name."""
        return self.inside / "nexrad"

    @property
    def status_file(self) -> Path:
        return self.status or self.output.root / f"{self.name}.status.json"


AnyJob = TypeVar("AnyJob", bound=Job)


@overload
def read_job(path: Path | str) -> Job: ...
@overload
def read_job(path: Path | str, cls: type[AnyJob]) -> AnyJob: ...
def read_job(path: Path | str, cls: type[Job] = Job) -> Job:
    """Read a job file; its paths are relative to the folder it stands in.

    Raises ConfigError, with the line where it can be told.
    """
    path = Path(path)
    job = load_config(path, cls)
    if not job.input.path and job.input.nexrad is None:
        told = "input says not where the volumes come from: give path: FOLDER, or nexrad: {site: KTLX}"
        raise ConfigError(f"{path}: {told}")
    if job.input.path and job.input.nexrad is not None:
        raise ConfigError(f"{path}: input names both a path and a radar of nexrad: give one of them")
    job = replace(_absolute(job, path.absolute().parent), name=job.name or _slug(path.stem))
    if job.input.nexrad is not None:
        job = replace(job, input=replace(job.input, path=str(job.archive / job.input.nexrad.site), settle=0.0))
    check_files(job, path)
    return job


def _absolute(settings: Any, base: Path) -> Any:
    """The settings with their paths below ``base`` where they are relative."""
    return replace(settings, **dict(_changed(settings, base)))


def _changed(settings: Any, base: Path) -> Iterator[tuple[str, Any]]:
    for f in fields(settings):
        value = getattr(settings, f.name)
        if isinstance(value, Path):
            yield f.name, base / value
        elif isinstance(value, Input):
            yield f.name, replace(value, path=str(base / value.path))
        elif is_dataclass(value) and type(value).__module__ == __name__:
            yield f.name, _absolute(value, base)
        elif f.name == "mosaic" and isinstance(value, dict):
            maps = value.get("clutter")
            yield f.name, value | ({"clutter": _below(base, maps)} if isinstance(maps, dict) else {})
        elif f.name == "mosaic":
            yield f.name, replace(value, clutter=_below(base, value.clutter))
        elif f.name == "model" and value not in ("default", "none"):
            yield f.name, str(base / value)


def _below(base: Path, paths: Mapping[str, Any]) -> dict[str, Any]:
    return {name: base / path if isinstance(path, str | Path) else path for name, path in paths.items()}


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-") or "job"
