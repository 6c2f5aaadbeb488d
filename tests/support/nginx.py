"""nginx with the project's own configuration, in front of servers on loopback ports."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from .ports import free_port, wait_until_it_listens
from .unprivileged import give_away, start_unprivileged

SITE = Path(__file__).parents[2] / "docs" / "deploy" / "nginx.conf"
SERVER_NAME = "mcp.example.com"
STOP_SECONDS = 20
REPLICA = re.compile(r"^ +server 10\.0\.0\.\d+:8750 (.+);\n", re.MULTILINE)
REFUSING_SERVER = re.compile(
    r"^# Refuse requests for any other host name\.\nserver \{.*?^\}\n", re.S | re.M
)
# What a distribution's nginx.conf has around the site, with everything in one folder.
AROUND = """
daemon off;
worker_processes 1;
pid nginx.pid;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/layer-mcp.conf;
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx; `url` has no path."""

    url: str
    folder: Path

    def log(self) -> str:
        """Return its access log."""
        return (self.folder / "layer-mcp.log").read_text(encoding="utf-8")


def find_nginx() -> str | None:
    """Return the path of nginx, which is often in a folder for administrators, or None."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def running_nginx(
    replica_ports: Sequence[int], *, certificate: trustme.LeafCert | None = None
) -> Generator[Nginx]:
    """Start nginx in front of servers that may start later, until the block ends.

    It speaks HTTP for any host name, or TLS for `SERVER_NAME` with a certificate. Without nginx,
    the test is skipped.
    """
    program = find_nginx()
    if program is None:
        pytest.skip("nginx is not installed")
    folder = Path(tempfile.mkdtemp(prefix="layer-nginx-"))
    try:
        process, port = _start(program, folder, replica_ports, certificate)
        try:
            yield Nginx(f"{'https' if certificate else 'http'}://127.0.0.1:{port}", folder)
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def site(
    replica_ports: Sequence[int], port: int, folder: Path, certificate: trustme.LeafCert | None
) -> str:
    """Return the project's configuration with these ports and with its files in the folder."""
    text = SITE.read_text(encoding="utf-8")
    if certificate is None:
        text = REFUSING_SERVER.sub("", text)
        text = re.sub(r"^ +ssl_.*\n", "", text, flags=re.MULTILINE)
        text = text.replace("listen 443 ssl;", "listen 443;")
    lines = REPLICA.findall(text)
    assert lines, "the configuration names no replica"
    replicas = "".join(f"    server 127.0.0.1:{one} {lines[0]};\n" for one in replica_ports)
    text = REPLICA.sub("", text.replace("    least_conn;\n", f"    least_conn;\n{replicas}"))
    changes = {
        "listen 443": f"listen 127.0.0.1:{port}",
        "/var/log/nginx": str(folder),
        "/etc/nginx/tls": str(folder),
    }
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def _start(
    program: str,
    folder: Path,
    replica_ports: Sequence[int],
    certificate: trustme.LeafCert | None,
) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    text = site(replica_ports, port, folder, certificate)
    (folder / "layer-mcp.conf").write_text(text, encoding="utf-8")
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder), encoding="utf-8")
    if certificate is not None:
        certificate.private_key_pem.write_to_path(folder / f"{SERVER_NAME}.key")
        certificate.cert_chain_pems[0].write_to_path(folder / f"{SERVER_NAME}.crt")
    give_away(folder, *folder.iterdir())
    command = [program, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    process = start_unprivileged(command, folder)
    wait_until_it_listens(process, port, folder / "log")
    return process, port
