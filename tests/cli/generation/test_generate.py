"""layer-mcp generate, price and status, as scripts run them."""

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import anyio
import pytest
from PIL import Image

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_workflows

from ...support.hosts import MEMORY, SCRIPT, child_environment, content_of
from ...support.terminal import SMALL, Person

pytestmark = pytest.mark.process

SLOW_SECONDS = 30.0


def test_files_are_saved_in_the_given_folder_and_their_paths_printed(person: Person) -> None:
    printed = person.run("generate", "a red potion", *SMALL, "--out", "art").stdout.splitlines()
    [picture] = (person.folder / "art").glob("*.png")
    assert printed[1].startswith(f"{picture} (image/png, 64x64")
    with Image.open(picture) as opened:
        assert opened.size == (64, 64)
    assert (person.folder / "art" / f"{picture.stem[:-2]}.json").exists()


def test_files_are_saved_in_layer_in_the_home_folder_by_default(
    person: Person, tmp_path: Path
) -> None:
    ended = person.json("generate", "a red potion", *SMALL)
    home = tmp_path / "home" / "Layer"
    assert [Path(output["path"]).parent for output in ended["outputs"]] == [home]


def test_json_output_is_the_only_thing_on_stdout(person: Person) -> None:
    ended = person.run("generate", "x", *SMALL, "--json")
    content = json.loads(ended.stdout)
    assert {"inference_id", "status", "outputs"} <= content.keys()
    assert "next_step" not in content
    assert content["inference_id"] in ended.stderr


def test_json_for_programs_has_no_next_steps_for_agents(person: Person) -> None:
    calls = (
        ("generate", "x", *SMALL),
        ("generate", "x", *SMALL),
        ("price", "x", *SMALL),
        ("runs",),
        ("models",),
        ("model", "Sandbox Image"),
    )
    answers = [person.json(*call) for call in calls]
    assert all("next_step" not in answer for answer in answers)
    assert answers[1]["warning"].endswith("To pay for another, add --repeat.")


def test_a_failure_in_json_has_the_next_step_of_the_command_line(person: Person) -> None:
    ended = person.run("generate", "x", *SMALL, "--width=1000", "--json", LAYER_CONFIRM_ABOVE="0")
    failure = json.loads(ended.stdout)
    assert failure["error"]["code"] == "CONFIRMATION_REQUIRED"
    assert failure["next_step"].startswith("To approve it, add --max-price 0.0")


@pytest.mark.slow
def test_another_process_can_wait_for_a_run_and_save_its_files(person: Person) -> None:
    run_id = person.run("generate", "x", *SMALL, "--no-wait").stdout.strip()
    ended = person.run("status", run_id, "--wait", "--out", "art")
    assert f"Run {run_id}: complete." in ended.stdout
    assert len(list((person.folder / "art").glob("*.png"))) == 1


async def start_workflow(environment: dict[str, str]) -> str:
    """Start a workflow run as an agent does, and return its ID."""
    call = {"workflow_id": sandbox_workflows()[0].workflow_id, "inputs": {"prompt": "x"}}
    async with MEMORY.connect(environment | {"LAYER_TOOLSETS": "all"}) as client:
        return content_of(await client.call_tool("execute_workflow", call))["run_id"]


def test_status_saves_the_files_of_a_workflow_run(
    person: Person, environment: dict[str, str]
) -> None:
    run_id = anyio.run(start_workflow, environment)
    ended = person.run("status", run_id, "--wait", "--out", "art")
    assert f"Workflow run {run_id}: complete." in ended.stdout
    assert len(list(person.folder.glob("art/*.png"))) == 2


def test_status_uses_the_folder_that_a_run_was_saved_to(person: Person) -> None:
    run_id = person.json("generate", "x", *SMALL, "--out", "art")["inference_id"]
    [output] = person.json("status", run_id)["outputs"]
    assert Path(output["path"]).parent == person.folder / "art"


