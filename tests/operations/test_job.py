"""Job files: strict, told with file and line, and with no way out of the output root."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from nowcast.errors import ConfigError, OutputError
from nowcast.operations.full_job import FullJob
from nowcast.operations.job import read_job
from nowcast.operations.places import check_places, new_folders
from nowcast.operations.quantities import bytes_of, seconds_of
from nowcast.operations.templates import below, plain_name, rendered

LEAST = "input: {path: in}\noutput: {root: out}\n"


@pytest.fixture
def write(tmp_path: Path):
    def to_file(text: str) -> Path:
        path = tmp_path / "south.yaml"
        path.write_text(text)
        return path

    return to_file


def test_the_least_job_has_its_paths_beside_the_file(write, tmp_path: Path) -> None:
    job = read_job(write(LEAST))
    assert job.name == "south" and job.input.path == str(tmp_path / "in") and job.output.root == tmp_path / "out"
    assert job.status_file == tmp_path / "out" / "south.status.json" and job.limits.deadline == 240
    assert read_job(write(LEAST + "model: m.safetensors\n")).model == str(tmp_path / "m.safetensors")


def test_clutter_maps_of_a_mosaic_lie_beside_the_file_too(write, tmp_path: Path) -> None:
    path = write(LEAST + "mosaic: {clutter: {west: maps/west.nc, east: /maps/east.nc}}\n")
    expected = {"west": tmp_path / "maps" / "west.nc", "east": Path("/maps/east.nc")}
    assert read_job(path).mosaic["clutter"] == expected == read_job(path, FullJob).mosaic.clutter
    path.write_text(LEAST + "mosaic: {clutter: {west: [3]}}\n")
    assert read_job(path).mosaic
    with pytest.raises(ConfigError, match=r"mosaic\.clutter"):
        read_job(path, FullJob)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("leads: many", "south.yaml:3: leads = 'many'"),
        ("lead: 3", "south.yaml:3: unknown key 'lead': did you mean 'leads'"),
        ("limits:\n  deadline: soon", "south.yaml:4: limits.deadline = 'soon': expected a duration such as 90s"),
        ("limits: {memory: big}", "limits.memory = 'big': expected a size such as 500MB"),
        ("limits: {shares: {grid: 0.95}}", "do not rise"),
        ("members: 3\nmodel: none", "an ensemble needs a model"),
        ("site: {name: ../up}", "expected letters"),
        ("site: {lat: 1.0}", "give all three or none"),
        ("leads: 0", "south.yaml:3: job leads is 0"),
        ("limits:\n  retries: 1\n  memory: 10MB", "south.yaml:5: limits memory is 10 MB"),
        ("locked_exit: 999", "south.yaml:3: job locked_exit is 999: expected an exit code"),
        ("step_minutes: 0", "step_minutes is 0"),
        ("site: {lat: 500, lon: 0, alt: 0}", "within -90..90"),
        ("limits:", "south.yaml:3: limits is empty"),
    ],
)
def test_a_wrong_job_is_told_with_its_line(write, line: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        read_job(write(LEAST + line + "\n"))
    assert words in str(told.value)


def test_what_is_missing_is_named(write) -> None:
    with pytest.raises(ConfigError, match="input is missing"):
        read_job(write("output: {root: out}\n"))


@pytest.mark.parametrize(
    ("line", "words"),
    [("model: mine.safetensors", "model is"), ("clutter: map.nc", "clutter is"), ("", "input.path is")],
)
def test_places_that_are_not_there_are_told_by_the_check(write, line: str, words: str) -> None:
    job = read_job(write(LEAST + line + "\n"))
    with pytest.raises(ConfigError, match=f"{words} .*(is not there|is no folder)"):
        check_places(job)


@pytest.mark.parametrize("root", ["in", "in/out", "in/../in/deeper"])
def test_forecasts_are_not_written_into_the_input(write, tmp_path: Path, root: str) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(ConfigError, match=r"output\.root is .*, within the input"):
        read_job(write(f"input: {{path: 'in/KTLX*'}}\noutput: {{root: {root}}}\n"))
    check_places(read_job(write("input: {path: in}\noutput: {root: inner}\n")))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("status: south.yaml", "status is .*, which is the job file"),
        ("log: {file: ./south.yaml}", r"log\.file is .*, which is the job file"),
        ("metrics: a.txt\nstatus: a.txt", "metrics is .*, which is status"),
        ("clutter: map.nc\nmetrics: map.nc", "metrics is .*, which is clutter"),
        ("status: in/status.json", "status is .*, within the input"),
        ("status: out/.nowcast/south/lock", "status is .*, within the job's own folder"),
        (
            "site: {name: SOUTH}\nmetrics: out/SOUTH/latest/a",
            r"metrics is .*, and output\.latest is a link of that name",
        ),
    ],
)
def test_what_a_run_writes_is_nothing_that_it_reads(write, line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_job(write(LEAST + line + "\n"))
    read_job(write("input: {path: 'in/KTLX*'}\noutput: {root: out}\nstatus: in/status.json\n"))


def test_a_file_that_is_written_must_not_be_a_folder(write, tmp_path: Path) -> None:
    for folder in ("in", "logs"):
        (tmp_path / folder).mkdir()
    with pytest.raises(ConfigError, match=r"log\.file is .*, which is a folder"):
        check_places(read_job(write(LEAST + "log: {file: logs}\n")))


def test_what_cannot_be_made_is_told(write, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(ConfigError, match="status is below /proc/self, where nothing can be written"):
        check_places(read_job(write(LEAST + "status: /proc/self/none/status.json\n")))
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["in"]


def test_no_forecast_is_asked_for_that_none_can_make(write) -> None:
    for line, words in (("leads: 721", "12 hours ahead"), ("leads: 73\nstep_minutes: 10", "12 hours ahead")):
        with pytest.raises(ConfigError, match=words):
            read_job(write(LEAST + line + "\n"), FullJob)
    with pytest.raises(ConfigError, match="at most 10000"):
        read_job(write(LEAST + "members: 100000\n"), FullJob)


def test_a_check_names_the_folders_that_it_will_make(write, tmp_path: Path) -> None:
    job = read_job(write(LEAST + "metrics: typo/x.prom\nlog: {file: x.log}\n"))
    assert new_folders(job) == [tmp_path / "typo"]


def test_a_warning_is_about_a_threshold_that_is_scored(write) -> None:
    wrong = write(LEAST + "scores: {warn_dbz: 33}\n")
    with pytest.raises(ConfigError, match=r"south\.yaml:3: scores warn_dbz is 33: expected one of .*35"):
        read_job(wrong, FullJob)
    assert read_job(write(LEAST + "scores: {warn_dbz: 33, enabled: false}\n"), FullJob).scores.warn_dbz == 33


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{}", "give path: FOLDER, or nexrad: {site: KTLX}"),
        ("{path: in, nexrad: {site: KTLX}}", "both a path and a radar of nexrad"),
        ("{nexrad: {site: ../KTLX}}", "expected four capital letters such as KTLX"),
        ("{nexrad: {bucket: mine}}", "nexrad.site is ''"),
        ("{nexrad: {site: KTLX, endpoint: s3}}", "expected a URL"),
        ("{nexrad: {site: KTLX, sites: 2}}", "unknown key 'input.nexrad.sites'"),
        ("{nexrad: {site: KTLX}, marker: .ok}", "leave out marker"),
    ],
)
def test_an_input_that_cannot_be(write, given: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        read_job(write(f"input: {given}\noutput: {{root: out}}\n"))
    assert words in str(told.value)


def test_a_radar_of_the_open_archive_is_fetched_into_the_job_s_own_folder(write, tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
    example = text.split("### A NEXRAD radar", 1)[1].split("```yaml", 1)[1].split("```", 1)[0]
    job = read_job(write(example.replace("/srv/nowcast", "out")))
    assert job.input.path == str(tmp_path / "out" / ".nowcast" / "south" / "nexrad" / "KTLX") and job.input.settle == 0
    least = read_job(write("input: {nexrad: {site: KTLX}, max_age: 1200}\noutput: {root: out}"), FullJob)
    assert least.input == job.input
    assert str(job.input) == "KTLX in bucket unidata-nexrad-level2 at Amazon S3 (us-east-1)"


def test_the_settings_of_the_science_are_checked_too(write) -> None:
    path = write(LEAST + "grid:\n  spacing_m: -1\n")
    assert read_job(path).grid == {"spacing_m": -1}
    with pytest.raises(ConfigError, match=r"south\.yaml:4: grid spacing_m is -1"):
        read_job(path, FullJob)
    assert read_job(write(LEAST + "fit: {gaussians: 99}\n"), FullJob).fit.gaussians == 99  # type: ignore[attr-defined]


def test_the_example_of_the_reference_is_a_job_of_defaults(write) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
    path = write(text.split("```yaml", 1)[1].split("```", 1)[0])
    told = read_job(path)
    least = read_job(write("input: {path: /data/radar/south}\noutput: {root: /srv/nowcast}"))
    assert told.site.name == "SOUTH" and replace(told, site=least.site) == least


@pytest.mark.parametrize(
    "output",
    [
        {"folder": "../{time:%H%M}"},
        {"folder": "/tmp/{time:%H%M}"},
        {"folder": "{site}/../../{time:%H%M}"},
        {"folder": ".hidden/{time:%H%M}"},
        {"folder": "{time:../%H%M}"},
        {"folder": "{site}"},
        {"folder": "{site}/{time:%H%M%S}"},
        {"folder": "{site}/{time:%Y%m%d_%I%M}"},
        {"folder": "{site}/{time:%A_%H%M}"},
        {"folder": "{site}/{time:%m%d_%H%M}"},
        {"folder": "{time.__class__}"},
        {"folder": "{site!r}/{time:%H%M}"},
        {"folder": "{time"},
        {"folder": "{time:{site}}"},
        {"name": "../forecast"},
        {"name": "a/forecast"},
        {"latest": "../latest"},
        {"latest": "{time:%H}"},
        {"latest": "{site}"},
    ],
)
def test_output_paths_cannot_leave_the_root(write, output: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="output"):
        read_job(write(yaml.safe_dump({"input": {"path": "in"}, "output": {"root": "out", **output}})))


def test_a_name_from_a_file_cannot_climb() -> None:
    site = plain_name("../../etc/../x y")
    path = rendered("{site}/{time:%H%M}", site=site, job="job", time=datetime(2024, 1, 15, 4, 10))
    assert path.parts == ("etc_x_y", "0410")


def test_symbolic_links_out_of_the_root_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "site").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="by a symbolic link"):
        below(tmp_path / "root", "site/20240115/0410")
    assert not list((tmp_path / "elsewhere").iterdir())
    (tmp_path / "root" / "inner").mkdir()
    (tmp_path / "root" / "alias").symlink_to(tmp_path / "root" / "inner")
    assert below(tmp_path / "root", "alias/0410").parent.is_dir()


@pytest.mark.parametrize(
    ("text", "seconds"), [(90, 90), ("90s", 90), ("5min", 300), ("1h30min", 5400), ("1.5 h", 5400), ("7d", 604800)]
)
def test_durations(text: object, seconds: float) -> None:
    assert seconds_of(text) == seconds


def test_sizes_and_what_is_none() -> None:
    assert (bytes_of("500MB"), bytes_of("2GiB"), bytes_of(7)) == (500_000_000, 2 * 2**30, 7)
    for bad in ("", "5", "5 minutes", "-5min", -5, True, float("nan"), None):
        with pytest.raises(ValueError, match="expected a duration"):
            seconds_of(bad)
