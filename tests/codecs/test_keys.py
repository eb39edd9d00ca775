"""Rings of keys: which one is used, which are accepted, and that none is ever shown."""

from __future__ import annotations

import logging
import pickle
import traceback

import pytest

from atasks_ng.codecs.keys import Key, KeyRing
from atasks_ng.words.errors import OptionError

OLD, NEW = "old-key-of-sixteen-bytes", b"new-key-of-sixteen-bytes"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def no_key_around(monkeypatch):
    monkeypatch.delenv("ATASKS_NG_KEY", raising=False)


def secrets(ring: KeyRing) -> list[bytes]:
    return [key.secret for key in ring.keys]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (OLD, [OLD.encode()]),
        (NEW, [NEW]),
        ([OLD, NEW], [OLD.encode(), NEW]),
        ((NEW, OLD), [NEW, OLD.encode()]),
        (lambda: OLD, [OLD.encode()]),
        (lambda: [NEW, OLD], [NEW, OLD.encode()]),
        (KeyRing([NEW, OLD]), [NEW, OLD.encode()]),
    ],
)
def test_ring_is_made_from(given, expected):
    ring = KeyRing(given)

    assert secrets(ring) == expected
    assert ring.current.secret == expected[0]


def test_all_keys_are_found_by_their_identities():
    ring = KeyRing([OLD, NEW])

    assert [ring.find(key.id) for key in ring.keys] == list(ring.keys)
    assert ring.find(Key(b"another" * 4).id) is None
    assert all(len(key.id) == 4 for key in ring.keys)


def test_environment_is_read_when_a_ring_is_made(monkeypatch):
    monkeypatch.setenv("ATASKS_NG_KEY", f"{OLD}, {NEW.decode()},")
    ring = KeyRing()
    monkeypatch.setenv("ATASKS_NG_KEY", "another key of 16 bytes")

    assert secrets(ring) == [OLD.encode(), NEW]


def test_key_given_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("ATASKS_NG_KEY", OLD)

    assert secrets(KeyRing(NEW)) == [NEW]


@pytest.mark.parametrize("content", [None, "", " "])
def test_no_key_is_an_error_or_none(monkeypatch, content):
    if content is not None:
        monkeypatch.setenv("ATASKS_NG_KEY", content)

    assert KeyRing.if_given() is None
    with pytest.raises(OptionError, match=r"ATASKS_NG_KEY.*token_urlsafe\(32\)"):
        KeyRing()


@pytest.mark.parametrize(
    "wrong",
    ["fifteen bytes..", b"", "", [], [OLD, "short one"], 5, [5], {OLD: 1}, lambda: "short one"],
)
def test_what_is_no_key_is_refused(wrong):
    with pytest.raises(OptionError) as caught:
        KeyRing(wrong)

    assert "short one" not in str(caught.value)
    assert "fifteen" not in str(caught.value)


def test_too_short_a_key_tells_how_to_make_one():
    with pytest.raises(OptionError, match=r"token_urlsafe\(32\)"):
        KeyRing("short")


def test_callable_is_asked_again_after_a_minute_and_no_earlier():
    clock, answers = Clock(), [OLD, [NEW, OLD]]
    asked = []

    def ask():
        asked.append(clock.now)
        return answers[len(asked) - 1]

    ring = KeyRing(ask, clock=clock)
    derived = ring.derive("test")
    before = derived.current.secret
    clock.now += 59.9
    assert secrets(ring) == [OLD.encode()]

    clock.now += 0.1
    assert secrets(ring) == [NEW, OLD.encode()]
    assert [key.secret for key in derived.keys][1] == before
    assert asked == [100.0, 160.0]


def test_callable_that_fails_later_leaves_the_keys(caplog):
    clock = Clock()
    answers = iter([OLD])

    def ask():
        try:
            return next(answers)
        except StopIteration:
            raise RuntimeError(f"cannot read {OLD}") from None

    ring = KeyRing(ask, clock=clock)
    clock.now += 61
    with caplog.at_level(logging.DEBUG):
        found = [secrets(ring) for _ in range(3)]

    assert found == [[OLD.encode()]] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "the callable that returns keys raised RuntimeError: the last ones stay"
    ]
    assert OLD not in caplog.text


def test_callable_that_fails_at_once_raises():
    def ask():
        raise FileNotFoundError("no such file")

    with pytest.raises(FileNotFoundError):
        KeyRing(ask)


def test_derived_keys_differ_by_purpose_and_repeat():
    ring = KeyRing([OLD, NEW])
    made = [
        secrets(ring),
        secrets(ring.derive("sign")),
        secrets(ring.derive("encrypt")),
        secrets(ring.derive("sign").derive("encrypt")),
        secrets(ring.derive("signencrypt")),
    ]

    assert len({secret for each in made for secret in each}) == 10
    assert secrets(KeyRing([OLD, NEW]).derive("sign")) == made[1]
    assert all(len(secret) == 32 for each in made[1:] for secret in each)


def test_keys_are_shown_nowhere():
    ring = KeyRing([OLD, NEW])
    derived = ring.derive("sign")
    shown = [repr(each) for each in (ring, derived, *ring.keys, *derived.keys)]
    with pytest.raises(TypeError) as caught:
        pickle.dumps(ring)
    with pytest.raises(TypeError):
        pickle.dumps(ring.current)

    text = " ".join(shown) + "".join(traceback.format_exception(caught.value))
    hidden = [OLD, NEW.decode(), *(key.secret.hex() for key in derived.keys)]
    assert not any(each in text for each in hidden)
