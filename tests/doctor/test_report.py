"""The table that doctor prints: its width, its marks, and its colors."""

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from rich.cells import cell_len

from layer_mcp.doctor.report import ASCII_MARKS
from layer_mcp.doctor.types import CheckResult

from ..support.doctor_home import WIDTH, DoctorHome, printed_lines
from ..support.hosts import SCRIPT


@pytest.mark.parametrize(
    "text",
    ["工房の薬 " * 20, "x" * 300, "薬" * 100, "a\x1b[31mb\u202ec\nd " * 20, "[red]" * 30, ""],
    ids=["wide words", "one long word", "one wide word", "controls", "markup", "nothing"],
)
def test_text_from_outside_fits_its_lines_and_cannot_control_a_terminal(text: str) -> None:
    lines = printed_lines(CheckResult("a", "A", "failed", text, text or None))
    assert max(map(cell_len, lines)) <= WIDTH
    assert all(line.isprintable() for line in lines)


def test_wrapping_loses_no_text() -> None:
    text = "/home/anna/a very long folder/" + "x" * 200 + " and an [end]"
    shown = "".join(printed_lines(CheckResult("a", "A", "failed", text)))
    assert "".join(shown.split()) == "✗A" + "".join(text.split())


def test_a_fix_is_below_its_fact() -> None:
    assert printed_lines(CheckResult("a", "A", "warning", "b", "c"), "ascii") == [
        "! A                b",
        "                   Fix: c",
    ]


def test_in_a_narrow_terminal_the_fact_is_below_its_title() -> None:
    result = CheckResult("a", "Packages", "warning", "12345678 " * 6, "upgrade")
    assert printed_lines(result, columns=40) == [
        "! Packages",
        "  12345678 12345678 12345678 12345678",
        "  12345678 12345678",
        "  Fix: upgrade",
    ]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(
    ("environment", "is_colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)
def test_only_a_terminal_that_supports_colors_gets_them(
    environment: dict[str, str], is_colored: bool, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    settings = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm", **environment}
    with subprocess.Popen(
        [SCRIPT, "doctor", "--sandbox"], stdout=theirs, stderr=theirs, env=settings
    ) as process:
        os.close(theirs)
        shown = b""
        # Linux raises an error when the other side is closed.
        with suppress(OSError):
            while chunk := os.read(ours, 65536):
                shown += chunk
        os.close(ours)
    assert process.returncode == 0
    assert (b"\x1b[32m" in shown) == is_colored


@pytest.mark.slow
@pytest.mark.process
def test_a_terminal_that_cannot_encode_the_marks_gets_ascii_marks(tmp_path: Path) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    table = DoctorHome(tmp_path).table("--sandbox", **ascii_only)
    assert table.startswith(f"{ASCII_MARKS['ok']} Python")


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_without_stdout_the_exit_code_is_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec '{SCRIPT}' doctor --sandbox >&-"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
# The package check reports when one of these is missing.
@pytest.mark.process
@pytest.mark.parametrize("name", ["rich", "httpx", "keyring", "yaml", "PIL"])
def test_importing_doctor_does_not_load(name: str) -> None:
    code = (
        "import sys, layer_mcp.doctor.checks, layer_mcp.doctor.report; print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'layer_mcp.doctor.report'" in done.stdout
    assert f"'{name}'" not in done.stdout
