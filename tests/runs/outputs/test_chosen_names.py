"""Names that the caller chooses for saved files."""

from pathlib import Path

import pytest

from layer_mcp import LayerClient, LayerError, Runs, Settings
from layer_mcp.runs.opening import open_runs
from layer_mcp.runs.outputs.names import check_name
from layer_mcp.sandbox import RunningSandbox

from ...support.hosts import SMALL_IMAGE
from ...support.media_host import ONE, TWO, Media, names_in, run_of, save

pytestmark = pytest.mark.anyio


def pictures_in(folder: Path) -> list[str]:
    return [name for name in names_in(folder) if name.endswith(".png")]


async def test_one_output_gets_the_chosen_name(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    await save(layer, run_of(media.output("/a", ONE)), folder, name="Sword of Dawn")
    assert pictures_in(folder) == ["Sword of Dawn.png"]


async def test_several_outputs_are_numbered(layer: LayerClient, media: Media, folder: Path) -> None:
    run = run_of(media.output("/a", ONE), media.output("/b", TWO))
    await save(layer, run, folder, name="sword")
    assert pictures_in(folder) == ["sword_01.png", "sword_02.png"]


async def test_does_not_overwrite_a_file_with_the_same_name(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "sword.png").write_bytes(b"mine")
    await save(layer, run_of(media.output("/a", ONE)), folder, name="sword")
    assert pictures_in(folder) == ["sword-copy2.png", "sword.png"]
    assert (folder / "sword.png").read_bytes() == b"mine"


async def test_renames_an_existing_file_without_a_download(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", ONE))
    await save(layer, run, folder)
    media.asked.clear()
    saved = await save(layer, run, folder, name="sword")
    assert (pictures_in(folder), media.asked) == (["sword.png"], [])
    assert [file.name for file in saved.files] == ["sword.png"]


async def test_a_file_that_has_the_name_keeps_it(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "sword.png").write_bytes(b"mine")
    run = run_of(media.output("/a", ONE))
    for _ in range(2):
        await save(layer, run, folder, name="sword")
    assert pictures_in(folder) == ["sword-copy2.png", "sword.png"]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("sword.png", "sword"),
        ("Sword.PNG", "Sword"),
        ("v1.2", "v1.2"),
        ("  sword ", "sword"),
        ("Ritterschwert groß", "Ritterschwert groß"),
        ("剣", "剣"),
    ],
)
def test_removes_a_media_extension_from_a_name(name: str, stem: str) -> None:
    assert check_name(name) == stem


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "..",
        "../sword",
        "a/b",
        "a\\b",
        ".hidden",
        "-rf",
        "con",
        "NUL.png",
        "com1.x",
        "a:b",
        "what?",
        "a\0b",
        "a\nb",
        "a\u202eb",
        "x" * 101,
        "sword.",
        ".png",
    ],
)
def test_rejects_a_name_invalid_on_any_system_before_paying(name: str) -> None:
    with pytest.raises(LayerError, match="INVALID_ARGUMENTS"):
        check_name(name)


async def test_an_invalid_name_costs_nothing(runs: Runs, sandbox: RunningSandbox) -> None:
    with pytest.raises(LayerError, match="INVALID_ARGUMENTS"):
        await runs.generate(**SMALL_IMAGE, name="../sword")
    assert sandbox.state.arrived["execute_inference"] == 0


async def test_a_later_process_saves_files_under_the_generations_name(
    environment: dict[str, str], tmp_path: Path
) -> None:
    settings = Settings.from_env(environment | {"LAYER_OUTPUT_DIR": str(tmp_path / "out")})
    async with open_runs(settings) as runs:
        run = await runs.generate(**SMALL_IMAGE, name="sword")
    async with open_runs(settings) as runs:
        found = await runs.find(run.run_id or "")
        assert found is not None
        await runs.save_once(found)
    assert pictures_in(tmp_path / "out") == ["sword.png"]


async def test_another_name_does_not_pay_again(runs: Runs, sandbox: RunningSandbox) -> None:
    first = await runs.generate(**SMALL_IMAGE, name="sword")
    again = await runs.generate(**SMALL_IMAGE, name="axe")
    assert (again.run_id, sandbox.state.arrived["execute_inference"]) == (first.run_id, 1)
