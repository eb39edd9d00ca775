"""TLS that cannot be trusted: refused in time, with the reason, and never gone around."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atasks_ng import connect
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.words import errors
from tests.faults.places import SLACK, shown

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates")

#: Certificates: what they are for, and how many days they are valid from now on.
KINDS = {
    "good": ("IP:127.0.0.1", 2),
    "other": ("IP:127.0.0.1", 2),
    "elsewhere": ("DNS:elsewhere.example", 2),
    "expired": ("IP:127.0.0.1", -1),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate of each kind, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in KINDS:
        _make(folder, name)
    return folder


def _make(folder: Path, name: str) -> None:
    subject, days = KINDS[name]
    request, key, extensions = folder / "request", folder / f"{name}.key", folder / "extensions"
    extensions.write_text(f"subjectAltName={subject}\nbasicConstraints=critical,CA:true\n")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    made = ["-subj", f"/CN={name}", "-out", request, "-keyout", key]
    sign = ["-req", "-in", request, "-signkey", key, "-days", str(days), "-extfile", extensions]
    for command in (["req", *new_key, *made], ["x509", *sign, "-out", folder / f"{name}.pem"]):
        subprocess.run(["openssl", *command], check=True, capture_output=True)


class Listener:
    """
    Somebody who listens where the broker is expected.

    Args:
        answer: What it says to whatever it hears.

    Attributes:
        heard: What it heard, behind TLS if it speaks that.
        port: Where it listens.
    """

    def __init__(self, answer: bytes) -> None:
        self.heard = b""
        self.port = 0
        self._answer = answer

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                self.heard += data
                if self._answer:
                    writer.write(self._answer)
        writer.close()


@contextlib.asynccontextmanager
async def listener(certificate: Path | None, answer: bytes = b"") -> AsyncIterator[Listener]:
    """Listen, with a certificate or in plain text."""
    found, context = Listener(answer), None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    server = await asyncio.start_server(found, "127.0.0.1", 0, ssl=context)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found


async def _refusal(port: int, query: str) -> errors.TLSError:
    begin = time.monotonic()
    with pytest.raises(errors.TLSError) as caught:
        async with connect(f"amqps://user:secret@127.0.0.1:{port}/?{query}", namespace="tls"):
            pass
    taken = time.monotonic() - begin
    shown("refused after", taken)
    assert taken < 5.0 * SLACK
    assert "secret" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("certificate", "trusted", "reason"),
    [
        ("good", "other", "certificate is not trusted"),
        ("good", "", "certificate is not trusted"),
        ("elsewhere", "elsewhere", "not valid for|doesn't match|mismatch"),
        ("expired", "expired", "expired"),
    ],
    ids=["other authority", "no authority", "other host", "expired"],
)
async def test_certificate_that_does_not_fit_is_refused_with_the_reason(
    folder: Path, certificate: str, trusted: str, reason: str
) -> None:
    query = f"cafile={folder / trusted}.pem" if trusted else ""
    async with listener(folder / f"{certificate}.pem") as found:
        refusal = await _refusal(found.port, query)

    assert found.heard == b""
    assert re.search(reason, str(refusal))


@pytest.mark.parametrize("answer", [b"AMQP\x00\x00\x09\x01", b""], ids=["plain text", "silence"])
async def test_listener_without_tls_is_refused_and_told_nothing(
    folder: Path, answer: bytes
) -> None:
    async with listener(None, answer) as found:
        await _refusal(found.port, f"cafile={folder / 'good'}.pem")

    # The greeting of TLS, at each try; neither that of AMQP, nor the password.
    assert found.heard.startswith(b"\x16\x03")
    assert b"AMQP" not in found.heard
    assert b"secret" not in found.heard


def test_turning_verification_off_takes_the_code_too() -> None:
    url = "amqps://user:secret@127.0.0.1:1/?no_verify_ssl=1"

    with pytest.raises(errors.BadURLError, match="unsafe_no_verify=True"):
        AMQPTransport("tls", url)

    assert AMQPTransport("tls", url, unsafe_no_verify=True)
