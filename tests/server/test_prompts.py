"""The prompts: which are offered, how they treat odd arguments, and whether their steps work."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, TextContent
from PIL import Image

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.server.prompts import JOBS
from layer_mcp.server.tools import tools_of
from layer_mcp.settings import TOOLSETS, Toolset

from ..support.following_prompts import Follower, steps_of, words_in
from ..support.hosts import IMAGE_MODEL, MEMORY, Host

pytestmark = pytest.mark.anyio

NAMES = [job.name for job in JOBS]
ALL_TOOLS = frozenset(tool.name for tool in tools_of(TOOLSETS))
FILE_ID = "00000000-0000-4000-8000-0000000000f1"
REQUIRED = {
    job.name: {
        argument.name: FILE_ID if argument.kind == "image" else "a thing"
        for argument in job.arguments
        if argument.is_required
    }
    for job in JOBS
}
ODD_TEXTS = {
    "markup": '<b>a</b> </user> {"a": 1} `tool`',
    "placeholders": "$references ${model_id} $$ {0} %s",
    "quotes": 'it\'s "quoted" \\ with \\n',
    "a numbered line": "1. Save: call `save_outputs`",
    "what joins letters": "\U0001f468\u200d\U0001f4bb \u0645\u06cc\u200c\u062e",
}


async def text_of_prompt(client: Client, name: str, arguments: dict[str, str]) -> str:
    [message] = (await client.get_prompt(name, arguments)).messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    return message.content.text


def with_toolsets(environment: dict[str, str], toolsets: tuple[Toolset, ...]) -> dict[str, str]:
    return environment | {"LAYER_TOOLSETS": ",".join(toolsets)}


def some_toolsets() -> list[tuple[Toolset, ...]]:
    return [some for size in range(1, 5) for some in combinations(TOOLSETS, size)]


async def test_lists_the_prompts_with_their_required_arguments(
    host: Host, environment: dict[str, str]
) -> None:
    async with host.connect(environment) as client:
        listed = (await client.list_prompts()).prompts
    assert [prompt.name for prompt in listed] == [
        "icon_set",
        "character_sheet",
        "tiling_texture",
        "image_to_3d",
        "sound_effect",
        "upscale_and_cut_out",
    ]
    required = [
        [argument.name for argument in prompt.arguments or [] if argument.required]
        for prompt in listed
    ]
    assert required == [["subjects"], ["anchor"], ["material"], ["image"], ["sound"], ["image"]]
    assert all(prompt.title and prompt.description for prompt in listed)
    assert all(each.description for prompt in listed for each in prompt.arguments or [])


async def test_a_prompt_repeats_the_given_arguments(
    host: Host, environment: dict[str, str]
) -> None:
    async with host.connect(environment) as client:
        text = await text_of_prompt(client, "icon_set", {"subjects": "sword", "style": "pixel art"})
    assert text.splitlines()[1:3] == ['subjects: "sword"', 'style: "pixel art"']


@pytest.mark.parametrize("name", NAMES)
async def test_the_steps_of_a_prompt_work(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    picture = tmp_path / "my  own $picture.png"
    Image.new("RGB", (64, 64), (220, 30, 30)).save(picture)
    images = [
        argument.name for job in JOBS for argument in job.arguments if argument.kind == "image"
    ]
    given = {
        argument: str(picture) if argument in images else value
        for argument, value in REQUIRED[name].items()
    }
    settings = environment | {"LAYER_INPUT_DIRS": str(tmp_path)}
    async with MEMORY.connect(settings) as client:
        text = await text_of_prompt(client, name, given)
        follower = Follower(client, text, ALL_TOOLS)
        await follower.follow()
    assert follower.called[0] == "list_models"
    assert "estimate_price" in follower.called
    assert set(follower.statuses) == {"complete"}
    folder = next(job.folder for job in JOBS if job.name == name)
    assert follower.paths
    assert {Path(path).parent.name for path in follower.paths} == {folder}
    assert all(Path(path).exists() for path in follower.paths)


@pytest.mark.parametrize("name", NAMES)
async def test_a_prompt_names_only_existing_tools_and_arguments(
    name: str, environment: dict[str, str]
) -> None:
    job = next(job for job in JOBS if job.name == name)
    everything = {a.name: a.default or REQUIRED[name].get(a.name, "1") for a in job.arguments}
    async with MEMORY.connect(environment) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        texts = [
            await text_of_prompt(client, name, REQUIRED[name]),
            await text_of_prompt(client, name, everything),
        ]
    schema: dict[str, Any] = tools["execute_inference"].input_schema["properties"]
    # The fields of outputs and references.
    inner = {"file_id", *schema["guidance_files"]["items"]["properties"]}
    for text in texts:
        for step in steps_of(text):
            named = [word for word in words_in(step) if word in tools]
            arguments = {name for tool in named for name in tools[tool].input_schema["properties"]}
            # A batch takes the arguments of a run.
            arguments |= set(schema) if "execute_batch" in named else set()
            assert named
            assert set(words_in(step)) - set(named) <= arguments | inner


@pytest.mark.parametrize("toolsets", some_toolsets(), ids=",".join)
async def test_a_prompt_names_no_disabled_tool(
    toolsets: tuple[Toolset, ...], environment: dict[str, str]
) -> None:
    async with MEMORY.connect(with_toolsets(environment, toolsets)) as client:
        there = {tool.name for tool in (await client.list_tools()).tools}
        names = [prompt.name for prompt in (await client.list_prompts()).prompts]
        texts = [await text_of_prompt(client, name, REQUIRED[name]) for name in names]
    assert bool(names) == ({"generate", "models"} <= set(toolsets))
    for text in texts:
        assert ALL_TOOLS & set(words_in(text)) <= there


async def test_a_prompt_with_disabled_tools_is_unavailable(environment: dict[str, str]) -> None:
    async with MEMORY.connect(with_toolsets(environment, ("models",))) as client:
        with pytest.raises(MCPError, match=r"Unknown prompt icon_set\. Available: none\."):
            await client.get_prompt("icon_set", {"subjects": "sword"})


async def test_a_prompt_has_no_save_step_if_files_are_saved_automatically(
    environment: dict[str, str], tmp_path: Path
) -> None:
    async with MEMORY.connect(environment | {"LAYER_OUTPUT_DIR": str(tmp_path)}) as client:
        text = await text_of_prompt(client, "sound_effect", {"sound": "a door"})
    assert "save_outputs" not in text
    assert steps_of(text)[-1] == "Save: tell the user where the files are."


async def test_a_prompt_with_a_model_does_not_search_for_one(environment: dict[str, str]) -> None:
    given = {"subjects": "sword", "model_id": IMAGE_MODEL, "workspace_id": "studio"}
    async with MEMORY.connect(environment) as client:
        text = await text_of_prompt(client, "icon_set", given)
    assert "list_models" not in text
    assert f'`model_id` "{IMAGE_MODEL}"' in steps_of(text)[0]
    assert 'Pass `workspace_id` "studio" in each call.' in text


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        (FILE_ID, {"file_id": FILE_ID, "type": "init"}),
        (" art/hero  one.png ", {"path": "art/hero  one.png", "type": "init"}),
        ('a"$references\n.png', {"path": 'a"$references\n.png', "type": "init"}),
    ],
)
async def test_a_picture_is_passed_as_a_path_or_a_file_id(
    image: str, reference: dict[str, str], environment: dict[str, str]
) -> None:
    async with MEMORY.connect(environment) as client:
        text = await text_of_prompt(client, "upscale_and_cut_out", {"image": image})
    assert json.dumps([reference], ensure_ascii=False) in text


async def test_an_argument_keeps_special_characters(
    host: Host, environment: dict[str, str], subtests: pytest.Subtests
) -> None:
    async with host.connect(environment) as client:
        plain = await text_of_prompt(client, "tiling_texture", {"material": "moss"})
        for kind, value in ODD_TEXTS.items():
            with subtests.test(kind=kind):
                text = await text_of_prompt(client, "tiling_texture", {"material": value})
                line = text.splitlines()[1]
                assert json.loads(line.removeprefix("material: ")) == value
                assert text.replace(line, 'material: "moss"') == plain


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("  sword\t ,  shield ", "sword , shield"),
        ("sword\r\n\n\n  shield\n", "sword\nshield"),
        ("sw\x00o\x1brd\u202e\u2028s", "sw o rd s"),
    ],
)
async def test_an_argument_is_cleaned_of_invisible_characters(
    value: str, shown: str, environment: dict[str, str]
) -> None:
    async with MEMORY.connect(environment) as client:
        text = await text_of_prompt(client, "icon_set", {"subjects": value})
    assert f"subjects: {json.dumps(shown)}\n" in text


@pytest.mark.parametrize("absent", ["", "   ", "null", "\n"])
async def test_an_omitted_argument_gets_its_default(
    absent: str, environment: dict[str, str]
) -> None:
    given = {"sound": "a door", "seconds": absent, "model_id": absent}
    async with MEMORY.connect(environment) as client:
        text = await text_of_prompt(client, "sound_effect", given)
        assert text == await text_of_prompt(client, "sound_effect", {"sound": "a door"})
    assert 'seconds: "2"' in text


WRONG_REQUESTS: list[tuple[str, dict[str, str], str]] = [
    ("icons", {}, "Unknown prompt icons. Available: icon_set, "),
    ("x" * 10_000, {}, f"Unknown prompt {'x' * 60}. "),
    ("icon_set", {}, "subjects is missing."),
    ("icon_set", {"subjects": "null"}, "subjects is missing."),
    (
        "icon_set",
        {"subject": "a"},
        r'subject is not an argument \(did you mean "subjects"\?\).',
    ),
    ("icon_set", {"subjects": "a", "zzz\n": ""}, "zzz is not an argument."),
    ("image_to_3d", {"image": "a/" * 600}, "image is longer than 1000 characters."),
    ("icon_set", {"subjects": "sword, " * 200}, "subjects is longer than 1000 characters."),
]


async def test_rejects_a_wrong_prompt_request_in_one_sentence(
    host: Host, environment: dict[str, str], subtests: pytest.Subtests
) -> None:
    async with host.connect(environment) as client:
        for name, arguments, sentence in WRONG_REQUESTS:
            with subtests.test(sentence=sentence[:60]):
                with pytest.raises(MCPError, match=sentence) as refused:
                    await client.get_prompt(name, arguments)
                assert refused.value.error.code == INVALID_PARAMS
        assert (await client.list_prompts()).prompts


async def test_a_prompt_needs_no_token_and_no_request(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(environment | {"LAYER_API_KEY": ""}) as client:
        assert steps_of(await text_of_prompt(client, "icon_set", {"subjects": "sword"}))
    assert not sandbox.state.arrived
