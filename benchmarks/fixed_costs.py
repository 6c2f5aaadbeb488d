"""What the server costs before its first call: packages, startup, and the list of tools."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from bundle.packing import ROOT, pins

from .harness import running, script_command, server_command
from .report import Row, budget_row, byte_count, count, megabytes, whole_ms

MAX_STARTUP_RATIO = 1.10
AIM_LIST_BYTES = 21_000
AIM_LIST_OF_ALL_BYTES = 27_500
LIST_SECONDS = 30
INSTALL_SECONDS = 300
FASTMCP = ROOT / "interop" / "fastmcp" / "requirements.txt"
LIST_TOOLS: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "benchmarks", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}


@dataclass(frozen=True)
class Startup:
    """Time from spawning a server to its answer to tools/list, as medians of interleaved starts.

    The ratio is the median of the rounds' own ratios, not the ratio of the medians: both starts of
    a round find the machine in about the same state, so its slow phases cancel out.
    """

    samples: int
    layer_mcp_median_ms: float
    empty_server_median_ms: float
    median_ratio: float


@dataclass(frozen=True)
class ListSize:
    """Bytes of the result's `tools` as compact JSON in UTF-8."""

    total_bytes: int
    bytes_by_tool: dict[str, int]
    aim_bytes: int


@dataclass(frozen=True)
class ListSizes:
    """The list with the default settings, and with all toolsets."""

    default: ListSize
    all_toolsets: ListSize


@dataclass(frozen=True)
class InstallSize:
    """The number of packages a package brings, and the bytes of all files."""

    dependencies: int
    size_bytes: int


@dataclass(frozen=True)
class InstallSizes:
    """Ours with all dependencies, and the framework fastmcp without a server."""

    layer_mcp: InstallSize
    fastmcp: InstallSize


def measure_startup(samples: int) -> Startup:
    """Start both servers in turn, after one uncounted start each."""
    commands = {"ours": server_command(), "empty": script_command("sdk_server.py")}
    elapsed_ms: dict[str, list[float]] = {name: [] for name in commands}
    for round_number in range(samples + 1):
        # Alternate which server goes first, so that neither benefits from its position.
        for name in sorted(commands, reverse=round_number % 2 == 1):
            _, spent_ms = _list_tools(commands[name])
            if round_number > 0:
                elapsed_ms[name].append(spent_ms)
    rounds = zip(elapsed_ms["ours"], elapsed_ms["empty"], strict=True)
    return Startup(
        samples=samples,
        layer_mcp_median_ms=statistics.median(elapsed_ms["ours"]),
        empty_server_median_ms=statistics.median(elapsed_ms["empty"]),
        median_ratio=statistics.median(ours / empty for ours, empty in rounds),
    )


def measure_list_sizes() -> ListSizes:
    """Ask the installed server for its tools, with each choice of toolsets."""
    return ListSizes(
        default=_list_size(server_command(), AIM_LIST_BYTES),
        all_toolsets=_list_size(server_command("--toolsets", "all"), AIM_LIST_OF_ALL_BYTES),
    )


def measure_install_sizes() -> InstallSizes:
    """Install both with pip from their pins into new environments without pip, and count.

    Raises:
        RuntimeError: One of them can't be installed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "pins.txt").write_text("\n".join(pins()), encoding="utf-8")
        _run_python("-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder))
        (wheel,) = folder.glob("*.whl")
        return InstallSizes(
            layer_mcp=_install(folder / "ours", str(wheel), "-c", str(folder / "pins.txt")),
            fastmcp=_install(folder / "fastmcp", "--no-deps", "-r", str(FASTMCP)),
        )


def startup_rows(startup: Startup) -> list[Row]:
    """Compare startup with an empty server's."""
    return [
        Row(
            measure="Start-up until tools/list",
            ours=startup.layer_mcp_median_ms,
            shown=whole_ms,
            reference=startup.empty_server_median_ms,
            reference_name="empty SDK server",
            compared=f"{startup.median_ratio:.2f} x",
            aim=f"at most {MAX_STARTUP_RATIO:.2f} x",
            is_met=startup.median_ratio <= MAX_STARTUP_RATIO,
            group="time",
        )
    ]


def list_rows(sizes: ListSizes) -> list[Row]:
    """Compare each list with its budget, and show each tool's share."""
    default, everything = sizes.default, sizes.all_toolsets
    more = {
        name: size_bytes
        for name, size_bytes in everything.bytes_by_tool.items()
        if name not in default.bytes_by_tool
    }
    return [
        _list_row("tools/list", default),
        *_tool_rows(default.bytes_by_tool),
        _list_row("tools/list, all toolsets", everything),
        *_tool_rows(more),
    ]


def install_rows(sizes: InstallSizes) -> list[Row]:
    """Compare the contents of both installations."""
    ours, reference = sizes.layer_mcp, sizes.fastmcp
    return [
        Row(
            measure="Packages that it brings",
            ours=ours.dependencies,
            shown=count,
            reference=reference.dependencies,
            reference_name="fastmcp, no server",
            compared=f"{ours.dependencies - reference.dependencies:+}",
        ),
        Row(
            measure="  installed",
            ours=ours.size_bytes,
            shown=megabytes,
            reference=reference.size_bytes,
            reference_name="fastmcp, no server",
            compared=f"{ours.size_bytes / reference.size_bytes:.2f} x",
        ),
    ]


def json_bytes(value: Any) -> int:
    """Return the size of a value as compact JSON in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _list_tools(command: Sequence[str]) -> tuple[list[dict[str, Any]], float]:
    """Start a stdio server and return its tools, and the milliseconds until they arrived.

    A client of the SDK would add its own time.
    """
    line = json.dumps(LIST_TOOLS) + "\n"
    start = time.perf_counter()
    with running(command, limit_seconds=LIST_SECONDS) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        process.stdin.flush()
        answer = process.stdout.readline()
        elapsed_ms = (time.perf_counter() - start) * 1000
    message = json.loads(answer or "{}")
    if "result" not in message:
        raise RuntimeError(f"tools/list failed: {answer.strip()}")
    return message["result"]["tools"], elapsed_ms


def _list_size(command: Sequence[str], aim_bytes: int) -> ListSize:
    tools, _ = _list_tools(command)
    return ListSize(
        total_bytes=json_bytes(tools),
        bytes_by_tool={tool["name"]: json_bytes(tool) for tool in tools},
        aim_bytes=aim_bytes,
    )


def _install(place: Path, *requirements: str) -> InstallSize:
    _run_python("-m", "venv", "--without-pip", str(place))
    pip = ["-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet"]
    _run_python(*pip, "--no-compile", "--disable-pip-version-check", *requirements)
    (packages,) = place.glob("lib/python*/site-packages")
    files = [path for path in packages.rglob("*") if path.is_file()]
    return InstallSize(
        dependencies=len(list(distributions(path=[str(packages)]))) - 1,
        size_bytes=sum(path.stat().st_size for path in files),
    )


def _run_python(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}\n{done.stdout}{done.stderr}")


def _list_row(name: str, size: ListSize) -> Row:
    measure = f"{name}: {len(size.bytes_by_tool)} tools"
    return budget_row(measure, size.total_bytes, size.aim_bytes, byte_count)


def _tool_rows(bytes_by_tool: dict[str, int]) -> list[Row]:
    return [
        Row(measure=f"  {name}", ours=size_bytes, shown=byte_count)
        for name, size_bytes in bytes_by_tool.items()
    ]
