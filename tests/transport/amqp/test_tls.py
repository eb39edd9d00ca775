"""Over TLS, messages of every size arrive all the same, and nobody else's certificate will do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import ssl
import subprocess
import time
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from atasks_ng.testing.broker import PrivateBroker, free_port
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.backends.amqp.lane import keepalive
from atasks_ng.words.errors import BadURLError, ConnectionLostError, OptionError, TLSError
from tests.transport.amqp.test_transport import Peers

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates")

MIB = 1024 * 1024


_AUTHORITY = """
[ca]
default_ca = here
[here]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
[name]
subjectAltName = IP:127.0.0.1
"""


def make_old_certificate(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 that has expired, and its key."""
    for name, text in (("conf", _AUTHORITY), ("index", ""), ("serial", "01")):
        (folder / name).write_text(text)
    key = "ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout old.key"
    files = "-extensions name -in old.csr -out old.pem"
    dates = "-startdate 20200101000000Z -enddate 20200201000000Z"
    for command in (
        f"req -new -newkey {key} -subj /CN=old -out old.csr",
        f"ca -config conf -selfsign -batch -notext -keyfile old.key {dates} {files}",
    ):
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True, cwd=folder)
    return folder / "old.pem", folder / "old.key"


def make_certificate(folder: Path, name: str, *, address: str = "127.0.0.1") -> tuple[Path, Path]:
    """Return a certificate for an address, signed by itself, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext"),
            *(f"subjectAltName=IP:{address}", "-out", certificate, "-keyout", key),
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
        unverified = f"{url}?no_verify_ssl=1"
        blind = Peers(unverified, fast=fast, unsafe_no_verify=True)
        await blind.peer()
        await blind.close()
        with pytest.raises(TLSError, match="certificate is not trusted"):
            await Peers(url, fast=fast, unsafe_no_verify=True).peer()
    with pytest.raises(ConnectionLostError, match="amqps://"):
        await Peers(url.replace("amqps", "amqp")).peer()
    assert caplog.text.count("no heartbeats are sent while a body blocks") == 1


@contextlib.asynccontextmanager
async def server(
    certificate: Path | None = None,
    key: Path | None = None,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Speak TLS with a certificate, or say nothing at all; yield the port."""
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    came: list[asyncio.StreamWriter] = []
    listening = await asyncio.start_server(
        lambda reader, writer: came.append(writer), "127.0.0.1", ssl=context
    )
    try:
        yield listening.sockets[0].getsockname()[1]
        assert not came or context is None, "it must not have been trusted"
    finally:
        listening.close()
        for writer in came:
            writer.transport.abort()


async def failure(url: str) -> str:
    """Connect; return the sentence of the error, which must come in time and without secrets."""
    begun = time.monotonic()
    with pytest.raises(TLSError) as caught:
        await AMQPTransport("tls", url).connect()
    assert time.monotonic() - begun < 5
    assert "secret" not in str(caught.value)
    return str(caught.value)


async def test_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "other", address="127.0.0.2")

    async with server(certificate, key) as port:
        text = await failure(f"amqps://me:secret@127.0.0.1:{port}/?cafile={certificate}")

    assert "IP address mismatch" in text


async def test_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "broker")

    async with server(certificate, key) as port:
        text = await failure(f"amqps://me:secret@127.0.0.1:{port}/")

    assert "self-signed certificate" in text
    assert "cafile=" in text


async def test_certificate_that_has_expired_is_refused(tmp_path: Path) -> None:
    certificate, key = make_old_certificate(tmp_path)

    async with server(certificate, key) as port:
        text = await failure(f"amqps://me:secret@127.0.0.1:{port}/?cafile={certificate}")

    assert "certificate has expired" in text


async def test_server_of_plain_text_is_refused(amqp_url: str) -> None:
    host = amqp_url.partition("@")[2]

    text = await failure(f"amqps://me:secret@{host}")

    assert "does it speak TLS on this port?" in text


async def test_server_that_says_nothing_is_given_up() -> None:
    async with server() as port:
        text = await failure(f"amqps://me:secret@127.0.0.1:{port}/")

    assert "does not answer as a TLS server" in text


async def test_server_that_speaks_only_old_versions_of_tls_is_refused(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "broker")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    async with server(context=context) as port:
        url = f"amqps://me:secret@127.0.0.1:{port}/?cafile={certificate}"
        with pytest.raises(ConnectionLostError):
            await AMQPTransport("tls", url).connect()


async def test_server_that_wants_a_certificate_gets_one(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "broker")
    mine, my_key = make_certificate(tmp_path, "caller")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(mine)
    context.verify_mode = ssl.CERT_REQUIRED
    came: list[asyncio.StreamWriter] = []
    listening = await asyncio.start_server(
        lambda reader, writer: came.append(writer), "127.0.0.1", ssl=context
    )
    port = listening.sockets[0].getsockname()[1]
    files = f"cafile={certificate}&certfile={mine}&keyfile={my_key}"
    transport = AMQPTransport(
        "tls", f"amqps://me:secret@127.0.0.1:{port}/?{files}&request_timeout=1"
    )
    with pytest.raises(ConnectionLostError):  # it says nothing
        await transport.connect()
    listening.close()
    names = [writer.get_extra_info("peercert")["subject"] for writer in came]
    for writer in came:
        writer.transport.abort()

    assert names == [((("commonName", "caller"),),)]


@pytest.mark.parametrize(
    "query",
    ["cafile=/no/such", "capath=x", "cadata=x", "no_verify_ssl=1", "insecure=allow&cafile=x"],
)
def test_options_of_tls_without_tls_are_refused(query: str) -> None:
    name = query.rpartition("&")[2].partition("=")[0]

    with pytest.raises(OptionError, match=rf"^{name}= would.*: use amqps://") as caught:
        AMQPTransport("tls", f"amqps://a/,amqp://me:secret@b/?{query}", unsafe_no_verify=True)

    assert "secret" not in str(caught.value)


def test_all_unused_options_of_tls_are_named() -> None:
    with pytest.raises(OptionError, match=r"^certfile=, keyfile= would be ignored"):
        AMQPTransport("tls", "amqp://host/?keyfile=a&certfile=b")


@pytest.mark.parametrize("name", ["cafile", "capath", "certfile", "keyfile"])
def test_file_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    url = f"amqps://me:secret@host/?{name}={missing}"

    with pytest.raises(OptionError, match=f"{name}=.*{missing}.*no such file") as caught:
        AMQPTransport("tls", url)
    missing.touch()
    AMQPTransport("tls", url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_url_alone_cannot_turn_verification_off(value: str) -> None:
    with pytest.raises(BadURLError, match="unsafe_no_verify=True") as caught:
        AMQPTransport("tls", f"amqps://me:secret@host/?no_verify_ssl={value}")

    assert "secret" not in str(caught.value)
