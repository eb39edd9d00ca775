"""
The classes whose instances may travel, by class and by name on the wire.

The receiver decides: a name that it did not register means nothing to it, and is neither
imported nor looked up anywhere but here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

from ..words.errors import EncodeError, OptionError
from ..words.modules import real_name
from .forms import wire
from .forms.wire import Form
from .paths import type_name
from .records import CustomRecipe, Recipe, recipe_for

_T = TypeVar("_T")

_OBJECT = wire.ext(wire.OBJECT)

#: The form of an instance, by its exact class: the built-in classes and the registered ones.
forms: dict[type, Callable[[Any], Form]] = {}
#: The recipe of a registered class, by its name on the wire.
recipes: dict[str, Recipe] = {}

_lock = threading.Lock()
_explicit: set[str] = set()
_recipes_by_class: dict[type, Recipe] = {}


@overload
def register(cls: type[_T], /) -> type[_T]: ...


@overload
def register(
    cls: type[_T],
    /,
    *,
    name: str | None = None,
    encode: Callable[[_T], Any] | None = None,
    decode: Callable[[Any], _T] | None = None,
) -> type[_T]: ...


@overload
def register(
    *,
    name: str | None = None,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> Callable[[type[_T]], type[_T]]: ...


def register(
    cls: type[Any] | None = None,
    /,
    *,
    name: str | None = None,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> Any:
    """
    Let the instances of a class travel with :class:`MsgpackCodec`; also a decorator.

    Both ends of a call must do it, best in the module that defines the class. Enums, named tuples,
    dataclasses, attrs classes and pydantic models need it only if neither the annotations nor the
    module of any task tell of them. Subclasses are classes of their own.

    Args:
        cls: The class; any class if ``encode`` and ``decode`` are given, else one of those kinds.
        name: Its name on the wire; by default ``module:qualname``.
        encode: Returns, for an instance, a value that can be encoded and is not the instance.
        decode: Returns the instance for such a value. It must not trust the value, and may be
            called twice for one message.

    Returns:
        The class.

    Raises:
        OptionError: The class cannot be registered so, or the name belongs to another class.
    """
    if cls is None:
        return lambda cls: register(cls, name=name, encode=encode, decode=decode)
    if not isinstance(cls, type):
        raise OptionError(f"register() wants a class, not {cls!r}")
    recipe = _recipe(cls, name or wire_name(cls), encode, decode)
    with _lock:
        _refuse_taken(recipe)
        _explicit.add(recipe.name)
        _add(recipe)
    return cls


def register_quietly(cls: type) -> bool:
    """
    Register a class that was found rather than named, unless that would change anything.

    A class with ``__del__`` is left out: whoever sends a message would choose what it runs on.

    Returns:
        Whether the class can travel now.
    """
    if cls in forms:
        return True
    name = wire_name(cls)
    with _lock:
        if name in _explicit or hasattr(cls, "__del__"):
            return False
        recipe = recipe_for(cls, name)
        if recipe is not None:
            # A class defined anew (at a prompt, in a function) takes the name of the old one.
            _add(recipe)
    return recipe is not None


def wire_name(cls: type) -> str:
    """Return the default name of a class on the wire: the same in every process."""
    return f"{real_name(cls.__module__)}:{cls.__qualname__}"


def recipe_of(cls: type) -> Recipe | None:
    """Return the recipe of a registered class, ``None`` for others."""
    return _recipes_by_class.get(cls)


def _recipe(
    cls: type,
    name: str,
    encode: Callable[[Any], Any] | None,
    decode: Callable[[Any], Any] | None,
) -> Recipe:
    if encode is not None and decode is not None:
        return CustomRecipe(cls, name, encode, decode)
    if encode is not None or decode is not None:
        raise OptionError("register() wants both encode= and decode=, or neither")
    recipe = recipe_for(cls, name)
    if recipe is None:
        raise OptionError(
            f"register() cannot tell what an instance of {type_name(cls)} consists of: "
            "give it encode= and decode="
        )
    return recipe


def _refuse_taken(recipe: Recipe) -> None:
    """Refuse built-in classes, and a name given to two classes that are not one defined twice."""
    cls = recipe.cls
    if cls in wire.NATIVE or (cls in forms and recipe_of(cls) is None):
        raise OptionError(
            f"values of type {type_name(cls)} travel already: they need no register()"
        )
    other = recipes.get(recipe.name)
    if other is not None and wire_name(other.cls) != wire_name(cls):
        raise OptionError(
            f"the name {recipe.name!r} belongs to {type_name(other.cls)}: "
            f"give {type_name(cls)} another one with register(..., name=...)"
        )


def _add(recipe: Recipe) -> None:
    recipes[recipe.name] = recipe
    _recipes_by_class[recipe.cls] = recipe
    forms[recipe.cls] = _form_maker(recipe)


def _form_maker(recipe: Recipe) -> Callable[[Any], Form]:
    def make_form(obj: Any) -> Form:
        # It would arrive as an instance of the other class.
        if recipes.get(recipe.name) is not recipe:
            raise EncodeError(
                f"a value of type {type_name(recipe.cls)} cannot be encoded: that class was "
                f"defined again, and the name {recipe.name!r} is the new one's"
            )
        return [_OBJECT, recipe.name, *recipe.parts(obj)]

    return make_form
