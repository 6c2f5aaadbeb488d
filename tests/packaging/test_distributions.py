"""Wheel and sdist: their contents, and the wheel in a separate environment."""

import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from bundle.listings import NAME
from bundle.packing import ROOT
from layer_mcp import __version__

from ..support.hosts import IMAGE_MODEL, content_of
from ..support.offline_uv import install, offline

pytestmark = pytest.mark.build

DIST_INFO = f"layer_mcp-{__version__}.dist-info"


@dataclass(frozen=True)
class Built:
    """The two files of a release."""

    wheel: Path
    sdist: Path

    def names(self) -> set[str]:
        """What the wheel installs."""
        with zipfile.ZipFile(self.wheel) as wheel:
            return set(wheel.namelist())

    def metadata(self) -> Message:
        """What a package index reads."""
        with zipfile.ZipFile(self.wheel) as wheel:
            return BytesParser().parsebytes(wheel.read(f"{DIST_INFO}/METADATA"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


def build(source: Path, target: Path) -> Built:
    """Build both, as `make dist` does."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(target)]
    subprocess.run(command, cwd=source, capture_output=True, check=True, timeout=60)
    (wheel,), (sdist,) = target.glob("*.whl"), target.glob("*.tar.gz")
    return Built(wheel, sdist)


def test_the_wheel_has_the_package_with_its_data_and_nothing_else(built: Built) -> None:
    names = built.names()
    assert {name.partition("/")[0] for name in names} == {"layer_mcp", DIST_INFO}
    assert names >= {
        "layer_mcp/py.typed",
        "layer_mcp/sandbox/clip.mp4",
        "layer_mcp/server/gallery/gallery.html",
        f"{DIST_INFO}/licenses/LICENSE",
    }
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_from_the_sdist_is_the_wheel_from_the_tree(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    again = build(source, tmp_path / "dist")
    assert again.wheel.read_bytes() == built.wheel.read_bytes()


def test_the_sdist_has_what_builds_and_tests_the_package(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names >= {
        "LICENSE",
        "Makefile",
        "README.md",
        "bundle/package-lock.json",
        "hatch_build.py",
        "manifest.json",
        "pyproject.toml",
        "requirements/run.txt",
        "server.json",
        "tests/packaging/test_distributions.py",
    }
    assert not [name for name in names if re.search(r"node_modules|\.venv|__pycache__", name)]


def test_the_package_index_page_omits_files_next_to_the_readme(built: Built) -> None:
    metadata = built.metadata()
    page = metadata.get_payload()
    assert isinstance(page, str)
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["License-Expression"] == "MIT"
    assert f"mcp-name: {NAME}" in page
    assert re.findall(r"\]\((?!https?:|#)[^)]*\)|<img", page) == []


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel and what it asks for."""
    place = tmp_path_factory.mktemp("installed")
    return install([str(built.wheel)], place / "venv", env=offline(place)).parent


def bare(home: Path) -> dict[str, str]:
    """The variables of a user who has set nothing."""
    return {"HOME": str(home), "PATH": "/usr/bin:/bin"}


def test_the_wheel_alone_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(installed / "layer-mcp"), "demo"],
        cwd=tmp_path,
        env=bare(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (picture,) = tmp_path.glob("layer-demo/*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.anyio
@pytest.mark.parametrize("command", ["layer-mcp", "python -m layer_mcp"])
async def test_the_wheel_alone_is_a_server(installed: Path, tmp_path: Path, command: str) -> None:
    program, *arguments = command.split()
    server = StdioServerParameters(
        command=str(installed / program),
        args=[*arguments, "--sandbox"],
        env=bare(tmp_path),
        cwd="/",
    )
    async with Client(server) as client:
        found = content_of(await client.call_tool("list_models", {"modality": "image"}))
    assert IMAGE_MODEL in [model["model_id"] for model in found["models"]]
