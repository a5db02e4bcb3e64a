"""Settings files: strict, and an error that names the line."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from gaussian_cases import window

from nowcast.errors import ConfigError
from nowcast.models import load_checkpoint
from nowcast.pipeline.config import load_config
from nowcast.pipeline.settings import Settings
from nowcast.train import train

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@dataclass(frozen=True)
class Inner:
    sizes: tuple[int, ...] = (1, 2)
    name: str = "a"

    def __post_init__(self) -> None:
        if min(self.sizes, default=0) < 1:
            raise ConfigError(f"inner sizes {self.sizes}: expected at least 1 each")


@dataclass(frozen=True)
class Outer:
    rate: float = 0.1
    steps: int = 3
    where: Path | None = None
    quick: bool = False
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None


@pytest.fixture
def read(tmp_path):
    def from_text(text: str) -> Outer:
        (tmp_path / "c.yaml").write_text(text)
        return load_config(tmp_path / "c.yaml", Outer)

    return from_text


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("train*.yaml")), ids=lambda path: path.name)
def test_every_shipped_training_file_trains(file, tmp_path):
    """One step of the model that the file describes."""
    config = replace(load_config(file, Settings).train, epochs=1)
    report = train([window(name, seed=k, n=12, future=1) for k, name in enumerate("ab")], config, tmp_path)
    assert report.epochs == 1
    assert load_checkpoint(report.checkpoint).config == config.model


def test_the_paper_file_has_the_published_size():
    model = load_config(CONFIGS / "train-paper.yaml", Settings).train.model
    assert (model.d_model, model.pairs, model.channels) == (192, 16, 1)


def test_what_is_named_is_set_and_the_rest_default(read):
    text = "rate: 1\nwhere: a/b\nquick: true\ninner:\n  sizes: [3, 4]\nmaybe: {name: b}\n"
    assert read(text) == Outer(1.0, 3, Path("a/b"), True, Inner((3, 4)), Inner(name="b"))
    assert read("") == read("# nothing\n") == read("maybe: null\n") == Outer()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate: 1\nstep: 3\n", r"c\.yaml:2: unknown key 'step': did you mean 'steps'\?"),
        ("inner:\n  name: b\n  sises: [1]\n", r"c\.yaml:3: unknown key 'inner\.sises': did you mean 'sizes'\?"),
        ("zzz: 1\n", r"c\.yaml:1: unknown key 'zzz': known are rate, steps, where, quick, inner, maybe"),
        ("maybe:\n  nmae: b\n", r"c\.yaml:2: unknown key 'maybe\.nmae': did you mean 'name'\?"),
        ("steps: 2\nrate: 1e-3\n", r"c\.yaml:2: rate = '1e-3': .*YAML reads this as text.*1\.0e-3"),
        ("inner:\n  name: no\n", r"c\.yaml:2: inner\.name = False: .*quotes"),
        ("steps: 2.5\n", r"c\.yaml:1: steps = 2\.5: .*integer"),
        ("steps: '2'\n", r"c\.yaml:1: steps = '2': .*integer"),
        ("inner:\n  sizes:\n  - 1\n  - x\n", r"c\.yaml:4: inner\.sizes\.1 = 'x': .*integer"),
        ("steps: 1\ninner:\n  sizes: [0]\n", r"c\.yaml:3: inner sizes \(0,\): expected at least 1 each"),
        ("inner:\n  name: a\n  name: b\n", r"c\.yaml:3: key 'name' stands here twice"),
        ("- 1\n", r"c\.yaml:1: expected settings as `key: value`"),
        ("inner: 3\n", r"c\.yaml:1: expected settings as `key: value`, got 3"),
        ("a: [1\nb: 2\n", r"c\.yaml:2: not valid YAML"),
        ("rate: !!python/object:os.system {}\n", r"c\.yaml:1: not valid YAML"),
    ],
)
def test_what_does_not_fit_is_told_with_its_line(read, text, message):
    with pytest.raises(ConfigError, match=message):
        read(text)


def test_unreadable_files_are_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot read settings"):
        load_config(tmp_path / "none.yaml", Outer)
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "b.yaml", Outer)
