"""A real S3 server on loopback: moto, in threads of this process."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

BUCKET = "images"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class S3Server:
    """A server and a client of it."""

    url: str
    client: Any

    def put(self, files: Mapping[str, bytes], prefix: str = "", *, bucket: str = BUCKET) -> None:
        """Write objects, by key."""
        for name, data in files.items():
            self.client.put_object(Bucket=bucket, Key=prefix + name, Body=data)

    def empty(self, *buckets: str) -> None:
        """Remove everything, and make these buckets: moto keeps those of earlier servers of the same process."""
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST")).close()
        for bucket in buckets:
            self.client.create_bucket(Bucket=bucket)


@contextmanager
def s3_server(*buckets: str) -> Iterator[S3Server]:
    """A server with empty buckets of these names, until the block ends."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        url = f"http://{host}:{port}"
        client = boto3.Session("test", "test", region_name="us-east-1").client(
            "s3", endpoint_url=url
        )
        server = S3Server(url, client)
        server.empty(*buckets)
        yield server
        server.empty()
    finally:
        moto.stop()


def environment(folder: Path) -> dict[str, str]:
    """Credentials for the server, and none of this machine's own. folder: where AWS has no files."""
    return {
        **CREDENTIALS,
        "AWS_CONFIG_FILE": str(folder / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-credentials"),
    }
