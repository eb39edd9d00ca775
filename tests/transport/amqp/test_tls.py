"""Over TLS, messages of every size arrive all the same, and nobody else's certificate will do."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from atasks_ng.testing.broker import PrivateBroker, free_port
from atasks_ng.transport.backends.amqp.lane import keepalive
from atasks_ng.words.errors import TLSError
from tests.transport.amqp.test_transport import Peers

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates")

MIB = 1024 * 1024


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1, signed by itself, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext"),
            *("subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


async def test_messages_of_every_size_arrive_over_tls(
    private_broker: Callable[..., PrivateBroker],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keepalive._say_no_pulse.cache_clear()
    caplog.set_level(logging.INFO)
    certificate, key = make_certificate(tmp_path, "broker")
    other, _ = make_certificate(tmp_path, "other")
    port = free_port()
    private_broker(
        {
            "listeners.ssl.default": f"127.0.0.1:{port}",
            "ssl_options.certfile": certificate,
            "ssl_options.keyfile": key,
            "ssl_options.cacertfile": certificate,
        }
    )
    url = f"amqps://guest:guest@127.0.0.1:{port}/"
    for fast in (True, False):
        peers = Peers(f"{url}?cafile={certificate}", fast=fast)
        worker, caller = await peers.worker(), await peers.peer()
        worker.echoes = True
        bodies = [b"b" * size for size in (0, 1, 70_000, MIB, 5 * MIB)]
        bodies += [b"%d" % number for number in range(500)]

        for body in bodies:
            caller.ask(body)
        answers = [await caller.answer() for _ in bodies]

        assert sorted(answers) == sorted(bodies)
        await peers.close()
        with pytest.raises(TLSError, match="certificate is not trusted"):
            await Peers(f"{url}?cafile={other}", fast=fast).peer()
    assert caplog.text.count("no heartbeats are sent while a body blocks") == 1
