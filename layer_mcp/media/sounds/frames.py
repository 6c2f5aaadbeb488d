"""Detect the tags and frames of MP3 and raw AAC, and their lengths.

Sources: ID3v2, ISO 11172-3 and 13818-3 for MP3, ISO 13818-7 for AAC (ADTS).
"""

ID3_HEAD_BYTES, MP3_HEAD_BYTES, ADTS_HEAD_BYTES = 10, 4, 7
MP3_BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
MP3_SAMPLE_RATES = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8000),
}
AAC_RATES_HZ = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050),
    *(16_000, 12_000, 11_025, 8000, 7350),
)


def id3_tag_bytes(head: bytes) -> int | None:
    """Return the length of an ID3v2 tag with header and footer; its size has seven bits a byte."""
    header = head[:ID3_HEAD_BYTES]
    if len(header) < ID3_HEAD_BYTES or not header.startswith(b"ID3"):
        return None
    if header[3] not in (2, 3, 4) or any(byte & 0x80 for byte in header[6:]):
        return None
    size_bytes = 0
    for byte in header[6:]:
        size_bytes = size_bytes << 7 | byte
    has_footer = header[5] & 0x10
    return ID3_HEAD_BYTES + size_bytes + (ID3_HEAD_BYTES if has_footer else 0)


def is_mp3_frame(head: bytes) -> bool:
    """Look for eleven set bits, then a real version, layer III, a bit rate and a sample rate.

    Layer bits of 00 are AAC (ADTS); layers I and II are not MP3, and look like UTF-16 text.
    """
    if len(head) < MP3_HEAD_BYTES:
        return False
    header = int.from_bytes(head[:4])
    sync, version, layer = header >> 21, header >> 19 & 3, header >> 17 & 3
    bit_rate, sample_rate = header >> 12 & 15, header >> 10 & 3
    return (
        sync == 0x7FF
        and version != 1
        and layer == 1
        and bit_rate not in (0, 15)
        and sample_rate != 3
    )


def mp3_frame_bytes(head: bytes) -> int | None:
    """Return the length of an MP3 frame by its header, or None if this isn't one."""
    if not is_mp3_frame(head):
        return None
    version, bit_rate, sample_rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    is_first = version == 3
    rate = MP3_BIT_RATES[not is_first][bit_rate] * 1000
    padding = head[2] >> 1 & 1
    return (144 if is_first else 72) * rate // MP3_SAMPLE_RATES[version][sample_rate] + padding


def adts_frame_bytes(head: bytes) -> int | None:
    """Return the length of an AAC frame: twelve set bits, layer 0, a real sample rate and size."""
    if len(head) < ADTS_HEAD_BYTES or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if head[2] >> 2 & 15 < len(AAC_RATES_HZ) and length > ADTS_HEAD_BYTES else None
