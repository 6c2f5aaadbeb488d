"""Fixtures, the matrix of hosts, and the two parts of the suite: `make test` and the rest.

A test that takes a `host` runs over several ways to reach the server. One that is marked
`every_host` concerns the protocol: it runs over each transport and, in memory, in both eras. One
that is marked `smoke` runs over each transport once. Any other runs in memory and over one of the
other transports, which take turns: what a tool does with a run doesn't depend on the host, so tests
of that are better written against `layer_mcp` itself.

`make test` runs a test over the first of its hosts, and leaves out what is marked `slow`, `build`
or `benchmark`. A test that is marked `smoke` runs there anyway, over each transport. Everything
else is marked `rest` here, and `make test-rest` runs it.
"""

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import settings

from layer_mcp.sandbox import Knobs, RunningSandbox, SandboxState, running_sandbox

from .support import fault_table
from .support.hosts import EACH_WAY_ONCE, MEMORY, MEMORY_LEGACY, OTHER_WAYS, Host, settings_for
from .support.postgres_server import PostgresServer, find_programs, running_postgres
from .support.raw_hosts import RawHost

SIGNAL_HANDLERS = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
LEFT_OUT = ("slow", "build", "benchmark")

# No run depends on luck or on how fast the machine is. To look for new examples, run pytest with
# `--hypothesis-profile=explore`.
settings.register_profile("explore", deadline=None)
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same")

pytest_terminal_summary = fault_table.pytest_terminal_summary


def pytest_configure() -> None:
    """Heed the signals that nohup ignores: the processes that tests start inherit that."""
    for number, handler in SIGNAL_HANDLERS.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a `host` over those that concern it."""
    if "host" in metafunc.fixturenames and not _chooses_its_hosts(metafunc):
        metafunc.parametrize("host", _choose_hosts(metafunc.definition), ids=str)


def _choose_hosts(test: pytest.Item) -> Sequence[Host]:
    # Always the same for a test, so that workers collect the same tests.
    turn = crc32(test.name.encode()) % 2
    if test.get_closest_marker("every_host") is not None:
        return MEMORY, MEMORY_LEGACY, *(EACH_WAY_ONCE, OTHER_WAYS)[turn][1:]
    if test.get_closest_marker("smoke") is not None:
        return EACH_WAY_ONCE
    return MEMORY, EACH_WAY_ONCE[1:][turn]


def _chooses_its_hosts(metafunc: pytest.Metafunc) -> bool:
    marks = metafunc.definition.iter_markers("parametrize")
    names = [mark.args[0] for mark in marks]
    return any(
        "host" in (name.split(",") if isinstance(name, str) else list(name)) for name in names
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts a process or a browser, and what `make test` leaves out."""
    tried: set[str] = set()
    for item in items:
        if isinstance(item, pytest.Function):
            _add_markers(item, tried)
    # The tests in a browser are the longest queue, so they start first.
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


def _add_markers(item: pytest.Function, tried: set[str]) -> None:
    """Add markers to a test. `tried` are the tests that already run over an earlier host."""
    host = _host_of(item)
    # Each look at an item's markers takes long, because there are thousands of items.
    names = {marker.name for marker in item.iter_markers()}
    is_smoke = "smoke" in names
    is_left_out = not is_smoke and not names.isdisjoint(LEFT_OUT)
    if host is not None:
        if host.transport == "stdio" or isinstance(host, RawHost):
            item.add_marker("process")
        test = item.nodeid.replace(str(host), host.transport if is_smoke else "")
        is_left_out |= test in tried
        tried.add(test)
    if "browser" in item.fixturenames or "browser" in names:
        item.add_marker("browser")
        # Software rendering is so slow that more than two browsers would time out.
        item.add_marker(pytest.mark.xdist_group(f"browser {crc32(item.nodeid.encode()) % 2}"))
    if is_left_out:
        item.add_marker("rest")


def _host_of(item: pytest.Function) -> Host | RawHost | None:
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return next((value for value in values if isinstance(value, Host | RawHost)), None)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def stopping() -> Iterator[Executor]:
    """Threads that stop sandboxes, which takes time but no work."""
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture
def sandbox(stopping: Executor) -> Iterator[RunningSandbox]:
    """A sandbox whose runs end immediately. Tests turn its knobs."""
    stack = ExitStack()
    yield stack.enter_context(running_sandbox(SandboxState(knobs=Knobs(run_seconds=0))))
    stopping.submit(stack.close)


@pytest.fixture
def environment(
    sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The settings that point a server to the sandbox, with the test's own folders."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return {"LAYER_STATE_DIR": str(tmp_path / "state"), **settings_for(sandbox)}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server. The tests are skipped when it isn't installed."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with running_postgres(programs) as server:
        yield server
