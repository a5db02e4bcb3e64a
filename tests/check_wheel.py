"""Check that the newest wheel in a folder holds exactly our two packages; run by ``make wheel``."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

EXPECTED = {"nowcast", "nowcast_kernels"}


def main(folder: str) -> None:
    wheel = max(Path(folder).glob("*.whl"), key=lambda p: p.stat().st_mtime)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    if top != EXPECTED:
        sys.exit(f"{wheel.name} holds {sorted(top)}, expected {sorted(EXPECTED)}")
    for needed in (
        "nowcast/py.typed",
        "nowcast/cli/__init__.py",
        "nowcast/weights/default.safetensors",
        "nowcast/view/page.html",
        "nowcast/view/app.js",
        "nowcast_kernels/voxelize/__init__.py",
    ):
        if needed not in names:
            sys.exit(f"{wheel.name} lacks {needed}")
    print(f"{wheel.name}: {len(names)} files, packages {sorted(top)}")


if __name__ == "__main__":
    main(sys.argv[1])