def test_no_wait_prints_only_the_id_even_of_an_ended_run(person: Person) -> None:
    run_id = person.json("generate", "x", *SMALL)["inference_id"]
    again = person.here("generate", "x", *SMALL, "--no-wait")
    assert again.stdout == f"{run_id}\n"
    assert "To pay for another, add --repeat." in again.stderr


def test_the_model_may_come_from_the_environment(person: Person, sandbox: RunningSandbox) -> None:
    chosen = {"LAYER_MODEL": "Sandbox Image Fast"}
    person.done("generate", "x", "-n=1", "--no-wait", **chosen)
    person.done("generate", "y", *SMALL, "--no-wait", **chosen)
    names = {model.model_id: model.name for model in sandbox.state.models}
    used = [names[run.request.model_id] for run in sandbox.state.runs.values()]
    assert used == ["Sandbox Image Fast", "Sandbox Image"]


def test_the_price_is_printed_and_nothing_is_started(
    person: Person, sandbox: RunningSandbox
) -> None:
    printed = person.done("price", "x", *SMALL, "--width=1000", "-n=4")
    assert printed.splitlines()[0] == "Price 0.03 CU (estimated)."
    assert sandbox.state.arrived["execute_inference"] == 0


def test_an_expensive_run_without_a_terminal_is_refused_with_the_option_to_agree(
    person: Person, sandbox: RunningSandbox
) -> None:
    said = person.failed("generate", "x", *SMALL, "--width=1000", LAYER_CONFIRM_ABOVE="0.001")
    assert said.endswith("Nothing was sent. To approve it, add --max-price 0.01.\n")
    assert sandbox.state.arrived["execute_inference"] == 0


def test_pays_a_price_up_to_max_price_without_asking(
    person: Person, sandbox: RunningSandbox
) -> None:
    agreed = ("--width=1000", "--max-price=0.01", "--no-wait")
    person.done("generate", "x", *SMALL, *agreed, LAYER_CONFIRM_ABOVE="0.001")
    assert sandbox.state.arrived["execute_inference"] == 1


def test_a_refusal_as_json_is_the_tools_error(person: Person) -> None:
    ended = person.here("generate", "x", *SMALL, "--width=1000", "--max-price=0.001", "--json")
    content = json.loads(ended.stdout)
    assert (ended.returncode, content["error"]["code"]) == (1, "PRICE_ABOVE_MAX")
    assert content["estimated_price_creative_units"] == 0.01


def test_a_refusal_names_options_instead_of_tool_arguments(person: Person) -> None:
    expensive = person.failed("generate", "x", *SMALL, "--width=1000", "--max-price=0.001")
    assert "The price is 0.01 CU; --max-price allows 0.001." in expensive
    lacking = person.failed(
        "generate", "x", "--model=sandbox upscale", "-n=1", "--out=my_batch_size"
    )
    assert "--reference: Sandbox Upscale needs one of type init. Correct it and try" in lacking


