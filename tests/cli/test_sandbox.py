"""The sandbox at a terminal: its runs outlive a command, and stay out of the account's journal."""

import re
import socket
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ..support.hosts import SCRIPT, child_environment
from ..support.terminal import SMALL, Person

pytestmark = pytest.mark.process

GENERATE = ("generate", "x", *SMALL)
EMBEDDED = {"LAYER_API_URL": "", "LAYER_API_KEY": "", "LAYER_WORKSPACE_ID": ""}


@pytest.fixture
def alone(person: Person) -> Person:
    """A person without an account."""
    return Person(person.folder, {**person.environment, **EMBEDDED})


@contextmanager
def printed_by_sandbox(person: Person) -> Generator[list[str]]:
    """Run layer-mcp sandbox, and return the lines that it prints first."""
    with subprocess.Popen(
        [SCRIPT, "sandbox", "--port", "0", "--run-seconds", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment(dict(person.environment)),
    ) as process:
        assert process.stdout is not None
        yield list(iter(process.stdout.readline, "Models:\n"))
        process.terminate()


def exported(lines: list[str]) -> dict[str, str]:
    """Return the variables that a shell has after the lines were pasted into it."""
    pasted = "".join(line for line in lines if line.startswith("export "))
    shell = subprocess.run(
        ["sh", "-c", f"{pasted}env"], capture_output=True, text=True, check=True, env={}
    )
    return dict(re.findall(r"^(LAYER_\w+)=(.*)$", shell.stdout, re.MULTILINE))


def test_the_same_call_in_another_command_returns_the_run(alone: Person) -> None:
    run_id = alone.done(*GENERATE, "--no-wait", "--sandbox").strip()
    again = alone.json(*GENERATE, "--no-wait", "--sandbox")
    assert again["inference_id"] == run_id
    assert alone.json("runs", "--sandbox")["total"] == 1


@pytest.mark.slow
def test_a_run_is_finished_and_saved_by_another_command(alone: Person) -> None:
    run_id = alone.done(*GENERATE, "--no-wait", "--sandbox").strip()
    ended = alone.json("status", run_id, "--wait", "--sandbox")
    assert Path(ended["outputs"][0]["path"]).exists()


def test_the_sandbox_and_the_account_have_separate_journals(person: Person) -> None:
    person.done(*GENERATE)
    assert person.json("runs", "--sandbox")["total"] == 0
    person.done(*GENERATE, "--sandbox")
    assert person.json("runs")["total"] == 1


def test_the_command_for_a_running_run_names_the_sandbox(alone: Person) -> None:
    said = alone.here(*GENERATE, "--no-wait", "--sandbox").stderr
    assert said.endswith(" --wait --sandbox\n")


def test_a_run_that_the_sandbox_does_not_know_says_so(alone: Person) -> None:
    said = alone.failed("status", "00000000-0000-4000-8000-0000000000ff", "--sandbox")
    assert said.startswith("layer-mcp: The sandbox has no such run.")


@pytest.mark.slow
def test_the_sandboxs_output_leads_to_the_same_run_after_a_restart(person: Person) -> None:
    answers = [person_in_sandbox.json(*GENERATE) for person_in_sandbox in restarted(person)]
    first, second = ((one["inference_id"], one["outputs"][0]["path"]) for one in answers)
    assert first == second


def restarted(person: Person) -> Iterator[Person]:
    """Yield a person with what the sandbox prints, twice."""
    home = {"LAYER_STATE_DIR": person.environment["LAYER_STATE_DIR"]}
    for _ in range(2):
        with printed_by_sandbox(person) as lines:
            yield Person(person.folder, {**home, **exported(lines)})


def test_the_sandboxs_output_configures_every_shell(person: Person) -> None:
    with printed_by_sandbox(person) as lines:
        settings = exported(lines)
        headers = {"Authorization": f"Bearer {settings['LAYER_API_KEY']}"}
        url = f"{settings['LAYER_API_URL']}/v1/workspaces/{settings['LAYER_WORKSPACE_ID']}"
        answer = httpx.get(url, headers=headers, trust_env=False)
    powershell = dict(re.findall(r'^\$env:(\w+) = "(.*)"$', "".join(lines), re.MULTILINE))
    assert answer.json()["name"] == "Sandbox"
    assert powershell == settings


@pytest.mark.parametrize("command", [("sandbox",), ("serve", "--http")], ids=" ".join)
def test_a_taken_port_is_named_with_the_option_that_chooses_another(
    command: tuple[str, ...], person: Person
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = person.here(*command, "--port", str(port))
    assert done.returncode == 2
    assert done.stderr == (
        f"layer-mcp: Port {port} is already in use. Choose another with --port, such as --port 0 "
        "for any free port.\n"
    )


def test_a_command_to_paste_uses_the_sandbox_too(alone: Person) -> None:
    alone.done(*GENERATE, "--no-wait", "--sandbox")
    said = alone.failed("open", "--sandbox")
    assert re.search(r"run layer-mcp status [0-9a-f-]{36} --sandbox\.", said)
