"""Nodes of one training meet at a store on the first: what they are told when they do not."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline_lib.errors import BadData, ConfigError, ServiceUnavailable
from pipeline_lib.settings import Settings
from pipeline_lib.train import rendezvous
from pipeline_lib.train.rendezvous import FirstNode, OtherNode, first_node
from pipeline_lib.train.run import run
from testing.served import free_port
from testing.small_line import SmallLine


@pytest.fixture
def address() -> str:
    return f"localhost:{free_port()}"


@pytest.fixture
def first(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FirstNode]:
    """The first of two nodes, which waits for a moment only."""
    monkeypatch.setattr(rendezvous, "WAIT_S", 0.3)
    monkeypatch.setattr(rendezvous, "FAREWELL_S", 0.0)
    with first_node(address, nodes=2, key="a" * 32) as node:
        yield node


def test_nodes_that_do_not_divide_the_processes_are_refused(
    small_line: SmallLine, tmp_path: Path
) -> None:
    settings = Settings(device="cpu", root=small_line.folder, train_nodes=2)

    with pytest.raises(
        ConfigError,
        match="cannot be shared among the nodes .found: 1 processes on 2 nodes.*a multiple",
    ):
        run(small_line.train(tmp_path, settings=settings))


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(
        ConfigError,
        match="192.0.2.1:29400: cannot wait for nodes here.*name or address of this mach",
    ):
        with first_node("192.0.2.1:29400", nodes=2, key=""):
            pass


def test_a_node_that_does_not_come_is_waited_for_in_vain(first: FirstNode) -> None:
    with pytest.raises(
        ServiceUnavailable, match="not every node came .found: 1 of 2 nodes within 0.3 s.*join"
    ):
        first.meet()


def test_a_node_finds_no_training(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "WAIT_S", 0.3)

    with pytest.raises(
        ServiceUnavailable,
        match="no training waits for nodes here.*start the stage on the first node",
    ):
        OtherNode(address, lambda: "").meet()


def test_a_node_finds_something_that_is_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "ANSWER_S", 0.3)

    with socket.create_server(("localhost", 0)) as silent:
        address = f"localhost:{silent.getsockname()[1]}"
        with pytest.raises(
            ServiceUnavailable, match="what listens here is no training .found: no answer in 0.3 s"
        ):
            OtherNode(address, lambda: "").meet()


def test_a_node_with_other_inputs_is_told_so_and_the_first_waits_for_another(
    first: FirstNode, caplog: pytest.LogCaptureFixture
) -> None:
    said = "would train something else .found: inputs bbbbbbbb on .*, aaaaaaaa on the first node.*dvc pull"
    with pytest.raises(ConfigError, match=said):
        OtherNode(first.address, lambda: "b" * 32).meet()

    with caplog.at_level(logging.WARNING), pytest.raises(ServiceUnavailable):
        first.meet()
    assert "refused: line: this node would train something else" in caplog.text


def test_a_node_too_many_gets_no_seat(first: FirstNode) -> None:
    first.store.set("run", "r")
    first.store.add("r/came", 1)

    with pytest.raises(
        ServiceUnavailable,
        match="no seat in a training .found: 2 nodes, waited 0.3 s.*itself among",
    ):
        OtherNode(first.address, lambda: "a" * 32).meet()


def test_what_the_first_node_ends_with_ends_the_others(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendezvous, "FAREWELL_S", 300.0)
    other = OtherNode(address, lambda: "")
    with ThreadPoolExecutor(1) as beside:
        with (
            pytest.raises(BadData, match="an image is damaged"),
            first_node(address, nodes=2, key="") as first,
        ):
            waits = beside.submit(lambda: (other.meet(), other.meet()))
            first.meet()
            raise BadData("an image is damaged", file="a.beton", remedy="restore it")

        with pytest.raises(BadData, match="a.beton: an image is damaged. Remedy: restore it"):
            waits.result(timeout=300)
