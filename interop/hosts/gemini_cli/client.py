"""Gemini CLI: one turn without a person; approval is requested in the chat."""

import asyncio
import json
from dataclasses import replace
from typing import Any

from interop.hosts import gemini_contents
from interop.hosts.host import NODE, Host, run_host

NOBODYS_MODEL = "00000000-0000-4000-8000-00000000ffff"


class GeminiCli(Host):
    """Gemini CLI. It checks arguments itself, so the failing call names an unknown model."""

    name = "Gemini CLI"
    client = "gemini-cli"
    package = "@google/gemini-cli"
    config = ".gemini/settings.json"
    prefix = "mcp_layer_"
    wire = gemini_contents
    own_arguments = ("wait_for_previous",)
    gives_up = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        request = {"model_id": NOBODYS_MODEL, "prompt": "a red potion"}
        self.job = replace(self.job, unknown=request, refusal="MODEL_NOT_FOUND")
        trusted = self.home.path / ".gemini" / "trustedFolders.json"
        trusted.parent.mkdir()
        trusted.write_text(json.dumps({str(self.home.cwd): "TRUST_FOLDER"}), encoding="utf-8")

    def program(self) -> list[str]:
        return [NODE, str(self.modules / ".bin" / "gemini")]

    def found(self, listed: str) -> bool:
        return f"layer: {self.job.command[0]}" in listed and "Connected" in listed

    def opens(self) -> list[str]:
        return ["-p", "Make a red potion.", "-m", "gemini-2.5-flash", "--approval-mode", "yolo"]

    def environment(self) -> dict[str, str]:
        return {"GOOGLE_GEMINI_BASE_URL": self.model.url, "GEMINI_API_KEY": "none"}

    async def resource(self, uri: str) -> str:
        return (await self.ask("read_mcp_resource", {"uri": uri})).text

    def prepare(self) -> None:
        config = self.home.path / self.config
        settings = json.loads(config.read_text(encoding="utf-8"))
        settings["privacy"] = {"usageStatisticsEnabled": False}
        settings["general"] = {"enableAutoUpdate": False, "enableAutoUpdateNotification": False}
        settings["security"] = {"auth": {"selectedType": "gemini-api-key"}}
        config.write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(run_host(GeminiCli))
