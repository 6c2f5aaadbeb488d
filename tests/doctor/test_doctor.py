"""layer-mcp doctor where nothing is wrong, and where looking itself is hard."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
import trustme

from layer_mcp import Settings, __version__
from layer_mcp.credentials import SERVICE
from layer_mcp.doctor.check import Check
from layer_mcp.doctor.examination import CHECKS, examine
from layer_mcp.doctor.report import PLAIN_MARKS, columns, lines_of, wrapped
from layer_mcp.doctor.setup import Setup
from layer_mcp.sandbox import RunningSandbox, running_sandbox

from ..support.client_home import AttachHome
from ..support.doctor_faults import CLOSED, journal
from ..support.doctor_home import (
    TOKEN,
    DoctorHome,
    doctor_home,
    home_of,
    sandbox_state,
    shown_parts,
)
from ..support.hosts import SCRIPT
from ..support.raw_servers import http_answer, raw_server, tls_of
from ..support.stdio_child import child

# A user without an entry in the list of users, and so without a home; `--sandbox` loads all first.
HOMELESS = """
import os, sys
import platformdirs, layer_mcp.journal.health
from layer_mcp.cli import main
main(["doctor", "--sandbox", "--json"])
print("---")
os.chdir("/tmp")
os.setuid(54321)
for name in ("HOME", "LAYER_SANDBOX"):
    os.environ.pop(name, None)
