"""All forms in one place: what a value becomes on the wire, and what the wire becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...words.errors import DecodeError, EncodeError
from .. import classes
from ..advice import advice_for
from ..annotations import find_class, find_name, find_owner, is_owner
from ..paths import shown, type_name
from ..records import VERSIONS_DIFFER, CustomRecipe, Recipe, recipe_for
from . import arrays, containers, exceptions, scalars, times, wire
from .wire import Form, Mark

#: The form of a value, by its exact class. Registered classes join the built-in ones here.
forms = classes.forms


def find_form(obj: Any) -> Form:
    """
    Return the form of a value whose class is not in :data:`forms` (yet).

    Raises:
        EncodeError: There is none; the sentence says why and tells the way out.
    """
    form = arrays.form_of(obj)
    if form is not None:
        return form
    if isinstance(obj, type):
        return _class_form(obj)
    cls = type(obj)
    if find_class(cls):
        return forms[cls](obj)
    if isinstance(obj, BaseException):
        return exceptions.form_of(obj)
    raise EncodeError(_why_unknown(cls))


def _why_unknown(cls: type) -> str:
    if recipe_for(cls, "") is not None:
        return (
            f"a value of type {type_name(cls)} cannot be encoded: no task declares that class; "
            f"annotate a task with it, define it in the module of one, or register({cls.__name__})"
        )
    return f"a value of type {type_name(cls)} cannot be encoded: {_way_out(cls)}"


def _way_out(cls: type) -> str:
    advice = advice_for(cls)
    if advice is not None:
        return advice
    register = f"register({cls.__name__}, encode=..., decode=...)"
    base = next((base for base in cls.__mro__[1:] if base in wire.NATIVE or base in forms), None)
    if base is None:
        return f"pass data instead, {register} its class, or use CloudpickleCodec"
    return (
        f"it would arrive as a {base.__name__}: {register} its class, or pass {base.__name__}(...)"
    )


_CLASS = wire.ext(wire.CLASS)


def _class_form(cls: type) -> Form:
    known = cls in wire.NATIVE or cls in forms or _is_exception_class(cls)
    if not known and not find_class(cls) and not is_owner(cls):
        raise EncodeError(
            f"the class {type_name(cls)} cannot be encoded: instances of it cannot travel, "
            f"and none of its methods is a task; register({cls.__name__}) it"
        )
    recipe = classes.recipe_of(cls)
    return [_CLASS, classes.wire_name(cls) if recipe is None else recipe.name]


def _is_exception_class(cls: type) -> bool:
    return issubclass(cls, BaseException) and exceptions.find_class(classes.wire_name(cls)) is cls


def _class(parts: list[Any]) -> type:
    (name,) = parts
    recipe = classes.recipes.get(name)
    if recipe is None and find_name(name):
        recipe = classes.recipes.get(name)
    if recipe is not None:
        return recipe.cls
    found = _BUILT_IN.get(name) or exceptions.find_class(name) or find_owner(name)
    if found is None:
        raise DecodeError(
            f"class {shown(name)} is not known here: import the module that defines it"
        )
    return found


def _object(parts: list[Any]) -> Any:
    name, *rest = parts
    if type(name) is not str:
        raise DecodeError("an object whose class is not named by a string")
    recipe = classes.recipes.get(name)
    if recipe is None and find_name(name):
        recipe = classes.recipes.get(name)
    if recipe is None:
        raise DecodeError(
            f"class {shown(name)} is not known here: import the module that defines it and let a "
            "task mention it, or register() it"
        )
    try:
        return recipe.build(rest)
    except DecodeError:
        raise
    except Exception as exc:
        raise DecodeError(_why_unfit(recipe, exc)) from exc


def _why_unfit(recipe: Recipe, exc: Exception) -> str:
    if isinstance(recipe, CustomRecipe):
        return f"decode= of register() for {recipe.name} failed: {shown(exc)}"
    return f"an instance of {recipe.name} does not fit ({shown(exc)}): {VERSIONS_DIFFER}"


classes.forms.update(scalars.FORMS)
classes.forms.update(times.FORMS)
classes.forms.update(containers.FORMS)

# The classes of the values that travel by themselves; those that are registered come later.
_BUILT_IN = {classes.wire_name(cls): cls for cls in {*classes.forms, *wire.NATIVE}}

#: What makes a value of the data of a leaf, by extension code.
leaves: dict[int, Callable[[bytes], Any]] = {**scalars.LEAVES, **times.LEAVES}

#: The mark of a composite, by extension code.
marks: dict[int, Mark] = {
    code: Mark(build)
    for code, build in {
        **scalars.COMPOSITES,
        **times.COMPOSITES,
        **containers.COMPOSITES,
        **arrays.COMPOSITES,
        **exceptions.COMPOSITES,
        wire.OBJECT: _object,
        wire.CLASS: _class,
    }.items()
}
