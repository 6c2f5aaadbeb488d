"""The files that `generate --from` reads."""

from pathlib import Path

import pytest

from layer_mcp.cli.generation.batch_file import read_batch
from layer_mcp.cli.parser import UsageError

PROMPTS = [{"prompt": "a red potion"}, {"prompt": "火の薬"}]


@pytest.mark.parametrize(
    "text",
    [
        "a red potion\n\n  火の薬  \r\n",
        '["a red potion", "火の薬"]',
        '[\n  {"prompt": "a red potion"},\n  {"prompt": "火の薬", "seed": null}\n]',
        '{"prompt": "a red potion"}\n{"prompt": "火の薬"}\n',
        '"a red potion"\n火の薬',
    ],
    ids=["lines", "array of prompts", "array of objects", "JSON lines", "mixed lines"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_prompts_are_read_in_every_format(text: str, encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "prompts"
    file.write_bytes(text.encode(encoding))
    assert read_batch(str(file)) == PROMPTS


def test_a_prompt_may_begin_with_a_quoted_word(tmp_path: Path) -> None:
    file = tmp_path / "prompts"
    file.write_text('"Excalibur", a sword')
    assert read_batch(str(file)) == [{"prompt": '"Excalibur", a sword'}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n \n", "The file is empty."),
        ("[1, 2", "isn't a JSON array"),
        ('x\n{"prompt": ', "Line 2 begins with {, but isn't JSON"),
        ("[3]", "request 1: must be a prompt or an object"),
        ('{"prompt": "x", "workspace_id": "w"}', "use --workspace instead"),
        ("x\n" * 101, "The file has 101 requests; a batch can have 100."),
    ],
    ids=["empty", "array", "line", "number", "workspace", "too many"],
)
def test_rejects_a_file_that_is_not_a_batch(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "prompts"
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        read_batch(str(file))
    assert said in str(refused.value)
