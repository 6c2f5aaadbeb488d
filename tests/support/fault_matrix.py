"""Each of the sandbox's faults at each moment of a paid call, and the allowed results."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from mcp import Client
from mcp.types import CallToolResult

from layer_mcp.runs.types.run import Run
from layer_mcp.sandbox import Effect, Fault, Operation, RunningSandbox

from .hosts import SMALL_IMAGE, content_of, text_of
from .journals import list_runs

# A delay past the limit is left out, because the submission timeout isn't a setting. A delay within
# the limit is like any other response.
LEFT_OUT: tuple[Effect, ...] = ("slow",)
EFFECTS = [effect for effect in get_args(Effect) if effect not in LEFT_OUT]
REFUSALS: tuple[tuple[int, str, str | None], ...] = (
    (500, "INTERNAL_ERROR", None),
    (429, "RATE_LIMITED", None),
    (429, "RATE_LIMITED", "1"),
    (503, "SERVICE_UNAVAILABLE", None),
    (503, "SERVICE_UNAVAILABLE", "600"),
)

Moment = Literal[
    "estimate", "before accept", "after accept", "in the answer", "poll", "download", "save"
]
MOMENTS: tuple[Moment, ...] = get_args(Moment)
OPERATIONS: dict[Moment, Operation] = {
    "estimate": "estimate_price",
    "before accept": "execute_inference",
    "after accept": "execute_inference",
    "in the answer": "execute_inference",
    "poll": "get_inference",
    "download": "media",
    "save": "media",
}


@dataclass(frozen=True)
class Outcome:
    """The results of a call that met a fault, and of the same call again.

    `row` is the journal's row between the calls; `arrivals` and `runs` are from both calls.
    """

    first: CallToolResult
    after: Sequence[CallToolResult]
    again: CallToolResult
    arrivals: int
    runs: Sequence[str]
    row: Run | None

    @property
    def word(self) -> str:
        """The result in a word or two for the table."""
        if self.row is None:
            return "not sent"
        if self.row.state in ("queued", "sending", "unknown", "not_sent"):
            return self.row.state.replace("_", " ")
        return "sent again" if self.arrivals > 1 else "known"


def faults(moment: Moment) -> dict[str, Fault]:
    """Return the possible faults at a moment, by name; a 429 or 503 is never accepted."""
    named: dict[str, Fault] = {}
    for effect in EFFECTS:
        if effect == "status":
            for status, code, wait in REFUSALS:
                headers = {"Retry-After": wait} if wait else {}
                name = f"{status}, wait {wait} s" if wait else str(status)
                named[name] = Fault("status", status=status, code=code, headers=headers)
        else:
            named[effect] = Fault(effect, status=502)
    # Last, because each unknown outcome takes one of five slots.
    named["503 of a gateway"] = Fault("html", status=503, headers={"Retry-After": "0"})
    if OPERATIONS[moment] != "execute_inference":
        return named
    if moment == "in the answer":
        return {name: fault for name, fault in named.items() if fault.is_processed}
    named = {name: fault for name, fault in named.items() if not fault.is_processed}
    if moment == "before accept":
        return {"drop unread": Fault("drop", unread=True), **named}
    accepted = {name: fault for name, fault in named.items() if not may_go_again(fault)}
    return {name: replace(fault, accepted=True) for name, fault in accepted.items()}


def may_go_again(fault: Fault) -> bool:
    """Return whether a submission with this fault definitely wasn't accepted."""
    return fault.effect == "status" and fault.status in (429, 503)


async def tried(
    client: Client,
    sandbox: RunningSandbox,
    environment: dict[str, str],
    moment: Moment,
    name: str,
    fault: Fault,
) -> Outcome:
    """Make a call with the fault at its moment, the calls that follow, and the call again."""
    prompt = f"{moment}, {name}"
    call = SMALL_IMAGE | {"prompt": prompt}
    knobs = sandbox.state.knobs
    knobs.faults.clear()
    later = moment in ("poll", "download", "save")
    if not later:
        knobs.fail_next(OPERATIONS[moment], fault)
    first = await client.call_tool("execute_inference", call)
    row = await newest_row(environment, prompt)
    after: list[CallToolResult] = []
    if later:
        run_id = content_of(first)["inference_id"]
        knobs.fail_next(OPERATIONS[moment], fault)
        tool = "save_outputs" if moment == "save" else "get_status"
        after = [await client.call_tool(tool, {"inference_id": run_id}) for _ in range(2)]
    again = await client.call_tool("execute_inference", call)
    return Outcome(
        first=first,
        after=after,
        again=again,
        arrivals=sum(
            arrival.operation == "execute_inference"
            and (prompt.encode() in arrival.body or not arrival.body)
            for arrival in sandbox.state.arrivals
        ),
        runs=[
            run.inference_id for run in sandbox.state.runs.values() if run.request.prompt == prompt
        ],
        row=row,
    )


async def newest_row(environment: dict[str, str], prompt: str) -> Run | None:
    """Return the journal's newest row for a call."""
    rows = await list_runs(environment)
    return next((row for row in rows if row.request.prompt == prompt), None)


def broken_promises(outcome: Outcome, moment: Moment, fault: Fault) -> list[str]:
    """Return the violated rules; empty if there are none."""
    first, again = content_of(outcome.first), content_of(outcome.again)
    row = outcome.row
    known = row is not None and row.state not in ("queued", "sending", "unknown", "not_sent")
    unknown = row is not None and row.state == "unknown"
    sent_twice = OPERATIONS[moment] == "execute_inference" and may_go_again(fault)
    promises = {
        "at most one run is accepted": len(outcome.runs) <= 1,
        "it is sent once": outcome.arrivals <= 1 or sent_twice,
        "a run that exists is known or marked": not outcome.runs
        or known
        or unknown
        or again.get("inference_id") == outcome.runs[0],
        "a known run is the one that exists": not known
        or (row is not None and [row.run_id] == list(outcome.runs)),
        "the agent has the id of a known run": not known
        or first.get("inference_id") == outcome.runs[0],
        "the same call again is told of the first": not (known or unknown)
        or again.get("duplicate") is True,
        "the same call again names the same run": not known
        or again.get("inference_id") == first.get("inference_id"),
        "the same call again says that the outcome is unknown": not unknown
        or "OUTCOME_UNKNOWN" in text_of(outcome.again)
        or again.get("inference_id") in outcome.runs,
        "what was not sent may be sent": known or unknown or len(outcome.runs) == 1,
        "the run ends with its file": not outcome.after or has_file(outcome.after[-1]),
    }
    broken = [promise for promise, kept in promises.items() if not kept]
    for answer in (outcome.first, *outcome.after, outcome.again):
        if "\nNext: " not in text_of(answer):
            broken.append("every text names the next step")
    return broken


def has_file(answer: CallToolResult) -> bool:
    """Return whether an answer says where a run's file is on this machine."""
    content = content_of(answer)
    paths = content.get("paths") or [output.get("path") for output in content.get("outputs", [])]
    return len(paths) == 1 and Path(str(paths[0])).is_file()
