"""A database that only other settings can reach is refused at the start, with what to fix."""

import logging
import socket
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Thread

import psycopg
import pytest
import trustme

from layer_mcp import SettingsError
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases.postgres import PostgresDatabase
from layer_mcp.runs.journal.databases.postgres_faults import (
    AWAY,
    CROWDED,
    MISSING,
    REJECTED,
    Fault,
    find_fault,
)

from ....support.postgres_server import GUARDED_USER, PostgresServer
from ....support.recorded_runs import ACCOUNT, API, keys
from ....support.storages import PostgresStorage

pytestmark = pytest.mark.anyio

SECRET = "hunter2-hunter2"

Change = Callable[[str], str]


@pytest.fixture
def storage(
    postgres_server: PostgresServer, empty_database: str, state_folder: Path
) -> PostgresStorage:
    return PostgresStorage(postgres_server, empty_database, state_folder)


def change(old: str, new: str) -> Change:
    return lambda url: url.replace(old, new)


def extend(end: str) -> Change:
    return lambda url: url + end


@pytest.mark.parametrize(
    ("alter", "reason", "step"),
    [
        (
            change("layer@", f"{GUARDED_USER}:{SECRET}@"),
            "rejects the user or the password",
            "Fix the user and the password",
        ),
        (extend("_missing"), "doesn't exist", "create the database"),
        (change("127.0.0.1", "db..internal"), "host doesn't exist", "Fix the host"),
        (extend("?port=99999"), "isn't a valid URL", "Write it as"),
        (extend("?port=x"), "isn't a valid URL", "Write it as"),
        (extend("?sslmode=require"), "don't agree on TLS", "Fix sslmode"),
        (extend("?sslmode=on"), "isn't a valid URL", "Write it as"),
        (extend(f"?password={SECRET}&no=1"), "isn't a valid URL", "percent-encoding"),
    ],
    ids=["password", "database", "host", "port", "no port", "tls", "sslmode", "parameter"],
)
async def test_a_wrong_url_is_refused_without_showing_its_password(
    alter: Change,
    reason: str,
    step: str,
    postgres_server: PostgresServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    database = PostgresDatabase(alter(postgres_server.url()), lambda: None)
    with pytest.raises(SettingsError, match=reason) as caught:
        await database.open()
    assert step in str(caught.value)
    assert SECRET not in f"{caught.value}{caplog.text}"


@pytest.mark.parametrize("mode", ["disable", "prefer"])
async def test_a_port_of_something_else_is_refused(mode: str) -> None:
    with web_server() as port:
        url = f"postgresql://layer@127.0.0.1:{port}/layer?sslmode={mode}"
        database = PostgresDatabase(url, lambda: None)
        with pytest.raises(SettingsError, match=r"isn't PostgreSQL\. Fix the host and the port"):
            await database.open()


@contextmanager
def web_server() -> Generator[int]:
    """A server that answers everything with an error of HTTP; its port."""

    def answer() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1_024)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=answer)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("failed to resolve host 'db': [Errno -2] Name or service not known", MISSING),
        ("failed to resolve host 'db': [Errno -5] No address associated with hostname", MISSING),
        ("failed to resolve host 'db': [Errno -3] Temporary failure in name resolution", AWAY),
        ("connection failed: FATAL:  no such database: layer", MISSING),
        ("connection failed: FATAL:  no such user: layer", REJECTED),
        ("connection failed: FATAL:  no more connections allowed (max_client_conn)", CROWDED),
        ("connection failed: FATAL:  server login has been failing, try again later", AWAY),
    ],
)
def test_an_error_of_a_resolver_or_a_pooler_has_a_fix(text: str, fault: Fault) -> None:
    assert find_fault(psycopg.OperationalError(text)) is fault


async def test_a_certificate_that_is_not_trusted_is_refused(
    postgres_server: PostgresServer, storage: PostgresStorage
) -> None:
    with tls(postgres_server) as authority:
        another = postgres_server.folder / "another.crt"
        trustme.CA().cert_pem.write_to_path(another)
        for trusted, host, is_accepted in [
            ("/dev/null", "localhost", False),
            (another, "localhost", False),
            (authority, "127.0.0.1", False),
            (authority, "localhost", True),
        ]:
            parameters = f"sslmode=verify-full&sslrootcert={trusted}"
            url = f"{storage.url}?{parameters}".replace("127.0.0.1", host)
            with closing(PostgresDatabase(url, lambda: storage.folder)) as database:
                if is_accepted:
                    await database.open()
                    assert await keys(Journal(database, api_url=API, account=ACCOUNT)) == []
                    continue
                with pytest.raises(SettingsError, match=r"certificate isn't trusted.* sslrootcert"):
                    await database.open()


@contextmanager
def tls(server: PostgresServer) -> Generator[Path]:
    """Let the server use TLS, with a certificate for localhost; the authority's certificate."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    chain, key = server.folder / "server.crt", server.folder / "server.key"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    server.own(chain, key)
    trusted = server.folder / "authority.crt"
    authority.cert_pem.write_to_path(trusted)
    server.reload(ssl="on", ssl_cert_file=str(chain), ssl_key_file=str(key))
    try:
        yield trusted
    finally:
        server.reload()


async def test_a_user_without_rights_is_refused(
    postgres_server: PostgresServer, storage: PostgresStorage
) -> None:
    guarded = f"{GUARDED_USER}:{postgres_server.password}@"
    database = PostgresDatabase(storage.url.replace("layer@", guarded), lambda: storage.folder)
    with pytest.raises(SettingsError, match=r"isn't allowed .* Grant the user CREATE"):
        await database.open()
