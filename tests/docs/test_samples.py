"""The samples of the README and the pages run, and print what is shown below them."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from interop.clients import CLIENTS
from interop.page_samples import page_samples

from ..support.samples import (
    PAGES,
    ROOT,
    Block,
    Sample,
    all_blocks,
    blocks_of,
    commands_of,
    programs,
    samples_of,
    without_what_differs,
)
from .test_readme import RUN_HERE

BIN = Path(sys.executable).parent
DOCTOR = ".venv/bin/layer-mcp doctor"
RUN_BY_CI = ".ci/run runs it"
SERVE_A_TEAM = (
    "layer-mcp serve --http --host 10.0.0.11 --public-url https://mcp.example.com "
    "--tokens-file tokens.toml --trust-proxy"
)
# Commands that other tests run.
ELSEWHERE = {
    **dict.fromkeys(RUN_HERE, "tests/docs/test_readme.py runs it"),
    DOCTOR: "tests/docs/test_doctor_page.py runs it",
    "make bundle": "tests/packaging/test_bundle.py packs one and installs it",
    "git clone REPOSITORY layer-mcp": "whoever runs the tests has one",
    "cd layer-mcp": "the tests run there",
    "python -m pip install .": "tests/packaging/test_pip_install.py runs it",
    "layer-mcp demo": "tests/packaging/test_pip_install.py runs it",
    "make docs": "tests/docs/test_site.py does what it does",
    "make bench": "tests/packaging/test_benchmarks.py runs it with few samples",
    "make setup": RUN_BY_CI,
    "make test": RUN_BY_CI,
    "make lint types": RUN_BY_CI,
    ".venv/bin/python -m pytest tests/api/test_client.py": "make test runs that file",
    '.venv/bin/python -m pytest -n 4 -m "not process and not rest"': "make test runs these tests",
    "make interop": RUN_BY_CI,
    "make conformance": RUN_BY_CI,
    "make load": "tests/load/test_load.py runs it with few agents",
    SERVE_A_TEAM: "tests/deploy/test_teams_page.py runs it",
}
# The pages whose commands have an account, and whose transcripts are what a person sees.
FOR_PEOPLE = ("terminal.md", "usable.md")
READERS = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
# This program is run by tests/docs/test_readme.py, which looks at its pictures too.
PROGRAMS = [sample for sample in programs() if sample.block.page != "docs/session.md"]
NOT_RUN = [block for block in all_blocks("python") if block.why_not is not None]
KNOWN = {"sh", "python", "text", "js", *READERS}


def is_elsewhere(command: str) -> bool:
    return command in ELSEWHERE or f".venv/bin/{command}" in ELSEWHERE


def walked() -> list[Path]:
    """Return the pages whose commands are run in order."""
    return [
        page
        for page in PAGES
        if any(
            not is_elsewhere(command)
            for block in blocks_of(page)
            if block.language == "sh"
            for command in commands_of(block)
        )
    ]


@pytest.fixture
def home(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An empty home folder without settings, and the program as `layer-mcp`."""
    folder = tmp_path / "home"
    folder.mkdir()
    return {
        "HOME": str(folder),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "COLUMNS": "80",
    }


@pytest.fixture
def settings(home: dict[str, str], environment: dict[str, str]) -> dict[str, str]:
    """The home folder, with settings for an account in a sandbox."""
    return home | environment


def printed_by(
    command: list[str] | str, settings: dict[str, str], cwd: Path, *, with_stderr: bool = False
) -> str:
    done = subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=cwd,
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if with_stderr else subprocess.PIPE,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("block", all_blocks(), ids=str)
def test_every_block_has_a_checked_language(block: Block) -> None:
    assert block.language in KNOWN
    if block.language in READERS:
        READERS[block.language](block.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_found(page: Path) -> None:
    """An indented block, or one with another fence, would not be tested."""
    fences = re.findall(r"^.*(?:```|~~~).*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert [line for line in fences if not re.fullmatch(r"```(\w*|\{\w+\}.*)", line)] == []
    assert len(fences) % 2 == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_transcript_follows_its_command(page: Path) -> None:
    compared = [block for block in blocks_of(page) if block.language == "text"]
    owned = [
        sample.printed
        for language in ("sh", "python")
        for sample in samples_of(page, language)
        if sample.printed is not None
    ]
    assert sorted(block.text for block in compared if block.why_not is None) == sorted(owned)


def test_ci_runs_the_commands_that_are_left_to_it() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    run = {
        word for line in re.findall(r"^make (.+)$", script, re.MULTILINE) for word in line.split()
    }
    left = [one.split()[1:] for one, why in ELSEWHERE.items() if why == RUN_BY_CI]
    assert len(left) > 4
    assert [targets for targets in left if not run.issuperset(targets)] == []


def test_every_command_that_is_run_elsewhere_is_on_a_page() -> None:
    commands = {line for block in all_blocks("sh") for line in commands_of(block)}
    assert [one for one in ELSEWHERE if one not in commands] == []


@pytest.mark.slow
@pytest.mark.parametrize("sample", PROGRAMS, ids=lambda sample: str(sample.block))
def test_a_program_prints_the_shown_output(sample: Sample, settings: dict[str, str]) -> None:
    program = sample.block.text
    if "\ndef test_" in program:
        file = Path(settings["HOME"]) / "test_sample.py"
        file.write_text(program, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
        settings["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        assert "1 passed" in printed_by(command, settings, file.parent)
        return
    printed = printed_by([sys.executable, "-W", "error", "-c", program], settings, ROOT)
    assert sample.printed is not None, printed
    assert without_what_differs(printed) == without_what_differs(sample.printed)


@pytest.mark.parametrize("block", NOT_RUN, ids=str)
def test_a_program_for_a_framework_is_run_by_interop(block: Block) -> None:
    """Its packages are not here; `make interop` has them."""
    compile(block.text, str(block), "exec")
    assert block.text in page_samples().values()


def test_a_javascript_sample_is_run_by_interop() -> None:
    assert {block.text for block in all_blocks("js")} <= set(page_samples().values())


def test_every_framework_with_a_sample_is_one_of_the_clients() -> None:
    assert page_samples().keys() <= {client.folder for client in CLIENTS}


@pytest.mark.slow
@pytest.mark.parametrize("page", walked(), ids=lambda page: page.name)
def test_a_pages_commands_print_the_shown_output(
    page: Path, home: dict[str, str], settings: dict[str, str]
) -> None:
    """Run the commands in order, in one home and one folder."""
    for_people = page.name in FOR_PEOPLE
    chosen = settings if for_people else home
    here = Path(home["HOME"]) / "game"
    here.mkdir()
    for sample in samples_of(page, "sh"):
        lines = [line for line in commands_of(sample.block) if not is_elsewhere(line)]
        commands = [line.removeprefix(".venv/bin/") for line in lines]
        printed = "".join(
            printed_by(command, chosen, here, with_stderr=for_people) for command in commands
        )
        if commands and sample.printed is not None:
            shown = printed.replace(home["HOME"], "/home/you").replace(
                str(ROOT), "/home/you/layer-mcp"
            )
            assert without_what_differs(shown) == without_what_differs(sample.printed)
