"""The job that every client does, defined once for the Python programs.

Runs in the environments of the clients, so it uses only the standard library. A program gets the
path of a job file as its only argument, and prints one JSON object as its last line: `client`,
`version`, `protocol` (the negotiated version), `transport`, `confirmation` ("form" if the client
asks its user, "in chat" if the agent has to), and `steps`: each step's name with "worked", "not
offered" (by the client), or "failed: " and the reason. A tool's answer is read from its text, as a
model reads it.
"""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]

WORKED, NOT_OFFERED, FAILED = "worked", "not offered", "failed: "
MAX_REASON = 400
MAX_POLLS = 20
BEFORE_CANCEL_SECONDS = 0.5
ONE_CALL_SECONDS = 50
PNG = b"\x89PNG"

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
RUN = re.compile(rf"(?:Run |\"?inference_id\"?: ?\"?)({UUID})")


class NotOfferedError(Exception):
    """The client doesn't support a feature."""


@dataclass(frozen=True)
class Job:
    """What a program has to do.

    Over stdio, `command` starts the server with its complete `environment`; over HTTP, `url` is the
    server's address. `requests` are the arguments of each paid call, without the model's ID.
    `picture` is a PNG that the server can read, and `search` is the name of the model to find.
    `unknown` is an argument that no tool has, and `refusal` is the error code for it.
    """

    transport: str
    era: str
    command: list[str]
    environment: dict[str, str]
    url: str
    picture: str
    search: str
    requests: dict[str, JsonObject]
    unknown: JsonObject
    refusal: str


@dataclass(frozen=True)
class Said:
    """What the model would read after a call."""

    text: str
    is_error: bool


class Connection:
    """The interface between a client's program and the job. Override what the client supports.

    `agrees` is the person's answer to the next question about a price, and `questions` are the
    questions so far. A client that follows a paid call until its run ends never `gives_up`.
    """

    name: str
    version: str
    protocol: str
    confirmation = "in chat"
    agrees = True
    gives_up = True

    def __init__(self) -> None:
        self.questions: list[str] = []

    async def tools(self) -> dict[str, JsonObject]:
        """Return the arguments' schema of each tool."""
        raise NotImplementedError

    async def call(self, tool: str, arguments: JsonObject) -> Said:
        """Call a tool as a model does."""
        raise NotImplementedError

    async def progress(self, tool: str, arguments: JsonObject) -> list[float]:
        """Call a tool, and return the progress that was reported."""
        raise NotOfferedError

    async def resource(self, uri: str) -> str:
        """Return the text of a resource."""
        raise NotOfferedError

    async def prompts(self) -> dict[str, list[str]]:
        """Return the arguments of each prompt."""
        raise NotOfferedError

    async def prompt(self, name: str, arguments: dict[str, str]) -> str:
        """Return the text of a prompt."""
        raise NotOfferedError

    def answer(self, question: str) -> bool:
        """Return the person's answer to a question."""
        self.questions.append(question)
        return self.agrees


def read_job() -> Job:
    """Read the job from the file named by the program's argument."""
    return Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))


def print_report(job: Job, connection: Connection, steps: dict[str, str]) -> None:
    """Print the report for the interop tests."""
    report = {
        "client": connection.name,
        "version": connection.version,
        "protocol": connection.protocol,
        "transport": job.transport,
        "confirmation": connection.confirmation,
        "steps": steps,
    }
    print(json.dumps(report))


async def do_job(job: Job, connection: Connection) -> dict[str, str]:
    """Do every step in order, even if earlier ones fail."""
    work = _Work(job, connection)
    steps: dict[str, Callable[[], Awaitable[None]]] = {
        "list_tools": work.list_tools,
        "find_model": work.find_model,
        "price": work.price,
        "generate": work.generate,
        "progress": work.progress,
        "wait": work.wait,
        "save": work.save,
        "list_runs": work.list_runs,
        "nested_arguments": work.nested_arguments,
        "failing_call": work.failing_call,
        "confirmation_no": work.confirmation_no,
        "confirmation_yes": work.confirmation_yes,
        "resources": work.resources,
        "prompts": work.prompts,
        "cancel": work.cancel,
    }
    return {name: await outcome(step) for name, step in steps.items()}


async def outcome(step: Callable[[], Awaitable[None]]) -> str:
    """Do a step, and return its result as in a report."""
    try:
        await asyncio.wait_for(step(), ONE_CALL_SECONDS)
    except NotOfferedError:
        return NOT_OFFERED
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return FAILED + reason[:MAX_REASON]
    return WORKED


