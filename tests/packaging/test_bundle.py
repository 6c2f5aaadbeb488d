"""The bundle that people install: packed, unpacked, started as Claude Desktop does, and used."""

import re
import tomllib
import zipfile
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from bundle.packing import PINNED, ROOT, find_unpinned, lock, pack, pins, stage

from ..support.claude_desktop import UserConfig, server_commands
from ..support.hosts import SMALL_IMAGE, content_of, error_code
from ..support.offline_uv import offline

pytestmark = pytest.mark.build

LEFT_ALONE: UserConfig = {"sandbox": True}


@dataclass(frozen=True)
class Desktop:
    """An installed bundle, and the home of who installed it."""

    folder: Path
    home: Path

    def server(self, user_config: UserConfig) -> StdioServerParameters:
        """The server as the host starts it: from `/`, with nothing but a bare PATH."""
        (launch,) = server_commands(self.folder, self.home, [user_config])
        return StdioServerParameters(
            command=launch.command,
            args=launch.args,
            env=offline(self.home) | launch.env,
            cwd="/",
        )


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> Desktop:
    """The bundle, unpacked where paths have spaces and letters of other alphabets."""
    scratch = tmp_path_factory.mktemp("desktop")
    folder = scratch / "Claude Extensions" / "layer é"
    with zipfile.ZipFile(pack(scratch)) as packed:
        packed.extractall(folder)
    return Desktop(folder, scratch / "home")


def test_the_bundle_has_only_the_package_and_its_launcher(desktop: Desktop) -> None:
    files = _files(desktop.folder)
    package = {f"layer_mcp/{path}" for path in _files(ROOT / "layer_mcp")}
    assert files >= package
    assert files - package == {
        "LICENSE",
        "README.md",
        "icon.png",
        "main.py",
        "manifest.json",
        "pyproject.toml",
    }


@pytest.mark.anyio
async def test_it_makes_a_picture_in_the_folder_that_the_user_chose(
    desktop: Desktop, tmp_path: Path
) -> None:
    chosen = tmp_path / "my assets; new"
    user_config: UserConfig = {**LEFT_ALONE, "output_folder": str(chosen)}
    run = await _made(desktop, user_config, SMALL_IMAGE)
    path = Path(run["outputs"][0]["path"])
    assert path.parent == chosen
    assert path.read_bytes().startswith(b"\x89PNG")
    assert _installed(desktop) <= {pin.partition(" ")[0] for pin in pins()}


@pytest.mark.anyio
async def test_only_files_below_the_folders_that_the_user_named_are_read(
    desktop: Desktop, tmp_path: Path
) -> None:
    """Several folders, one with the separator of a path variable in its name."""
    named = [tmp_path / "a:b;c", tmp_path / "my pictures"]
    for folder in [*named, tmp_path / "private"]:
        folder.mkdir()
        (folder / "potion.png").write_bytes((ROOT / "docs" / "demo.png").read_bytes())
    user_config: UserConfig = {**LEFT_ALONE, "input_folders": [str(folder) for folder in named]}
    async with Client(desktop.server(user_config)) as client:
        for folder in named:
            path = str(folder / "potion.png")
            assert content_of(await client.call_tool("upload_file", {"path": path}))["file_id"]
        path = str(tmp_path / "private" / "potion.png")
        refused = await client.call_tool("upload_file", {"path": path})
        assert error_code(refused) == "PATH_NOT_ALLOWED"


async def _made(
    desktop: Desktop, user_config: UserConfig, request: dict[str, Any]
) -> dict[str, Any]:
    """A run, from its start to its end."""
    async with Client(desktop.server(user_config)) as client:
        run = content_of(await client.call_tool("execute_inference", request))
        look = {"inference_id": run["inference_id"], "wait_seconds": 25}
        run = content_of(await client.call_tool("get_status", look))
    assert run["status"] == "complete"
    return run


def test_a_release_is_locked_to_the_files_that_are_tested(tmp_path: Path) -> None:
    stage(tmp_path / "bundle")
    lock(tmp_path / "bundle", offline(tmp_path))
    locked = (tmp_path / "bundle" / "uv.lock").read_text(encoding="utf-8")
    names = {pin.partition("==")[0] for pin in pins()}
    assert {package["name"] for package in tomllib.loads(locked)["package"]} <= {
        "layer-mcp",
        *names,
    }
    another = re.sub("sha256:[0-9a-f]{8}", "sha256:00000000", locked, count=1)
    assert len(find_unpinned(another, PINNED.read_text(encoding="utf-8"))) == 1


def _files(folder: Path) -> set[str]:
    """The files of a folder that has not been used, but for what Python keeps."""
    unused = {".venv", "__pycache__", "uv.lock"}
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {path.as_posix() for path in paths if unused.isdisjoint(path.parts)}


def _installed(desktop: Desktop) -> set[str]:
    """The versions in the environment that uv made, as they are pinned."""
    (packages,) = (desktop.folder / ".venv").glob("lib/python*/site-packages")
    found = distributions(path=[str(packages)])
    return {f"{re.sub('[-_.]+', '-', one.name).lower()}=={one.version}" for one in found}
