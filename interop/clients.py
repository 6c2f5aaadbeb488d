"""The clients, and how to run each one."""

from dataclasses import dataclass
from typing import Literal

Transport = Literal["stdio", "http"]
Era = Literal["modern", "legacy"]

TRANSPORTS: tuple[Transport, ...] = ("stdio", "http")


@dataclass(frozen=True)
class Client:
    """A program that does the job through one client.

    `folder` is below interop/. It holds `requirements.txt` and `client.py`, or `package-lock.json`
    and `client.mjs`. A host, which people connect to the server, has `package-lock.json` and
    `client.py`. `eras` are the protocol eras to run the client with; if there are none, it runs
    once and chooses the protocol. `checks` are additional steps in its program, such as converting
    schemas for other services.
    """

    folder: str
    eras: tuple[Era, ...] = ()
    checks: tuple[str, ...] = ()
    transports: tuple[Transport, ...] = TRANSPORTS

    @property
    def is_python(self) -> bool:
        """Whether its dependencies are from PyPI; otherwise, they're from npm."""
        return not self.folder.startswith(("node/", "hosts/"))

    @property
    def is_host(self) -> bool:
        """Whether it's a host, which a Python program in this repository drives."""
        return self.folder.startswith("hosts/")


STDIO: tuple[Transport, ...] = ("stdio",)
HTTP: tuple[Transport, ...] = ("http",)
INSPECTED = ("strict", "app_info", "load", "picture")
ATTACHED = ("installed", "instructions", "arguments", "picture", "uninstalled", "offline")

# The slowest come first, so that none of them runs alone at the end.
CLIENTS = (
    # It starts a process for each request, so it doesn't run in every combination.
    Client("node/inspector", eras=("legacy",), checks=INSPECTED, transports=STDIO),
    Client("node/inspector", eras=("modern",), checks=INSPECTED, transports=HTTP),
    Client("hosts/claude_code", checks=ATTACHED, transports=STDIO),
    Client("hosts/codex", checks=ATTACHED, transports=STDIO),
    Client("hosts/gemini_cli", checks=ATTACHED, transports=STDIO),
    # Over HTTP, the kit's protocol doesn't identify the client in each request.
    Client("google_adk", checks=("schema_gemini", "short_answers"), transports=STDIO),
    Client("google_adk", checks=("schema_gemini",), transports=HTTP),
    Client("langchain", checks=("schema_anthropic", "schema_gemini")),
    Client("node/typescript_sdk_2", eras=("modern", "legacy")),
    Client("node/typescript_sdk_1"),
    Client("openai_agents", checks=("schema_openai_strict",)),
    Client("pydantic_ai", checks=("schema_gemini", "schema_openai_strict")),
    Client("agno"),
    Client("node/ai_sdk"),
    Client("autogen"),
    Client("fastmcp", eras=("modern", "legacy")),
    Client("fastmcp_tasks", checks=("task",)),
    Client("python_sdk_1"),
    Client("python_sdk_2", eras=("modern", "legacy")),
)
