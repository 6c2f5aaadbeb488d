"""layer-mcp manifest."""

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import pytest

from layer_mcp.runs.manifest import records

from ..support.hosts import SCRIPT, child_environment
from ..support.made_files import edit_record, write_record
from ..support.terminal import SMALL, Person

OTHER_RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_manifest_is_markdown_for_people(person: Person) -> None:
    person.done("generate", "a | potion", *SMALL, "--out=art")
    ended = person.here("manifest")
    assert ended.stdout.startswith("# Files made with Layer\n\n1 file of 1 run, 1 model, 0 CU.\n")
    assert r"a \| potion" in ended.stdout.splitlines()[-1]
    assert ended.stderr == "1 file of 1 run, 1 model, 0 CU.\n"


def test_an_empty_journal_gives_an_empty_list(person: Person) -> None:
    assert rows_of(person.done("manifest", "--format=csv")) == []


def test_a_formula_in_a_prompt_is_text_in_a_spreadsheet(person: Person) -> None:
    person.done("generate", "=1+1", *SMALL, "--out=art")
    [row] = rows_of(person.done("manifest", "--format=csv"))
    assert row["prompt"] == "'=1+1"


def test_a_changed_and_a_missing_file_are_counted(person: Person) -> None:
    for prompt in ("changed", "missing"):
        person.done("generate", prompt, *SMALL, "--out=art")
    [changed] = (person.folder / "art").glob("changed*.png")
    [missing] = (person.folder / "art").glob("missing*.png")
    changed.write_bytes(b"edited")
    missing.unlink()
    ended = person.here("manifest", "--format=json")
    totals = json.loads(ended.stdout)["totals"]
    assert (totals["changed"], totals["missing"], totals["unchanged"]) == (1, 1, 0)
    assert ended.stderr == "2 files of 2 runs, 1 model, 0 CU, 1 changed, 1 missing.\n"


def test_lists_only_runs_requested_since_a_time(person: Person) -> None:
    person.done("generate", "x", *SMALL, "--out=art")
    assert len(rows_of(person.done("manifest", "--since=30d", "--format=csv"))) == 1
    assert rows_of(person.done("manifest", "--since=2100-01-01", "--format=csv")) == []


def test_rejects_an_invalid_time(person: Person) -> None:
    assert "since must be like" in person.failed("manifest", "--since=yesterday")


def test_a_folder_is_listed_with_paths_in_it(person: Person) -> None:
    write_record(person.folder / "art" / "swords", OTHER_RUN)
    [row] = rows_of(person.done("manifest", "--folder=art", "--format=csv"))
    assert row["path"] == str(Path("swords") / "art-0f8fad5b-1.png")
    assert row["state"] == "unchanged"


def test_a_record_with_a_path_as_a_name_lists_nothing_outside(person: Person) -> None:
    record = write_record(person.folder / "art", OTHER_RUN)
    (person.folder / "x").write_bytes(b"art")
    edit_record(record, lambda content: content["files"][0].update(name="../x"))
    assert rows_of(person.done("manifest", "--folder=art", "--format=csv")) == []


def test_reports_a_missing_folder(person: Person) -> None:
    said = person.failed("manifest", "--folder=nowhere")
    assert f"Can't read {person.folder / 'nowhere'}: No such file or directory." in said


@pytest.mark.parametrize(
    ("name", "start"), [("a.csv", "path,"), ("a.json", "{"), ("a.md", "# "), ("a", "# ")]
)
def test_the_name_of_the_file_says_its_format(name: str, start: str, person: Person) -> None:
    ended = person.here("manifest", f"--out={name}")
    assert (person.folder / name).read_text(encoding="utf-8").startswith(start)
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"{person.folder / name}: 0 files")


def test_a_file_that_exists_is_not_overwritten(person: Person) -> None:
    (person.folder / "a.csv").write_text("mine")
    ended = person.here("manifest", "--out=a.csv")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "already exists" in ended.stderr
    assert (person.folder / "a.csv").read_text() == "mine"


def test_does_not_overwrite_a_file_created_in_the_meantime(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(person.folder / "art", OTHER_RUN)
    read = records.read_record

    def write_and_read(*arguments: object) -> object:
        (person.folder / "a.csv").write_text("mine")
        return read(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(records, "read_record", write_and_read)
    ended = person.here("manifest", "--folder=art", "--out=a.csv")
    assert (ended.returncode, (person.folder / "a.csv").read_text()) == (2, "mine")
    assert [path.name for path in person.folder.iterdir() if path.name.endswith(".part")] == []


def test_names_a_folder_that_cannot_store_the_file(person: Person) -> None:
    said = person.failed("manifest", "--out=nowhere/a.csv")
    assert f"Can't write {person.folder / 'nowhere' / 'a.csv'}" in said


@pytest.mark.slow
def test_a_closed_pipe_ends_a_manifest_quietly(person: Person) -> None:
    for number in range(50):
        run_id = OTHER_RUN.replace("0f8f", f"{number:04x}", 1)
        write_record(person.folder / "art", run_id, prompt="x" * 5_000)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [SCRIPT, "manifest", "--folder=art", "--format=csv"],
            check=False,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            cwd=person.folder,
            env=child_environment(dict(person.environment)),
        )
    finally:
        os.close(writer)
    assert (done.stderr, done.returncode) == ("", 141)


@pytest.mark.slow
def test_a_manifest_in_a_pipe_is_utf_8_with_the_standards_line_ends(person: Person) -> None:
    write_record(person.folder / "art", OTHER_RUN, prompt="火の薬")
    done = subprocess.run(
        [SCRIPT, "manifest", "--folder=art", "--format=csv"],
        check=True,
        capture_output=True,
        timeout=60,
        cwd=person.folder,
        env=child_environment({**person.environment, "PYTHONIOENCODING": "latin-1"}),
    )
    assert "火の薬".encode() in done.stdout
    assert done.stdout.count(b"\r\n") == 2
