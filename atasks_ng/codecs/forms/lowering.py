"""
What msgpack would silently take for something else.

It writes ``bytearray`` and ``memoryview`` as if they were ``bytes``, without asking. Here they
are looked for; the first gets its own form, and the second is refused.
"""

from __future__ import annotations

import itertools
import pickle
import sys
from typing import Any

from ...words.errors import EncodeError
from . import wire
from .table import find_form, forms

# Composites with bytes among their parts that are no values of their own.
_BUFFERED = (wire.ARRAY, wire.SCALAR)


_BUFFERS = frozenset({bytearray, memoryview})
# Up to this many parts, looking at each is faster than anything else.
_FEW = 50
_SEQUENCES = frozenset({list, tuple, set, frozenset})


def has_buffers(value: Any, is_plain: bool) -> bool:
    """
    Tell whether a value holds a ``bytearray`` or a ``memoryview`` anywhere.

    Args:
        value: A value that was encoded, hence without cycles.
        is_plain: Whether it is made of lists, dicts and values without parts only.
    """
    found = _look(value, _FEW if is_plain else sys.maxsize)
    if found is None and is_plain and _is_free_of_buffers(value):
        return False
    return bool(_look(value, sys.maxsize) if found is None else found)


def _is_free_of_buffers(value: Any) -> bool:
    # What is wanted is a walk over a value in C that tells bytearray from bytes. Pickling is one:
    # up to protocol 4 it spells the name of the first, and it refuses memoryview.
    try:
        return b"bytearray" not in pickle.dumps(value, protocol=4)
    except Exception:
        return False


def _look(value: Any, limit: int) -> bool | None:
    """Look for buffers part by part; ``None`` as soon as more than so many parts are waiting."""
    todo = [value]
    while todo:
        each = todo.pop()
        cls = type(each)
        if cls is dict:
            parts = each.values()
            if not wire.SCALARS.issuperset(map(type, each)):
                todo += each
        elif cls in _SEQUENCES:
            parts = each
        elif cls in _BUFFERS:
            return True
        elif cls in wire.SCALARS or not _is_composite(parts := _form_of(each)):
            continue
        # Most long lists are of numbers or text, or of rows of these: one look at all of a level,
        # without a step for each.
        while not wire.SCALARS.issuperset(map(type, parts)):
            parts = [part for part in parts if type(part) not in wire.SCALARS]
            if len(todo) + len(parts) > limit:
                return None
            if not _SEQUENCES.issuperset(map(type, parts)):
                todo += parts
                break
            parts = list(itertools.chain.from_iterable(parts))
    return False


def _form_of(value: Any) -> Any:
    make = forms.get(type(value))
    return find_form(value) if make is None else make(value)


def _is_composite(form: Any) -> bool:
    return type(form) is list and form[0].code not in _BUFFERED


class Lowering:
    """
    A walk that turns a value into what msgpack carries exactly.

    Attributes:
        has_composites: Whether a value was met that needs a mark.
    """

    def __init__(self) -> None:
        self.has_composites = False

    def lower(self, value: Any) -> Any:
        """
        Return a value with every buffer replaced by its form.

        Raises:
            EncodeError: Some part of it has no form.
        """
        cls = type(value)
        if cls in wire.SCALARS:
            return value
        if cls is list:
            return self._lower_all(value)
        if cls is dict:
            return self._lower_dict(value)
        form = _form_of(value)
        if type(form) is list:
            self.has_composites = True
            return self._lower_all(form) if _is_composite(form) else form
        return form

    def _lower_all(self, values: list[Any]) -> list[Any]:
        # map() adds no frame: each level of nesting may cost only one of the interpreter's.
        return list(map(self.lower, values))

    def _lower_dict(self, value: dict[Any, Any]) -> dict[Any, Any]:
        # A form is a list, which cannot be a key: keys are left to the packer.
        if has_buffers(list(value), is_plain=False):
            raise EncodeError("a key that holds a bytearray or memoryview cannot be encoded")
        return dict(zip(value, map(self.lower, value.values()), strict=True))