sys.exit(main(["doctor", "--json"]))
"""


OFFLINE = Settings(api_token=TOKEN, sandbox=True, api_url=f"http://{CLOSED}/api")


@pytest.fixture
def served() -> Iterator[RunningSandbox]:
    with running_sandbox(sandbox_state()) as running:
        yield running


@pytest.fixture
def home(served: RunningSandbox, tmp_path: Path) -> DoctorHome:
    return home_of(served, tmp_path)


def test_everything_is_ok_against_the_sandbox(home: DoctorHome) -> None:
    report = home.json_report()
    assert report.not_ok() == {}
    assert report.exit_code == 0


def test_the_lines_come_in_their_order_and_under_their_ids(home: DoctorHome) -> None:
    always = [row.subject.id for row in CHECKS if not row.subject.id.startswith("client.")]
    assert list(home.json_report().checks) == always
    assert len({row.subject.id for row in CHECKS}) == len(CHECKS)


def test_doctor_starts_a_sandbox_of_its_own(tmp_path: Path) -> None:
    report = DoctorHome(tmp_path).json_report("--sandbox")
    assert report.not_ok() == {}
    assert report.fact("token") == "the sandbox's own"
    assert "Sandbox" in report.fact("workspace")


def test_the_own_sandbox_never_uses_the_account(tmp_path: Path) -> None:
    home = DoctorHome(tmp_path, {"LAYER_API_KEY": TOKEN, "LAYER_WORKSPACE": "mine"})
    assert home.json_report("--sandbox").not_ok() == {}


def test_doctor_leaves_nothing_behind(home: DoctorHome) -> None:
    home.json_report()
    assert list(home.folder.rglob("*")) == []


def test_nothing_is_asked_that_costs_anything(home: DoctorHome, served: RunningSandbox) -> None:
    home.json_report()
    assert set(served.state.arrived) == {"list_workspaces"}


def test_a_stored_token_is_told_by_the_keyrings_name(
    served: RunningSandbox, tmp_path: Path
) -> None:
    home = replace(home_of(served, tmp_path, LAYER_API_KEY=""), keyring=tmp_path / "keys")
    (tmp_path / "keys").write_text(f'{{"{SERVICE} {served.api_url}": "{TOKEN}"}}')
    report = home.json_report()
    assert report.not_ok() == {}
    assert report.fact("token") == "stored in Test keyring"


def test_a_keyring_that_does_not_answer_is_not_waited_for(
    served: RunningSandbox, tmp_path: Path
) -> None:
    home = replace(home_of(served, tmp_path, LAYER_API_KEY=""), keyring=tmp_path / "keys")
    (tmp_path / "locked").touch()
    assert home.json_report().state("token") == "failed"


def test_a_token_in_a_clients_entry_is_looked_at_too(home: DoctorHome) -> None:
    AttachHome(home.folder, extra=home.environment).done("install", "goose")
    report = home.json_report(LAYER_API_KEY="")
    assert report.not_ok() == {}
    assert report.fact("token") == "in the entry of Goose"


def test_a_token_in_a_clients_entry_is_for_no_other_api(
    home: DoctorHome, served: RunningSandbox
) -> None:
    AttachHome(home.folder).done("install", "goose", LAYER_API_KEY=TOKEN)
    report = home.json_report(LAYER_API_KEY="")
    assert report.state("token") == "failed"
    assert not any("authorization" in arrival.headers for arrival in served.state.arrivals)


def test_a_private_authority_is_told_and_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    workspace = b'{"workspaces": [{"workspace_id": "w", "balance_creative_units": 7.5}]}'
    with raw_server(http_answer("200 OK", workspace), tls_of(authority, "localhost")) as api:
        home = doctor_home(
            tmp_path,
            f"https://localhost:{api.port}/api",
            HTTPS_PROXY="",
            SSL_CERT_FILE=str(tmp_path / "ca.pem"),
        )
        report = home.json_report()
    assert report.not_ok() == {"clock": "skipped"}
    assert str(tmp_path / "ca.pem") in report.fact("certificates")
    assert report.fact("balance") == "7.5 CU"


def test_a_proxy_in_use_is_told_without_its_credentials(tmp_path: Path) -> None:
    with raw_server(http_answer("403 Forbidden")) as proxy:
        address = doctor_home(tmp_path, "").environment["HTTPS_PROXY"]
        home = doctor_home(
            tmp_path,
            "https://layer.test/api",
            HTTPS_PROXY=address.replace(":9", f":{proxy.port}"),
        )
        report = home.json_report()
    assert report.fact("proxy") == f"http://127.0.0.1:{proxy.port}, from HTTPS_PROXY"


def test_a_proxy_that_is_not_for_this_machine_is_told_as_unused(home: DoctorHome) -> None:
    assert home.json_report().fact("proxy") == "none is used for the API, though HTTPS_PROXY is set"


def test_what_depends_on_a_failure_says_which(home: DoctorHome) -> None:
    report = home.json_report(LAYER_API_KEY="")
    assert report.fact("token_accepted") == "not checked: see Token"
    assert report.fact("balance") == "not checked: see Token"
    assert report.state("api") == "ok"


def test_a_journal_that_servers_use_is_healthy(home: DoctorHome, tmp_path: Path) -> None:
    settings = {**home.environment, "LAYER_STATE_DIR": str(tmp_path / "state")}
    with child(settings) as server:
        server.initialize()
        server.call(2, "list_runs", {})
        server.receive()
        report = home.json_report(LAYER_STATE_DIR=str(tmp_path / "state"))
    assert report.fact("journal").endswith("healthy, 1 server uses it now")


def test_a_journal_of_an_older_version_is_healthy_and_stays_old(
    home: DoctorHome, tmp_path: Path
) -> None:
    database = journal(tmp_path)
    database.execute("DROP TABLE runs")
    database.execute("PRAGMA user_version = 1")
    report = home.json_report(LAYER_STATE_DIR=str(tmp_path))
    [version] = database.execute("PRAGMA user_version").fetchone()
    database.close()
    assert report.state("journal") == "ok"
    assert version == 1


def test_installed_clients_are_told_with_what_they_start(home: DoctorHome) -> None:
    AttachHome(home.folder).done("install", "claude-desktop", "--sandbox")
    AttachHome(home.folder).done("install", "goose", "--sandbox")
    report = home.json_report()
    assert report.not_ok() == {}
    assert report.fact("clients") == "Claude Desktop, Goose"
    assert report.fact("client.goose") == f"layer: {SCRIPT}"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="becomes a user without a home")
def test_without_a_home_folder_the_folders_fail_and_the_rest_is_looked_at(
    served: RunningSandbox,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOMELESS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"LAYER_API_URL": served.api_url, "LAYER_API_KEY": TOKEN, "LAYER_SANDBOX": "1"},
    )
    report = done.stdout.partition("---")[2]
    assert "There is no home folder for outputs." in report
    assert '"fact": "there is no home folder; set LAYER_STATE_DIR"' in report
    assert '"fact": "it opens 1 workspace"' in report
    assert done.returncode == 1


def test_a_check_that_breaks_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError(TOKEN)

    monkeypatch.setattr("layer_mcp.doctor.settings_checks.token_of", broken)
    found = {check.id: check for check in examine(Setup(OFFLINE))}
    assert found["token"].state == "failed"
    assert found["token"].fact == "the check broke (RuntimeError)"
    assert found["journal"].state == "ok"


def test_a_check_that_hangs_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layer_mcp.doctor.examination.CHECK_SECONDS", 2)
    hanging = Event()

    def hang(_token: str) -> None:
        hanging.wait()

    monkeypatch.setattr("layer_mcp.doctor.settings_checks.token_of", hang)
    found = {check.id: check for check in examine(Setup(OFFLINE))}
    hanging.set()
    assert (found["token"].state, found["clients"].state) == ("failed", "ok")
    assert found["token"].fact == "it did not come to an end"


def test_what_comes_after_the_time_of_all_checks_is_said_to_be_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("layer_mcp.doctor.examination.ALL_SECONDS", 0)
    found = list(examine(Setup(Settings())))
    assert {check.state for check in found} == {"skipped"}
    assert found[0].fact == "not checked: 0 s are over"


@pytest.mark.parametrize(
    ("environment", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)
def test_only_a_terminal_that_wants_colours_gets_them(
    environment: dict[str, str], is_coloured: bool, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    settings = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm", **environment}
    with subprocess.Popen(
        [SCRIPT, "doctor", "--sandbox"], stdout=theirs, stderr=theirs, env=settings
    ) as process:
        os.close(theirs)
        shown = b""
        # Linux says so when the other side is closed.
        with suppress(OSError):
            while chunk := os.read(ours, 65536):
                shown += chunk
        os.close(ours)
    assert process.returncode == 0
    assert (b"\x1b[32m" in shown) == is_coloured


def test_a_terminal_without_the_marks_gets_plain_ones(home: DoctorHome) -> None:
    table = home.table(PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert table.startswith(f"{PLAIN_MARKS['ok']} Python")


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_without_stdout_the_exit_code_still_tells(home: DoctorHome) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home.folder)}
    command = ["sh", "-c", f"exec '{SCRIPT}' doctor --sandbox >&-"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_report_names_its_version(tmp_path: Path) -> None:
    done = AttachHome(tmp_path).done("doctor", "--sandbox", "--json")
    assert f'"layer_mcp": "{__version__}"' in done


@pytest.mark.parametrize(
    "text",
    ["工房の薬 " * 20, "x" * 300, "薬" * 100, "a\x1b[31mb\u202ec\nd " * 20, ""],
    ids=["wide words", "one long word", "one wide word", "controls", "nothing"],
)
def test_foreign_text_fits_its_lines_and_steers_no_terminal(text: str) -> None:
    lines = list(
        lines_of(Check("a", "A", "failed", text, text or None), PLAIN_MARKS, coloured=False)
    )
    assert max(map(columns, lines)) <= 80
    assert all(line.isprintable() for line in lines)


def test_nothing_of_a_text_is_lost_in_its_lines() -> None:
    text = "/home/anna/a very long folder/" + "x" * 200 + " and an end"
    assert "".join("".join(wrapped(text, 61)).split()) == "".join(text.split())


def test_parts_of_secrets_are_found_by_these_tests() -> None:
    assert shown_parts(f"the token {TOKEN[3:9]}...") == {TOKEN}
