"""The metrics: where they are served, what they count, and that clients can't add values."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ...support.hosts import SCRIPT, SMALL_IMAGE, child_environment
from ...support.http_process import Server, message, request

pytestmark = pytest.mark.process

CLOSE = b"Connection: close"
Labels = frozenset[tuple[str, str]]
WITHOUT_METRICS = (
    "import sys; sys.modules['prometheus_client'] = None; sys.argv = sys.argv[1:];"
    "from layer_mcp.cli.main import main; sys.exit(main())"
)


def scrape(server: Server) -> dict[tuple[str, Labels], float]:
    url = f"http://127.0.0.1:{server.metrics_port}/metrics"
    text = httpx.get(url, trust_env=False, timeout=20).raise_for_status().text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(values: dict[tuple[str, Labels], float], name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (one, has), value in values.items() if one == name and wanted <= has)


def test_metrics_are_served_only_on_their_own_port(observed: Server) -> None:
    get = request(CLOSE, method=b"GET", target=b"/metrics", body=b"")
    assert observed.ask(get).startswith(b"HTTP/1.1 404 ")
    other = httpx.post(f"http://127.0.0.1:{observed.metrics_port}/mcp", trust_env=False)
    assert other.status_code == 404


def test_a_paid_call_is_counted_by_tool_and_outcome(observed: Server) -> None:
    before = scrape(observed)
    body = message("tools/call", name="execute_inference", arguments=SMALL_IMAGE)
    observed.ask_once(request(CLOSE, body=body))
    after = scrape(observed)
    calls = {"method": "tools/call", "tool": "execute_inference", "era": "legacy", "outcome": "ok"}
    for name, labels in {
        "layer_mcp_calls_total": calls,
        "layer_mcp_call_duration_seconds_count": {"tool": "execute_inference"},
        "layer_mcp_submissions_total": {"outcome": "started"},
    }.items():
        assert total(after, name, **labels) - total(before, name, **labels) == 1, name


def test_the_state_of_the_replica_is_shown(observed: Server) -> None:
    values = scrape(observed)
    shown = ("ready", "requests_in_flight", "queued_runs", "submissions_in_flight")
    states = [total(values, f"layer_mcp_{name}") for name in shown]
    assert states == [1, 0, 0, 0]
    if sys.platform == "linux":
        assert total(values, "process_resident_memory_bytes") > 0


def test_clients_cannot_add_values(observed: Server) -> None:
    def ask(number: int) -> None:
        for method in ("tools/call", f"made/up{number}"):
            body = message(method, name=f"tool{number}", arguments={})
            observed.ask_once(request(CLOSE, f"X-{number}: 1".encode(), body=body))
        observed.ask_once(request(CLOSE, target=f"/path{number}".encode()))
        observed.ask_once(request(CLOSE, method=f"VERB{number}".encode()))

    ask(0)
    before = set(scrape(observed))
    for number in range(1, 20):
        ask(number)
    assert set(scrape(observed)) == before


def test_without_the_extra_the_option_is_refused_in_a_sentence(tmp_path: Path) -> None:
    serve = [SCRIPT, "serve", "--http", "--port", "0", "--metrics-port", "0"]
    environment = child_environment({"LAYER_STATE_DIR": str(tmp_path)})
    command = [sys.executable, "-c", WITHOUT_METRICS, *serve]
    ended = subprocess.run(
        command, check=False, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "layer-mcp[metrics]" in ended.stderr
