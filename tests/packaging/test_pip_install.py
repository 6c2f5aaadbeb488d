"""The README's way without make: pip installs the checkout, and the demo runs anywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.samples import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(600)]


def test_pip_installs_the_checkout_and_the_demo_runs_in_an_empty_folder(tmp_path: Path) -> None:
    programs = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, timeout=120)
    install = [programs / "python", "-m", "pip", "install", "--quiet", "."]
    subprocess.run(install, cwd=ROOT, check=True, timeout=400)
    (tmp_path / "home").mkdir()
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [programs / "layer-mcp", "demo"],
        cwd=tmp_path / "empty",
        env={"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [picture] = (tmp_path / "empty" / "layer-demo").glob("*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
