"""A host's own home folder: installs the server there, and runs commands in it."""

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

    The host starts in `cwd`. Every command here gets `environment`, so it doesn't find the user's
    own settings, and requests to other machines go to `proxy`.
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
        """The protocol version that the host and the server used."""
        return self._spoken.read_text(encoding="utf-8") if self._spoken.exists() else "none"

    async def install(self, client: str) -> None:
        """Add the server to the host's configuration with the command that people use.

        Raises:
            CommandError: the command fails.
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
        """Remove the server from the host's configuration.

        Raises:
            CommandError: the command fails.
        """
        await self.run(*self._job.command, "uninstall", client)

    def overhear(self, config: Path) -> None:
        """Make the entry start the server through a script that records the protocol version."""
        text = config.read_text(encoding="utf-8")
        text = text.replace(self._job.command[0], str(self._overheard_server()))
        config.write_text(text, encoding="utf-8")

    async def run(self, *command: str, environment: dict[str, str] | None = None) -> str:
        """Run a command, and return its output, including stderr.

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
        # Uninstall removes an entry only if it starts a program of this name.
        script = self.folder / "overheard" / "layer-mcp"
        script.parent.mkdir(exist_ok=True)
        program = [sys.executable, str(OVERHEARD), str(self._spoken), *self._job.command]
        script.write_text(f"#!/bin/sh\nexec {shlex.join(program)}\n", encoding="utf-8")
        script.chmod(0o700)
        return script
