"""The code that can change a stage's bytes, as one text per stage: a digest of each module in its normal form."""

from pipeline_lib.code_fingerprints.fingerprint import (
    FINGERPRINT,
    check_fingerprint,
    differing,
    fingerprint,
    write_fingerprints,
)

__all__ = ["FINGERPRINT", "check_fingerprint", "differing", "fingerprint", "write_fingerprints"]
