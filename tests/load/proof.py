"""Run the agents while a replica is killed, another one restarted, and the database too."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import anyio
import httpx
from anyio import to_thread

from .agents import OK, Agent, Attempt, Notes
from .deployment import Deployment

FAILURES: tuple[tuple[str, Callable[[Deployment], None]], ...] = (
    ("replica killed", Deployment.kill_replica),
    ("replica restarted", Deployment.restart_replica),
    ("database restarted", Deployment.restart_database),
)

# Between the first calls of two agents.
ARRIVAL_SECONDS = 0.05


@dataclass(frozen=True)
class Event:
    """A failure, in seconds since the first call; it has `ended` when everything is back."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True)
class Proof:
    """What happened, in seconds since the first call."""

    agents: int
    duration_seconds: float
    events: Sequence[Event]
    notes: Notes
    posts: Counter[str]
    started_at: float

    def violations(self) -> list[str]:
        """Return what must not happen."""
        notes, posts = self.notes, self.posts
        prompts = notes.run_ids.keys() | notes.unknown
        found = {
            "rounds without an outcome": notes.begun_rounds - len(prompts),
            "runs paid twice": sum(count - 1 for count in posts.values()),
            "runs that were paid and have no outcome": len(posts.keys() - prompts),
            "runs that an agent knows, and that weren't paid": len(
                notes.run_ids.keys() - posts.keys()
            ),
            "IDs that two agents got": len(notes.run_ids) - len(set(notes.run_ids.values())),
            "IDs of another agent": len(notes.foreign_ids),
            "kinds of errors that say nothing": len(notes.unclear()),
        }
        return [f"{count} {what}" for what, count in found.items() if count]

    def figures(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        attempts = self.notes.attempts
        tools = sorted({one.tool for one in attempts})
        return {
            "agents": self.agents,
            "runs": len(self.notes.run_ids),
            "paid_requests": self.posts.total(),
            "unknown_outcomes": len(self.notes.unknown),
            "answered_calls": sum(one.outcome == OK for one in attempts),
            "errors": dict(sorted(self.notes.errors().items())),
            "duration_seconds": round(self.duration_seconds, 1),
            "milliseconds": {tool: _percentiles(attempts, tool) for tool in tools},
            "events": [asdict(event) for event in self.events],
            "violations": self.violations(),
        }


async def prove(deployment: Deployment, rounds: float) -> Proof:
    """Let all agents work, and cause one failure after another meanwhile.

    Before each failure and after the last one, an agent makes this many runs on average.
    """
    notes = Notes()
    events: list[Event] = []
    calm_rounds = rounds * len(deployment.tokens)
    began_at = time.monotonic()

    async def cause_failures() -> None:
        for name, cause in FAILURES:
            await notes.wait_for_rounds(calm_rounds)
            began = time.monotonic() - began_at
            await to_thread.run_sync(cause, deployment)
            events.append(Event(name, round(began, 2), round(time.monotonic() - began_at, 2)))
        await notes.wait_for_rounds(calm_rounds)
        notes.are_failures_over = True

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with (
        httpx.AsyncClient(trust_env=False, limits=limits) as http,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(cause_failures)
        for number, (name, token) in enumerate(deployment.tokens.items()):
            era = "legacy" if number % 2 else "2026-07-28"
            agent = Agent(name, token, era, f"{deployment.nginx.url}/mcp", http, notes)
            tasks.start_soon(agent.work)
            await anyio.sleep(ARRIVAL_SECONDS)
    return Proof(
        len(deployment.tokens),
        time.monotonic() - began_at,
        events,
        notes,
        deployment.posts_by_prompt(),
        began_at,
    )


def _percentiles(attempts: Sequence[Attempt], tool: str) -> dict[str, int]:
    """Return the median and the 99th percentile of answered calls."""
    times = [one.seconds * 1000 for one in attempts if one.tool == tool and one.outcome == OK]
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {"p50": round(cuts[49]), "p99": round(cuts[98])}
