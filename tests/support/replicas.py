"""Servers over HTTP in processes that can be killed, stopped, and started again."""

import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from .hosts import SCRIPT, child_environment, with_constant
from .nginx import Nginx, running_nginx
from .ports import START_SECONDS, free_port, wait_until_it_listens

STOP_SECONDS = 100
MANY = 1_000_000
# Layer allows 60 runs a minute. With its limits, most calls would only wait in line.
RAISED_LIMITS = with_constant(
    "layer_mcp.runs.types.limits", "RateLimits.__init__.__defaults__", f"({MANY}, {MANY}, {MANY})"
)


@dataclass
class Replica:
    """A server on a fixed port. Its log is kept over restarts, and a launcher may start it."""

    port: int
    environment: Mapping[str, str]
    log: Path
    options: Sequence[str] = ()
    launcher: Sequence[str] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def launch(self) -> None:
        """Start it, and return before it listens."""
        assert self._process is None
        command = [*self.launcher, SCRIPT, "serve", "--http", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child_environment(dict(self.environment)),
            )

    def wait_until_it_answers(self) -> None:
        """Return once it serves requests. By then, it has logged its URLs."""
        assert self._process is not None
        wait_until_it_listens(self._process, self.port, self.log)
        url = f"http://127.0.0.1:{self.port}/livez"
        httpx.get(url, trust_env=False, timeout=START_SECONDS).raise_for_status()

    def start(self) -> None:
        """Start it, and return once it serves requests."""
        self.launch()
        self.wait_until_it_answers()

    def check_it_runs(self) -> None:
        """Fail if it ended by itself."""
        ended = self._process is not None and self._process.poll() is not None
        assert not ended, f"A replica ended: {self.log.read_text()}"

    def kill(self) -> None:
        """End it without warning, if it's running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
            self._process = None

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(STOP_SECONDS)
        self._process = None
        return code


@contextmanager
def running_replicas(
    count: int,
    environment: Mapping[str, str],
    folder: Path,
    *options: str,
    launcher: Sequence[str] = (),
) -> Generator[tuple[Nginx, list[Replica]]]:
    """Start servers behind nginx, each with the public URL and its own log in the folder."""
    ports = [free_port() for _ in range(count)]
    with running_nginx(ports) as nginx, ExitStack() as stack:
        chosen = ("--public-url", nginx.url, "--trust-proxy", *options)
        replicas = [
            Replica(port, environment, folder / f"replica-{number}.log", chosen, launcher)
            for number, port in enumerate(ports)
        ]
        for replica in replicas:
            stack.callback(replica.kill)
            replica.launch()
        for replica in replicas:
            replica.wait_until_it_answers()
        yield nginx, replicas
        for replica in replicas:
            replica.check_it_runs()
