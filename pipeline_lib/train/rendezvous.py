"""Where the nodes of one training meet: a store on the first node, at the address of the setting train_rendezvous.

A node is a machine that runs some of the processes. The first one is the stage; the others run `perennial join`. They
meet before every attempt: the first one, and one more after each death of a process. The store asks for no password, so
the address belongs on a private network; of a single node it is loopback.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from torch._C._distributed_c10d import TCPStore
from torch.distributed import DistError

from pipeline_lib.errors import ConfigError, PipelineError, ServiceUnavailable, read_reason

WAIT_S = 600.0  # for the other nodes, before each attempt
STORE_LIMIT = timedelta(seconds=WAIT_S)  # for a value that nobody has put into the store yet
ANSWER_S = 60.0  # for a store to say that it is one
FAREWELL_S = 10.0  # for the others to see how the training ended
LOOK_EVERY_S = 0.1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seat:
    """The place of a node in one attempt. run: the attempt's name; node: 0 is the first; address: of the store."""

    run: str
    node: int
    nodes: int
    address: str


class Node(Protocol):
    """What a node does to take part."""

    def meet(self) -> Seat:
        """Wait for the other nodes before an attempt. Raises ServiceUnavailable when they do not come."""

    def leave(self) -> None:
        """Tell the first node that this one is done."""


class FirstNode:
    """The node that holds the store; from `first_node`."""

    def __init__(self, store: TCPStore, address: str, nodes: int) -> None:
        self.store = store
        self.address = address
        self.nodes = nodes

    def meet(self) -> Seat:
        """Open an attempt, and wait until every seat is taken."""
        # A new name for each attempt: what an earlier one left in the store does not count.
        run = uuid.uuid4().hex
        deadline = time.monotonic() + WAIT_S
        self.store.set("run", run)
        n_others = self.nodes - 1
        if n_others:
            log.info("waiting at %s for %d more nodes", self.address, n_others)
        while (n_came := self.store.add(f"{run}/came", 0)) < n_others:
            self._log_refused()
            if time.monotonic() > deadline:
                raise ServiceUnavailable(
                    "not every node came",
                    file=self.address,
                    value=f"{1 + n_came} of {self.nodes} nodes within {WAIT_S:g} s",
                    remedy="start `perennial join` on the others, or lower train_nodes; then run again",
                )
            time.sleep(LOOK_EVERY_S)
        # All seats are taken: begin.
        self.store.set(f"{run}/go", "")
        return Seat(
            run=run,
            node=0,
            nodes=self.nodes,
            address=self.address,
        )

    def leave(self) -> None:
        """Wait for the others to leave: their store ends with this process."""
        deadline = time.monotonic() + FAREWELL_S
        while self.store.add("left", 0) < self.nodes - 1 and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)

    def _log_refused(self) -> None:
        """Say which node was refused, once for each."""
        if self.store.check(["refused"]):
            log.warning("refused: %s", self.store.get("refused").decode())
            self.store.delete_key("refused")


@contextlib.contextmanager
def first_node(rendezvous: str, *, nodes: int, key: str) -> Iterator[FirstNode]:
    """Hold the store at host:port for a training whose inputs are called `key`; tell the others how it ended.

    A single node takes any free port of loopback. Raises ConfigError for an address that is not this machine's.
    """
    host, port = _host_and_port(rendezvous) if nodes > 1 else ("localhost", 0)
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise ConfigError(
            "cannot wait for nodes here",
            file=rendezvous,
            value=str(error),
            remedy="set train_rendezvous to a name or address of this machine and a free port",
        ) from error

    # The store takes the open socket over, so nobody can take the port in between.
    port = listener.getsockname()[1]
    store = TCPStore(
        host,
        port,
        is_master=True,
        wait_for_workers=False,
        multi_tenant=True,  # torch's launcher opens it again, in this process
        master_listen_fd=listener.detach(),
        timeout=STORE_LIMIT,
    )
    store.set("nodes", str(nodes))
    store.set("key", key)
    node = FirstNode(store, f"{host}:{port}", nodes)
    try:
        yield node
    except PipelineError as error:
        # The others end with the same reason.
        store.set("ended", error.as_json())
        node.leave()
        raise
    node.leave()


