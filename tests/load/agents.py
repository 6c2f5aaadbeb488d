"""Agents that start runs, wait for them, and read them, and that repeat a call after an error."""

import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import anyio
import httpx

from ..support.hosts import SMALL_IMAGE, Era
from ..support.raw_hosts import ENVELOPE, HTTP_HEADERS, Message, call, parse_body

# Longer than a proxy waits.
CALL_SECONDS = 150
GIVE_UP_SECONDS = 900
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.5, 8.0
WAIT_SECONDS = 20
LISTED_RUNS = 50

OK = "ok"
CONNECTION_LOST = "connection lost"
# What a proxy answers if a replica is away, and a server if it's busy.
RETRYABLE_STATUSES = (429, 502, 503, 504)
RETRYABLE_CODES = (
    "GENERATIONS_AT_LIMIT",
    "JOURNAL_UNAVAILABLE",
    "PRICE_UNKNOWN",
    "RATE_LIMITED",
    "RUNS_AT_LIMIT",
    "SERVER_STOPPED",
    "SERVICE_UNAVAILABLE",
    "SUBMISSION_UNDER_WAY",
    "TOO_BUSY",
)
# Not retried: a person decides whether to pay again.
OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"


@dataclass(frozen=True)
class Attempt:
    """One request, in seconds on the monotonic clock. `outcome` is `OK` or the kind of error."""

    tool: str
    ended_at: float
    seconds: float
    outcome: str
    is_clear: bool = True


@dataclass
class Notes:
    """What all agents together saw."""

    attempts: list[Attempt] = field(default_factory=list[Attempt])
    # By prompt.
    run_ids: dict[str, str] = field(default_factory=dict[str, str])
    unknown: set[str] = field(default_factory=set[str])
    foreign_ids: set[str] = field(default_factory=set[str])
    begun_rounds: int = 0
    ended_rounds: int = 0
    are_failures_over: bool = False
    _awaited: list[tuple[float, anyio.Event]] = field(
        default_factory=list[tuple[float, anyio.Event]]
    )

    def end_round(self) -> None:
        """Count a round that has ended."""
        self.ended_rounds += 1
        for rounds, reached in self._awaited:
            if self.ended_rounds >= rounds:
                reached.set()

    async def wait_for_rounds(self, rounds: float) -> None:
        """Return once this many more rounds have ended."""
        reached = anyio.Event()
        self._awaited.append((self.ended_rounds + rounds, reached))
        await reached.wait()

    def errors(self) -> Counter[str]:
        """Count the errors by kind."""
        return Counter(one.outcome for one in self.attempts if one.outcome != OK)

    def unclear(self) -> set[str]:
        """Return the kinds of errors that don't say what to do."""
        return {one.outcome for one in self.attempts if not one.is_clear}


@dataclass
class Agent:
    """An agent with its own token, which makes one run in each round."""

    name: str
    token: str | None
    era: Era
    url: str
    http: httpx.AsyncClient
    notes: Notes
    _own_ids: set[str] = field(default_factory=set[str], init=False)

    async def work(self) -> None:
        """Start a run in each round, wait for it, and list all runs that this agent sees."""
        for number in count():
            if self.notes.are_failures_over:
                return
            self.notes.begun_rounds += 1
            prompt = f"{self.name}, picture {number}"
            started = await self._call("execute_inference", SMALL_IMAGE | {"prompt": prompt})
            if started is None:
                self.notes.unknown.add(prompt)
            else:
                await self._read(prompt, started["inference_id"])
            self.notes.end_round()

    async def _read(self, prompt: str, run_id: str) -> None:
        self._own_ids.add(run_id)
        self.notes.run_ids[prompt] = run_id
        wait = {"inference_id": run_id, "wait_seconds": WAIT_SECONDS, "preview": False}
        with anyio.fail_after(GIVE_UP_SECONDS):
            while (await self._answer("get_status", wait))["status"] != "complete":
                pass
        listed = await self._answer("list_runs", {"limit": LISTED_RUNS})
        seen = {row["inference_id"] for row in listed["runs"] if row.get("inference_id")}
        self.notes.foreign_ids |= seen - self._own_ids

    async def _answer(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer = await self._call(tool, arguments)
        assert answer is not None
        return answer

    async def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """Repeat a call until it's answered; None if nobody knows whether the run was started."""
        pause_seconds = FIRST_PAUSE_SECONDS
        with anyio.fail_after(GIVE_UP_SECONDS):
            while True:
                outcome, answer = await self._attempt(tool, arguments)
                if outcome == OK:
                    return answer
                if outcome == OUTCOME_UNKNOWN and tool == "execute_inference":
                    return None
                # Agents that failed together must not come back together.
                await anyio.sleep(pause_seconds * random.uniform(0.5, 1.5))
                pause_seconds = min(2 * pause_seconds, LAST_PAUSE_SECONDS)

    async def _attempt(self, tool: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        began_at = time.monotonic()
        try:
            response = await self._post(call(1, tool, arguments))
            outcome, is_clear, answer = judge(response)
        except httpx.TransportError as error:
            outcome, is_clear, answer = f"{CONNECTION_LOST} ({type(error).__name__})", True, {}
        now = time.monotonic()
        self.notes.attempts.append(Attempt(tool, now, now - began_at, outcome, is_clear))
        return outcome, answer

    async def _post(self, message: Message) -> httpx.Response:
        headers = HTTP_HEADERS | {"MCP-Protocol-Version": "2025-11-25"}
        if self.era != "legacy":
            message = message | {"params": {"_meta": ENVELOPE} | message["params"]}
            headers |= {
                "MCP-Protocol-Version": self.era,
                "Mcp-Method": message["method"],
                "Mcp-Name": message["params"]["name"],
            }
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return await self.http.post(self.url, json=message, headers=headers, timeout=CALL_SECONDS)


def judge(response: httpx.Response) -> tuple[str, bool, dict[str, Any]]:
    """Return the outcome of a call, whether it's clear what to do, and its structured content."""
    if response.status_code != 200:
        return f"HTTP {response.status_code}", response.status_code in RETRYABLE_STATUSES, {}
    try:
        body = parse_body(response)
    except json.JSONDecodeError:
        # A replica was killed while it answered.
        return f"{CONNECTION_LOST} (no result)", not response.text.strip("\r\n: "), {}
    if "result" not in body:
        return f"JSON-RPC {body['error']['code']}", False, {}
    answer: dict[str, Any] = body["result"].get("structuredContent") or {}
    if not body["result"].get("isError"):
        return OK, True, answer
    error: dict[str, Any] = answer.get("error", {})
    code = error.get("code", "an error without a code")
    return code, code in (*RETRYABLE_CODES, OUTCOME_UNKNOWN), answer