def test_a_failed_run_is_exit_code_1_and_its_reason(
    person: Person, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_error = ("CONTENT_POLICY_VIOLATION", "That is not allowed.")
    ended = person.here("generate", "x", *SMALL)
    assert ended.returncode == 1
    assert "CONTENT_POLICY_VIOLATION: That is not allowed." in ended.stdout


def test_the_same_command_returns_the_existing_run_unless_repeat_is_given(
    person: Person, sandbox: RunningSandbox
) -> None:
    first = person.json("generate", "x", *SMALL)["inference_id"]
    again = person.done("generate", "x", *SMALL)
    assert f"Run {first}" in again
    assert "you weren't charged again. To pay for another, add --repeat." in again
    assert person.json("generate", "x", *SMALL, "--repeat")["inference_id"] != first
    assert sandbox.state.arrived["execute_inference"] == 2


def test_a_reference_may_be_a_file_in_any_folder(
    person: Person, tmp_path: Path, sandbox: RunningSandbox
) -> None:
    (tmp_path / "elsewhere").mkdir()
    Image.new("RGB", (64, 64), "red").save(tmp_path / "elsewhere" / "sketch.png")
    person.done("generate", "x", *SMALL, "--no-wait", "--reference", "init=../elsewhere/sketch.png")
    [run] = sandbox.state.runs.values()
    assert [file.type for file in run.request.guidance_files] == ["init"]


def test_a_prompt_may_come_from_a_pipe_or_begin_with_a_dash(
    person: Person, sandbox: RunningSandbox
) -> None:
    person.run("generate", "-", *SMALL, "--no-wait", piped="火の薬\n")
    person.done("generate", *SMALL, "--no-wait", "--", "-5 degrees")
    prompts = [run.request.prompt for run in sandbox.state.runs.values()]
    assert prompts == ["火の薬", "-5 degrees"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("", *SMALL), "The prompt is empty."),
        (SMALL, "The prompt is missing."),
        (("x",), "The model is missing. Add --model NAME or set LAYER_MODEL."),
        (("x", *SMALL, "--out", "file"), "file: Not a directory. Use --out to choose another."),
        (("x", *SMALL, "--widht", "64"), "Did you mean --width?"),
        (("x", *SMALL, "--set", "promt=y"), "Did you mean prompt?"),
        (("x", *SMALL, "--set", "seed=1e400"), "seed has a number that is not finite"),
        (("x", *SMALL, "--set", "mask=3", "--mask", "a"), "--set mask must be an object"),
        (("x", *SMALL, "--set", "guidance_files=3", "--reference", "a"), "must be a list"),
    ],
    ids=[
        "empty prompt",
        "no prompt",
        "no model",
        "a file",
        "a mistyped option",
        "no field",
        "no number",
        "no object",
        "no list",
    ],
)
def test_invalid_options_are_refused_before_anything_is_sent(
    arguments: tuple[str, ...], said: str, person: Person, sandbox: RunningSandbox
) -> None:
    (person.folder / "file").touch()
    ended = person.here("generate", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert sandbox.state.arrived == Counter()


def test_a_missing_token_is_answered_with_how_to_log_in(person: Person) -> None:
    keyring = "keyring.backends.null.Keyring"
    said = person.failed("models", LAYER_API_KEY="", PYTHON_KEYRING_BACKEND=keyring)
    assert said.endswith("Run layer-mcp login, or add --sandbox to try it without an account.\n")


def test_a_wait_that_fails_prints_how_to_resume(person: Person, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.run_seconds = SLOW_SECONDS
    fault = Fault("status", status=403, code="FORBIDDEN", detail="Not yours.")
    sandbox.state.knobs.fail_next("get_inference", fault)
    said = person.failed("generate", "x", *SMALL).splitlines()
    [run_id] = sandbox.state.runs
    resume = f"To wait for it: layer-mcp status {run_id} --wait"
    assert said[-1] == f"layer-mcp: Not yours. The run continues. {resume}"


@pytest.mark.skipif(os.name == "nt", reason="Ctrl+C works differently there")
def test_ctrl_c_while_waiting_keeps_the_run_and_prints_how_to_resume(
    person: Person, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = SLOW_SECONDS
    with subprocess.Popen(
        [SCRIPT, "generate", "x", *SMALL, "--out", "my art"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=person.folder,
        env=child_environment(dict(person.environment)),
    ) as process:
        assert process.stderr is not None
        started = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    [run_id] = sandbox.state.runs
    assert process.returncode == 130
    assert run_id in started
    assert said == (
        f"The run continues. To wait for it: layer-mcp status {run_id} --wait --out 'my art'\n"
    )


@pytest.mark.slow
def test_a_closed_pipe_ends_a_list_quietly(person: Person) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [SCRIPT, "models"],
            check=False,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=child_environment(dict(person.environment)),
        )
    finally:
        os.close(writer)
    assert (done.stderr, done.returncode) == ("", 141)
