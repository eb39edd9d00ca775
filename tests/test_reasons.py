"""What is told once, and again only after a while."""

from __future__ import annotations

from atasks_ng.words.ids import new_id
from atasks_ng.words.reasons import REPEAT_AFTER, Told


def test_text_is_due_once_and_again_after_a_while() -> None:
    now = [0.0]
    told = Told(lambda: now[0])

    due = []
    for passed in (0.0, 1.0, REPEAT_AFTER - 1.1, 0.1, REPEAT_AFTER - 0.1):
        now[0] += passed
        due.append(told.is_due("away"))

    assert due == [True, False, False, True, False]


def test_texts_that_take_turns_are_told_once_each() -> None:
    told = Told(lambda: 5.0)

    assert [told.is_due(text) for text in "abab"] == [True, True, False, False]


def test_texts_that_differ_in_an_identity_are_one() -> None:
    told = Told(lambda: 5.0)
    texts = [f"may not bind 'shop.reply.web.{new_id()}' to '{to}'" for to in ("x", "x", "y")]

    assert [told.is_due(text) for text in texts] == [True, False, True]
