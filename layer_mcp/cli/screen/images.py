"""The preview image of a run's files, drawn in the terminal where the terminal supports it."""

import base64
import io
import os
import re
import select
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from PIL import Image

GraphicsProtocol = Literal["sixel", "kitty", "blocks"]

MAX_COLUMNS = 60
MAX_ROWS = 24
# Lines left for the shell's prompt.
FREE_ROWS = 2
DEFAULT_CELL_PIXELS = (10, 20)
HALF_BLOCK = "\u2580"

KITTY_CHUNK_CHARACTERS = 4096

SIXEL_COLORS = 256
SIXEL_BAND_ROWS = 6
SIXEL_FIRST_CHARACTER = 63
SIXEL_RUN = re.compile(rb"(.)\1{3,254}", re.DOTALL)

REPLY_TIMEOUT_SECONDS = 1.0
ATTRIBUTES_QUERY = b"\x1b[c"
CELL_QUERY = b"\x1b[16t"
KITTY_QUERY = b"\x1b_Gi=1,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
ATTRIBUTES_REPLY = re.compile(rb"\x1b\[\?([0-9;]*)c")
CELL_REPLY = re.compile(rb"\x1b\[6;(\d+);(\d+)t")
KITTY_OK = b"\x1b_Gi=1;OK\x1b\\"
SIXEL_ATTRIBUTE = b"4"
# They use kitty's query as a window title, or print it.
TERMS_WITHOUT_KITTY = ("screen", "tmux", "linux")
CLEAR_LINE = b"\r\x1b[K"


@dataclass(frozen=True)
class ImageDisplay:
    """How this terminal shows images: not at all without a `protocol`."""

    protocol: GraphicsProtocol | None = None
    cell_pixels: tuple[int, int] = DEFAULT_CELL_PIXELS

    @property
    def is_enabled(self) -> bool:
        """Whether to request a preview image at all."""
        return self.protocol is not None

    def show(self, data: bytes) -> None:
        """Draw an image file at the cursor, scaled down to fit the terminal."""
        from PIL import Image  # noqa: PLC0415

        if self.protocol is None:
            return
        terminal = os.get_terminal_size(sys.stdout.fileno())
        room = (min(terminal.columns, MAX_COLUMNS), min(terminal.lines - FREE_ROWS, MAX_ROWS))
        with Image.open(io.BytesIO(data)) as opened:
            image = opened.convert("RGB")
        columns, rows = size_in_cells(image.size, self.cell_pixels, room)
        if min(columns, rows) > 0:
            sys.stdout.flush()
            sys.stdout.buffer.write(_encode(image, self.protocol, columns, rows, self.cell_pixels))
            sys.stdout.buffer.flush()


def choose_image_display(choice: str, environ: Mapping[str, str] = os.environ) -> ImageDisplay:
    """Return how to show images here: as the terminal reports, as blocks, or never.

    Call it before anything slow: it queries the terminal, and must not read a person's typing.
    """
    if choice == "never" or sys.stdout is None or not sys.stdout.isatty():
        return ImageDisplay()
    if choice == "blocks":
        return ImageDisplay("blocks")
    features = query_terminal(sys.stdout.fileno(), environ)
    return ImageDisplay(features.protocol, features.cell_pixels or DEFAULT_CELL_PIXELS)


def size_in_cells(
    pixels: tuple[int, int], cell: tuple[int, int], room: tuple[int, int]
) -> tuple[int, int]:
    """Return the columns and rows an image takes, with its proportions and never enlarged."""
    scale = min(1.0, room[0] * cell[0] / pixels[0], room[1] * cell[1] / pixels[1])
    columns, rows = (round(side * scale / part) for side, part in zip(pixels, cell, strict=True))
    return min(max(columns, 1), room[0]), min(max(rows, 1), room[1])


def _encode(
    image: "Image.Image",
    protocol: GraphicsProtocol,
    columns: int,
    rows: int,
    cell: tuple[int, int],
) -> bytes:
    if protocol == "blocks":
        return encode_blocks(image.resize((columns, rows * 2)))
    if protocol == "kitty":
        sequence = encode_kitty(image, columns, rows)
    else:
        sequence = encode_sixel(image.resize((columns * cell[0], rows * cell[1])))
    # Scroll first: terminals differ in where an image leaves the cursor.
    return b"\n" * rows + b"\x1b[%dA\x1b7%s\x1b8\x1b[%dB\r" % (rows, sequence, rows)


def encode_blocks(image: "Image.Image") -> bytes:
    """Return half blocks in 24-bit colors: two pixels for each cell, one above the other."""
    columns, rows = image.size
    pixels = image.tobytes()
    lines: list[str] = []
    for top in range(0, rows, 2):
        cells: list[str] = []
        for column in range(columns):
            upper, lower = (3 * (row * columns + column) for row in (top, top + 1))
            front, back = (
                ";".join(str(part) for part in pixels[at : at + 3]) for at in (upper, lower)
            )
            cells.append(f"\x1b[38;2;{front};48;2;{back}m{HALF_BLOCK}")
        lines.append(f"{''.join(cells)}\x1b[0m\n")
    return "".join(lines).encode()


def encode_kitty(image: "Image.Image", columns: int, rows: int) -> bytes:
    """Return kitty's escape sequences for an image of this many cells; the cursor stays put."""
    png = io.BytesIO()
    image.save(png, "PNG")
    data = base64.b64encode(png.getvalue())
    size = KITTY_CHUNK_CHARACTERS
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    # q=2 suppresses the terminal's reply, which the shell would read as typed input.
    keys = b"a=T,f=100,q=2,C=1,c=%d,r=%d," % (columns, rows)
    parts: list[bytes] = []
    for number, chunk in enumerate(chunks, 1):
        more = 0 if number == len(chunks) else 1
        parts.append(b"\x1b_G%sm=%d;%s\x1b\\" % (keys, more, chunk))
        keys = b"q=2,"
    return b"".join(parts)


