"""The sandbox's uploads: announced to the API, sent to the storage host, resumed after a break."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.contract import conforms
from ..support.sandbox_calls import request_upload_url, start_headers, start_upload

DATA = bytes(range(200)) * 5
HALF = len(DATA) // 2
PNG = {"Content-Type": "image/png"}
UPSCALE = next(model.model_id for model in sandbox_models() if model.upscales)


@pytest.fixture
def session(api: httpx.Client) -> str:
    return start_upload(request_upload_url(api, DATA)["upload_url"], DATA)


def part(start: int, end: int) -> dict[str, str]:
    return PNG | {"Content-Range": f"bytes {start}-{end - 1}/{len(DATA)}"}


def get_progress(storage: httpx.Client, session: str) -> tuple[int, str | None]:
    """Return the status of an upload and the Range of the received bytes."""
    answer = storage.put(session, headers={"Content-Range": f"bytes */{len(DATA)}"})
    return answer.status_code, answer.headers.get("range")


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of an error in XML."""
    assert answer.headers["content-type"].startswith("application/xml")
    code = re.search("<Code>(.*)</Code>", answer.text)
    return answer.status_code, code[1] if code else ""


def test_an_upload_url_points_to_the_storage_host(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    answer = request_upload_url(api, DATA)
    assert conforms("RequestUploadUrlResponse", answer)
    assert answer["upload_url"].startswith(sandbox.media_url)
    assert "X-Goog-Signature=" in answer["upload_url"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"content_type": "image/gif"}, "content_type"),
        ({"file_size_bytes": 64 * 1024 * 1024 + 1}, "file_size_bytes"),
        ({"file_size_bytes": 0}, "file_size_bytes"),
        ({"file_size_bytes": None}, "file_size_bytes"),
    ],
    ids=["gif", "too large", "empty", "no size"],
)
def test_an_invalid_upload_is_refused_with_the_name_of_the_field(
    change: dict[str, Any], field: str, api: httpx.Client
) -> None:
    body = {"content_type": "image/png", "file_size_bytes": 10} | change
    answer = api.post("/files/upload-url", json=body)
    assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (422, field)


def test_the_maximum_upload_size_is_a_knob(api: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.max_upload_bytes = 10
    body = {"content_type": "image/png", "file_size_bytes": 11}
    assert api.post("/files/upload-url", json=body).status_code == 422


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"x-goog-content-length-range": None}, (400, "MalformedSecurityHeader")),
        ({"x-goog-resumable": None}, (400, "MalformedSecurityHeader")),
        ({"Content-Type": None}, (400, "MalformedSecurityHeader")),
        ({"x-goog-content-length-range": "0,5"}, (403, "SignatureDoesNotMatch")),
        ({"x-goog-resumable": "begin"}, (403, "SignatureDoesNotMatch")),
        ({"Content-Type": "image/webp"}, (403, "SignatureDoesNotMatch")),
        ({"Authorization": "Bearer sandbox-token"}, (403, "AccessDenied")),
    ],
    ids=[
        "no range",
        "no start",
        "no type",
        "another range",
        "another start",
        "another type",
        "credentials",
    ],
)
def test_an_upload_starts_only_with_the_signed_headers(
    change: dict[str, str | None],
    expected: tuple[int, str],
    api: httpx.Client,
    storage: httpx.Client,
) -> None:
    headers = {k: v for k, v in (start_headers(DATA) | change).items() if v is not None}
    answer = storage.post(request_upload_url(api, DATA)["upload_url"], headers=headers)
    assert refusal(answer) == expected


def test_a_changed_signature_is_refused(api: httpx.Client, storage: httpx.Client) -> None:
    url = request_upload_url(api, DATA)["upload_url"].replace("Signature=", "Signature=0")
    answer = storage.post(url, headers=start_headers(DATA))
    assert refusal(answer) == (403, "SignatureDoesNotMatch")


def test_a_signature_is_valid_for_one_file_only(api: httpx.Client, storage: httpx.Client) -> None:
    first, second = request_upload_url(api, DATA), request_upload_url(api, DATA)
    url = first["upload_url"].replace(first["file_id"], second["file_id"])
    answer = storage.post(url, headers=start_headers(DATA))
    assert refusal(answer) == (403, "SignatureDoesNotMatch")


