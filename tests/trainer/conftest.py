"""Trainings in the tests' own process: each finds the environment of a pod run by hand.

Also a real S3 server, for those that store there.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cupola_trainer.storage import s3, scratch

GANG = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

BUCKET = "cupola-test"
KEYS = {"AWS_ACCESS_KEY_ID": "TESTWRITER", "AWS_SECRET_ACCESS_KEY": "writes-tests"}
"""May list, read, write and delete."""
READER = {"AWS_ACCESS_KEY_ID": "TESTREADER", "AWS_SECRET_ACCESS_KEY": "reads-tests"}
"""May list and read."""
_ADMIN = {"AWS_ACCESS_KEY_ID": "TESTADMIN", "AWS_SECRET_ACCESS_KEY": "makes-buckets"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what a library of an earlier test set, which would make this one a gang."""
    for name in GANG:
        monkeypatch.delenv(name, raising=False)


def _free_ports(count: int) -> list[int]:
    """Ports of the loopback that are free, and so are those 10,000 above, which gRPC will take."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randint(20_000, 29_000)
        try:
            for one in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", one))
        except OSError:
            continue
        if port not in found:
            found.append(port)
    return found


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The endpoint of a real S3 server of this test process, with one bucket."""
    folder = Path(tempfile.mkdtemp(prefix="cupola-s3-"))
    actions = {"WRITER": ["Read", "Write", "List"], "READER": ["Read", "List"], "ADMIN": ["Admin"]}
    identities = [
        {
            "name": keys["AWS_ACCESS_KEY_ID"],
            "credentials": [
                {"accessKey": keys["AWS_ACCESS_KEY_ID"], "secretKey": keys["AWS_SECRET_ACCESS_KEY"]}
            ],
            "actions": actions[keys["AWS_ACCESS_KEY_ID"].removeprefix("TEST")],
        }
        for keys in (KEYS, READER, _ADMIN)
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    (folder / "data").mkdir()
    master, volume, filer, port = _free_ports(4)
    weed = Path(sysconfig.get_path("scripts")) / "weed"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(str(weed), "server", f"-dir={folder / 'data'}", "-s3"),
                *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.ip.bind=127.0.0.1"),
                *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
                *(f"-s3.port={port}", f"-s3.config={folder / 's3.json'}"),
                *(
                    f"-s3.localSocket={folder / 's3.sock'}",
                    f"-filer.localSocket={folder / 'f.sock'}",
                ),
                *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
                *("-master.volumeSizeLimitMB=64", "-volume.max=0"),
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    try:
        endpoint = f"http://127.0.0.1:{port}"
        _make_bucket(server, endpoint, folder / "log")
        yield endpoint
    finally:
        server.kill()  # it holds nothing of value, and would take its time
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)
        for one in (master, volume, filer, port):
            for left in Path("/tmp").glob(f"seaweedfs-*-{one + 10_000}.sock"):
                left.unlink()


def _make_bucket(server: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    client = boto3.session.Session(
        _ADMIN["AWS_ACCESS_KEY_ID"], _ADMIN["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1"
    ).client("s3", endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}))
    until = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < until:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
        except (BotoCoreError, ClientError):
            time.sleep(0.1)
        else:
            client.close()
            return
    pytest.fail(f"the S3 server did not start: {log.read_text()}")


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a pod without a store: nothing of this machine's; its scratch folder."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    scratch.root.cache_clear()
    return folder


@pytest.fixture
def new_connection() -> Iterator[None]:
    """Let this process read its environment again, which the test changes."""
    _disconnect()
    yield
    _disconnect()


def _disconnect() -> None:
    if s3._manager.cache_info().currsize:
        s3._manager().shutdown()
    s3._manager.cache_clear()
    s3.client.cache_clear()


@pytest.fixture
def reader() -> dict[str, str]:
    """Credentials of somebody who may list and read, as environment variables."""
    return READER


@pytest.fixture
def bucket(s3_server: str, pod: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty prefix of a real bucket, which this process may use."""
    variables = {**KEYS, "AWS_ENDPOINT_URL_S3": s3_server, "AWS_REGION": "us-east-1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


class Died(Exception):
    """The process is dead: no further request leaves it."""


class Requests:
    """The requests that this process makes from now on; optionally its death at one of them."""

    Died = Died

    def __init__(self) -> None:
        self.made: list[str] = []
        """The operation of each."""
        self.die_at: int | None = None
        """The number of the request that is not made any more, nor any after it."""
        self._events = s3.client().meta.events
        self._events.register("before-send.s3", self._note)

    def _note(self, event_name: str, **_: Any) -> None:
        self.made.append(event_name.rpartition(".")[2])
        if self.die_at is not None and len(self.made) >= self.die_at:
            raise Died

    def close(self) -> None:
        """Watch no more."""
        self._events.unregister("before-send.s3", self._note)


@pytest.fixture
def requests(bucket: str) -> Iterator[Requests]:
    """The requests of this process to the bucket."""
    watched = Requests()
    yield watched
    watched.close()
