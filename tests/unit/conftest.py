"""A small line up to `convert`, made by the real convert, for the tests of train, evaluate and predict."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage harness does

import pytest

from testing.small_line import SmallLine, make_small_line

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def small_line(tmp_path_factory: pytest.TempPathFactory) -> SmallLine:
    """Two shards of noisy images of 24 to 40 px, converted, with train, val and test selected."""
    return make_small_line(tmp_path_factory.mktemp("small_line"))


@pytest.fixture(scope="session")
def trained(small_line: SmallLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a train stage wrote weights/ and curves.csv."""
    from pipeline_lib.train.run import run

    out = tmp_path_factory.mktemp("trained")
    run(small_line.train(out))
    return out


@pytest.fixture(scope="session")
def evaluated(
    small_line: SmallLine, trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Where an evaluate stage wrote its tables and export/."""
    from pipeline_lib.evaluate.run import run

    out = tmp_path_factory.mktemp("evaluated")
    run(small_line.evaluate(trained / "weights", out))
    return out


CLUSTER = """
import dask, sys
from distributed import LocalCluster
dask.config.set({"distributed.scheduler.allowed-failures": 0})
with LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster:
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="session")
def dask_address() -> Iterator[str]:
    """A Dask scheduler and three workers on loopback, in processes of their own; a worker that dies is not replaced."""
    command = [sys.executable, "-c", CLUSTER]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as cluster:
        assert cluster.stdout is not None
        yield cluster.stdout.readline().strip()
        cluster.communicate()