def test_an_upload_url_expires(
    api: httpx.Client, storage: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.clock = lambda: 0.0
    url = request_upload_url(api, DATA)["upload_url"]
    sandbox.state.clock = lambda: 900.0
    answer = storage.post(url, headers=start_headers(DATA))
    assert refusal(answer) == (400, "ExpiredToken")


def test_starting_an_upload_with_a_body_is_refused(
    api: httpx.Client, storage: httpx.Client
) -> None:
    url = request_upload_url(api, DATA)["upload_url"]
    answer = storage.post(url, headers=start_headers(DATA), content=b"x")
    assert refusal(answer) == (400, "InvalidArgument")


def test_an_upload_can_be_sent_in_one_request(session: str, storage: httpx.Client) -> None:
    answers = [storage.put(session, content=DATA, headers=PNG).status_code for _ in range(2)]
    assert answers == [200, 200]
    assert get_progress(storage, session) == (200, None)


def test_an_upload_can_be_sent_in_parts(session: str, storage: httpx.Client) -> None:
    assert get_progress(storage, session) == (308, None)
    first = storage.put(session, content=DATA[:HALF], headers=part(0, HALF))
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{HALF - 1}")
    assert get_progress(storage, session) == (308, f"bytes=0-{HALF - 1}")
    rest = storage.put(session, content=DATA[HALF:], headers=part(HALF, len(DATA)))
    assert rest.status_code == 200


def test_bytes_received_before_a_broken_connection_count(
    session: str, storage: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("drop", after_bytes=300))
    with pytest.raises(httpx.TransportError):
        storage.put(session, content=DATA, headers=PNG)
    assert get_progress(storage, session) == (308, "bytes=0-299")
    rest = storage.put(session, content=DATA[300:], headers=part(300, len(DATA)))
    assert rest.status_code == 200
    assert [bytes(file.data) for file in sandbox.state.files.values()] == [DATA]


def test_bytes_received_before_a_client_disconnects_count(
    session: str, storage: httpx.Client
) -> None:
    def some_of_it() -> Iterator[bytes]:
        yield DATA[:HALF]
        while get_progress(storage, session) == (308, None):
            pass
        raise ConnectionError

    with pytest.raises(ConnectionError), httpx.Client(trust_env=False) as other:
        other.put(session, content=some_of_it(), headers=part(0, len(DATA)))
    assert get_progress(storage, session) == (308, f"bytes=0-{HALF - 1}")


@pytest.mark.parametrize(
    ("headers", "size", "status"),
    [
        (PNG, len(DATA) + 1, 400),
        (PNG, len(DATA) - 1, 400),
        (part(0, HALF), HALF + 1, 400),
        (part(10, HALF), HALF - 10, 416),
        (PNG | {"Content-Range": f"bytes 0-{HALF - 1}/7"}, HALF, 400),
        (PNG | {"Content-Range": "bytes 0-2000/1000"}, 2001, 400),
        (PNG | {"Content-Range": "0-9"}, 10, 400),
        ({"Content-Type": "image/webp"}, len(DATA), 400),
        ({}, len(DATA), 400),
        (PNG | {"Authorization": "Bearer sandbox-token"}, len(DATA), 403),
    ],
    ids=[
        "longer than declared",
        "shorter than declared",
        "longer than its range",
        "a gap",
        "another total",
        "beyond the end",
        "no range",
        "another type",
        "no type",
        "credentials",
    ],
)
def test_bytes_that_do_not_match_the_announcement_are_refused_and_do_not_count(
    headers: dict[str, str], size: int, status: int, session: str, storage: httpx.Client
) -> None:
    answer = storage.put(session, content=bytes(size), headers=headers)
    assert refusal(answer)[0] == status
    assert get_progress(storage, session) == (308, None)


def test_a_stream_longer_than_declared_is_refused(session: str, storage: httpx.Client) -> None:
    answer = storage.put(session, content=iter([DATA, b"more"]), headers=PNG)
    assert refusal(answer) == (400, "InvalidArgument")


def test_an_unknown_session_is_a_404(session: str, storage: httpx.Client) -> None:
    unknown = session.partition("upload_id=")[0] + "upload_id=other"
    answers = [
        storage.put(unknown, content=DATA, headers=PNG),
        storage.put(unknown, headers={"Content-Range": "bytes */*"}),
    ]
    assert [refusal(answer) for answer in answers] == [(404, "NoSuchUpload")] * 2


def test_the_body_of_an_upload_is_not_recorded(
    session: str, storage: httpx.Client, sandbox: RunningSandbox
) -> None:
    storage.put(session, content=DATA, headers=PNG)
    assert sandbox.state.arrivals[-1].operation == "upload"
    assert sandbox.state.arrivals[-1].body == b""


def test_every_step_of_an_upload_is_a_counted_operation(
    api: httpx.Client, storage: httpx.Client, sandbox: RunningSandbox
) -> None:
    session = start_upload(request_upload_url(api, DATA)["upload_url"], DATA)
    get_progress(storage, session)
    storage.put(session, content=DATA, headers=PNG)
    steps = ("request_upload_url", "start_upload", "upload_status", "upload")
    assert sandbox.state.arrived == dict.fromkeys(steps, 1)


@pytest.mark.parametrize("accepted", [True, False])
def test_an_upload_can_be_dropped_before_or_after_it_is_processed(
    accepted: bool, session: str, storage: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("drop", accepted=accepted))
    with pytest.raises(httpx.TransportError):
        storage.put(session, content=DATA, headers=PNG)
    assert get_progress(storage, session)[0] == (200 if accepted else 308)


def test_the_client_of_a_large_upload_can_read_the_error(
    session: str, storage: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("status", status=503))
    answer = storage.put(session, content=bytes(20_000_000), headers=PNG)
    assert answer.status_code == 503


def test_after_bytes_is_only_for_the_drop_of_an_upload(sandbox: RunningSandbox) -> None:
    with pytest.raises(ValueError, match="after_bytes"):
        sandbox.state.knobs.fail_next("media", Fault("drop", after_bytes=1))
