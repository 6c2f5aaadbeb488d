"""The entry point, and the commands serve, sandbox and demo as separate processes."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import anyio
import pytest
from mcp import Client, StdioServerParameters
from PIL import Image

from layer_mcp import __version__
from layer_mcp.cli import main as cli

from ..support.hosts import SCRIPT, child_environment

pytestmark = pytest.mark.process


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=child_environment(environment),
    )


def test_ctrl_c_while_a_command_loads_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted() -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "parser", interrupted)
    assert cli.main(["models"]) == 130


CTRL_C_AT_AN_IMPORT = """
import importlib.metadata, os, signal, sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
[script] = importlib.metadata.entry_points(group="console_scripts", name="layer-mcp")
sys.exit(script.load()())
"""


@pytest.mark.skipif(os.name == "nt", reason="Ctrl+C works differently there")
@pytest.mark.parametrize("module", ["layer_mcp.cli.main", "layer_mcp.settings"])
def test_ctrl_c_while_the_program_loads_is_silent(module: str) -> None:
    command = [sys.executable, "-c", CTRL_C_AT_AN_IMPORT, module]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_the_parser_loads_neither_the_server_nor_what_draws_at_a_terminal() -> None:
    code = (
        "import sys; from layer_mcp.cli.main import parser; parser();"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "argparse" in loaded
    assert not {"httpx", "keyring", "mcp", "PIL", "pydantic", "rich"} & set(loaded)


def test_version_is_one_line() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"layer-mcp {__version__}\n")


# The program's own help has a line for each of its commands.
@pytest.mark.parametrize(
    ("command", "most_lines"), [((), 36), (("serve",), 30), (("demo",), 30), (("sandbox",), 30)]
)
def test_help_fits_on_a_screen(command: tuple[str, ...], most_lines: int) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) <= most_lines


@pytest.mark.slow
@pytest.mark.parametrize("before", [True, False], ids=["layer-mcp", "layer-mcp serve"])
@pytest.mark.parametrize(
    ("names", "count"), [("all", 14), ("models", 3), ("default,workflows", 14)]
)
def test_toolsets_are_chosen_on_the_command_line(before: bool, names: str, count: int) -> None:
    arguments = [*([] if before else ["serve"]), "--toolsets", names]

    async def count_tools() -> int:
        async with Client(StdioServerParameters(command=SCRIPT, args=arguments)) as client:
            return len((await client.list_tools()).tools)

    assert anyio.run(count_tools) == count


def test_an_unknown_toolset_is_refused_with_the_known_ones() -> None:
    done = run("--toolsets", "generate,everything")
    assert done.returncode == 2
    assert "generate, models, files, workflows" in done.stderr


def test_python_m_runs_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "layer_mcp", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == run("--version").stdout


@pytest.mark.slow
def test_the_demo_saves_an_image_and_prints_its_path(tmp_path: Path) -> None:
    done = run("demo", "--prompt", "a golden key", "--out", str(tmp_path / "new" / "folder"))
    assert done.returncode == 0, done.stderr
    saved = re.search(r"Saved (.+\.png) \(1024x1024", done.stdout)
    assert saved is not None
    path = Path(saved[1])
    assert path.name.startswith("a-golden-key-")
    with Image.open(path) as picture:
        assert picture.size == (1024, 1024)
    assert "run is complete" in done.stdout


@pytest.mark.slow
def test_the_demo_makes_another_image_each_time_and_leaves_no_journal(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for _ in range(2):
        assert run("demo", "--out", str(tmp_path / "out"), HOME=str(home)).returncode == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
    assert not list(home.iterdir())


@pytest.mark.slow
def test_the_demo_survives_a_prompt_that_the_terminal_cannot_encode(tmp_path: Path) -> None:
    plain = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = run("demo", "--prompt", "火の薬", "--out", str(tmp_path), **plain)
    assert done.returncode == 0, done.stderr
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".json"}


@pytest.mark.slow
def test_a_refused_demo_is_exit_code_1_and_one_line(tmp_path: Path) -> None:
    done = run("demo", "--prompt", "x" * 100_001, "--out", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "prompt must have at most 100000 characters" in done.stderr


@pytest.mark.slow
def test_the_demo_never_uses_the_account(tmp_path: Path) -> None:
    done = run("demo", "--out", str(tmp_path), LAYER_API_KEY="pat_real", LAYER_WORKSPACE="w")
    assert done.returncode == 0
    assert "simulated" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_folder_that_cannot_be_created_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("demo", "--out", str(tmp_path / "file" / "folder"))
    assert done.returncode == 2
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("srve",), "invalid choice"),
        (("sandbox", "--port", "x"), "must be a number from 0 to 65535"),
        (("sandbox", "--port", "70000"), "must be a number from 0 to 65535"),
        (("sandbox", "--run-seconds", "-1"), "must be a number from 0 to 3600"),
        (("sandbox", "--run-seconds", "nan"), "must be a number from 0 to 3600"),
        (("sandbox", "--run-seconds", "long"), "must be a number from 0 to 3600"),
        (("serve", "--http", "--public-url", "mcp.example.com"), "LAYER_PUBLIC_URL must be a URL"),
        (("serve", "--http", "--payer", "me"), "LAYER_PAYER must be server or caller"),
        (("serve", "--http", "--host", "0.0.0.0"), "or add --insecure-no-auth"),
    ],
    ids=str,
)
def test_invalid_usage_is_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_an_invalid_setting_is_exit_code_2_and_one_line() -> None:
    done = run(LAYER_MAX_WAIT_SECONDS="soon")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "LAYER_MAX_WAIT_SECONDS" in done.stderr


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_sandbox_stops_on_a_signal(ending: signal.Signals) -> None:
    with subprocess.Popen(
        [SCRIPT, "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        printed = iter(process.stdout.readline, "Stop it with Ctrl+C.\n")
        assert len(list(printed)) > 10
        process.send_signal(ending)
        assert process.wait(5) == 0


@pytest.mark.parametrize("sandboxed", [(), ("--sandbox",)], ids=["account", "sandbox"])
def test_the_http_server_stops_on_sigterm_within_two_seconds(sandboxed: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [SCRIPT, "serve", "--http", "--port", "0", *sandboxed],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/mcp\n", process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        process.wait(2)


def test_a_closed_pipe_ends_a_command_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [SCRIPT, "config", "cursor", "--sandbox"],
            check=False,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert (done.stderr, done.returncode) == ("", 141)
