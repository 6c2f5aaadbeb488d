"""The page about doctor shows the table that the command prints."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from layer_mcp.sandbox import RunningSandbox, SandboxState, running_sandbox
from layer_mcp.sandbox.state import SandboxWorkspace

from ..support.client_home import NO_KEYRING
from ..support.doctor_home import write_client_config
from ..support.hosts import SCRIPT
from ..support.samples import ROOT, samples_of

pytestmark = pytest.mark.process

WORKSPACE = SandboxWorkspace(
    "3f0c2b1e-5d7a-4c7e-9b1d-2a6f8e4c0d19", "potion-quest", "Potion Quest", 412.5
)
API_URL = "https://api.app.layer.ai/api"


def without_versions_and_blanks(table: str) -> str:
    """Return the table without line breaks and without what differs between machines."""
    table = re.sub(r"\d+\.\d+\.\d+\w*", "<version>", "".join(table.split()))
    return re.sub(r"in\d+ms", "in<time>", table)


def run_doctor(home: Path, sandbox: RunningSandbox) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHON_KEYRING_BACKEND": NO_KEYRING,
        "LAYER_API_KEY": sandbox.token,
        "LAYER_API_URL": sandbox.api_url,
    }
    done = subprocess.run(
        [SCRIPT, "doctor"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    return done.stdout


def test_the_page_shows_what_doctor_prints(tmp_path: Path) -> None:
    write_client_config(
        tmp_path, ".cursor/mcp.json", "mcpServers", {"command": f"{tmp_path}/old/layer-mcp"}
    )
    with running_sandbox(SandboxState(workspaces=[WORKSPACE])) as sandbox:
        printed = run_doctor(tmp_path, sandbox).replace(sandbox.api_url, API_URL)
    printed = without_versions_and_blanks(printed).replace(",LAYER_API_URL", "")
    printed = printed.replace(str(tmp_path), "/home/you").replace(str(ROOT), "/home/you/layer-mcp")
    [sample] = samples_of(ROOT / "docs" / "doctor.md", "sh")
    assert sample.block.text == "layer-mcp doctor\n"
    assert printed == without_versions_and_blanks(sample.printed or "")
