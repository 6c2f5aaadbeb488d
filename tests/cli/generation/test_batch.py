"""layer-mcp generate --from and price --from."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from layer_mcp.sandbox import RunningSandbox

from ...support.hosts import SCRIPT, child_environment
from ...support.terminal import MODEL, SMALL, Person, terminal

pytestmark = pytest.mark.process

SLOW_SECONDS = 30.0


@pytest.fixture
def prompts(person: Person) -> str:
    (person.folder / "prompts.txt").write_text("a key\na sword\na shield\n")
    return "prompts.txt"


def test_each_line_of_a_file_becomes_a_run_with_its_files(person: Person, prompts: str) -> None:
    ended = person.here("generate", "--from", prompts, *SMALL, "--out", "art")
    assert ended.returncode == 0, ended.stderr
    saved = sorted(path.name.rsplit("-", 2)[0] for path in (person.folder / "art").glob("*.png"))
    assert saved == ["a-key", "a-shield", "a-sword"]
    assert ended.stdout.count(": complete. ") == 3
    assert "3 runs: 3 complete. 0 CU spent.\n" in ended.stderr


@pytest.mark.slow
def test_a_request_may_have_its_own_fields_model_and_name(
    person: Person, sandbox: RunningSandbox
) -> None:
    requests = ["a key", {"prompt": "a sword", "model_id": "sandbox image fast", "name": "blade"}]
    (person.folder / "requests.json").write_text(json.dumps(requests))
    person.done("generate", "--from", "requests.json", *SMALL, "--seed=7", "--out", "art")
    names = {model.model_id: model.name for model in sandbox.state.models}
    sent = {
        run.request.prompt: (names[run.request.model_id], run.request.seed)
        for run in sandbox.state.runs.values()
    }
    assert sent == {"a key": ("Sandbox Image", 7), "a sword": ("Sandbox Image Fast", 7)}
    assert (person.folder / "art" / "blade.webp").exists()


@pytest.mark.slow
def test_a_batch_larger_than_layers_limit_is_sent_as_earlier_runs_end(
    person: Person, sandbox: RunningSandbox
) -> None:
    ended = person.run("generate", "--from", "-", *SMALL, "--json", piped="a\nb\nc\nd\ne\nf\n")
    content = json.loads(ended.stdout)
    assert [run["status"] for run in content["runs"]] == ["complete"] * 6
    assert all(Path(run["outputs"][0]["path"]).exists() for run in content["runs"])
    assert sandbox.state.arrived["execute_inference"] == 6


def test_no_wait_prints_only_the_ids_of_a_batch(
    person: Person, prompts: str, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = SLOW_SECONDS
    ended = person.here("generate", "--from", prompts, *SMALL, "--no-wait")
    assert sorted(ended.stdout.split()) == sorted(sandbox.state.runs)
    [batch] = [line for line in ended.stderr.splitlines() if "--batch" in line]
    listed = person.json("runs", "--batch", batch.rpartition(" ")[2])
    assert listed["total"] == 3


@pytest.mark.slow
def test_repeating_a_batch_returns_its_runs(
    person: Person, prompts: str, sandbox: RunningSandbox
) -> None:
    first = person.json("generate", "--from", prompts, *SMALL)["runs"]
    again = person.json("generate", "--from", prompts, *SMALL)["runs"]
    assert [run["inference_id"] for run in again] == [run["inference_id"] for run in first]
    assert sandbox.state.arrived["execute_inference"] == 3


def test_a_failed_run_of_a_batch_is_exit_code_1(
    person: Person, prompts: str, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_error = ("CONTENT_POLICY_VIOLATION", "That is not allowed.")
    ended = person.here("generate", "--from", prompts, *SMALL)
    assert ended.returncode == 1
    assert "3 runs: 3 failed." in ended.stderr


def test_requests_the_price_of_a_batch_once(
    person: Person, prompts: str, sandbox: RunningSandbox
) -> None:
    asked = terminal(answers={b"[y/N] ": b"y\n"})
    options = (*SMALL, "--width=1000", "--no-wait")
    seen = person.at(asked, "generate", "--from", prompts, *options, LAYER_CONFIRM_ABOVE="0.001")
    assert seen.text.count("[y/N]") == 1
    assert "Start 3 outputs in 3 runs for 0.03 CU?" in seen.text
    assert sandbox.state.arrived["execute_inference"] == 3


def test_max_price_is_for_the_whole_batch(
    person: Person, prompts: str, sandbox: RunningSandbox
) -> None:
    options = (*SMALL, "--width=1000", "--max-price=0.02")
    said = person.failed("generate", "--from", prompts, *options)
    assert "The price is 0.03 CU; --max-price allows 0.02." in said
    assert sandbox.state.arrived["execute_inference"] == 0


def test_the_price_of_a_batch_is_the_sum(person: Person, prompts: str) -> None:
    ended = person.here("price", "--from", prompts, *SMALL, "--width=1000")
    assert ended.stdout.startswith("Price 0.03 CU (estimated).\n")
    assert ended.stderr == "3 runs in total:\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("x", "--from", "prompts.txt", MODEL), "Use either a prompt or --from, not both."),
        (("--from", "prompts.txt", MODEL, "--name", "key"), "set names in the file"),
        (("--from", "prompts.txt"), "request 1: The model is missing."),
        (("--from", "nowhere.txt", MODEL), "nowhere.txt: No such file or directory"),
    ],
    ids=["prompt", "name", "no model", "no file"],
)
def test_options_that_a_batch_cannot_have_are_refused(
    arguments: tuple[str, ...], said: str, person: Person, prompts: str
) -> None:
    ended = person.here("generate", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_an_invalid_request_is_named_and_nothing_is_started(
    person: Person, sandbox: RunningSandbox
) -> None:
    (person.folder / "x.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b", "widht": 3}\n')
    said = person.failed("generate", "--from", "x.jsonl", *SMALL)
    assert "request 2: " in said
    assert "width" in said
    assert sandbox.state.arrived["execute_inference"] == 0


def test_ctrl_c_prints_how_to_list_the_batch(
    person: Person, prompts: str, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = SLOW_SECONDS
    with subprocess.Popen(
        [SCRIPT, "generate", "--from", prompts, *SMALL],
        stderr=subprocess.PIPE,
        text=True,
        cwd=person.folder,
        env=child_environment(dict(person.environment)),
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert first.startswith("Started batch ")
    assert f"layer-mcp runs --batch {first.split()[2]}" in said
