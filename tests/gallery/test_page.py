"""The gallery page: how it is served, for which tools, and which hosts it may contact."""

import json
import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID

from layer_mcp import Settings
from layer_mcp.server.app import create_server
from layer_mcp.server.gallery import GALLERY_URI, PAGE, media_sources
from layer_mcp.server.tools import tools_of
from layer_mcp.settings import TOOLSETS

from ..support.hosts import SCRIPT, Host

pytestmark = pytest.mark.anyio

GALLERY = Path(__file__).parents[2] / "gallery"
INSPECTOR = GALLERY.parent / "interop" / "node" / "inspector"
INSPECTOR_COMMAND = ["npx", "@modelcontextprotocol/inspector@2.12", "--cli"]
NODE = Path(sys.executable).with_name("node")
IMPORTED = re.compile(r'^import .* from "\./(\w+)";$', re.MULTILINE)
OF_THIS_MACHINE = {"http://127.0.0.1:*", "http://localhost:*"}


def as_json(value: Any) -> dict[str, Any]:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


async def test_serves_the_page_with_the_hosts_that_it_may_contact(
    host: Host, environment: dict[str, str]
) -> None:
    async with host.connect(environment) as client:
        [content] = as_json(await client.read_resource(GALLERY_URI))["contents"]
    assert content["mimeType"] == APP_MIME_TYPE
    assert content["text"] == PAGE.read_text(encoding="utf-8")
    media = sorted({"https://media.app.layer.ai"} | OF_THIS_MACHINE)
    csp = content["_meta"]["ui"]["csp"]
    assert {name: sorted(hosts) for name, hosts in csp.items()} == {
        "connectDomains": media,
        "resourceDomains": media,
    }


def test_the_page_may_contact_only_the_media_hosts_of_layer_and_the_settings() -> None:
    settings = Settings.from_env({"LAYER_MEDIA_HOSTS": "cdn.example.com"})
    assert media_sources(settings) == ("https://cdn.example.com", "https://media.app.layer.ai")


def test_the_server_declares_the_extension() -> None:
    assert EXTENSION_ID in create_server(Settings())._lowlevel_server.extensions  # pyright: ignore[reportPrivateUsage]


def test_tools_whose_answers_can_be_shown_name_the_page() -> None:
    bound = {tool.name for tool in tools_of(TOOLSETS) if tool.meta}
    assert bound == {
        "execute_inference",
        "execute_workflow",
        "get_status",
        "get_workflow_status",
        "list_runs",
    }
    assert all(
        tool.meta == {"ui": {"resourceUri": GALLERY_URI}}
        for tool in tools_of(TOOLSETS)
        if tool.name in bound
    )


def test_the_page_loads_nothing_from_elsewhere() -> None:
    markup = re.sub(
        r"(?<=>)[^<]*</script>|<(style|script)>.*?</\1>|<!--.*?-->",
        "",
        PAGE.read_text(),
        flags=re.DOTALL,
    )
    assert not re.search(r"\b(src|href|action)=", markup)


def test_the_page_names_the_licenses_of_its_parts() -> None:
    notices = PAGE.read_text(encoding="utf-8").partition("<!--")[2].partition("-->")[0]
    for name in ("three", "zod", "@modelcontextprotocol/ext-apps"):
        assert re.search(rf"^{name} [\d.]+ \(", notices, re.MULTILINE), name
    assert notices.count("Permission is hereby granted") >= 3
    # Packages of one project have the same text, which is there once.
    assert notices.count("The MCP project is undergoing a licensing transition") == 1


@pytest.mark.build
def test_the_page_matches_a_fresh_build(tmp_path: Path) -> None:
    fresh = tmp_path / "gallery.html"
    subprocess.run([NODE, GALLERY / "build.mjs", fresh], check=True, timeout=100)
    assert fresh.read_bytes() == PAGE.read_bytes()


def test_no_module_of_the_page_has_a_circular_import() -> None:
    sources = {path.stem: path.read_text(encoding="utf-8") for path in GALLERY.glob("src/*.ts")}
    imports = {name: IMPORTED.findall(text) for name, text in sources.items()}
    assert "run_view" in imports["list_view"]
    assert list(TopologicalSorter(imports).static_order())


@pytest.mark.process
def test_make_gallery_builds_the_page() -> None:
    outer = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--dry-run", "gallery"],
        cwd=GALLERY.parent,
        env=outer,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "node gallery/build.mjs" in done.stdout


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_the_page(era: str) -> None:
    path = f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"
    probe = f"--protocol-era {era} --method tools/call --tool-name get_status --app-info"
    done = subprocess.run(
        [*INSPECTOR_COMMAND, SCRIPT, "--sandbox", *probe.split()],
        cwd=INSPECTOR,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    found = json.loads(done.stdout)
    assert (found["hasApp"], found["resourceUri"]) == (True, GALLERY_URI)
    assert found["resourceMimeType"] == APP_MIME_TYPE


def test_the_page_stays_below_the_message_limit_of_clients() -> None:
    assert len(json.dumps(PAGE.read_text(encoding="utf-8"))) < 900_000


@pytest.mark.slow
@pytest.mark.process
def test_starting_the_server_does_not_read_the_page() -> None:
    code = (
        "import sys, layer_mcp; from layer_mcp.server.app import create_server\n"
        "def stop(event, given):\n"
        "    if event == 'open' and str(given[0]).endswith('.html'): raise SystemExit(1)\n"
        "sys.addaudithook(stop); create_server(layer_mcp.Settings())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ), timeout=60)