class OtherNode:
    """A node that joins. find_key: names the inputs of this node; called when the first node has been found."""

    def __init__(self, rendezvous: str, find_key: Callable[[], str]) -> None:
        self.rendezvous = rendezvous
        self.find_key = find_key
        self.last_run = ""
        self.store: TCPStore | None = None

    def meet(self) -> Seat:
        """Take a seat in the next attempt.

        Raises ConfigError when the first node trains something else, and the error that the first node ended with.
        """
        deadline = time.monotonic() + WAIT_S
        while True:
            self._find_first_node(deadline)
            try:
                self.store = _join_store(self.rendezvous)
                self._check_key(self.store)
                return self._take_seat(self.store, deadline)
            except DistError:
                # The first node may come again.
                log.info("the first node went away")
            time.sleep(LOOK_EVERY_S)

    def leave(self) -> None:
        """Tell the first node, which waits for that."""
        assert self.store is not None
        # It waits for some seconds only, and may be gone.
        with contextlib.suppress(DistError):
            self.store.add("left", 1)

    def _find_first_node(self, deadline: float) -> None:
        """Look for it with a plain socket, which is quiet where torch's own is not."""
        while True:
            try:
                return socket.create_connection(_host_and_port(self.rendezvous), timeout=5).close()
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ServiceUnavailable(
                        "no training waits for nodes here",
                        file=self.rendezvous,
                        value=f"{error}, for {WAIT_S:g} s",
                        remedy="start the stage on the first node, with train_nodes and the same train_rendezvous",
                    ) from error
            time.sleep(LOOK_EVERY_S)

    def _check_key(self, store: TCPStore) -> None:
        """Raise ConfigError, here and in the first node's log, where the two would train something else."""
        theirs = store.get("key").decode()
        ours = self.find_key()
        if theirs != ours:
            value = f"inputs {ours[:8]} on {socket.gethostname()}, {theirs[:8]} on the first node"
            remedy = "give this checkout the first one's commit, params.yaml and torch, `dvc pull`, and run again"
            error = ConfigError(
                "this node would train something else",
                file="line",
                value=value,
                remedy=remedy,
            )
            store.set("refused", str(error))
            raise error

    def _take_seat(self, store: TCPStore, deadline: float) -> Seat:
        """Take a seat in an attempt that is not the last one, and wait until all seats are taken."""
        nodes = int(store.get("nodes"))
        number = nodes  # no seat yet
        while True:
            if store.check(["ended"]):
                store.add("left", 1)
                raise read_reason(store.get("ended").decode())
            # One seat in each attempt; the node that comes last finds none and waits for the next.
            run = store.get("run").decode()
            if run != self.last_run:
                self.last_run = run
                number = store.add(f"{run}/came", 1)
            if number < nodes and store.check([f"{run}/go"]):
                return Seat(
                    run=run,
                    node=number,
                    nodes=nodes,
                    address=self.rendezvous,
                )
            if time.monotonic() > deadline:
                raise ServiceUnavailable(
                    "no seat in a training",
                    file=self.rendezvous,
                    value=f"{nodes} nodes, waited {WAIT_S:g} s",
                    remedy="start as many nodes as the first one's train_nodes says, itself among them",
                )
            time.sleep(LOOK_EVERY_S)


def check_nodes(processes: int, nodes: int) -> None:
    """Raise ConfigError unless every node gets equally many processes."""
    if processes % nodes:
        raise ConfigError(
            "the processes cannot be shared among the nodes",
            file="settings.toml",
            value=f"{processes} processes on {nodes} nodes",
            remedy="make train.processes a multiple of train_nodes",
        )


def _join_store(rendezvous: str) -> TCPStore:
    """Join the first node's store. Raises ServiceUnavailable where something listens that never answers.

    torch's own timeout does not cover that case, so a thread joins the store and this one waits for it.
    """
    host, port = _host_and_port(rendezvous)
    joined: Future[TCPStore] = Future()

    def join_it() -> None:
        try:
            store = TCPStore(
                host,
                port,
                is_master=False,
                wait_for_workers=False,
                timeout=STORE_LIMIT,
            )
        except DistError as error:
            joined.set_exception(error)
        else:
            joined.set_result(store)

    threading.Thread(target=join_it, daemon=True).start()
    try:
        return joined.result(timeout=ANSWER_S)
    except TimeoutError:
        raise ServiceUnavailable(
            "what listens here is no training",
            file=rendezvous,
            value=f"no answer in {ANSWER_S:g} s",
            remedy="give the first node's train_rendezvous",
        ) from None


def _host_and_port(rendezvous: str) -> tuple[str, int]:
    host, _, port = rendezvous.rpartition(":")
    return host, int(port)
