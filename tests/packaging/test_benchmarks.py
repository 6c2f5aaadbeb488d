"""The benchmarks run, on a small workload, and write what they measured."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.paying_cost import PayingCost, paying_rows
from benchmarks.replicas import replicas_rows
from benchmarks.report import table
from bundle.packing import ROOT

from ..support.postgres_server import find_programs

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
    printed = (written / "table.txt").read_text(encoding="utf-8")
    for measure in (
        "Start-up until tools/list",
        "get_status over stdio",
        "get_status over HTTP with a JWT",
        "get_status: functions",
        "get_status over HTTP: 2 servers to 1",
        "Paid calls: 3 servers on PostgreSQL",
        "execute_inference in memory",
        "Paid call: journal on PostgreSQL",
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
        assert f"\n{measure}  " in printed, measure
    assert " waits over HTTP: memory  " in printed
    # Only what needs PostgreSQL may be missing.
    assert ("  skipped  " in printed) == (find_programs() is None)


def test_without_postgresql_what_needs_it_is_skipped_by_name() -> None:
    cost = PayingCost(
        calls=1,
        median_ms=2.0,
        old_journal_median_ms=2.0,
        postgres_median_ms=None,
        ungated_median_ms=1.0,
        earlier_runs=1,
        disk_sync_median_ms=1.0,
    )
    printed = table([*paying_rows(cost), *replicas_rows(None)])
    skipped = [line.split("  ")[0] for line in printed.splitlines() if "skipped" in line]
    assert skipped == [
        "Paid call: journal on PostgreSQL",
        "get_status over HTTP: 2 servers to 1",
        "Paid calls: 3 servers on PostgreSQL",
    ]


def test_the_results_are_drawn(written: Path) -> None:
    with Image.open(written / "results.png") as picture:
        assert picture.width > 900


def test_make_bench_runs_the_benchmarks() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "bench"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "-m benchmarks" in done.stdout