class _Work:
    """The steps, and what each one found for the next."""

    def __init__(self, job: Job, connection: Connection) -> None:
        self.job = job
        self.connection = connection
        self.model_id = ""
        self.inference_id = ""

    async def list_tools(self) -> None:
        tools = await self.connection.tools()
        _check({"execute_inference", "get_status", "save_outputs"} <= tools.keys(), str(tools))
        nested = tools["execute_inference"]["properties"]["guidance_files"]
        _check("file_id" in json.dumps(nested), "guidance_files has lost its inner arguments")

    async def find_model(self) -> None:
        said = await self._worked("list_models", {"search": self.job.search})
        self.model_id = _first(rf"({UUID})", said.text)

    async def price(self) -> None:
        said = await self._worked("estimate_price", self._request("generate"))
        _first(r"(0\.03)", said.text)

    async def generate(self) -> None:
        arguments = self._request("generate") | {"wait_seconds": 1}
        said = await self._worked("execute_inference", arguments)
        self.inference_id = _run_of(said)

    async def progress(self) -> None:
        arguments = {"inference_id": self.inference_id, "wait_seconds": 20}
        told = await self.connection.progress("get_status", arguments)
        _check(bool(told) and told == sorted(told), f"progress was {told}")

    async def wait(self) -> None:
        said = await self._status(wait_seconds=5)
        for _ in range(MAX_POLLS):
            if "in_progress" not in said.text:
                break
            said = await self._status(wait_seconds=5)
        _first(r"\b(complete)\b", said.text)

    async def save(self) -> None:
        said = await self._worked("save_outputs", {"inference_id": self.inference_id})
        path = _first(r"(/[^\s\"]+\.png)", said.text)
        _check(_starts_with(PNG, path), f"{path} is no PNG")

    async def list_runs(self) -> None:
        said = await self._worked("list_runs", {})
        _check(self.inference_id in said.text, said.text)

    async def nested_arguments(self) -> None:
        uploaded = await self._worked("upload_file", {"path": self.job.picture})
        reference = {
            "file_id": _first(rf"({UUID})", uploaded.text),
            "type": "reference_image",
            "weight": 0.5,
        }
        request = self._request("nested_arguments") | {"guidance_files": [reference]}
        _run_of(await self._worked("execute_inference", request))

    async def failing_call(self) -> None:
        said = await self.connection.call("execute_inference", self.job.unknown)
        _check(said.is_error, f"not an error: {said.text}")
        _check(self.job.refusal in said.text, said.text)

    async def confirmation_no(self) -> None:
        request = self._request("confirmation_no")
        if self.connection.confirmation == "in chat":
            await self._told_to_ask(request)
            return
        said = await self._asked(request, agrees=False)
        _check(said.is_error and "DECLINED" in said.text, said.text)

    async def confirmation_yes(self) -> None:
        request = self._request("confirmation_yes")
        if self.connection.confirmation == "in chat":
            price = await self._told_to_ask(request)
            request |= {"max_price_creative_units": price}
            said = await self._worked("execute_inference", request)
        else:
            said = await self._asked(request, agrees=True)
            _check(not said.is_error, said.text)
        _run_of(said)

    async def resources(self) -> None:
        text = await self.connection.resource("layer://runs")
        _check(self.inference_id in text, text[:MAX_REASON])

    async def prompts(self) -> None:
        prompts = await self.connection.prompts()
        _check(bool(prompts), "there are no prompts")
        for name, arguments in prompts.items():
            text = await self.connection.prompt(name, dict.fromkeys(arguments, "a red potion"))
            _check(bool(text), f"{name} is empty")

    async def cancel(self) -> None:
        """Cancelling a wait ends neither the connection nor the run."""
        if not self.connection.gives_up:
            raise NotOfferedError
        said = await self._worked("execute_inference", self._request("cancel"))
        arguments = {"inference_id": _run_of(said)}
        waiting = asyncio.ensure_future(
            self.connection.call("get_status", arguments | {"wait_seconds": 30})
        )
        done, _ = await asyncio.wait({waiting}, timeout=BEFORE_CANCEL_SECONDS)
        _check(not done, "the wait was over before it was given up")
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=ONE_CALL_SECONDS)
        _check(_given_up(waiting), "the wait went on")
        said = await self._worked("get_status", arguments | {"wait_seconds": 0})
        _check("in_progress" in said.text, said.text)

    def _request(self, step: str) -> JsonObject:
        return {"model_id": self.model_id} | self.job.requests[step]

    async def _worked(self, tool: str, arguments: JsonObject) -> Said:
        said = await self.connection.call(tool, arguments)
        _check(not said.is_error, said.text)
        return said

    async def _status(self, *, wait_seconds: float) -> Said:
        arguments = {"inference_id": self.inference_id, "wait_seconds": wait_seconds}
        said = await self._worked("get_status", arguments)
        _check(_run_of(said) == self.inference_id, said.text)
        return said

    async def _asked(self, request: JsonObject, *, agrees: bool) -> Said:
        self.connection.agrees = agrees
        self.connection.questions.clear()
        said = await self.connection.call("execute_inference", request)
        _check(len(self.connection.questions) == 1, f"asked {self.connection.questions}")
        return said

    async def _told_to_ask(self, request: JsonObject) -> float:
        said = await self.connection.call("execute_inference", request)
        _check(said.is_error and "CONFIRMATION_REQUIRED" in said.text, said.text)
        return float(_first(r"max_price_creative_units ([\d.]*\d)", said.text))


def _run_of(said: Said) -> str:
    found = RUN.search(said.text)
    _check(found is not None, f"no run in: {said.text}")
    return found[1] if found else ""


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise AssertionError(f"{pattern} is not in: {text}")
    return found[1]


def _given_up(waiting: asyncio.Future[Said]) -> bool:
    """Return whether it ended without an answer; some clients raise their own error then."""
    return waiting.done() and (waiting.cancelled() or waiting.exception() is not None)


def _starts_with(magic: bytes, path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(len(magic)) == magic


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
