"""Tell the kind of a file from its first bytes, whatever its name."""

from __future__ import annotations

from typing import Final

DECODABLE: Final = ("jpeg", "png", "webp", "avif", "gif", "bmp", "tiff", "netpbm", "heic")
# Images made of pixels that we do not decode. Drawings and documents (svg, eps, pdf) hold no pixels: not images.
OTHER_IMAGES: Final = ("jpeg2000", "jpegxl", "ico", "psd", "pam", "pfm", "exr", "dds")

_SIGNATURES: Final = (
    ("jpeg", b"\xff\xd8\xff"),
    ("png", b"\x89PNG\r\n\x1a\n"),
    ("gif", b"GIF87a"),
    ("gif", b"GIF89a"),
    ("tiff", b"II*\0"),
    ("tiff", b"MM\0*"),
    ("tiff", b"II+\0"),  # BigTIFF
    ("tiff", b"MM\0+"),
    ("jpeg2000", b"\0\0\0\x0cjP  \r\n\x87\n"),
    ("jpeg2000", b"\xff\x4f\xff\x51"),
    ("jpegxl", b"\xff\x0a"),
    ("jpegxl", b"\0\0\0\x0cJXL \r\n\x87\n"),
    ("ico", b"\0\0\1\0"),
    ("psd", b"8BPS"),
    ("exr", b"\x76\x2f\x31\x01"),
    ("dds", b"DDS "),
    ("zip", b"PK\3\4"),
    ("zip", b"PK\5\6"),
    ("gzip", b"\x1f\x8b"),
    ("pdf", b"%PDF-"),
    ("eps", b"%!PS"),
    ("eps", b"\xc5\xd0\xd3\xc6"),
    ("numpy", b"\x93NUMPY"),
    ("parquet", b"PAR1"),
)
_BMP_HEADER_SIZES: Final = (12, 40, 52, 56, 64, 108, 124)
HEAD_BYTES: Final = 4096
_ZEROED_HEAD_BYTES: Final = (
    32  # no format we know begins with so many zeros; a lost disk sector does
)


def may_be_image(head: bytes) -> bool:
    """Whether a file with this beginning may be an image, which the decoder then decides; HEAD_BYTES of it are enough."""
    return sniff(head) in (*DECODABLE, *OTHER_IMAGES, "empty", "zeroed_head")


def sniff(data: bytes) -> str:
    """Name the kind of a file's content.

    One of DECODABLE, of OTHER_IMAGES, or: empty (no bytes or only zeros), zeroed_head (begins with zeros, then goes
    on), html, svg, xml, json, pickle, zip, gzip, pdf, eps, numpy, parquet, video, text, unknown.
    """
    if not data.strip(b"\0"):
        return "empty"
    if not data[:_ZEROED_HEAD_BYTES].strip(b"\0"):
        return "zeroed_head"
    for kind, signature in _SIGNATURES:
        if data.startswith(signature):
            return kind
    return _container(data) or _pickle(data) or _text(data[:HEAD_BYTES]) or "unknown"


def _container(data: bytes) -> str:
    """Kinds whose mark is not at the very start."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "bmp"
    if data[4:8] == b"ftyp":
        return (
            "avif"
            if data[8:12] in (b"avif", b"avis")
            else "heic"
            if data[8:12] in _HEIF_BRANDS
            else "video"
        )
    if data[:1] == b"P" and data[2:3].isspace():
        return {b"7": "pam", b"f": "pfm", b"F": "pfm"}.get(
            data[1:2], "netpbm" if data[1:2] in b"123456" else ""
        )
    return ""


_HEIF_BRANDS: Final = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def _pickle(data: bytes) -> str:
    """Protocol 2 and later begin with 0x80 and the protocol number, and end with a full stop. Never unpickled."""
    return (
        "pickle" if data[:1] == b"\x80" and data[1:2] in b"\2\3\4\5" and data[-1:] == b"." else ""
    )


def _text(head: bytes) -> str:
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if (
            error.start < len(head) - 3 or len(head) < HEAD_BYTES
        ):  # else only cut in the middle of a character
            return ""
        text = head[: error.start].decode("utf-8-sig")
    if "\0" in text:
        return ""
    start = text.lstrip().lower()
    if "<svg" in start and start.startswith("<"):
        return "svg"
    if start.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "html"
    if start.startswith("<?xml"):
        return "html" if "<html" in start else "xml"
    return "json" if start.startswith(("{", "[")) else "text"
