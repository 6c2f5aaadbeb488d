"""Names of saved outputs."""

import ntpath
import posixpath
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from layer_mcp import LayerError
from layer_mcp.files.paths import safe_folder_parts
from layer_mcp.runs.outputs.names import numbered, output_name, slug_of

RUN_ID = "3C90c3cc-0d44-4b50-8888-8dd25736052a"
PIECES = ["..", ".", "", "/", "\\", "C:", "~", "con", "a", " ", "nul.txt", "\0", "sword", "…"]
FOLDERS = st.text() | st.lists(st.sampled_from(PIECES)).map("/".join) | st.sampled_from(PIECES)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("A golden Sword, 3 gems!", "a-golden-sword-3-gems"),
        ("../../etc/passwd", "etc-passwd"),
        ("épée d'ÉTÉ", "épée-d-été"),
        ("e\u0301te\u0301", "été"),
        ("黄金の剣", "黄金の剣"),
        ("हिन्दी तलवार", "हिन्दी-तलवार"),
        ("\u0301\u0301 sword", "sword"),
        ("ﬁre ²", "fire-2"),
        ("x\u202egnp.exe", "x-gnp-exe"),
        ("🗡️", "output"),
        ("", "output"),
        (None, "output"),
    ],
)
def test_a_slug_keeps_the_words_of_the_prompt(text: str | None, slug: str) -> None:
    assert slug_of(text) == slug


@pytest.mark.parametrize(
    ("encoding", "slug"),
    [("ascii", "uber-tranke"), ("latin-1", "über-tränke"), ("utf-8", "über-tränke-剣")],
)
def test_removes_characters_that_file_names_cannot_contain(encoding: str, slug: str) -> None:
    assert slug_of("Über Tränke 剣", encoding) == slug


def test_a_long_prompt_is_cut_to_forty_characters() -> None:
    assert slug_of("sword " * 1000) == "sword-sword-sword-sword-sword-sword-swor"


def test_a_slug_is_not_cut_inside_a_character() -> None:
    assert slug_of("剣" * 40) == "剣" * 26


def test_truncating_leaves_no_dash_at_the_end() -> None:
    assert slug_of("a" * 39 + " sword") == "a" * 39


@given(st.text())
def test_a_slug_is_always_short_words_joined_by_dashes(text: str) -> None:
    slug = slug_of(text)
    assert slug
    assert len(slug) <= 40
    assert len(slug.encode()) <= 80
    assert all(word and word[0].isalnum() for word in slug.split("-"))
    assert {unicodedata.category(c)[0] for c in slug} <= set("LMNP")


def test_an_output_is_named_after_prompt_run_and_number() -> None:
    assert output_name("sword", RUN_ID, 2, "png") == "sword-3c90c3cc-2.png"


@pytest.mark.parametrize(
    ("run_id", "start"), [("../../x", "x"), ("é-1", "1"), ("", "run"), ("12-34567890", "12345678")]
)
def test_only_plain_characters_of_an_id_are_named(run_id: str, start: str) -> None:
    assert output_name("a", run_id, 1, "png") == f"a-{start}-1.png"


@pytest.mark.parametrize(
    ("attempt", "name"), [(1, "a-1.png"), (2, "a-1-copy2.png"), (12, "a-1-copy12.png")]
)
def test_a_taken_name_gets_a_number(attempt: int, name: str) -> None:
    assert numbered("a-1.png", attempt) == name


def test_a_name_without_extension_is_numbered_at_its_end() -> None:
    assert numbered("a", 2) == "a-copy2"


@pytest.mark.parametrize(
    ("folder", "parts"),
    [
        ("icons", ("icons",)),
        ("icons/swords/", ("icons", "swords")),
        ("icons\\swords", ("icons", "swords")),
        ("./icons//swords/.", ("icons", "swords")),
        ("Level 1/épées", ("Level 1", "épées")),
        ("console/comet/com10/nullable", ("console", "comet", "com10", "nullable")),
        (".hidden", (".hidden",)),
        ("", ()),
        (".", ()),
    ],
)
def test_a_relative_folder_is_split_into_its_parts(folder: str, parts: tuple[str, ...]) -> None:
    assert safe_folder_parts(folder) == parts


@pytest.mark.parametrize(
    "folder",
    [
        "..",
        "a/../..",
        "a\\..\\b",
        "...",
        "/etc",
        "\\\\server\\share",
        "~/art",
        "C:",
        "c:\\art",
        "a/D:b",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "a\u2028b",
        "a\ud800",
        "a<b",
        "a>b",
        'a"b',
        "a|b",
        "a?",
        "a*",
        "a.",
        "a ",
        " ",
        "CON",
        "a/nul",
        "Aux.txt",
        "prn .png",
        "com1",
        "LPT9.tar.gz",
        "com²",
        "conin$",
        "é" * 51,
        "a/" * 11,
    ],
)
def test_rejects_a_folder_that_is_unsafe_on_any_system(folder: str) -> None:
    with pytest.raises(LayerError) as caught:
        safe_folder_parts(folder)
    assert caught.value.code == "INVALID_FOLDER"


def test_a_refusal_names_the_part_and_what_to_pass() -> None:
    with pytest.raises(LayerError, match=r"'\.\.' leads out .* Pass a relative folder"):
        safe_folder_parts("icons/../..")


def test_a_refusal_stays_short_and_on_one_line() -> None:
    with pytest.raises(LayerError) as caught:
        safe_folder_parts("a\n" * 5000)
    assert len(caught.value.message) < 300
    assert caught.value.message.isprintable()


@given(FOLDERS)
def test_a_subfolder_never_leads_out_of_its_parent(folder: str) -> None:
    try:
        parts = safe_folder_parts(folder)
    except LayerError:
        return
    assert posixpath.normpath(posixpath.join("/out", *parts)) == "/".join(("/out", *parts))
    assert ntpath.normpath(ntpath.join("D:\\out", *parts)) == "\\".join(("D:\\out", *parts))


@given(FOLDERS)
@example("./~")
def test_accepted_parts_are_accepted_again(folder: str) -> None:
    try:
        parts = safe_folder_parts(folder)
    except LayerError:
        return
    assert safe_folder_parts("/".join(parts)) == parts
