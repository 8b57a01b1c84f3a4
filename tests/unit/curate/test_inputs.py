import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from pipeline_lib.curate.inputs import DIRECTIONS, axes_by_kind, cut


def table(vectors_ND: np.ndarray, kind: str = "pixels") -> pd.DataFrame:
    ids = [f"s/{kind}{n}" for n in range(len(vectors_ND))]
    return pd.DataFrame(
        {"image_id": ids, "kind": kind, "vector": list(vectors_ND.astype(np.float32))}
    )


def test_distances_survive_when_the_images_differ_in_few_directions() -> None:
    rng = np.random.default_rng(0)
    vectors_ND = rng.normal(size=(300, 20)) @ rng.normal(size=(20, 500))
    features = table(vectors_ND)

    short_NR = np.stack(cut(features, axes_by_kind(features[:200], seed=0))["vector"].to_list())

    assert short_NR.shape == (300, DIRECTIONS)
    before, after = (
        np.linalg.norm(v[:50, None] - v[None, 50:100], axis=2) for v in (vectors_ND, short_NR)
    )
    np.testing.assert_allclose(after, before, rtol=1e-3)


def test_the_number_of_threads_changes_no_bit() -> None:
    features = table(np.random.default_rng(0).normal(size=(600, 1764)))

    def cut_in(threads: int) -> bytes:
        with threadpool_limits(threads):
            return np.stack(
                cut(features, axes_by_kind(features, seed=0))["vector"].to_list()
            ).tobytes()

    assert cut_in(1) == cut_in(2) == cut_in(3)


def test_short_vectors_are_only_centred_and_kinds_keep_apart() -> None:
    features = pd.concat(
        [table(np.eye(4)), table(np.ones((3, 2)), "embedding:0")], ignore_index=True
    )

    shorter = cut(features, axes_by_kind(features, seed=0))

    np.testing.assert_allclose(np.stack(shorter["vector"][:4].to_list()), np.eye(4) - 0.25)
    np.testing.assert_allclose(np.stack(shorter["vector"][4:].to_list()), np.zeros((3, 2)))
