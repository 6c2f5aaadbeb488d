"""The sandbox's uploads: announced at the API, sent to the storage host, resumed when broken."""

import colorsys
import io
import re
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from PIL import Image

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.contract import conforms
from ..support.hosts import SMALL_IMAGE
from ..support.sandbox_calls import announced, api_of, png, run, session_of, start_headers, uploaded

DATA = bytes(range(200)) * 5
HALF = len(DATA) // 2
PNG = {"Content-Type": "image/png"}
UPSCALE = next(model.model_id for model in sandbox_models() if model.upscales)


@pytest.fixture
def api(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    with api_of(sandbox) as client:
        yield client


@pytest.fixture
def storage() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def session(api: httpx.Client) -> str:
    return session_of(announced(api, DATA)["upload_url"], DATA)


def part(start: int, end: int) -> dict[str, str]:
    return PNG | {"Content-Range": f"bytes {start}-{end - 1}/{len(DATA)}"}


def received(storage: httpx.Client, session: str) -> tuple[int, str | None]:
    """The status of an upload, and the Range that has arrived."""
    answer = storage.put(session, headers={"Content-Range": f"bytes */{len(DATA)}"})
    return answer.status_code, answer.headers.get("range")


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of a refusal in XML."""
    assert answer.headers["content-type"].startswith("application/xml")
    code = re.search("<Code>(.*)</Code>", answer.text)
    return answer.status_code, code[1] if code else ""


def test_an_upload_url_leads_to_the_storage_host(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    answer = announced(api, DATA)
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
def test_a_file_that_cannot_be_taken_is_refused_by_its_field(
    change: dict[str, Any], field: str, api: httpx.Client
) -> None:
    body = {"content_type": "image/png", "file_size_bytes": 10} | change
    answer = api.post("/files/upload-url", json=body)
    assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (422, field)


def test_the_largest_upload_is_a_knob(api: httpx.Client, sandbox: RunningSandbox) -> None:
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
def test_an_upload_starts_only_with_the_headers_that_were_signed(
    change: dict[str, str | None],
    expected: tuple[int, str],
    api: httpx.Client,
    storage: httpx.Client,
) -> None:
    headers = {k: v for k, v in (start_headers(DATA) | change).items() if v is not None}
    answer = storage.post(announced(api, DATA)["upload_url"], headers=headers)
    assert refusal(answer) == expected


def test_a_signature_that_was_changed_is_refused(api: httpx.Client, storage: httpx.Client) -> None:
    url = announced(api, DATA)["upload_url"].replace("Signature=", "Signature=0")
    answer = storage.post(url, headers=start_headers(DATA))
    assert refusal(answer) == (403, "SignatureDoesNotMatch")


def test_a_signature_belongs_to_one_file(api: httpx.Client, storage: httpx.Client) -> None:
    first, second = announced(api, DATA), announced(api, DATA)
    url = first["upload_url"].replace(first["file_id"], second["file_id"])
    answer = storage.post(url, headers=start_headers(DATA))
    assert refusal(answer) == (403, "SignatureDoesNotMatch")


def test_an_upload_url_expires(
    api: httpx.Client, storage: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.clock = lambda: 0.0
    url = announced(api, DATA)["upload_url"]
    sandbox.state.clock = lambda: 900.0
    answer = storage.post(url, headers=start_headers(DATA))
    assert refusal(answer) == (400, "ExpiredToken")


def test_an_upload_starts_with_an_empty_body(api: httpx.Client, storage: httpx.Client) -> None:
    url = announced(api, DATA)["upload_url"]
    answer = storage.post(url, headers=start_headers(DATA), content=b"x")
    assert refusal(answer) == (400, "InvalidArgument")


def test_bytes_that_were_sent_at_once_are_complete(session: str, storage: httpx.Client) -> None:
    answers = [storage.put(session, content=DATA, headers=PNG).status_code for _ in range(2)]
    assert answers == [200, 200]
    assert received(storage, session) == (200, None)


def test_bytes_can_come_in_parts(session: str, storage: httpx.Client) -> None:
    assert received(storage, session) == (308, None)
    first = storage.put(session, content=DATA[:HALF], headers=part(0, HALF))
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{HALF - 1}")
    assert received(storage, session) == (308, f"bytes=0-{HALF - 1}")
    rest = storage.put(session, content=DATA[HALF:], headers=part(HALF, len(DATA)))
    assert rest.status_code == 200


def test_what_arrived_before_a_broken_connection_counts(
    session: str, storage: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("drop", after_bytes=300))
    with pytest.raises(httpx.TransportError):
        storage.put(session, content=DATA, headers=PNG)
    assert received(storage, session) == (308, "bytes=0-299")
    rest = storage.put(session, content=DATA[300:], headers=part(300, len(DATA)))
    assert rest.status_code == 200
    assert [bytes(file.data) for file in sandbox.state.files.values()] == [DATA]


def test_a_client_that_breaks_off_leaves_what_it_sent(session: str, storage: httpx.Client) -> None:
    def some_of_it() -> Iterator[bytes]:
        yield DATA[:HALF]
        while received(storage, session) == (308, None):
            pass
        raise ConnectionError

    with pytest.raises(ConnectionError), httpx.Client(trust_env=False) as other:
        other.put(session, content=some_of_it(), headers=part(0, len(DATA)))
    assert received(storage, session) == (308, f"bytes=0-{HALF - 1}")


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
def test_bytes_that_are_not_what_was_announced_are_refused_and_do_not_count(
    headers: dict[str, str], size: int, status: int, session: str, storage: httpx.Client
) -> None:
    answer = storage.put(session, content=bytes(size), headers=headers)
    assert refusal(answer)[0] == status
    assert received(storage, session) == (308, None)


def test_a_stream_that_is_longer_than_declared_is_refused(
    session: str, storage: httpx.Client
) -> None:
    answer = storage.put(session, content=iter([DATA, b"more"]), headers=PNG)
    assert refusal(answer) == (400, "InvalidArgument")


def test_a_session_that_nobody_opened_is_a_404(session: str, storage: httpx.Client) -> None:
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


def test_every_step_of_an_upload_is_counted_by_its_name(
    api: httpx.Client, storage: httpx.Client, sandbox: RunningSandbox
) -> None:
    session = session_of(announced(api, DATA)["upload_url"], DATA)
    received(storage, session)
    storage.put(session, content=DATA, headers=PNG)
    steps = ("request_upload_url", "start_upload", "upload_status", "upload")
    assert sandbox.state.arrived == dict.fromkeys(steps, 1)


@pytest.mark.parametrize("accepted", [True, False])
def test_an_answer_to_an_upload_can_be_lost_before_or_after_the_work(
    accepted: bool, session: str, storage: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("drop", accepted=accepted))
    with pytest.raises(httpx.TransportError):
        storage.put(session, content=DATA, headers=PNG)
    assert received(storage, session)[0] == (200 if accepted else 308)


def test_a_large_upload_gets_its_refusal_to_read(
    session: str, storage: httpx.Client, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("upload", Fault("status", status=503))
    answer = storage.put(session, content=bytes(20_000_000), headers=PNG)
    assert answer.status_code == 503


def test_only_the_drop_of_an_upload_can_keep_some_bytes(sandbox: RunningSandbox) -> None:
    with pytest.raises(ValueError, match="after_bytes"):
        sandbox.state.knobs.fail_next("media", Fault("drop", after_bytes=1))


@pytest.mark.parametrize("place", ["guidance_files", "mask"])
def test_a_run_with_a_file_that_is_not_complete_is_refused_and_costs_nothing(
    place: str, api: httpx.Client, sandbox: RunningSandbox
) -> None:
    answer = api.post("/inferences", json=SMALL_IMAGE | using(place, announced(api, DATA)))
    assert (answer.status_code, answer.json()["type"][-14:]) == (404, "FILE_NOT_FOUND")
    assert not sandbox.state.runs


@pytest.mark.parametrize("place", ["guidance_files", "mask"])
def test_a_run_takes_uploads_and_outputs_as_references(place: str, api: httpx.Client) -> None:
    [output] = run(api, **using(place, {"file_id": uploaded(api, DATA)}))["outputs"]
    assert run(api, **using(place, output))["status"] == "complete"


def using(place: str, file: dict[str, Any]) -> dict[str, Any]:
    one = {"file_id": file["file_id"].upper()}
    return {place: one} if place == "mask" else {place: [one | {"type": "reference_image"}]}


@pytest.mark.parametrize(("color", "hue"), [("blue", 2 / 3), ("lime", 1 / 3)])
def test_a_picture_takes_its_colour_from_the_reference(
    color: str, hue: float, api: httpx.Client
) -> None:
    reference = using("guidance_files", {"file_id": uploaded(api, png(color))})
    [output] = run(api, prompt="a red potion", remove_background=True, **reference)["outputs"]
    data = httpx.get(output["url"], trust_env=False).content
    assert hue_of_the_middle(data) == pytest.approx(hue, abs=0.03)  # pyright: ignore[reportUnknownMemberType]


def hue_of_the_middle(data: bytes) -> float:
    with Image.open(io.BytesIO(data)) as image:
        pixel = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    red, green, blue = cast("tuple[int, int, int]", pixel)
    return colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)[0]


@pytest.mark.parametrize(("ratio", "side"), [(None, 32), (4, 64), (1000, 64)])
def test_a_picture_can_be_enlarged(ratio: float | None, side: int, api: httpx.Client) -> None:
    init = {"file_id": uploaded(api, png("blue")), "type": "init"}
    body = {"model_id": UPSCALE, "upscale_ratio": ratio, "guidance_files": [init]}
    [output] = run(api, **body)["outputs"]
    with Image.open(io.BytesIO(httpx.get(output["url"], trust_env=False).content)) as image:
        assert image.size == (output["width"], output["height"]) == (side, side)
        assert image.getpixel((5, 5)) == (0, 0, 255, 255)


def test_nothing_can_be_enlarged_without_a_picture(
    api: httpx.Client, sandbox: RunningSandbox
) -> None:
    answer = api.post("/inferences", json={"model_id": UPSCALE})
    assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (422, "guidance_files")
    assert not sandbox.state.runs


@pytest.mark.parametrize("data", [b"no picture at all", png("gray")], ids=["junk", "grey"])
def test_a_reference_without_colour_leaves_the_picture_as_it_is(
    data: bytes, api: httpx.Client
) -> None:
    reference = using("guidance_files", {"file_id": uploaded(api, data)})
    outputs = [run(api, seed=7, **change)["outputs"][0] for change in (reference, {})]
    first, second = (httpx.get(output["url"], trust_env=False).content for output in outputs)
    assert first == second
