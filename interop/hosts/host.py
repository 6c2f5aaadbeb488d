"""A host that people connect to the server, driven by a scripted model through the whole job."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import ClassVar

from layer_mcp.server.instructions import instructions
from layer_mcp.server.tools import tools_of
from layer_mcp.settings import TOOLSETS

from ..conversions import check_conversion
from ..job import (
    WORKED,
    Connection,
    Job,
    JsonObject,
    Said,
    do_job,
    outcome,
    print_report,
    read_job,
)
from .documented import missing_words
from .home import Home
from .scripted_model import ScriptedModel, Turn, Wire

NODE = str(Path(sys.executable).with_name("node"))
LINE_BYTES = 2**26
START_SECONDS = 40
END_SECONDS = 10
WHOLE_SECONDS = 300
MAX_SHOWN = 400
MORE_LOOKS = 3
TOOLS = {tool.name: tool.parameters for tool in tools_of(TOOLSETS, saves_by_itself=True)}


class Host(Connection):
    """One session of a host in its own home folder.

    `client` is the host's name for `layer-mcp install`, `package` is its npm package, and `config`
    is its configuration file. `prefix` comes before each tool's name, and `own_arguments` are those
    that the host adds to every tool.
    """

    client: ClassVar[str]
    package: ClassVar[str]
    config: ClassVar[str]
    prefix: ClassVar[str]
    wire: ClassVar[Wire]
    own_arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, job: Job, model: ScriptedModel) -> None:
        super().__init__()
        self.job = job
        self.model = model
        self.home = Home(job, model.url)
        self.modules = Path(__file__).parent / self.client.replace("-", "_") / "node_modules"
        about = json.loads((self.modules / self.package / "package.json").read_text("utf-8"))
        self.version = about["version"]
        self.pictures: list[str] = []
        self.process: asyncio.subprocess.Process | None = None

    def program(self) -> list[str]:
        """Return the command that starts the host."""
        raise NotImplementedError

    def found(self, listed: str) -> bool:
        """Return whether the host's list includes our server."""
        raise NotImplementedError

    def opens(self) -> list[str]:
        """Return the arguments that make the host work with the model."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Return the variables that point to the model, and prevent other requests."""
        return {}

    def prepare(self) -> None:
        """Write the host's own settings, next to the entry."""

    async def begin(self) -> None:
        """Open the first turn."""

    async def read(self, line: JsonObject) -> None:
        """Handle a line that the host prints."""

    async def give_up(self) -> None:
        """Cancel the pending call, and open another turn."""
        raise NotImplementedError

    async def installed(self) -> None:
        """Check that the host finds the installed server."""
        await self.home.install(self.client)
        listed = await self._listed()
        for _ in range(MORE_LOOKS):
            # A host may time out on a server that starts on a busy machine.
            if self.found(listed):
                break
            listed = await self._listed()
        _check(self.found(listed), listed)
        missing = missing_words(self.name, self.job.command[0], listed)
        _check(not missing, f"the page shows {missing}, not: {listed}")

    async def uninstalled(self) -> None:
        """Check that uninstalling removes the server."""
        await self.home.uninstall(self.client)
        listed = await self._listed()
        _check(self.job.command[0] not in listed, listed)

    async def offline(self) -> None:
        """Check that the host sent no requests to other machines."""
        _check(not self.model.strangers, f"it asked {sorted(self.model.strangers)}")

    async def picture(self) -> None:
        """Check that the model sees the generated image."""
        _check("image/jpeg" in self.pictures, f"the model saw {self.pictures}")

    async def instructions(self) -> None:
        """Check that the model reads all of the server's instructions."""
        above = float(self.job.environment["LAYER_CONFIRM_ABOVE"])
        text = instructions(TOOLSETS, saves_by_itself=True, confirm_above=above)
        told = " ".join(self.model.turns[-1].prompt.split())
        missing = [line for line in text.splitlines() if " ".join(line.split()) not in told]
        _check(not missing, f"missing: {missing}")

    async def arguments(self) -> None:
        """Check that every argument of every tool reaches the model unchanged."""
        offered = await self.tools()
        for schema in offered.values():
            for name in self.own_arguments:
                del schema["properties"][name]
        check_conversion(TOOLS, lambda name, _: offered[name])

    async def tools(self) -> dict[str, JsonObject]:
        await self.first_turn()
        every = self.model.tools
        return {name: every[self.prefix + name] for name in TOOLS if self.prefix + name in every}

    async def call(self, tool: str, arguments: JsonObject) -> Said:
        return await self.ask(self.prefix + tool, arguments)

    async def ask(self, tool: str, arguments: JsonObject) -> Said:
        """Have the model call a tool, by the host's name for it."""
        try:
            heard = await self.model.ask(tool, arguments)
        except asyncio.CancelledError:
            await self.give_up()
            raise
        self.pictures += heard.pictures
        return heard.said

    async def first_turn(self) -> Turn:
        """Return the first request to the model."""
        async with asyncio.timeout(START_SECONDS):
            return self.model.turns[0] if self.model.turns else await self.model.next_turn()

    async def send(self, message: JsonObject) -> None:
        """Write a line for the host."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(f"{json.dumps(message)}\n".encode())
        await self.process.stdin.drain()

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncGenerator[None]:
        """Run the host until the block ends."""
        self.prepare()
        self.home.overhear(self.home.path / self.config)
        with (self.home.folder / "host.log").open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.program(),
                *self.opens(),
                cwd=self.home.cwd,
                env=self.home.environment | self.environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=LINE_BYTES,
            )
        reading = asyncio.create_task(self._read(self.process))
        try:
            async with asyncio.timeout(START_SECONDS):
                await self.begin()
            yield
        finally:
            await self._end(self.process)
            await reading
        self.protocol = self.home.spoken

    async def _listed(self) -> str:
        command = [*self.program(), "mcp", "list"]
        return await self.home.run(*command, environment=self.environment())

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        self.model.say("Done.")
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.startswith(b"{"):
                await self.read(json.loads(line))
        log = (self.home.folder / "host.log").read_text(encoding="utf-8", errors="replace")
        self.model.host_ended(log[-MAX_SHOWN:])


async def run_host(kind: type[Host]) -> None:
    """Install the server, do the job, uninstall the server, and print the report.

    Raises:
        AssertionError: the host doesn't find the installed server.
        CommandError: a command fails before the job.
        TimeoutError: the whole run takes too long.
    """
    job = read_job()
    async with asyncio.timeout(WHOLE_SECONDS), ScriptedModel(kind.wire) as model:
        host = kind(job, model)
        await host.installed()
        steps = {"installed": WORKED}
        async with host.session():
            steps |= await do_job(host.job, host)
            steps |= await _outcomes(host.picture, host.instructions, host.arguments)
        steps |= await _outcomes(host.uninstalled, host.offline)
    print_report(job, host, steps)


async def _outcomes(*checks: Callable[[], Awaitable[None]]) -> dict[str, str]:
    return {check.__name__: await outcome(check) for check in checks}


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise[-MAX_SHOWN:])
