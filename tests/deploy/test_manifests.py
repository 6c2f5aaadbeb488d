"""The systemd unit, the Dockerfile, and the Kubernetes manifest are valid, and fit the server."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from mcp import Client

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.server.http.serve import LAST_CALLS_SECONDS
from layer_mcp.server.http.settings import HttpSettings
from layer_mcp.signals import STOP_SECONDS

from ..support.hosts import SCRIPT, SMALL_IMAGE, child_environment, content_of
from ..support.ports import free_port
from ..support.replicas import Replica
from ..support.samples import ROOT

FILES = ROOT / "docs" / "deploy"
UNIT = (FILES / "layer-mcp.service").read_text(encoding="utf-8")
DOCKERFILE = (FILES / "Dockerfile").read_text(encoding="utf-8")
KUBERNETES = FILES / "kubernetes.yaml"
INSTALLED = "/opt/layer-mcp/bin/layer-mcp"
REFUSAL = "A server that others can reach needs authentication"
BIN = Path(sys.executable).parent


def values_of(key: str) -> list[str]:
    """Return the values of a key in the unit."""
    return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)


def instruction(name: str) -> list[str]:
    """Return the words of the Dockerfile's only instruction of this name, in its JSON form."""
    [words] = re.findall(rf"^{name} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return json.loads(words)


def pod() -> dict[str, Any]:
    [deployment] = [
        one for one in yaml.safe_load_all(KUBERNETES.read_text()) if one["kind"] == "Deployment"
    ]
    return deployment["spec"]["template"]["spec"]


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=child_environment(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.build
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "layer-mcp.service"
    unit.write_text(UNIT.replace(INSTALLED, SCRIPT), encoding="utf-8")
    done = run(program, "verify", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.process
@pytest.mark.anyio
async def test_the_units_command_serves_and_ends_with_code_0(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    [command] = values_of("ExecStart")
    program, serve, http, *options = shlex.split(command.replace("10.0.0.11", "127.0.0.1"))
    assert (program, serve, http) == (INSTALLED, "serve", "--http")
    port = free_port()
    options = ["" if one == "8750" else one for one in options]
    options[options.index("")] = str(port)
    replica = Replica(port, environment, tmp_path / "log", options)
    replica.start()
    try:
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            answer = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
        assert answer["inference_id"] in sandbox.state.runs
        assert replica.stop() == 0
    finally:
        replica.kill()


def test_supervisors_wait_longer_than_the_server_takes_to_stop() -> None:
    longest = HttpSettings().drain_seconds + STOP_SECONDS + LAST_CALLS_SECONDS
    assert int(values_of("TimeoutStopSec")[0]) > longest
    assert pod()["terminationGracePeriodSeconds"] > longest


def test_the_unit_and_the_image_keep_their_state_in_the_same_folder() -> None:
    assert values_of("StateDirectory") == ["layer-mcp"]
    folder = "LAYER_STATE_DIR=/var/lib/layer-mcp"
    assert folder in values_of("Environment")
    assert f"ENV {folder}" in DOCKERFILE
    assert {"name": "LAYER_STATE_DIR", "value": "/var/lib/layer-mcp"} in pod()["containers"][0][
        "env"
    ]


@pytest.mark.build
def test_hadolint_has_nothing_to_say_about_the_dockerfile() -> None:
    done = run(str(BIN / "hadolint"), "--no-color", str(FILES / "Dockerfile"))
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.build
def test_the_image_copies_all_that_is_needed_to_build_the_package(tmp_path: Path) -> None:
    copied = re.findall(r"^COPY (?!--)(.+) (\S+)$", DOCKERFILE, re.MULTILINE)
    for names, _ in copied:
        for name in names.split():
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, tmp_path / name)
            else:
                shutil.copy(ROOT / name, tmp_path)
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.process
@pytest.mark.parametrize("place", ["image", "pod"])
def test_a_container_without_tokens_refuses_to_start(place: str, tmp_path: Path) -> None:
    """This also proves that its arguments are valid."""
    arguments = instruction("CMD") if place == "image" else pod()["containers"][0]["args"]
    done = run(SCRIPT, *arguments, HOME=str(tmp_path))
    assert done.returncode == 2
    assert REFUSAL in done.stderr


def test_the_image_starts_the_program_itself_and_not_as_root() -> None:
    assert instruction("ENTRYPOINT") == [INSTALLED]
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert pod()["securityContext"]["runAsUser"] == 10001


@pytest.mark.build
def test_the_manifest_matches_the_schemas_of_kubernetes() -> None:
    done = run(str(BIN / "kubernetes-validate"), "--strict", str(KUBERNETES))
    assert (done.returncode, done.stdout.count(" passed ")) == (0, 3), done.stderr


def test_any_replica_serves_any_client_and_two_stay() -> None:
    objects = {one["kind"]: one["spec"] for one in yaml.safe_load_all(KUBERNETES.read_text())}
    assert objects["Deployment"]["replicas"] == 3
    assert objects["Service"]["sessionAffinity"] == "None"
    assert objects["PodDisruptionBudget"]["minAvailable"] == 2


@pytest.mark.parametrize("path", sorted(FILES.iterdir()), ids=lambda path: path.name)
def test_every_setting_in_a_file_exists(path: Path) -> None:
    named = set(re.findall(r"\bLAYER_[A-Z_]+\b", path.read_text(encoding="utf-8")))
    pages = (ROOT / "docs" / name for name in ("settings.md", "teams.md"))
    known = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert {name for name in named if f"`{name}`" not in known} == set()
