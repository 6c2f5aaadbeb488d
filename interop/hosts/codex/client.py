"""Codex: its app server, as the terminal and the editor extensions use it."""

import asyncio
from typing import Any

from interop.hosts import openai_responses
from interop.hosts.host import NODE, Host, run_host
from interop.job import JsonObject

# Turn off everything that it would fetch from or report to other machines.
QUIET = ("analytics.enabled=false", "features.plugins=false", "check_for_update_on_startup=false")
# The first turn has the tools, and none of them needs approval.
ENTRY = ("required=true", 'default_tools_approval_mode="approve"')


class Codex(Host):
    """JSON-RPC over its streams, in which a person can answer and interrupt."""

    name = "Codex"
    client = "codex"
    package = "@openai/codex"
    config = ".codex/config.toml"
    prefix = f"mcp__layer{openai_responses.SEPARATOR}"
    wire = openai_responses
    confirmation = "form"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.answers: dict[int, asyncio.Future[JsonObject]] = {}
        self.thread = self.turn = ""
        self.turn_ended = asyncio.Event()

    def program(self) -> list[str]:
        return [NODE, str(self.modules / ".bin" / "codex")]

    def found(self, listed: str) -> bool:
        return any(
            line.startswith("layer ") and self.job.command[0] in line and "enabled" in line
            for line in listed.splitlines()
        )

    def opens(self) -> list[str]:
        provider = {"name": "scripted", "base_url": f"{self.model.url}/v1", "wire_api": "responses"}
        settings = [
            *QUIET,
            *(f"mcp_servers.layer.{setting}" for setting in ENTRY),
            *(f'model_providers.scripted.{name}="{value}"' for name, value in provider.items()),
            'model_provider="scripted"',
            'model="scripted"',
        ]
        return ["app-server", *(word for setting in settings for word in ("-c", setting))]

    async def begin(self) -> None:
        await self.request("initialize", {"clientInfo": {"name": "interop", "version": "1"}})
        await self.send({"method": "initialized"})
        started = await self.request(
            "thread/start", {"cwd": str(self.home.cwd), "approvalPolicy": "on-request"}
        )
        self.thread = started["thread"]["id"]
        await self.say("Make a red potion.")

    async def say(self, text: str) -> None:
        """Send a message from the person."""
        opening = {"threadId": self.thread, "input": [{"type": "text", "text": text}]}
        self.turn = (await self.request("turn/start", opening))["turn"]["id"]

    async def request(self, method: str, params: JsonObject) -> JsonObject:
        """Send a request to the app server, and return its response."""
        request_id = len(self.answers)
        answer = self.answers[request_id] = asyncio.get_running_loop().create_future()
        await self.send({"id": request_id, "method": method, "params": params})
        return await answer

    async def read(self, line: JsonObject) -> None:
        if "method" not in line:
            self.answers[line["id"]].set_result(line.get("result") or line)
        elif line["method"] == "turn/completed":
            self.turn_ended.set()
        elif line["method"] == "mcpServer/elicitation/request":
            agrees = self.answer(line["params"]["message"])
            answer: JsonObject = {"action": "accept" if agrees else "decline"}
            content = {"content": {"approve": True} if agrees else None}
            await self.send({"id": line["id"], "result": answer | content})

    async def resource(self, uri: str) -> str:
        return (await self.ask("read_mcp_resource", {"server": "layer", "uri": uri})).text

    async def give_up(self) -> None:
        self.turn_ended.clear()
        await self.request("turn/interrupt", {"threadId": self.thread, "turnId": self.turn})
        await self.turn_ended.wait()
        opened = asyncio.create_task(self.model.next_turn())
        await self.say("Go on.")
        await opened


if __name__ == "__main__":
    asyncio.run(run_host(Codex))
