"""Run layer-mcp as a script does, and as a person at a terminal does."""

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from unittest import mock

from layer_mcp.cli.main import main

from .hosts import SCRIPT, child_environment

MODEL = "--model=sandbox image"
SMALL = (MODEL, "--width=64", "--height=64", "-n=1")
ESCAPES = re.compile(rb"\x1b(?:P.*?\x1b\\|_.*?\x1b\\|\[[0-9;?]*[A-Za-z]|[78])", re.DOTALL)
PATIENCE_SECONDS = 60
# A new session has no terminal until it takes one.
TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
LAUNCHER = (sys.executable, "-I", "-S", "-c", TAKE_TERMINAL)


Shown = Literal["sixel", "kitty", "text", "nothing"]


@dataclass(frozen=True)
class Person:
    """A person's current folder and environment."""

    folder: Path
    environment: Mapping[str, str]

    def run(
        self, *arguments: str, piped: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a script does, without a terminal."""
        return subprocess.run(
            [SCRIPT, *arguments],
            capture_output=True,
            text=True,
            input=piped,
            timeout=PATIENCE_SECONDS,
            check=False,
            cwd=self.folder,
            env=child_environment({**self.environment, **environment}),
        )

    def here(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, which has already loaded the server."""
        settings = child_environment({**self.environment, **environment})
        answer, remarks = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, settings, clear=True),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(answer),
            contextlib.redirect_stderr(remarks),
        ):
            try:
                code = main(arguments)
            except SystemExit as end:
                code = int(end.code or 0)
        return subprocess.CompletedProcess(arguments, code, answer.getvalue(), remarks.getvalue())

    def done(self, *arguments: str, **environment: str) -> str:
        """Run a command that must succeed, and return its stdout."""
        ended = self.here(*arguments, **environment)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def json(self, *arguments: str) -> dict[str, Any]:
        """Run a command with --json, and return the document that it prints."""
        return json.loads(self.done(*arguments, "--json"))

    def failed(self, *arguments: str, **environment: str) -> str:
        """Run a command that must fail with nothing on stdout, and return its stderr."""
        ended = self.here(*arguments, **environment)
        assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
        return ended.stderr

    def at(self, terminal: "Terminal", *arguments: str, **environment: str) -> "Seen":
        """Run a command at a terminal."""
        return terminal.run(
            [SCRIPT, *arguments],
            self.folder,
            child_environment({"TERM": "xterm-256color", **self.environment, **environment}),
        )


@dataclass(frozen=True)
class Seen:
    """What a terminal received, and the command's exit code."""

    sent: bytes
    exit_code: int
    # Unread input from the keyboard or the terminal itself.
    left: bytes

    @property
    def text(self) -> str:
        """The text without escape sequences."""
        return ESCAPES.sub(b"", self.sent).decode().replace("\r", "")


@dataclass(frozen=True)
class Terminal:
    """The other end of a pty: replies to each key of `answers` with its value.

    `typed` is what the person types before the command starts.
    """

    columns: int = 80
    answers: Mapping[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    typed: bytes = b""

    def run(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Seen:
        """Start a command and act as its terminal until it ends."""
        terminal, keyboard = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, self.columns, 0, 0))
        os.write(terminal, self.typed)
        try:
            with subprocess.Popen(
                [*LAUNCHER, *command],
                stdin=keyboard,
                stdout=keyboard,
                stderr=keyboard,
                cwd=folder,
                env=environment,
                start_new_session=True,
            ) as process:
                sent = self._served(terminal, process)
            # This end stays open, so that unread input can be returned.
            return Seen(sent, process.returncode, _unread(keyboard))
        finally:
            os.close(keyboard)
            os.close(terminal)

    def _served(self, terminal: int, process: subprocess.Popen[bytes]) -> bytes:
        sent, answered, has_ended = b"", 0, False
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            while select.select([terminal], [], [], 0.02)[0]:
                sent += os.read(terminal, 65536)
                answered = self._answer(terminal, sent, answered)
            if has_ended:
                return sent
            # The last output may arrive after the process has ended.
            has_ended = process.poll() is not None
            if time.monotonic() > deadline:
                process.kill()

    def _answer(self, terminal: int, sent: bytes, answered: int) -> int:
        """Reply to new queries in their order, and return where the next one may start."""
        places = {question: sent.find(question, answered) for question in self.answers}
        for question, at in sorted(places.items(), key=lambda place: place[1]):
            if at >= 0:
                os.write(terminal, self.answers[question])
                answered = at + len(question)
        return answered


def _unread(keyboard: int) -> bytes:
    tty.setcbreak(keyboard, termios.TCSANOW)
    return os.read(keyboard, 4096) if select.select([keyboard], [], [], 0)[0] else b""


def terminal(
    shows: Shown = "text",
    columns: int = 80,
    answers: Mapping[bytes, bytes] | None = None,
) -> Terminal:
    """Return a terminal that reports what it can show, or never replies."""
    attributes = {"sixel": b"\x1b[?62;4c", "kitty": b"\x1b[?62;c", "text": b"\x1b[?1;2c"}
    said: dict[bytes, bytes] = dict(answers or {})
    if shows != "nothing":
        said[b"\x1b[c"] = attributes[shows]
    if shows == "kitty":
        said[b"\x1b_Gi=1,s=1,v=1,a=q"] = b"\x1b_Gi=1;OK\x1b\\"
    return Terminal(columns, said)
