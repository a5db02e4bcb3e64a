"""The log of a run: one JSON object a line, on stderr or in a rotated file."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler

from nowcast.operations.job import Job


class JsonLines(logging.Formatter):
    """A record as a JSON line that says which job and run it belongs to."""

    def __init__(self, job: str, run: str) -> None:
        super().__init__()
        self.facts = {"job": job, "run": run}

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": when, "level": record.levelname.lower(), **self.facts, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line | getattr(record, "told", {}), default=str)


def log_to(job: Job, run: str) -> None:
    """Send nowcast's log records where the job says; stderr where the file cannot be written."""
    handler: logging.Handler = logging.StreamHandler()
    reason = ""
    if job.log.file is not None:
        try:
            job.log.file.parent.mkdir(parents=True, exist_ok=True)
            handler = RotatingFileHandler(job.log.file, maxBytes=job.log.size, backupCount=job.log.count)
        except OSError as error:
            reason = f"cannot log to {job.log.file}: {error.strerror}"
    handler.setFormatter(JsonLines(job.name, run))
    logger = logging.getLogger("nowcast")
    for old in logger.handlers:
        old.close()
    logger.handlers = [handler]
    logger.setLevel(min(logger.level or logging.INFO, logging.INFO))
    logger.propagate = False
    if reason:
        logger.warning(reason)
