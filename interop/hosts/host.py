"""A host that people attach the server to, driven by a scripted model through the whole job."""

import asyncio
import contextlib
import json
import os
import shlex
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

from layer_mcp.server.instructions import instructions
from layer_mcp.server.tools import tools_of
from layer_mcp.setting_values import TOOLSETS

from ..conversions import check_conversion
from ..job import Connection, Job, JsonObject, Said, do_job, outcome, print_report, read_job
from .scripted_model import ScriptedModel, Turn, Wire

HOME = "Häuser und Gärten"
NODE = str(Path(sys.executable).with_name("node"))
LINE_BYTES = 2**26
START_SECONDS = 40
END_SECONDS = 10
TOOLS = {tool.name: tool.parameters for tool in tools_of(TOOLSETS, saves_by_itself=True)}


class HostError(Exception):
    """The host, or a command about it, did otherwise than expected."""


class Host(Connection):
    """One session of a host in a home folder of its own.

    `client` is its name for `layer-mcp install`, `package` that of its program, `config` the file
    that is written, `prefix` what it puts before a tool's name, `own_arguments` those that it gives
    to every tool for itself.
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
        self.folder = Path(sys.argv[1]).parent
        self.spoken = self.folder / "spoken"
        self.home = self.folder / HOME
        self.cwd = self.home / "game"
        self.cwd.mkdir(parents=True)
        self.modules = Path(__file__).parent / self.client.replace("-", "_") / "node_modules"
        about = json.loads((self.modules / self.package / "package.json").read_text("utf-8"))
        self.name, self.version = self.client, about["version"]
        self.pictures: list[str] = []
        self.process: asyncio.subprocess.Process | None = None

    def program(self) -> list[str]:
        """The command that starts the host."""
        raise NotImplementedError

    def lists(self) -> list[str]:
        """The arguments with which it lists its servers."""
        return ["mcp", "list"]

    def found(self, listed: str) -> bool:
        """Whether our server is in what it lists."""
        raise NotImplementedError

    def opens(self) -> list[str]:
        """The arguments with which it works for the model."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """The variables that lead it to the model, and keep it from anything else."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Settings of the host's own, beside the entry."""

    async def begin(self) -> None:
        """What opens the first turn."""

    async def read(self, line: JsonObject) -> None:
        """Take a line that the host prints."""

    async def give_up(self) -> None:
        """End the call that is waited for, and open another turn."""
        raise NotImplementedError

    async def installed(self) -> None:
        """What the install command writes is what the host reads."""
        await self._install("install", *self._choices())
        listed = await self.run(*self.program(), *self.lists())
        _check(self.found(listed), listed)

    async def uninstalled(self) -> None:
        """Nothing is left of it."""
        await self._install("uninstall")
        listed = await self.run(*self.program(), *self.lists())
        _check("layer" not in listed.replace(str(self.folder), ""), listed)

    async def offline(self) -> None:
        """It has asked no other machine for anything."""
        _check(not self.model.strangers, f"it asked {sorted(self.model.strangers)}")

    async def picture(self) -> None:
        """The model sees what was made."""
        _check("image/jpeg" in self.pictures, f"the model saw {self.pictures}")

    async def instructions(self) -> None:
        """The model reads all that the server says of itself."""
        text = instructions(TOOLSETS, saves_by_itself=True, confirm_above=0.5)
        told = " ".join(self.model.turns[-1].prompt.split())
        missing = [line for line in text.splitlines() if " ".join(line.split()) not in told]
        _check(not missing, f"missing: {missing}")

    async def arguments(self) -> None:
        """Every argument of every tool reaches the model as it is."""
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
        """Have the model ask for a tool, the host's own too."""
        try:
            heard = await self.model.ask(tool, arguments)
        except asyncio.CancelledError:
            await self.give_up()
            raise
        self.pictures += heard.pictures
        return heard.said

    async def first_turn(self) -> Turn:
        """The first request to the model."""
        async with asyncio.timeout(START_SECONDS):
            return self.model.turns[0] if self.model.turns else await self.model.next_turn()

    async def send(self, message: JsonObject) -> None:
        """A line for the host."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(f"{json.dumps(message)}\n".encode())
        await self.process.stdin.drain()

    async def run(self, *command: str) -> str:
        """What a command says, on both outputs.

        Raises:
            HostError: it fails, or takes too long.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.cwd,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), START_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise HostError(f"{shlex.join(command)} took over {START_SECONDS} s") from None
        if process.returncode:
            raise HostError(f"{shlex.join(command)}: {said.decode()}")
        return said.decode()

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncGenerator[None]:
        """The host at work, until the block ends."""
        self.prepare()
        self._adapt_entry()
        with (self.folder / "host.log").open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.program(),
                *self.opens(),
                cwd=self.cwd,
                env=self._environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=LINE_BYTES,
            )
        reading = asyncio.create_task(self._read(self.process))
        try:
            await self.begin()
            yield
        finally:
            await self._end(self.process)
            await reading
        self.protocol = self.spoken.read_text(encoding="utf-8")

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
            with contextlib.suppress(ValueError):
                await self.read(json.loads(line))
        log = (self.folder / "host.log").read_text(encoding="utf-8", errors="replace")
        self.model.host_ended(log[-400:])

    async def _install(self, command: str, *choices: str) -> None:
        await self.run(*self.job.command, *choices[:2], command, self.client, *choices[2:])

    def _choices(self) -> list[str]:
        said = self.job.environment
        output_dir = str(self.folder / "Gärten")
        input_dir = said["LAYER_INPUT_DIRS"]
        workspace = said["LAYER_WORKSPACE_ID"]
        folders = ["--output-dir", output_dir, "--input-dir", input_dir]
        return ["--toolsets", "all", "--workspace", workspace, *folders]

    def _adapt_entry(self) -> None:
        """A limit that no option sets, as a person writes it there; and the server is overheard."""
        overheard = self.folder / "overheard"
        program = [sys.executable, str(Path(__file__).with_name("overheard.py"))]
        command = shlex.join([*program, str(self.spoken), *self.job.command])
        overheard.write_text(f"#!/bin/sh\nexec {command}\n", encoding="utf-8")
        overheard.chmod(0o700)
        config = self.home / self.config
        text = config.read_text(encoding="utf-8").replace(self.job.command[0], str(overheard))
        above = self.job.environment["LAYER_CONFIRM_ABOVE"]
        config.write_text(_with_setting(text, "LAYER_CONFIRM_ABOVE", above), encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        given = {name: os.environ[name] for name in ("PATH",)}
        layer = {name: self.job.environment[name] for name in ("LAYER_API_URL", "LAYER_API_KEY")}
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), self.model.url)
        home = {"HOME": str(self.home), "NO_PROXY": "127.0.0.1,localhost"}
        return given | layer | proxies | home | self.environment()


async def run_host(kind: type[Host]) -> None:
    """Install it, do the job, uninstall it; print the report."""
    job = read_job()
    async with ScriptedModel(kind.wire) as model:
        host = kind(job, model)
        steps = {"installed": await outcome(host.installed)}
        async with host.session():
            steps |= await do_job(host.job, host)
            checks: list[Callable[[], Awaitable[None]]] = [
                host.picture,
                host.instructions,
                host.arguments,
            ]
            steps |= {check.__name__: await outcome(check) for check in checks}
        steps["uninstalled"] = await outcome(host.uninstalled)
        steps["offline"] = await outcome(host.offline)
    print_report(job, host, steps)


def _with_setting(text: str, name: str, value: str) -> str:
    """A client's file with one setting more before the address of the API, in JSON or TOML."""
    before, address, after = text.partition('"LAYER_API_URL"')
    if address:
        return f'{before}"{name}": "{value}", {address}{after}'
    before, address, after = text.partition("LAYER_API_URL")
    return f'{before}{name} = "{value}"\n{address}{after}'


def _check(holds: bool, otherwise: Any) -> None:
    if not holds:
        raise HostError(str(otherwise)[-400:])
