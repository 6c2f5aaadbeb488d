"""A home folder of a host's own: what is installed there, and the commands that run in it."""

import asyncio
import os
import shlex
import sys
from pathlib import Path

from ..job import Job

NAME = "Häuser und Gärten"
OVERHEARD = Path(__file__).with_name("overheard.py")
COMMAND_SECONDS = 40


class CommandError(Exception):
    """A command failed, or took too long."""


class Home:
    """The home below a job's folder, with spaces and umlauts in its path.

    `cwd` is where the host is started. Whatever is run here is given `environment`: it finds no
    settings of the person's own, and the way to other machines leads to `proxy`.
    """

    def __init__(self, job: Job, proxy: str) -> None:
        self.folder = Path(sys.argv[1]).parent
        self.path = self.folder / NAME
        self.cwd = self.path / "game"
        self.cwd.mkdir(parents=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "HTTP_PROXY": proxy,
            "HTTPS_PROXY": proxy,
            "NO_PROXY": "127.0.0.1,localhost",
        }
        self._job = job
        self._spoken = self.folder / "spoken"

    @property
    def spoken(self) -> str:
        """The version of the protocol that host and server have spoken."""
        return self._spoken.read_text(encoding="utf-8") if self._spoken.exists() else "none"

    async def install(self, client: str) -> None:
        """Put the server into the host's configuration, by the command that people use.

        Raises:
            CommandError: it fails.
        """
        said = self._job.environment
        choices = ["--workspace", said["LAYER_WORKSPACE_ID"]]
        choices += ["--input-dir", said["LAYER_INPUT_DIRS"]]
        choices += ["--output-dir", str(self.folder / "Gärten")]
        choices += ["--confirm-above", said["LAYER_CONFIRM_ABOVE"]]
        layer = {name: said[name] for name in ("LAYER_API_URL", "LAYER_API_KEY")}
        command = [*self._job.command, "--toolsets", "all", "install", client, *choices]
        await self.run(*command, environment=layer)

    async def uninstall(self, client: str) -> None:
        """Take it out again.

        Raises:
            CommandError: the command fails.
        """
        await self.run(*self._job.command, "uninstall", client)

    def overhear(self, config: Path) -> None:
        """Have the entry start the server by way of what notes the protocol's version."""
        text = config.read_text(encoding="utf-8")
        text = text.replace(self._job.command[0], str(self._overheard_server()))
        config.write_text(text, encoding="utf-8")

    async def run(self, *command: str, environment: dict[str, str] | None = None) -> str:
        """What a command says, on both outputs.

        Raises:
            CommandError: it fails, or takes too long.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.cwd,
            env=self.environment | (environment or {}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise CommandError(f"{shlex.join(command)} took over {COMMAND_SECONDS} s") from None
        if process.returncode:
            raise CommandError(f"{shlex.join(command)}: {said.decode()}")
        return said.decode()

    def _overheard_server(self) -> Path:
        script = self.folder / "overheard"
        program = [sys.executable, str(OVERHEARD), str(self._spoken), *self._job.command]
        script.write_text(f"#!/bin/sh\nexec {shlex.join(program)}\n", encoding="utf-8")
        script.chmod(0o700)
        return script
