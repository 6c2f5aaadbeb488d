"""The commands of the README and the program of docs/session.md run."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client, StdioServerParameters
from PIL import Image, ImageChops, ImageStat

from layer_mcp.clients.catalog import Platform, find_client
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.server.tools import tools_of

from ..support.client_home import ClientHome
from ..support.hosts import SCRIPT, SMALL_IMAGE, content_of
from ..support.samples import ROOT, programs, without_what_differs

pytestmark = pytest.mark.process

BIN = Path(sys.executable).parent
[SESSION] = [sample for sample in programs() if sample.block.page == "docs/session.md"]
INSPECTOR = ROOT / "interop" / "node" / "inspector"
DEMO, INSTALL_HERE = "make demo", "make install"
LOGIN = ".venv/bin/layer-mcp login"
INSTALL = ".venv/bin/layer-mcp install claude-desktop"
INSPECT = (
    'npx @modelcontextprotocol/inspector@2.12 --cli "$PWD/.venv/bin/layer-mcp" --sandbox '
    "--method tools/list"
)
INSPECT_TASK = (
    'npx @modelcontextprotocol/inspector@2.12 --cli "$PWD/.venv/bin/layer-mcp" --sandbox '
    "--protocol-era modern --method tools/call --tool-name execute_inference "
    "--tool-arg model_id=00000000-0000-4000-8000-000000000001 "
    '--tool-arg "prompt=a red potion" --tool-arg batch_size=1'
)
DOCTOR = ".venv/bin/layer-mcp doctor"
SERVE = "layer-mcp serve --http --port 8750"
SANDBOX = "layer-mcp sandbox --port 8751"
# What the tests below run of the README and of the pages.
RUN_HERE = (DEMO, INSTALL_HERE, LOGIN, INSTALL, INSPECT, INSPECT_TASK, SERVE, SANDBOX)


def shell(command: str, cwd: Path = ROOT, **environment: str) -> str:
    # A make that runs in a test is not part of the make that runs the tests.
    outer = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        command,
        shell=True,
        cwd=cwd,
        env=outer | environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running(command: str, port: int) -> Generator[None]:
    """The command's server, once it listens; nobody else may have the port."""
    assert not listens(port), f"port {port} is taken"
    process = subprocess.Popen(
        [str(BIN / word) if word == "layer-mcp" else word for word in shlex.split(command)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 20
        while not listens(port) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=5)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@pytest.mark.slow
def test_make_demo_saves_a_picture() -> None:
    saved = re.search(r"Saved (layer-demo/\S+\.png)", shell(DEMO))
    assert saved is not None
    assert (ROOT / saved[1]).exists()


def test_make_install_prints_the_absolute_path_of_the_program() -> None:
    path = shell(INSTALL_HERE).strip().rpartition(" ")[2]
    assert Path(path).is_absolute()
    assert Path(path).exists()


@pytest.mark.slow
def test_the_inspector_lists_the_tools() -> None:
    # npx takes the inspector that is installed next to its lock file.
    assert (INSPECTOR / "node_modules").exists(), "run make setup, which installs the inspector"
    command = INSPECT.replace("$PWD", str(ROOT))
    listed = json.loads(shell(command, INSPECTOR, PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}"))
    assert [tool["name"] for tool in listed["tools"]] == [tool.name for tool in tools_of()]


@pytest.mark.slow
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_the_schemas_portable_and_makes_a_picture(
    era: str, tmp_path: Path
) -> None:
    server = f"npx @modelcontextprotocol/inspector@2.12 --cli {SCRIPT} --sandbox"
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    shell(f"{server} --protocol-era {era} --method tools/list --strict", INSPECTOR, PATH=path)
    call = " ".join(f"--tool-arg {name}={value!r}" for name, value in SMALL_IMAGE.items())
    answer = shell(
        f"{server} --protocol-era {era} --method tools/call --tool-name execute_inference "
        f"{call} --tool-arg wait_seconds=20",
        INSPECTOR,
        PATH=path,
        HOME=str(tmp_path),
    )
    assert json.loads(answer)["structuredContent"]["status"] == "complete"


@pytest.mark.slow
def test_the_inspector_drives_a_task_to_its_picture(tmp_path: Path) -> None:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    command = INSPECT_TASK.replace("$PWD", str(ROOT))
    answer = json.loads(shell(command, INSPECTOR, PATH=path, HOME=str(tmp_path)))
    assert answer["structuredContent"]["status"] == "complete"
    assert "image" in [block["type"] for block in answer["content"]]


def test_the_http_server_answers_at_the_address_in_the_readme() -> None:
    async def count_tools() -> int:
        async with Client("http://127.0.0.1:8750/mcp") as client:
            return len((await client.list_tools()).tools)

    with running(SERVE, 8750):
        assert anyio.run(count_tools) == len(tools_of())


def test_the_sandbox_answers_at_the_address_in_the_readme() -> None:
    with running(SANDBOX, 8751):
        answer = httpx.get("http://127.0.0.1:8751/api/v1/workspaces", trust_env=False)
    assert answer.json()["status"] == 401


@pytest.fixture(scope="module")
def session_printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the session prints, with the small picture of its last answer in a file."""
    picture = tmp_path_factory.mktemp("session") / "session.jpg"
    keep = (
        "for block in (one for one in result.content if one.type == 'image'):\n"
        f"                open({str(picture)!r}, 'wb').write(b64decode(block.data))\n"
        "            if result.is_error:"
    )
    sample = "from base64 import b64decode\n" + SESSION.block.text.replace(
        "if result.is_error:", keep
    )
    printed = subprocess.run(
        [".venv/bin/python", "-c", sample],
        cwd=ROOT,
        env=os.environ | {"HOME": str(picture.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    return f"{picture}\n{printed}"


def test_the_session_prints_what_its_page_shows(session_printed: str) -> None:
    printed = session_printed.partition("\n")[2]
    assert without_what_differs(printed) == without_what_differs(SESSION.printed or "")


def test_the_session_makes_the_pictures_that_its_page_shows(session_printed: str) -> None:
    with (
        Image.open(session_printed.partition("\n")[0]) as made,
        Image.open(ROOT / "docs" / "session.jpg") as shown,
    ):
        difference = ImageStat.Stat(ImageChops.difference(made, shown)).mean
    assert max(difference) < 2


def test_the_session_saves_four_pictures_and_their_record(session_printed: str) -> None:
    [first] = re.findall(r": (/\S+)-1\.png$", session_printed, re.MULTILINE)
    folder, stem = Path(first).parent, Path(first).name
    saved = {path.name.removeprefix(stem) for path in folder.glob(f"{stem}*")}
    assert saved == {"-1.png", "-2.png", "-3.png", "-4.png", ".json"}


def test_after_login_and_install_a_client_starts_the_server_with_a_minimal_path(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    token = environment.pop("LAYER_API_KEY")
    home = ClientHome(tmp_path, tmp_path / "keyring.json", {"LAYER_API_URL": sandbox.api_url})
    shell(f"echo {token} | {LOGIN}", ROOT, **home.environment())
    shell(INSTALL, ROOT, **home.environment())
    client = find_client("claude-desktop")
    written = json.loads(client.file(Platform("linux", tmp_path, {})).read_text())
    entry: dict[str, Any] = written["mcpServers"]["layer"]
    child = StdioServerParameters(
        command=entry["command"],
        args=entry["args"],
        env=home.environment() | environment | {"PATH": "/usr/bin:/bin"} | entry["env"],
        cwd="/",
    )

    async def host() -> dict[str, Any]:
        async with Client(child, mode="legacy") as client:
            return content_of(await client.call_tool("execute_inference", SMALL_IMAGE))

    assert anyio.run(host)["inference_id"] in sandbox.state.runs


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [re.split(r"[\[<>=]", line)[0] for line in project["dependencies"]]
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    reasons = page.partition("| dependency | why |")[2]
    listed = [
        name for row in re.findall(r"^\| (`.+?) \|", reasons, re.M) for name in row.split(", ")
    ]
    assert sorted(listed) == sorted(f"`{name}`" for name in declared)
