"""The runner for third-party clients: its committed results, and the problems it detects."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interop.clients import CLIENTS, Client
from interop.conversions import differences
from interop.environments import FOLDER, required_by
from interop.job import FAILED, NOT_OFFERED, WORKED
from interop.programs import (
    EXTRA_STEPS,
    JOB_STEPS,
    REPORT_KEYS,
    attempts_of,
    miscounted,
    problems_of,
)
from interop.report import PAGE, committed, differ, table_in, table_of, written
from interop.servers import REQUESTS, Place, place_for
from layer_mcp import InferenceRequest
from layer_mcp.server.tools import tools_of
from layer_mcp.settings import TOOLSETS

REPORTS: list[dict[str, Any]] = json.loads(committed())
PAID = [step for step in REQUESTS if step != "confirmation_no"]
REPORT: dict[str, Any] = {
    "client": "a client",
    "version": "1.0",
    "protocol": "2026-07-28",
    "transport": "stdio",
    "confirmation": "form",
    "steps": dict.fromkeys([*JOB_STEPS, *EXTRA_STEPS], WORKED),
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["model_id"],
    "properties": {
        "model_id": {"type": "string"},
        "quality": {"type": "string", "enum": ["low", "high"]},
        "guidance_files": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"type": "string"}, "weight": {"type": "number"}},
            },
        },
    },
}


def steps(**changed: str) -> dict[str, Any]:
    return REPORT | {"steps": REPORT["steps"] | changed}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_for(tmp_path, "stdio", "modern") as made:
        yield made


def submit(place: Place, *names: str) -> None:
    """Runs of these steps, as a server that works would start them, and one poll."""
    state = place.sandbox.state
    for name in names:
        request = InferenceRequest(model_id=state.models[0].model_id, **REQUESTS[name])
        state.submit(state.workspaces[0], state.models[0], request, [])
    state.arrived["get_inference"] += 1


def test_the_page_shows_the_committed_results() -> None:
    assert table_in(PAGE.read_text(encoding="utf-8")) == table_of(REPORTS)


def test_results_are_written_in_one_order() -> None:
    assert written(reversed(REPORTS)) == committed()


def test_a_step_with_another_result_makes_the_results_differ() -> None:
    first, *others = REPORTS
    changed = first | {"steps": first["steps"] | {"cancel": "failed: it went on"}}
    assert differ([changed, *others])
    assert not differ(REPORTS)


def test_ignores_the_protocol_of_a_host_that_chooses_it_by_speed() -> None:
    assert not differ(
        report | {"protocol": "2025-11-25"} if report["client"] == "Claude Code" else report
        for report in REPORTS
    )


def test_results_contain_no_paths_of_the_machine_that_wrote_them() -> None:
    assert "/tmp" not in committed()
    assert str(FOLDER) not in committed()


def test_results_hold_a_report_for_each_attempt() -> None:
    attempts = [attempt for client in CLIENTS for attempt in attempts_of(client)]
    assert len(REPORTS) == len(attempts)


@pytest.mark.parametrize("report", REPORTS, ids=lambda r: f"{r['client']} {r['transport']}")
def test_every_committed_report_has_the_whole_job(report: dict[str, Any]) -> None:
    assert report.keys() == REPORT_KEYS
    assert {report["steps"][name] for name in JOB_STEPS} == {WORKED}
    assert set(report["steps"].values()) <= {WORKED, NOT_OFFERED}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.folder)
def test_client_requirements_are_pinned_with_hashes_and_without_urls(client: Client) -> None:
    pinned = required_by(client).read_text(encoding="utf-8")
    assert "sha256:" in pinned or '"integrity": "sha512-' in pinned
    assert "resolved" not in pinned
    assert "index-url" not in pinned


def test_a_report_in_which_all_worked_has_no_problem() -> None:
    assert problems_of(REPORT, Client("any")) == []


def test_a_step_that_failed_is_a_problem() -> None:
    report = steps(save=FAILED + "no such file")
    assert problems_of(report, Client("any")) == ["save: failed: no such file"]


def test_a_step_of_the_job_must_be_offered() -> None:
    assert problems_of(steps(wait=NOT_OFFERED), Client("any")) == ["wait has to work"]


def test_progress_need_not_be_offered() -> None:
    assert problems_of(steps(progress=NOT_OFFERED), Client("any")) == []


def test_an_unknown_step_is_a_problem() -> None:
    assert problems_of(steps(dance=WORKED), Client("any")) == ["dance is no step"]


def test_a_check_of_the_clients_own_must_be_in_its_report() -> None:
    client = Client("any", checks=("schema_gemini",))
    assert problems_of(REPORT, client) == ["schema_gemini is missing"]


def test_submitting_each_run_once_is_not_a_problem(place: Place) -> None:
    submit(place, *PAID)
    assert miscounted(REPORT, place) == []


def test_a_run_that_was_submitted_twice_is_a_problem(place: Place) -> None:
    submit(place, *PAID, "generate")
    assert miscounted(REPORT, place) != []


def test_submitting_a_declined_run_is_a_problem(place: Place) -> None:
    submit(place, *PAID, "confirmation_no")
    assert miscounted(REPORT, place) != []


def test_a_report_of_runs_that_never_arrived_is_a_problem(place: Place) -> None:
    assert len(miscounted(REPORT, place)) == 2


def test_an_unchanged_schema_has_no_differences() -> None:
    for tool in tools_of(TOOLSETS, saves_by_itself=False):
        assert differences(tool.parameters, tool.parameters) == []


def test_finds_a_lost_nested_argument() -> None:
    after = json.loads(json.dumps(SCHEMA).replace('"weight"', '"strength"'))
    assert differences(SCHEMA, after) == [
        "guidance_files[].weight is lost",
        "guidance_files[].strength is new",
    ]


def test_finds_a_lost_choice() -> None:
    after = json.loads(json.dumps(SCHEMA).replace('["low", "high"]', '["low"]'))
    assert differences(SCHEMA, after) == ["quality has ['low'], had ['high', 'low']"]


@pytest.mark.parametrize(
    ("requirement", "path"), [("model_id", "model_id"), ("type", "guidance_files[].type")]
)
def test_finds_a_dropped_requirement(requirement: str, path: str) -> None:
    after = json.loads(
        json.dumps(SCHEMA).replace(f'"required": ["{requirement}"]', '"required": []')
    )
    assert differences(SCHEMA, after) == [f"{path} is required no more"]


def test_a_service_may_require_more_and_write_alternatives() -> None:
    after: dict[str, Any] = json.loads(json.dumps(SCHEMA))
    after["required"] = list(after["properties"])
    after["properties"]["quality"] = {"anyOf": [SCHEMA["properties"]["quality"], {"type": "null"}]}
    assert differences(SCHEMA, after) == []


def test_finds_a_changed_type() -> None:
    after = json.loads(json.dumps(SCHEMA).replace("number", "string"))
    assert differences(SCHEMA, after) == ["guidance_files[].weight is ['string'], was ['number']"]


def test_finds_an_object_that_no_longer_accepts_properties() -> None:
    before: dict[str, Any] = {"properties": {"inputs": {"type": "object"}}}
    after: dict[str, Any] = {
        "properties": {"inputs": {"type": "object", "additionalProperties": False}}
    }
    assert differences(before, after) == ["inputs takes nothing, took anything"]
