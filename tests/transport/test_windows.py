"""Windows: wide enough for what is to run, never wider than it may be, and they narrow again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atasks_ng.transport.backends.amqp.windows import Open, Window


def window_of(base: int, *, nested: bool = False, max_suspended: int = 100) -> Window:
    return Window("q", nested=nested, base=base, max_suspended=max_suspended)


def widen(window: Window) -> list[Open]:
    """Add consumers until the window is wide enough."""
    added = []
    while (consumer := window.grow()) is not None:
        added.append(consumer)
    return added


def test_first_consumer_is_as_wide_as_the_base() -> None:
    window = window_of(10)

    assert widen(window) == [Open("q:root:1", 10)]
    assert window.size == window.target == 10


def test_suspended_calls_widen_it() -> None:
    window = window_of(10)
    widen(window)

    window.suspended = 3

    assert [consumer.prefetch for consumer in widen(window)] == [3]


def test_window_of_root_calls_is_bounded() -> None:
    window = window_of(10, max_suspended=5)

    window.suspended = 1000
    widen(window)

    assert window.size == 15


def test_window_of_nested_calls_is_not_bounded() -> None:
    window = window_of(10, nested=True, max_suspended=5)

    window.suspended = 1000
    widen(window)

    assert window.size >= 1010


def test_deep_recursion_needs_few_consumers() -> None:
    window = window_of(1, nested=True)

    for suspended in range(10_000):
        window.suspended = suspended
        widen(window)

    assert len(window.tags) < 30


def test_prefetch_fits_its_field() -> None:
    window = window_of(200_000)

    assert all(consumer.prefetch < 2**16 for consumer in widen(window))
    assert window.size == 200_000


def test_newest_consumer_goes_first_and_the_oldest_stays() -> None:
    window = window_of(10)
    widen(window)
    window.suspended = 3
    widen(window)
    window.suspended = 0

    assert [shut.tag for shut in window.shrink()] == ["q:root:2"]
    assert window.tags == ["q:root:1"]
    assert window.shrink() == []


def test_forgotten_consumers_are_added_anew_under_new_tags() -> None:
    window = window_of(10)
    before = widen(window)

    window.forget()

    assert window.size == 0
    after = widen(window)
    assert [consumer.prefetch for consumer in after] == [10]
    assert {consumer.tag for consumer in after}.isdisjoint(consumer.tag for consumer in before)


@given(
    base=st.integers(1, 200),
    nested=st.booleans(),
    steps=st.lists(st.tuples(st.integers(0, 500), st.booleans()), max_size=30),
)
def test_window_follows_what_is_suspended(
    base: int, nested: bool, steps: list[tuple[int, bool]]
) -> None:
    window = window_of(base, nested=nested)
    seen: set[str] = set()

    for suspended, shrink in steps:
        window.suspended = suspended
        added = {consumer.tag for consumer in widen(window)}
        assert not added & seen
        seen |= added
        if shrink:
            window.shrink()
        assert window.size >= window.target
        assert nested or window.target <= base + 100
        assert set(window.tags) <= seen
