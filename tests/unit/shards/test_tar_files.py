"""The tars that we write: their headers are those that Python's tarfile writes."""

from __future__ import annotations

import tarfile

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline_lib.shards.tar_files import member_header

NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=130
)


@given(NAMES, st.integers(0, 2**36))
@example("a" * 100, 0)
@example("a" * 101, 110_000)
@example("caf\u00e9/1.jpg", 8**11 - 1)
@example("cat/1.jpg", 8**11)
def test_a_header_from_the_template_is_the_one_that_tarfile_writes(
    name: str, size_bytes: int
) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size_bytes, 0o644, 0

    assert member_header(name, size_bytes) == info.tobuf(
        tarfile.PAX_FORMAT, "utf-8", "surrogateescape"
    )
