"""A headless Chromium that is on this machine; tests that need it skip where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SHOTS = Path(__file__).resolve().parents[1] / "build" / "view"
# WebGL in software: a test machine has no graphics card.
OPTIONS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; skips the calling test where playwright or Chromium is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium: install one, or name it in $CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(OPTIONS))
        yield browser
        browser.close()


class Visit:
    """A page of the browser, and everything that it complained of or fetched."""

    def __init__(self, browser: Any, address: str, width: int = 1000, height: int = 640, **context: Any) -> None:
        self.page = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()
        self.complaints: list[str] = []
        self.fetched: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.fetched.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("body[data-ready]")

    def said(self, name: str) -> str | None:
        """What the page says of itself: ``frame`` or ``source``."""
        return self.page.evaluate(f"document.body.dataset.{name} ?? null")

    def pixels(self, canvas: str) -> list[int]:
        """A digest of what a canvas shows, and how many colours there are."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return self.page.evaluate(
            """(name) => {
              const source = document.querySelector(name);
              const copy = document.createElement("canvas");
              [copy.width, copy.height] = [source.width, source.height];
              copy.getContext("2d").drawImage(source, 0, 0);
              const image = copy.getContext("2d").getImageData(0, 0, copy.width, copy.height);
              const data = new Uint32Array(image.data.buffer);
              let sum = 0;
              for (const value of data) sum = (sum * 31 + value) >>> 0;
              return [sum, new Set(data).size];
            }""",
            canvas,
        )

    def shot(self, name: str) -> None:
        """Keep a picture under ``build/view``."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
