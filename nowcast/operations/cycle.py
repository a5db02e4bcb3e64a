"""One scheduled run of a job, read top to bottom."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nowcast.errors import INTERRUPTED, InputError, NowcastError, OutputError
from nowcast.operations import retention
from nowcast.operations.account import Account, Outcome
from nowcast.operations.feed import Feed, wait_for_files
from nowcast.operations.job import Job, read_job
from nowcast.operations.last_look import newest_as_before, note_look
from nowcast.operations.lock import Holder, lock
from nowcast.operations.missed import missed, trying
from nowcast.operations.own_radars import OwnRadars, Radars
from nowcast.operations.publish import free_folder, keep_baseline, link_latest, publish, recover
from nowcast.operations.records import Published, Records
from nowcast.operations.refused import Refused
from nowcast.operations.status import DONE, FAILED, FALLBACK, STALE, utc_now
from nowcast.operations.telling import log_to
from nowcast.operations.templates import cycle_name
from nowcast.operations.watch import DIED, REFUSED, STUCK, Clock, WorkerLost, fetching, worker
from nowcast.operations.worker import FULL, KNOWN, SIMPLE, Plan, too_old

logger = logging.getLogger(__name__)


def run_batch(
    job_file: Path, *, once_per: float | None = None, catch_up: bool = False, history: str = ""
) -> list[Outcome]:
    """Run one cycle of a job or, with ``catch_up``, all that were missed, oldest first.

    Parameters
    ----------
    once_per
        Refuse to redo a cycle that is published, and one in the same so many seconds of volume time.

    Raises
    ------
    ConfigError
        The job file is wrong.
    Locked
        Another run of the job is at work.
    OutputError
        The output root cannot be used.
    """
    job = read_job(job_file)
    run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    with _locked(job, run) as killed:
        log_to(job, run)
        if killed is not None:
            logger.warning("process %d on %s was killed at work; the lock is taken over", killed.pid, killed.host)
        for told in recover(job):
            logger.warning(told)
        work = job.inside / "work" / run
        plan = Plan(job_file, FULL, work, {}, once_per=once_per, memory=job.limits.memory, history=history)
        refused = Refused(job.inside / "refused.json", job.limits.memory)
        times: list[str | None] = [*(missed(job, plan, refused) if catch_up else []), None]
        outcomes = []
        for at in times:
            known = Records(job).cycles() if catch_up or once_per is not None else []
            this = replace(plan, at=at, done=frozenset(known), radars=OwnRadars(job).read())
            outcomes.append(Cycle(job, this, run, refused).run())
        return outcomes


@contextmanager
def _locked(job: Job, run: str) -> Iterator[Holder | None]:
    """The job's lock; that it cannot be made is told in the log too, which may lie on another disk."""
    try:
        with lock(job.inside / "lock", utc_now()) as killed:
            yield killed
    except OutputError as error:
        log_to(job, run)
        logger.error("%s", error)
        raise


