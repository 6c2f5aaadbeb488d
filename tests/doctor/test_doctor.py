"""layer-mcp doctor where nothing is wrong, and where the checks themselves are hard to run."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from layer_mcp import __version__
from layer_mcp.credentials import SERVICE
from layer_mcp.doctor.checks import CHECKS
from layer_mcp.sandbox import RunningSandbox, running_sandbox

from ..support.client_home import ClientHome
from ..support.doctor_home import (
    TOKEN,
    DoctorHome,
    doctor_home,
    leaked_secrets,
    sandbox_home,
    sandbox_state,
)
from ..support.doctor_journal import create_journal
from ..support.hosts import SCRIPT
from ..support.raw_servers import http_answer, raw_server, tls_of
from ..support.stdio_child import child

pytestmark = [pytest.mark.process, pytest.mark.slow]

# Becomes a user without an account, and so without a home. That user may not be able to read the
# packages, so the first run imports them.
WITHOUT_HOME = """
import os, sys
import platformdirs
from layer_mcp.cli.main import main
main(["doctor", "--sandbox", "--json"])
print("---")
os.chdir("/tmp")
os.setuid(54321)
for name in ("HOME", "LAYER_SANDBOX"):
    os.environ.pop(name, None)
sys.exit(main(["doctor", "--json"]))
"""


@pytest.fixture
def served() -> Iterator[RunningSandbox]:
    with running_sandbox(sandbox_state()) as running:
        yield running


@pytest.fixture
def home(served: RunningSandbox, tmp_path: Path) -> DoctorHome:
    return sandbox_home(served, tmp_path)


@pytest.mark.smoke
def test_everything_is_ok_against_the_sandbox(home: DoctorHome) -> None:
    report = home.json_report()
    assert report.not_ok() == {}
    assert report.exit_code == 0


def test_reports_the_checks_in_their_order(home: DoctorHome) -> None:
    always = [check.id for check in CHECKS if not check.id.startswith("client.")]
    assert list(home.json_report().checks) == always


def test_the_sandbox_option_starts_a_sandbox(tmp_path: Path) -> None:
    report = DoctorHome(tmp_path).json_report("--sandbox")
    assert report.not_ok() == {}
    assert report.fact("token") == "the sandbox's own"
    assert "Sandbox" in report.fact("workspace")


def test_the_sandbox_option_ignores_the_account(tmp_path: Path) -> None:
    home = DoctorHome(tmp_path, {"LAYER_API_KEY": TOKEN, "LAYER_WORKSPACE": "mine"})
    assert home.json_report("--sandbox").not_ok() == {}


def test_doctor_leaves_nothing_behind(home: DoctorHome) -> None:
    home.json_report()
    assert list(home.folder.rglob("*")) == []


@pytest.mark.smoke
def test_sends_only_requests_that_are_free(home: DoctorHome, served: RunningSandbox) -> None:
    home.json_report()
    assert set(served.state.arrived) == {"list_workspaces"}


def test_names_the_keyring_of_a_stored_token(served: RunningSandbox, tmp_path: Path) -> None:
    home = replace(sandbox_home(served, tmp_path, LAYER_API_KEY=""), keyring=tmp_path / "keys")
    (tmp_path / "keys").write_text(f'{{"{SERVICE} {served.api_url}": "{TOKEN}"}}')
    report = home.json_report()
    assert report.not_ok() == {}
    assert report.fact("token") == "stored in Test keyring"


def test_does_not_wait_for_a_keyring_that_hangs(served: RunningSandbox, tmp_path: Path) -> None:
    home = replace(sandbox_home(served, tmp_path, LAYER_API_KEY=""), keyring=tmp_path / "keys")
    (tmp_path / "locked").touch()
    assert home.json_report().state("token") == "failed"


def test_finds_a_token_in_a_clients_entry(home: DoctorHome) -> None:
    ClientHome(home.folder, extra=home.environment).run_ok("install", "goose")
    report = home.json_report(LAYER_API_KEY="")
    assert report.not_ok() == {}
    assert report.fact("token") == "in the entry of Goose"


@pytest.mark.smoke
def test_never_sends_an_entrys_token_to_another_api(
    home: DoctorHome, served: RunningSandbox
) -> None:
    ClientHome(home.folder).run_ok("install", "goose", LAYER_API_KEY=TOKEN)
    report = home.json_report(LAYER_API_KEY="")
    assert report.state("token") == "failed"
    assert not any("authorization" in arrival.headers for arrival in served.state.arrivals)


def test_reports_and_trusts_a_private_certificate_authority(tmp_path: Path) -> None:
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


@pytest.mark.smoke
def test_reports_a_proxy_without_its_credentials(tmp_path: Path) -> None:
    with raw_server(http_answer("403 Forbidden")) as proxy:
        address = doctor_home(tmp_path, "").environment["HTTPS_PROXY"]
        home = doctor_home(
            tmp_path,
            "https://layer.test/api",
            HTTPS_PROXY=address.replace(":9", f":{proxy.port}"),
        )
        report = home.json_report()
    assert report.fact("proxy") == f"http://127.0.0.1:{proxy.port}, from HTTPS_PROXY"


def test_reports_a_proxy_that_is_not_used_for_the_api(home: DoctorHome) -> None:
    assert home.json_report().fact("proxy") == "not used for the API, although HTTPS_PROXY is set"


def test_a_skipped_check_names_the_check_that_failed(home: DoctorHome) -> None:
    report = home.json_report(LAYER_API_KEY="")
    assert report.fact("token_accepted") == "not checked: see Token"
    assert report.fact("balance") == "not checked: see Token"
    assert report.state("api") == "ok"


def test_a_journal_in_use_is_healthy(home: DoctorHome, tmp_path: Path) -> None:
    settings = {**home.environment, "LAYER_STATE_DIR": str(tmp_path / "state")}
    with child(settings) as server:
        server.initialize()
        server.call(2, "list_runs", {})
        server.receive()
        report = home.json_report(LAYER_STATE_DIR=str(tmp_path / "state"))
    assert report.fact("journal").endswith("healthy, 1 server uses it now")


def test_does_not_migrate_a_journal_of_an_older_version(home: DoctorHome, tmp_path: Path) -> None:
    database = create_journal(tmp_path)
    database.execute("DROP TABLE runs")
    database.execute("PRAGMA user_version = 1")
    report = home.json_report(LAYER_STATE_DIR=str(tmp_path))
    [version] = database.execute("PRAGMA user_version").fetchone()
    database.close()
    assert report.state("journal") == "ok"
    assert version == 1


def test_reports_the_command_of_each_client(home: DoctorHome) -> None:
    ClientHome(home.folder).run_ok("install", "claude-desktop", "--sandbox")
    ClientHome(home.folder).run_ok("install", "goose", "--sandbox")
    report = home.json_report()
    assert report.not_ok() == {}
    assert report.fact("clients") == "Claude Desktop, Goose"
    assert report.fact("client.goose") == f"layer: {SCRIPT}"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="becomes a user without a home")
def test_without_a_home_folder_only_the_folders_fail(served: RunningSandbox) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_HOME],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"LAYER_API_URL": served.api_url, "LAYER_API_KEY": TOKEN, "LAYER_SANDBOX": "1"},
    )
    report = done.stdout.partition("---")[2]
    assert "There is no home folder for outputs." in report
    assert '"fact": "there is no home folder; set LAYER_STATE_DIR"' in report
    assert '"fact": "gives access to 1 workspace"' in report
    assert done.returncode == 1


def test_the_report_names_its_version(tmp_path: Path) -> None:
    done = ClientHome(tmp_path).run_ok("doctor", "--sandbox", "--json")
    assert f'"layer_mcp": "{__version__}"' in done


def test_these_tests_find_parts_of_secrets() -> None:
    assert leaked_secrets(f"the token {TOKEN[3:9]}...") == {TOKEN}