def encode_sixel(image: "Image.Image") -> bytes:
    """Return the escape sequence for an RGB image in sixels, one pixel for each pixel.

    A sixel image is a series of six-row bands, each drawn once for every color in it. The palette
    has at most 256 colors in percent, as on DEC's VT340.
    """
    indexed = image.quantize(SIXEL_COLORS)
    width, height = indexed.size
    parts = [b'\x1bP0;1q"1;1;%d;%d' % (width, height)]
    palette = indexed.getpalette() or []
    for number in range(len(palette) // 3):
        red, green, blue = (part * 100 // 255 for part in palette[number * 3 : number * 3 + 3])
        parts.append(b"#%d;2;%d;%d;%d" % (number, red, green, blue))
    pixels = indexed.tobytes()
    for top in range(0, height, SIXEL_BAND_ROWS):
        rows = [
            pixels[row * width : (row + 1) * width]
            for row in range(top, min(top + SIXEL_BAND_ROWS, height))
        ]
        parts.append(_encode_band(rows) + b"-")
    parts.append(b"\x1b\\")
    return b"".join(parts)


def _encode_band(rows: list[bytes]) -> bytes:
    used = sorted(set(b"".join(rows)))
    return b"$".join(b"#%d" % color + _encode_runs(_encode_color(rows, color)) for color in used)


def _encode_color(rows: list[bytes], color: int) -> bytes:
    """Return one character for each column, with a bit for each of the six rows."""
    bits = 0
    for number, row in enumerate(rows):
        table = bytearray(256)
        table[color] = 1 << number
        bits |= int.from_bytes(row.translate(bytes(table)), "big")
    base = int.from_bytes(bytes([SIXEL_FIRST_CHARACTER]) * len(rows[0]), "big")
    return (bits + base).to_bytes(len(rows[0]), "big")


def _encode_runs(characters: bytes) -> bytes:
    return SIXEL_RUN.sub(lambda run: b"!%d%s" % (len(run[0]), run[1]), characters)


@dataclass(frozen=True)
class TerminalFeatures:
    """What a terminal reports about itself; `cell_pixels` are a cell's width and height."""

    protocol: GraphicsProtocol | None = None
    cell_pixels: tuple[int, int] | None = None


def query_terminal(stream_fd: int, environ: Mapping[str, str] = os.environ) -> TerminalFeatures:
    """Query a stream's terminal, unless its reply could do harm.

    Each query ends with the one for device attributes (DA1). Every terminal replies to that query,
    so it marks the end, and no reply is left for the shell. Takes two seconds at most, and a few
    milliseconds if the terminal replies.
    """
    if os.name != "posix" or environ.get("TERM", "dumb") in ("", "dumb", "unknown"):
        return TerminalFeatures()
    with _raw_terminal(stream_fd) as fd:
        # Text typed ahead is meant for the shell, and would be taken for a reply.
        if fd is None or _is_readable(fd, 0):
            return TerminalFeatures()
        reply = _query(fd, CELL_QUERY + ATTRIBUTES_QUERY)
        attributes, cell = ATTRIBUTES_REPLY.search(reply), CELL_REPLY.search(reply)
        if attributes is None:
            return TerminalFeatures()
        protocol: GraphicsProtocol | None = None
        if SIXEL_ATTRIBUTE in attributes[1].split(b";"):
            protocol = "sixel"
        elif _may_support_kitty(environ) and _supports_kitty(fd):
            protocol = "kitty"
        pixels = (int(cell[2]), int(cell[1])) if cell else None
        return TerminalFeatures(protocol, pixels if pixels and all(pixels) else None)


def _may_support_kitty(environ: Mapping[str, str]) -> bool:
    is_multiplexed = environ.get("TMUX") or environ.get("STY")
    is_apple = environ.get("TERM_PROGRAM") == "Apple_Terminal"
    return not (is_multiplexed or is_apple or environ["TERM"].startswith(TERMS_WITHOUT_KITTY))


def _supports_kitty(fd: int) -> bool:
    return KITTY_OK in _query(fd, KITTY_QUERY + CLEAR_LINE + ATTRIBUTES_QUERY)


def _query(fd: int, query: bytes) -> bytes:
    """Return the reply up to the device attributes, or nothing after the timeout."""
    os.write(fd, query)
    deadline = time.monotonic() + REPLY_TIMEOUT_SECONDS
    reply = b""
    while not ATTRIBUTES_REPLY.search(reply):
        if not _is_readable(fd, deadline - time.monotonic()):
            return b""
        reply += os.read(fd, 256)
    return reply


def _is_readable(fd: int, seconds: float) -> bool:
    return bool(select.select([fd], [], [], max(seconds, 0.0))[0])


@contextmanager
def _raw_terminal(stream_fd: int) -> Generator[int | None]:
    """Open a stream's terminal without echo and line mode, or yield None if that isn't safe.

    A background job would be stopped for touching the terminal.
    """
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    fd: int | None = None
    before: list[Any] = []
    with suppress(OSError, termios.error):
        fd = os.open(os.ttyname(stream_fd), os.O_RDWR | os.O_NOCTTY)
    try:
        with suppress(OSError, termios.error):
            if fd is not None and os.tcgetpgrp(fd) == os.getpgrp():
                before = termios.tcgetattr(fd)
                tty.setcbreak(fd, termios.TCSANOW)
        yield fd if before else None
    finally:
        if fd is not None and before:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
        if fd is not None:
            os.close(fd)
