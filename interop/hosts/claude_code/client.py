"""Claude Code: one session over its streams, in which a person can answer and interrupt."""

import asyncio
from typing import Any

from interop.hosts import anthropic_messages
from interop.hosts.host import TOOLS, Host, run_host
from interop.job import JsonObject


class ClaudeCode(Host):
    """Claude Code, whose model has to search for tools before using them."""

    name = "Claude Code"
    client = "claude-code"
    package = "@anthropic-ai/claude-code"
    config = ".claude.json"
    prefix = "mcp__layer__"
    wire = anthropic_messages
    confirmation = "form"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.commands: list[str] = []
        self.turn_ended = asyncio.Event()

    def program(self) -> list[str]:
        # A script in the package puts the actual program in its place.
        return [str(next(self.modules.glob("@anthropic-ai/claude-code-*/claude")))]

    def found(self, listed: str) -> bool:
        return f"layer: {self.job.command[0]}" in listed and "Connected" in listed

    def opens(self) -> list[str]:
        streams = ["--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
        return ["-p", *streams, "--allowedTools", "mcp__layer"]

    def environment(self) -> dict[str, str]:
        return {
            "ANTHROPIC_BASE_URL": self.model.url,
            "ANTHROPIC_API_KEY": "none",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    async def begin(self) -> None:
        await self.say("Make a red potion.")

    async def say(self, text: str) -> None:
        """Send a message from the person."""
        await self.send({"type": "user", "message": {"role": "user", "content": text}})

    async def read(self, line: JsonObject) -> None:
        self.commands = line.get("slash_commands", self.commands)
        if line["type"] == "result":
            self.turn_ended.set()
        if line["type"] == "control_request":
            agrees = self.answer(line["request"]["message"])
            answer = (
                {"action": "accept", "content": {"approve": True}}
                if agrees
                else {"action": "decline"}
            )
            response = {"subtype": "success", "request_id": line["request_id"], "response": answer}
            await self.send({"type": "control_response", "response": response})

    async def tools(self) -> dict[str, JsonObject]:
        await self.first_turn()
        if not self.model.tools.keys() & {self.prefix + name for name in TOOLS}:
            names = ",".join(self.prefix + name for name in TOOLS)
            await self.ask("ToolSearch", {"query": f"select:{names}", "max_results": len(TOOLS)})
        return await super().tools()

    async def resource(self, uri: str) -> str:
        return (await self.ask("ReadMcpResourceTool", {"server": "layer", "uri": uri})).text

    async def prompts(self) -> dict[str, list[str]]:
        await self.end_turn()
        await self.open_turn("Which prompts are there?")
        return {name: ["what"] for name in self.commands if name.startswith(self.prefix)}

    async def prompt(self, name: str, arguments: dict[str, str]) -> str:
        await self.end_turn()
        # Each word is an argument, with or without quotes.
        given = " ".join(value.replace(" ", "_") for value in arguments.values())
        text = await self.open_turn(f"/{name} {given}")
        return text.partition("</command-args>")[2].strip()

    async def end_turn(self) -> None:
        """Have the model send its final text."""
        self.turn_ended.clear()
        self.model.say("Done.")
        await self.turn_ended.wait()

    async def open_turn(self, text: str) -> str:
        """Send a message, and return the model's turn."""
        opened = asyncio.create_task(self.model.next_turn())
        await self.say(text)
        return (await opened).latest

    async def give_up(self) -> None:
        self.turn_ended.clear()
        interrupt = {"request_id": "interrupt", "request": {"subtype": "interrupt"}}
        await self.send({"type": "control_request", **interrupt})
        await self.turn_ended.wait()
        await self.open_turn("Go on.")


if __name__ == "__main__":
    asyncio.run(run_host(ClaudeCode))
