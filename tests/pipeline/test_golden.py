"""The demo's bytes up to the betons are frozen: they guard `same` in upgrade/releases.toml, and the memo.

When a hash changes and should, raise the stage's format constant (the memo's key holds it) and write the new hash here.
They hold for the locked versions of Pillow, pyarrow and simplejpeg. Later stages depend on the processor's arithmetic.
"""

from __future__ import annotations

from testing.checkout import Checkout

GOLDEN = {
    "line/discover/listing.parquet": "ee8da16f5ce02607b76d23a9e6636d29",
    "line/download/members.parquet": "218aa5f3b7b70b84ebb83d4b302a0a51",
    "line/download/votes.parquet": "155c165bf8b4c6e43af58fed7e438ac2",
    "line/download/shards": "0f0f5cdfb7d6b1bb8f137c3cf6fa07d6.dir",
    "line/convert/betons": "dbaa7aa3ecd0ede5ba509475a1fae854.dir",
}


def test_the_demos_bytes_are_those_of_the_last_release(finished: Checkout) -> None:
    found = finished.out_hashes()

    assert {path: found[path] for path in GOLDEN} == GOLDEN
