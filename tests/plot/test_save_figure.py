"""Saving: format by suffix, all or nothing, the same bytes for the same picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from nowcast.errors import OutputError, UsageError
from nowcast.plot import save_figure


def drawing() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1], [0, 1])
    return figure


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")]
)
def test_format_goes_by_suffix(tmp_path: Path, suffix: str, magic: bytes) -> None:
    path = save_figure(drawing(), tmp_path / "new" / f"a{suffix}")
    assert path.read_bytes().startswith(magic)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_same_picture_has_the_same_bytes(tmp_path: Path) -> None:
    one, two = (save_figure(drawing(), tmp_path / f"{i}.png").read_bytes() for i in range(2))
    assert one == two


def test_other_suffixes_and_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
        save_figure(drawing(), tmp_path / "a.bmp")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_figure(drawing(), tmp_path / "file" / "a.png")


def test_drawing_changes_nothing_global(tmp_path: Path) -> None:
    before, backend = dict(mpl.rcParams), mpl.get_backend()
    save_figure(drawing(), tmp_path / "a.png")
    assert dict(mpl.rcParams) == before and mpl.get_backend() == backend