class Cycle:
    """One cycle: wait for volumes, have a worker forecast within the deadline, publish, tell, clean up."""

    def __init__(self, job: Job, plan: Plan, run: str, refused: Refused) -> None:
        self.job, self.plan, self.refused = job, plan, refused
        self.clock = Clock(job.limits)
        self.account = Account(job, run, self.clock)
        self.status = self.account.status
        self.radars: Radars = {}
        self.replaced: list[str] = []
        self.feed = Feed({}, [])
        self.made: dict[str, dict[str, Any]] = {}
        self.observed: list[str] = []
        self.published: Published | None = None
        self.site = job.site.name or job.name
        self.reading: Path | None = None
        self.left_out: Path | None = None
        self.looked, self.look_again = False, False
        self.trouble = ""

    def run(self) -> Outcome:
        """Run the cycle; whatever happens, the status says so and no work is left."""
        try:
            self._run()
        except _End as end:
            why = f"; {self.trouble}" if end.state == STALE and self.trouble else ""
            self.account.ended(end.state, end.exit_code, f"{end}{why}")
        except NowcastError as error:
            self.account.ended(FAILED, error.exit_code, str(error))
        except KeyboardInterrupt:
            self.account.ended(FAILED, INTERRUPTED, "interrupted")
            raise
        except BaseException as error:
            self.account.ended(FAILED, 1, f"a bug: {error!r}")
            raise
        finally:
            shutil.rmtree(self.plan.work, ignore_errors=True)
            outcome = self.account.close(looked=self.looked)
            self._remember(outcome)
        return outcome

    def _run(self) -> None:
        retention.require_room(self.job, self.clock.ends["wait"])
        if self.job.input.nexrad is not None and self.plan.at is None:
            self._fetch()
        self._wait_for_inputs()
        self.account.write()
        with trying(self.job, self.plan.at):
            self._forecast()
        retention.clean(self.job, self.clock.ends["scores"])

    def _forecast(self) -> None:
        """Have workers make the forecast, and publish it or what stands in for it."""
        lost, tries = self._work(FULL, until="inputs"), 0
        with self._unless_made():
            while lost and self._time_for("grid") and self._worth_another(lost, tries):
                lost, tries = self._work(FULL, until="grid"), tries + 1
        if lost and not self.published:
            with self._unless_made():
                if lost.kind != REFUSED:
                    self._hurry()
            if "fallback" not in self.made:
                raise _End(FAILED, lost.exit_code, str(lost))
            self._publish("fallback", str(lost))

    @contextmanager
    def _unless_made(self) -> Iterator[None]:
        """Another worker may find nothing to do any more; what the one before it has made is published all the same."""
        try:
            yield
        except _End:
            if "fallback" not in self.made:
                raise

    def _fetch(self) -> None:
        """Have the newest volumes of the archive fetched; where it does not answer, those that are here have to do."""
        try:
            for message in fetching(self.job, self.plan, self.clock, "wait"):
                self._hear(*message)
        except WorkerLost as lost:
            self._hear("trouble", lost.why)

    def _wait_for_inputs(self) -> None:
        """Find the complete files; ends the cycle where there are none, or none that is new."""
        try:
            found = wait_for_files(self.job.input, self.clock.ends["wait"], self.plan.radars)
        except InputError as error:
            raise _End(STALE, 3, str(error)) from error
        for told in found.unfinished(self.job.input.marker):
            self.account.warn(told)
        if found.unlooked:
            self.account.warn(f"not looked at: {found.unlooked}")
        usable = self.refused.without(found.files)
        if held := [path for path in found.files if path not in usable]:
            told = ", ".join(path.name for path in held[-3:])
            self.status.warnings.append(f"workers were lost over {len(held)} of the files, not read any more: {told}")
        self.feed = replace(found, files=usable)
        self.account.took("wait")
        if not self.feed.files:
            beside = f"; not looked at: {found.unlooked}" if found.unlooked else ""
            raise _End(STALE, 3, f"no complete file in {self.job.input.path}{beside}")
        if self.plan.done and self.plan.at is None:
            self._end_where_nothing_is_new()

    def _end_where_nothing_is_new(self) -> None:
        """Spare a run every minute the worker; an input that stays the same still grows old."""
        newest = newest_as_before(self.job, self.feed)
        if newest is None:
            return
        self.status.saw(newest)
        age, limit = self.status.input_age_seconds or 0.0, self.job.input.max_age
        if age > limit:
            raise _End(STALE, 3, too_old(newest, age, limit))
        raise _End(KNOWN, 0, f"nothing has come since {newest}")

    def _worth_another(self, lost: WorkerLost, tries: int) -> bool:
        """Whether another worker may do better: without the file that the last one was lost over, or by luck."""
        return self.left_out is not None or (lost.kind == DIED and tries < self.job.limits.retries)

    def _hurry(self) -> None:
        """Have the fallback made where there is none yet."""
        while "fallback" not in self.made and self._time_for("forecast"):
            if self._work(SIMPLE, until="forecast") and self.left_out is None:
                return

    def _time_for(self, stage: str) -> bool:
        return self.published is None and self.clock.left(stage) > 0

    def _work(self, kind: str, until: str) -> WorkerLost | None:
        """Have a worker go through the stages; returns how it was lost, None where it did all."""
        files = self.refused.without(self.feed.files)
        if not files:
            raise _End(FAILED, 1, "a worker was lost over every file of the input")
        plan = replace(self.plan, kind=kind, files=files, folders=self.feed.folders)
        self.reading = None
        try:
            with worker(plan) as running:
                for message in running.messages(self.clock, until):
                    self._hear(*message)
        except WorkerLost as lost:
            self._lose(lost)
            return lost
        return None

    def _hear(self, kind: str, *facts: Any) -> None:
        match kind, facts:
            case "end", (stage,):
                self.reading = None
                self.account.took(stage)
            case "reading", (path,):
                self.reading = Path(path)
            case "times", (times,):
                self.looked = True
                self.status.saw(cycle_name(times[-1]))
            case "radars", (radars, replaced):
                self.radars, self.replaced = radars, replaced
            case "ahead", (names,):
                # The clock may have been put back: when it is right again the same files are looked at once more.
                self.look_again = True
                self.account.warn(f"ahead of the clock and left out: {', '.join(names[-3:])} ({len(names)} in all)")
            case "cycle", (cycle, site, files):
                if cycle != self.status.cycle:  # what a worker made before it was lost is of another cycle
                    self.made, self.observed = {}, []
                self.status.cycle, self.site, self.status.input_files, self.reading = cycle, site, files, None
                self.status.saw(cycle)
                free_folder(self.job, cycle, site)  # else all that follows would be for nothing
            case "log", (text, level):
                self.account.log(level, text)
            case "trouble", (text,):
                self.trouble = f"fetching failed: {text}"
                self.account.warn(self.trouble)
            case "made", (which, answer):
                self.made[which] = answer
                self.account.took(which)
                if which == "forecast":
                    self._publish("forecast", answer["fallback_reason"])
            case "observed", (path,):
                self.observed = [path]
            case "scores", (scores,):
                self.status.scores = scores
                self.status.warnings += [scores["warning"]] if scores.get("warning") else []
            case "ended", (reason, state):
                raise _End(state, 0 if state == KNOWN else 3, reason)

    def _lose(self, lost: WorkerLost) -> None:
        """Say how the worker was lost; the file that it was reading then is left out."""
        self.account.warn(str(lost))
        self.left_out = self.reading if lost.kind in (DIED, STUCK) else None
        if self.left_out is not None:
            self.account.warn(f"{self.left_out.name} is left out: the worker was lost while reading it")
            # A slow machine makes any file look stuck: such a one is tried again by the next run.
            self.refused.add(self.left_out, self.feed.files[self.left_out], strike=lost.kind == DIED)
            self.look_again |= lost.kind == DIED

    def _publish(self, which: str, reason: str | None) -> None:
        """Publish a forecast that lies in the work folder."""
        made, cycle = self.made[which], self.status.cycle
        assert cycle is not None
        state = FALLBACK if reason else DONE
        facts = {
            "run": self.status.run,
            "state": state,
            "reason": reason,
            "method": made["method"],
            "published": utc_now(),
            "lead_minutes": made["lead_minutes"],
            "pictures": len(made["pictures"]),
            "input_files": self.status.input_files,
        }
        if self.job.scores.enabled:
            try:
                keep_baseline(self.job, cycle, Path(self.made["fallback"]["output"]))
            except OSError as error:
                self.account.warn(f"the extrapolation is not kept for scoring: {error.strerror}")
        if self.job.output.pictures and not made["pictures"]:
            self.account.warn(f"{cycle} is published without a picture")
        files = [Path(file) for file in (made["output"], *made["products"], *self.observed, *made["pictures"])]
        self.published = publish(self.job, self.plan.work, cycle, self.site, files, facts)
        self.status.outputs = self.published.paths(self.job.output.root)
        self.status.method = made["method"]
        OwnRadars(self.job).add(self.radars, self.replaced)
        try:
            link_latest(self.job, self.plan.work, self.published)
        except OutputError as error:
            self.account.warn(str(error))
        self.account.took("publish")
        self.account.ended(state, 5 if reason else 0, reason, str(self.published.facts["published"]))
        self.account.write()

    def _remember(self, outcome: Outcome) -> None:
        """Note what the input looked like, unless another look at the same may end otherwise."""
        last, newest = outcome.facts.get("last_success") or {}, self.status.newest_input
        if outcome.state in (FAILED, STALE) or newest is None or not last or self.plan.at is not None:
            return
        if not self.look_again:
            note_look(self.job, self.feed, newest, last["cycle"])


class _End(Exception):
    """The cycle ends here, and how."""

    def __init__(self, state: str, exit_code: int, reason: str) -> None:
        super().__init__(reason)
        self.state, self.exit_code = state, exit_code
