"""An agent that follows a prompt literally: it calls the named tools with the named values."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import Client

from .hosts import content_of, text_of

STEP = re.compile(r"^\d+\. (.*)$", re.MULTILINE)
MARKED = re.compile(r"`([^`]+)`")
NAMED_VALUE = re.compile(r'`(\w+)` (true|false|\d+(?:\.\d+)?|"[^"]*"|\[\{.*?\}\])')
ASKED = re.compile(r'^(\w+): (".*")$', re.MULTILINE)
ASKED_AS = re.compile(r"the (\w+) as `(\w+)`(?: and `(\w+)`)?")
PROMPTS = ("the first one", "the second one")


def steps_of(text: str) -> list[str]:
    """Return the numbered steps."""
    return STEP.findall(text)


def words_in(text: str) -> list[str]:
    """Return the words in backticks."""
    return MARKED.findall(text)


@dataclass
class Follower:
    """An agent that follows one prompt, and what the tools answered."""

    client: Client
    text: str
    tools: frozenset[str]
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    run_ids: list[str] = field(default_factory=list[str])
    batch_id: str = ""
    called: list[str] = field(default_factory=list[str])
    statuses: list[str] = field(default_factory=list[str])
    paths: list[str] = field(default_factory=list[str])

    async def follow(self) -> None:
        """Follow the steps in order."""
        for step in steps_of(self.text):
            for tool, words in self._calls(step):
                await self._call_named(tool, words)

    def _calls(self, step: str) -> Iterator[tuple[str, str]]:
        """Yield each tool of a step with the text up to the next tool."""
        places = [match for match in MARKED.finditer(step) if match[1] in self.tools]
        # "as `get_model` names it" isn't a call.
        places = [match for match in places if not step[match.end() :].startswith(" names")]
        ends = [match.start() for match in places[1:]] + [len(step)]
        for match, end in zip(places, ends, strict=True):
            yield match[1], step[match.end() : end]

    async def _call_named(self, tool: str, words: str) -> None:
        given = {name: json.loads(value) for name, value in NAMED_VALUE.findall(words)}
        asked = {name: json.loads(value) for name, value in ASKED.findall(self.text)}
        for name, first, second in ASKED_AS.findall(words):
            value = json.loads(asked[name])
            given |= {argument: value for argument in (first, second) if argument}
        self.called.append(tool)
        await getattr(self, f"_{tool}")(given)

    async def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, f"{tool} {arguments}: {text_of(result)}"
        return content_of(result)

    async def _list_models(self, given: dict[str, Any]) -> None:
        found = await self._call("list_models", given)
        if "model_id" not in self.arguments:
            self.arguments["model_id"] = found["models"][0]["model_id"]

    async def _get_model(self, given: dict[str, Any]) -> None:
        self.arguments |= given
        await self._call("get_model", {"model_id": self.arguments["model_id"]})

    async def _upload_file(self, given: dict[str, Any]) -> None:
        await self._call("upload_file", given)

    async def _estimate_price(self, given: dict[str, Any]) -> None:
        self.arguments |= {"prompt": PROMPTS[0], **given}
        priced = await self._call("estimate_price", self.arguments)
        assert priced["estimated_price_creative_units"] > 0

    async def _execute_inference(self, given: dict[str, Any]) -> None:
        run = await self._call("execute_inference", self.arguments | given)
        self.run_ids = [run["inference_id"]]

    async def _execute_batch(self, given: dict[str, Any]) -> None:
        shared = {**self.arguments, **given}
        del shared["prompt"]
        requests = [{"prompt": prompt} for prompt in PROMPTS]
        batch = await self._call("execute_batch", {"defaults": shared, "requests": requests})
        self.batch_id = batch["batch_id"]
        self.run_ids = [run["inference_id"] for run in batch["runs"]]

    async def _list_runs(self, given: dict[str, Any]) -> None:
        await self._call("list_runs", {"batch_id": self.batch_id, **given})

    async def _get_status(self, given: dict[str, Any]) -> None:
        with anyio.fail_after(60):
            for run_id in self.run_ids:
                run: dict[str, Any] = {"status": "in_progress"}
                while run["status"] == "in_progress":
                    run = await self._call("get_status", {"inference_id": run_id, **given})
                self.statuses.append(run["status"])

    async def _save_outputs(self, given: dict[str, Any]) -> None:
        for run_id in self.run_ids:
            saved = await self._call("save_outputs", {"inference_id": run_id, **given})
            self.paths += saved["paths"]
