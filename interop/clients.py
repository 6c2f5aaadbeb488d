"""Which clients there are, and how each is run."""

from dataclasses import dataclass
from typing import Literal

Transport = Literal["stdio", "http"]
Era = Literal["modern", "legacy"]

TRANSPORTS: tuple[Transport, ...] = ("stdio", "http")


@dataclass(frozen=True)
class Client:
    """A program that does the job through one client.

    `folder` is below interop/. It holds `requirements.txt` and `client.py`, or `package-lock.json`
    and `client.mjs`; that of a host, which people attach the server to, `package-lock.json` and
    `client.py`. `eras` are those of the protocol that the client can be told to speak; without
    any it is run once and speaks what it chooses. `checks` are the steps that its program
    runs besides the job, such as those for schemas of other services.
    """

    folder: str
    eras: tuple[Era, ...] = ()
    checks: tuple[str, ...] = ()
    transports: tuple[Transport, ...] = TRANSPORTS

    @property
    def is_python(self) -> bool:
        """Whether what it needs is Python; else it is from npm."""
        return not self.folder.startswith(("node/", "hosts/"))

    @property
    def is_host(self) -> bool:
        """Whether it is a host, which our own Python drives."""
        return self.folder.startswith("hosts/")


STDIO: tuple[Transport, ...] = ("stdio",)
ATTACHED = ("installed", "instructions", "arguments", "picture", "uninstalled", "offline")

# The slowest come first, so that none of them is left over at the end.
CLIENTS = (
    Client(
        "node/inspector",
        eras=("modern", "legacy"),
        checks=("strict", "app_info", "load", "picture"),
    ),
    Client("hosts/claude_code", checks=ATTACHED, transports=STDIO),
    Client("hosts/codex", checks=ATTACHED, transports=STDIO),
    Client("hosts/gemini_cli", checks=ATTACHED, transports=STDIO),
    Client("langchain", checks=("schema_anthropic", "schema_gemini")),
    Client("node/typescript_sdk_2", eras=("modern", "legacy")),
    Client("node/typescript_sdk_1"),
    Client("openai_agents", checks=("schema_openai_strict",)),
    Client("pydantic_ai", checks=("schema_gemini", "schema_openai_strict")),
    Client("fastmcp", eras=("modern", "legacy")),
    Client("fastmcp_tasks", checks=("task",)),
    Client("python_sdk_1"),
    Client("python_sdk_2", eras=("modern", "legacy")),
)
