"""Detect the type of a text: drawings, meshes, and pages sent instead of a file."""

import codecs
import re

CONTROLS = re.compile("[\0-\x08\x0e-\x1f\x7f]")
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}

# What may precede the first element: instructions, comments, and whitespace.
PROLOG = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
DOCTYPE = re.compile(
    r"<!doctype\s+([\w:.-]+)(?:\s[^\[>]*)?(?:\[.*?\]\s*)?>", re.IGNORECASE | re.DOTALL
)
ELEMENT = re.compile(r"<([A-Za-z_][\w:.-]*)(?=[\s/>])")
ELEMENT_TYPES = {
    "svg": "image/svg+xml",
    "html": "text/html",
    "COLLADA": "model/vnd.collada+xml",
}
# A page may start with these instead of <html> (WHATWG MIME Sniffing, and a few more).
HTML_ELEMENT = re.compile(
    "html|head|body|title|meta|link|script|style|iframe|div|span|p|a|b|i|h1|h2|h3|table|font|br"
    "|center|pre|form|img|main|header|section|ul|ol",
    re.IGNORECASE,
)

JSON_START = re.compile(r"\{\s*(?:\"|\}|$)|\[\s*(?:[\"\{\[\]\d-]|true|false|null|$)")
GLTF_ASSET = re.compile(r'"asset"\s*:\s*\{[^{}]*"version"\s*:\s*"\d')
GLTF_START = re.compile(
    r'\{\s*"(?:accessors|animations|asset|buffers|bufferViews|cameras|extensionsRequired'
    r"|extensionsUsed|extensions|extras|images|materials|meshes|nodes|samplers|scene|scenes|skins"
    r"|textures)\"\s*:"
)
# No other JSON contains these words.
GLTF_WORDS = re.compile(
    r'"(?:bufferView|byteLength|componentType|baseColorFactor|baseColorTexture|primitives)"\s*:'
)

# Every pattern here can match in only one way, so none is slow to fail.
NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
STL_START = re.compile(
    rf"\s*solid\b[^\n\r]*[\r\n]\s*(?:endsolid\b|facet\s+normal(?:\s+(?:{NUMBER}|-?nan\S*)){{3}}"
    rf"\s+outer\s+loop\s+vertex\s)",
    re.IGNORECASE,
)
PLY_START = re.compile(
    rb"ply[ \t]*[\r\n]+(?:(?:comment|obj_info)\b[^\r\n]*[\r\n]+)*"
    rb"format[ \t]+(?:ascii|binary_little_endian|binary_big_endian)[ \t]+1\.0\s"
)
FBX_START = re.compile(
    r"\s*;\s*FBX \d+\.\d+\.\d+ project file|\s*(?:;[^\n]*\n\s*)*FBXHeaderExtension:\s*\{"
)
USDA_START = "#usda "

OBJ_LINE = re.compile(
    rf"v(?:[ \t]+{NUMBER}){{3,8}}|v[ntp](?:[ \t]+{NUMBER}){{1,4}}"
    r"|[flp](?:[ \t]+-?\d+(?:/-?\d*){0,2})+"
    r"|(?:o|g|s|mg|mtllib|usemtl|usemap|maplib|bevel|c_interp|d_interp|lod|shadow_obj|trace_obj"
    r"|cstype|deg|bmat|step|curv2?|surf|parm|trim|hole|scrv|sp|end|con)(?:[ \t]+.*)?"
)
OBJ_VERTEX = re.compile(r"v[ \t]")
LEAST_VERTICES = 3
SHORT_TEXT_LENGTH = 2000


def sniff_text(head: bytes) -> str | None:
    """Return the media type of a text by its start, or None if it's no text or doesn't say.

    A markup or a mesh that starts with more comments than `head` holds doesn't say.
    """
    # The rest of a PLY may be binary.
    if PLY_START.match(head):
        return "model/x-ply"
    text, is_unicode = _decode(head)
    if not text or CONTROLS.search(text):
        return None
    start = text.lstrip()
    if start.startswith("<"):
        found = _markup_type(start)
    elif JSON_START.match(start):
        found = _json_type(start)
    else:
        return _mesh_type(text) or _plain_type(start, is_unicode=is_unicode)
    return found


def _decode(head: bytes) -> tuple[str, bool]:
    """Return the text, and whether it surely is one: other bytes are read as Latin-1."""
    marks = (mark for mark in BYTE_ORDER_MARKS if head.startswith(mark))
    mark = next(marks, b"")
    try:
        # The last character may be truncated.
        decoder = codecs.getincrementaldecoder(BYTE_ORDER_MARKS.get(mark, "utf-8"))()
        return decoder.decode(head[len(mark) :]), True
    except UnicodeDecodeError:
        return head.decode("latin-1"), False


def _markup_type(text: str) -> str | None:
    """Tell markup by its document type, else by its first element."""
    offset = _skip(PROLOG, text, 0)
    if doctype := DOCTYPE.match(text, offset):
        name = doctype[1].rpartition(":")[2]
        if name.lower() in ("html", "svg"):
            return ELEMENT_TYPES[name.lower()]
        offset = _skip(PROLOG, text, doctype.end())
    element = ELEMENT.match(text, offset)
    if element is None:
        is_cut = text.startswith(("<!--", "<!DOCTYPE", "<!doctype", "<?xml"))
        return None if is_cut else "text/plain"
    name = element[1].rpartition(":")[2]
    if name in ELEMENT_TYPES:
        return ELEMENT_TYPES[name]
    return "text/html" if HTML_ELEMENT.fullmatch(name) else "application/xml"


def _skip(pattern: re.Pattern[str], text: str, offset: int) -> int:
    found = pattern.match(text, offset)
    return found.end() if found else offset


def _json_type(text: str) -> str | None:
    if not GLTF_START.match(text):
        return "application/json"
    if GLTF_ASSET.search(text) or GLTF_WORDS.search(text):
        return "model/gltf+json"
    # A glTF that begins with the names of many parts shows nothing else yet.
    return None if len(text) > SHORT_TEXT_LENGTH else "application/json"


def _mesh_type(text: str) -> str | None:
    if text.startswith(USDA_START):
        return "model/vnd.usda"
    if STL_START.match(text):
        return "model/stl"
    if FBX_START.match(text):
        return "model/x-fbx"
    return "model/obj" if _is_obj(text) else None


def _is_obj(text: str) -> bool:
    """Return whether a text is an OBJ with vertices; the last line may be truncated."""
    whole_lines = [line for line in text.splitlines(keepends=True) if line.endswith(("\n", "\r"))]
    statements = [line for line in map(str.strip, whole_lines) if line and not line.startswith("#")]
    if sum(OBJ_VERTEX.match(line) is not None for line in statements) < LEAST_VERTICES:
        return False
    return all(OBJ_LINE.fullmatch(line) for line in statements)


def _plain_type(text: str, *, is_unicode: bool) -> str | None:
    """Take text for text unless it has only comments so far: a mesh may follow them."""
    is_comment = all(
        line.lstrip().startswith(("#", ";")) for line in text.splitlines() if line.strip()
    )
    return "text/plain" if text and is_unicode and not is_comment else None
