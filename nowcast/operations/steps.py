"""The stages of a cycle in the worker process."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np

from nowcast import units
from nowcast.errors import InputError, OutputError
from nowcast.io.volumes import write_volumes
from nowcast.operations.full_job import FullJob
from nowcast.operations.job import read_job
from nowcast.operations.own_radars import OwnRadar, OwnRadars, Radars
from nowcast.operations.publish import OBSERVED
from nowcast.operations.quantities import duration_text
from nowcast.operations.records import Records
from nowcast.operations.snapshot import Snapshot, by_radar, is_ahead, latest_believed, same_radar, stretches, take
from nowcast.operations.status import epoch_seconds
from nowcast.operations.templates import plain_name
from nowcast.operations.volume_store import VolumeStore
from nowcast.operations.worker import FALLBACK_REASON, INPUTS, KNOWN, SIMPLE, SURVEY, Ended, Plan, Reporter, too_old
from nowcast.pipeline.archive import Entry
from nowcast.pipeline.forecast import ForecastRequest, run_forecast, since_last_gap
from nowcast.pipeline.inputs import load_sequence
from nowcast.pipeline.radars import mosaic_steps, mosaic_times
from nowcast.pipeline.warm_start import is_state, settings_stamp
from nowcast.radar import Site
from nowcast.radar.clutter import NoClutterMap
from nowcast.radar.mosaic import MosaicConfig
from nowcast.types import VolumeSequence
from nowcast.units import iso_utc
from nowcast.weights import checkpoint

logger = logging.getLogger(__name__)

SPARE_VOLUMES = 12
"""Kept of each radar beyond those that a forecast starts from: what is dry is judged by the half hour before it."""
MOST_TOLD = 3
"""Damaged files of a radar that are named, the newest."""
LIKELY_STEP_MINUTES, LONGEST_STEP_MINUTES = 5.0, 15.0
"""Of lead times where a single volume, after a gap, has no step of its own; and what may be taken for a step at all."""


class Steps:
    """What is to be done, in order; each step leaves for the next what it needs."""

    volumes: VolumeSequence

    def __init__(self, plan: Plan, reporter: Reporter) -> None:
        self.plan, self.reporter = plan, reporter
        self.job = job = read_job(plan.job_file, FullJob)
        self.inputs = plan.work / INPUTS
        self.radar = job.site.name
        self.radars: Radars = {}
        self.gone: Radars = {}
        self.replaced: list[str] = []
        self.usual_step_minutes = LIKELY_STEP_MINUTES
        self.at: np.datetime64 | None = None if plan.at is None else np.datetime64(plan.at, "ns")

    def survey(self) -> None:
        """Find out which volumes there are; raises Ended when there is nothing to do."""
        found = self._snapshots()
        several = "" not in found
        believed = self._believed([entry for one in found.values() for entry in one.entries])
        times = sorted({e.time for e in believed if self.at is None or e.time <= self.at})
        if not times:
            raise Ended("stale", self._nothing(found))
        for one in found.values():
            _tell_damaged(one.newly_damaged(self.plan.files, times[-1]))
        self.radars = {name: one.radar for name, one in found.items() if one.radar is not None}
        lacking = self.plan.radars.keys() - self.radars.keys() - set(self.replaced)
        self.gone = {name: self.plan.radars[name] for name in sorted(lacking)}
        self.reporter.tell("radars", self.radars, self.replaced)
        told = "" if several else plain_name(believed[-1].radar)
        self.radar = self.job.site.name or told or self.job.name
        times = self._mosaic_times(times) if several else times
        self.reporter.tell("times", [str(t) for t in times])
        likely = self.job.mosaic.step_minutes if several else LIKELY_STEP_MINUTES
        steps = units.minutes(np.diff(times)) if len(times) > 1 else np.array([likely])
        if np.median(steps) <= LONGEST_STEP_MINUTES:
            self.usual_step_minutes = max(round(2 * float(np.median(steps))), 1) / 2
        if self.plan.kind != SURVEY:
            self._check(times[-1])
            self.at = times[-1]

    def _snapshots(self) -> dict[str, Snapshot]:
        """The newest volumes of each radar, by its folder."""
        back = self.job.limits.catch_up if self.plan.kind == SURVEY else None
        folders, known = by_radar(self.plan.files, self.plan.folders, self.plan.radars), self.plan.radars
        shutil.rmtree(self.inputs, ignore_errors=True)
        found = {}
        for name, files in folders.items():
            newest_first = stretches(files, self.at, self.job.input.ahead, back)
            wanted = OwnRadar("") if name else self._wanted()
            found[name] = take(newest_first, self.inputs / name, wanted, known.get(name), self._reading)
        for name in sorted(found.keys() - known.keys()):
            double = same_radar(found[name].radar, known)
            if double is None or double not in found:
                continue
            if found[double].entries:
                told = (
                    "the folder %s is left out: it holds volumes of the radar of %s; empty that one if this is to go on"
                )
                logger.warning(told, name, double)
                left_out = name
            else:
                logger.warning("the radar of %s comes in %s now, under that name", double, name)
                left_out = double
                self.replaced.append(double)
            del found[left_out]
            shutil.rmtree(self.inputs / left_out)
        return found

    def _believed(self, entries: list[Entry]) -> list[Entry]:
        """The volumes by time, without those whose time is later than can be believed; tells of these."""
        files, ahead = self.plan.files, self.job.input.ahead
        source = {entry.path: entry.path.readlink() for entry in entries}
        believed = [e for e in entries if e.time <= latest_believed(files[source[e.path]], ahead)]
        early = {path.name for path in files if is_ahead(path, files[path], ahead)}
        early |= {source[e.path].name for e in entries if e not in believed}
        if early:
            self.reporter.tell("ahead", sorted(early))
        return sorted(believed, key=lambda entry: entry.time)

    def load(self) -> None:
        """Read and grid the newest volumes that can be used; raises Ended when their forecast has been made."""
        # In a hurry two volumes have to do: they tell the motion.
        frames = min(self.job.input.frames, 2) if self.plan.kind == SIMPLE else self.job.input.frames
        store = VolumeStore(self.job.gridded, self._stamp(), self._reading)
        try:
            volumes = load_sequence(
                self.inputs,
                at=self.at,
                frames=frames,
                grid=self.job.grid,
                quality=self.job.quality,
                site=self._site(),
                clutter=self.job.clutter,
                cache=store,
                partial_volumes=self.job.input.partial,
                mosaic=self._mosaic(),
            )
        except NoClutterMap:
            raise  # which is no late feed
        except InputError as error:
            raise Ended("stale", str(error)) from error
        self.volumes = since_last_gap(volumes, np.timedelta64(round(60 * self.usual_step_minutes), "s"))
        store.clean((self.job.input.frames + SPARE_VOLUMES) * max(len(self.radars), 1))
        newest = self.volumes.times[-1]
        self.reporter.tell("cycle", iso_utc(newest), self.radar, list(self.volumes.sources))
        self._check(newest)
        self._keep_observed()

    def make_fallback(self) -> None:
        """Before anything that may fail: the Lagrangian extrapolation, ready to be published."""
        request = replace(self._request(), model=None, members=1, fallback=FALLBACK_REASON)
        run = run_forecast(request, self._file("fallback"), history=self.plan.history, volumes=self.volumes)
        self.reporter.tell("made", "fallback", run.answer())

    def _keep_observed(self) -> None:
        """Put aside what the forecast starts from; it comes out without where that fails."""
        if not self.job.output.observed:
            return
        file = self._file("observed").with_suffix(OBSERVED)
        try:
            write_volumes(self.volumes, file, history=self.plan.history)
        except OutputError as error:
            logger.warning("the observed volumes are not published: %s", error)
        else:
            self.reporter.tell("observed", str(file))

    def make_forecast(self) -> None:
        """The forecast that the job asks for, or the next simpler one where the model or the fit fails."""
        run = run_forecast(
            self._request(),
            self._file("forecast"),
            history=self.plan.history,
            pictures=self.job.output.pictures,
            volumes=self.volumes,
        )
        self.reporter.tell("made", "forecast", run.answer())

    def score(self) -> None:
        """Score the forecasts whose valid times have arrived."""
        if not self.job.scores.enabled:
            return
        from nowcast.operations.scores import score_arrived

        self.reporter.tell("scores", score_arrived(self.job, self.volumes))

    def _request(self) -> ForecastRequest:
        job = self.job
        step = job.step_minutes
        if step is None and len(self.volumes) == 1:
            step = self.usual_step_minutes
        minutes = int(self.volumes.times[-1].astype("datetime64[m]").astype(np.int64))
        return ForecastRequest(
            source=self.inputs,
            fit=job.fit,
            frames=job.input.frames,
            leads=job.leads,
            step_minutes=step,
            model=checkpoint(job.model),
            members=job.members,
            seed=job.seed + minutes,
            grid=job.grid,
            quality=job.quality,
            site=self._site(),
            clutter=job.clutter,
            mosaic=job.mosaic,
            products=job.products,
            state=self._state() if job.model == "none" else None,
        )

    def _state(self) -> Path:
        """The job's own state; whatever else lies in its place is removed."""
        path = self.job.inside / "state.nc"
        if path.exists() and not is_state(path):
            logger.warning("%s is no state and is removed: the fit starts from nothing", path)
            path.unlink()
        return path

    def _file(self, name: str) -> Path:
        return self.plan.work / name / "forecast.nc"

    def _site(self) -> Site | None:
        site = self.job.site
        if site.lat is None or site.lon is None or site.alt is None:
            return None
        return Site(site.lat, site.lon, site.alt)

    def _mosaic_times(self, times: list[np.datetime64]) -> list[np.datetime64]:
        """Times of mosaics; a step of which one is published lacks none, unless it is the newest."""
        config = self.job.mosaic
        found = mosaic_times(times, config)
        records, earliest = Records(self.job), iso_utc(min(times) - config.step)
        published = [one.cycle.removesuffix("Z") for one in records.complete(earliest) if one.cycle in self.plan.done]
        done = mosaic_steps(np.array(published, "datetime64[ns]"), config)
        lacking = ~np.isin(mosaic_steps(found, config), done)
        lacking[-1] = True
        return list(found[lacking if self.plan.kind == SURVEY else slice(None)])

    def _wanted(self) -> OwnRadar:
        """The one radar as the job file names it."""
        site = self._site()
        return OwnRadar(self.job.site.name, site=None if site is None else astuple(site))

    def _mosaic(self) -> MosaicConfig:
        """The settings, with the places of radars that are gone: the grid spans them as it did."""
        sites = {name: radar.site for name, radar in self.gone.items() if radar.site is not None}
        return replace(self.job.mosaic, sites=sites | self.job.mosaic.sites)

    def _nothing(self, found: Mapping[str, Snapshot]) -> str:
        """Why there is no volume."""
        source, count = self.job.input.path, len(self.plan.files)
        others = sorted({radar for one in found.values() for radar in one.others})
        if others:
            own = ", ".join(repr(radar.name) for radar in self.plan.radars.values()) or repr(self.job.site.name)
            remedy = "give the job another site.name if its radar is another now"
            if self.plan.radars:
                remedy = f"if the job's radar is another now, remove {OwnRadars(self.job).path}"
            return f"no volume of radar {own} among the {count} files of {source}, but of {', '.join(others)}; {remedy}"
        first = next((f"; the first: {reason}" for one in found.values() for reason in one.damaged.values()), "")
        return f"no volume among the {count} files of {source}{first}"

    def _stamp(self) -> str:
        job = self.job
        return settings_stamp(
            job.fit, grid=job.grid, quality=job.quality, site=self._site(), mosaic=job.mosaic, clutter=job.clutter
        )

    def _reading(self, path: Path) -> None:
        self.reporter.tell("reading", str(path.readlink() if path.is_symlink() else path))

    def _check(self, newest: np.datetime64) -> None:
        """Raise Ended where the forecast from this volume has been made, or would come too late to be one."""
        cycle = iso_utc(newest)
        age = time.time() - epoch_seconds(cycle)
        limit = self.job.input.max_age
        if self.plan.at is None and age > limit:
            raise Ended("stale", too_old(cycle, age, limit))
        records = Records(self.job)
        if cycle in self.plan.done and records.holds(cycle):
            raise Ended(KNOWN, f"the forecast from {cycle} has been published")
        if period := self.plan.once_per:
            slot = epoch_seconds(cycle) // period
            for same in (done for done in self.plan.done if epoch_seconds(done) // period == slot):
                if records.holds(same):
                    told = f"the forecast from {same} has been published, of the same {duration_text(period)}"
                    raise Ended(KNOWN, f"{told} as {cycle}")


def _tell_damaged(reasons: list[str]) -> None:
    for reason in reasons[-MOST_TOLD:]:
        logger.warning("left out: %s", reason)
    if len(reasons) > MOST_TOLD:
        logger.warning("left out: %d more damaged files before these", len(reasons) - MOST_TOLD)
