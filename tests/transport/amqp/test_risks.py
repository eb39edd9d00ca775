"""Careless settings: told once, refused where that is asked for, and each way out is named."""

from __future__ import annotations

import logging

import pytest

from atasks_ng.transport import transport_from_url
from atasks_ng.transport.backends.amqp import AMQPTransport, risks
from atasks_ng.words.errors import BadURLError, ConnectionLostError, OptionError

ELSEWHERE = "amqp://me:secret@192.0.2.1/"

RISKS = [
    ("amqp://127.0.0.1:9/", []),
    ("amqp://[::1]:9/", []),
    ("amqp://localhost:9/", []),
    ("amqp://192.0.2.1/", ["not encrypted", "'guest'"]),
    (ELSEWHERE, ["not encrypted"]),
    ("amqp://localhost/,amqp://me:secret@192.0.2.1/", ["not encrypted"]),
    ("amqps://me:secret@192.0.2.1/", []),
    ("amqps://guest:secret@192.0.2.1/", ["'guest'"]),
    ("amqps://192.0.2.1/?auth=external", []),
    ("amqps://me:secret@192.0.2.1/?no_verify_ssl=1", ["not verified"]),
]


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    risks.warn.cache_clear()


@pytest.mark.parametrize(("url", "told"), RISKS)
def test_risks_of_a_url_are_told_with_ways_out(url: str, told: list[str]) -> None:
    found = AMQPTransport("risks", url, unsafe_no_verify=True).settings.risks()

    assert len(found) == len(told)
    assert all(part in risk for part, risk in zip(told, found, strict=True))
    assert all("insecure='allow'" in risk for risk in found)
    assert "secret" not in "".join(found)


@pytest.mark.parametrize(("url", "told"), RISKS)
def test_risks_are_refused_where_that_is_asked_for(url: str, told: list[str]) -> None:
    if not told:
        AMQPTransport("risks", url, insecure="refuse", unsafe_no_verify=True)
        return
    with pytest.raises(BadURLError) as caught:
        AMQPTransport("risks", url, insecure="refuse", unsafe_no_verify=True)

    text = str(caught.value)
    assert all(part in text for part in (*told, "take back insecure='refuse'"))
    assert "secret" not in text + repr(caught.value)


def test_user_that_credentials_name_is_not_taken_for_guest() -> None:
    def ask() -> tuple[str, str]:
        return "alice", "secret"

    AMQPTransport("risks", "amqps://192.0.2.1/", insecure="refuse", credentials=ask)


def test_url_can_refuse_and_cannot_take_a_refusal_back() -> None:
    with pytest.raises(BadURLError, match="not encrypted"):
        transport_from_url(f"{ELSEWHERE}?insecure=refuse", insecure="allow")
    with pytest.raises(BadURLError, match="not encrypted"):
        transport_from_url(f"{ELSEWHERE}?insecure=allow", insecure="refuse")


@pytest.mark.parametrize("policy", ["deny", "", None])
def test_policy_that_does_not_exist_is_refused(policy: str) -> None:
    with pytest.raises(OptionError, match="use one of warn, refuse, allow"):
        AMQPTransport("risks", insecure=policy)


@pytest.mark.parametrize(("policy", "told"), [("warn", [True]), ("allow", [])])
async def test_risks_are_logged_once_in_the_life_of_a_process(
    policy: str, told: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    for namespace in ("one", "two"):
        # A name that no resolver knows.
        url = f"amqp://me:secret@broker.invalid/?insecure={policy}"
        transport = AMQPTransport(namespace, url)

        with caplog.at_level(logging.WARNING), pytest.raises(ConnectionLostError):
            await transport.connect()

    assert ["not encrypted" in each.message for each in caplog.records] == told
