"""images.parquet: what only a decode can tell of an image."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

IMAGES = Table(
    name="images",
    version=5,
    meaning="one row per member with bytes; `refusal` says why one cannot be used",
    key=("image_id",),
    columns=(
        Column("image_id", pa.string(), "as in members"),
        Column("shard", pa.string(), "as in members"),
        Column("row_in_shard", pa.int32(), "as in members"),
        Column(
            "refusal",
            pa.string(),
            "reason code when it cannot be decoded or must not be used; empty when it is sound",
            nullable=True,
        ),
        Column(
            "detail",
            pa.string(),
            "what the decoder said, or what the bytes are instead",
            nullable=True,
        ),
        Column(
            "format",
            pa.string(),
            "jpeg, png, webp, avif, gif, bmp, tiff, netpbm, heic: from the bytes, not the name",
            nullable=True,
        ),
        Column("mode", pa.string(), "colour mode as received (Pillow's names)", nullable=True),
        Column("width_px", pa.int32(), "after the orientation policy", nullable=True),
        Column("height_px", pa.int32(), "after the orientation policy", nullable=True),
        Column("exif_orientation", pa.int8(), "1 to 8; 1 when absent", nullable=True),
        Column(
            "has_gps",
            pa.bool_(),
            "EXIF holds a position; it goes no further than the shards",
            nullable=True,
        ),
        Column("n_frames", pa.int32(), "frames; the first is used", nullable=True),
        Column(
            "ext_mismatch",
            pa.bool_(),
            "the name's ending says another format than the bytes",
            nullable=True,
        ),
        Column("trailing_bytes", pa.int64(), "bytes after the picture's end", nullable=True),
        Column(
            "on_black",
            pa.bool_(),
            "transparency lies on black: white would show nothing",
            nullable=True,
        ),
        Column(
            "low_bits",
            pa.bool_(),
            "16-bit samples that use 12 bits at most: nearly black",
            nullable=True,
        ),
        Column(
            "ends_grey",
            pa.bool_(),
            "ends in the grey that decoders paint after the data stopped",
            nullable=True,
        ),
        Column(
            "pixel_hash",
            pa.string(),
            "blake2b-128 of the canonical RGB pixels and their shape, hex",
            nullable=True,
        ),
        Column(
            "phash",
            pa.uint64(),
            "64-bit DCT perceptual hash of the picture without a plain border (no use below about 64 px)",
            nullable=True,
        ),
        Column(
            "phash_variants",
            pa.list_(pa.uint64(), 6),
            "the same of its centre, of 95, 90, 85 and 80 % of the side; of the image with its border; of the middle "
            "80 % of that",
            nullable=True,
        ),
        Column("luminance_p1", pa.uint8(), "1st percentile of luminance, 0..255", nullable=True),
        Column("luminance_p50", pa.uint8(), "median of luminance, 0..255", nullable=True),
        Column("luminance_p99", pa.uint8(), "99th percentile of luminance, 0..255", nullable=True),
        Column(
            "entropy_bit", pa.float32(), "entropy of the luminance histogram, 0..8", nullable=True
        ),
        Column(
            "subject_bit",
            pa.float32(),
            "information beside the commonest level, 8 levels around it included: bit per pixel of the image",
            nullable=True,
        ),
        Column(
            "blur_ratio",
            pa.float32(),
            "variance of the Laplacian after a blur over before; near 1: blurred",
            nullable=True,
        ),
        Column(
            "least_sharpness",
            pa.float32(),
            "fine edges over coarser ones in the direction with least; under 1.35: shaken",
            nullable=True,
        ),
        Column(
            "clipped_share",
            pa.float32(),
            "share of the pixels with a colour channel at its upper end and none under 64, 0..1",
            nullable=True,
        ),
        Column(
            "white_share",
            pa.float32(),
            "share of the pixels with every colour channel at its upper end, 0..1",
            nullable=True,
        ),
    ),
)
