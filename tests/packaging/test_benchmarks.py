"""The benchmarks run, on a small workload, and write what they measured."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bundle.packing import ROOT

pytestmark = [pytest.mark.benchmark, pytest.mark.process, pytest.mark.timeout(600)]

# An installation needs the network, so the small workload has none.
NOT_QUICK = {"install_sizes"}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the benchmarks wrote to, with the table that they printed."""
    folder = tmp_path_factory.mktemp("benchmarks")
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "table.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def results(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_measures_every_recorded_fact_again(written: Path) -> None:
    recorded = results(ROOT / "benchmarks" / "results.json")
    measured = results(written / "results.json")
    assert recorded.keys() - NOT_QUICK <= measured.keys()
    assert measured["many_waits"]["completed_runs"] == measured["many_waits"]["waits"]
    assert measured["install_sizes"] is None


def test_each_measurement_is_a_line_of_the_table(written: Path) -> None:
    table = (written / "table.txt").read_text(encoding="utf-8")
    for measure in (
        "Start-up until tools/list",
        "get_status over stdio",
        "get_status over HTTP with a JWT",
        "get_status: functions",
        "execute_inference in memory",
        "tools/list: 10 tools",
        "20 waits: polls",
        "Batch of 5: polls",
        "4 MB upload: speed",
        "Result of 4 images: preview",
        "First call, saves 4 images",
        "Facts: image of 1024x1024",
        "Facts: 10 s of stereo",
        "Facts: GLB of 1 MB",
    ):
        assert f"\n{measure}  " in table, measure


def test_the_results_are_drawn(written: Path) -> None:
    with Image.open(written / "results.png") as picture:
        assert picture.width > 900


def test_make_bench_runs_the_benchmarks() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "bench"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "-m benchmarks" in done.stdout
