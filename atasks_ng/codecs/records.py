"""
Recipes: how the instances of one class are taken apart, and put together elsewhere.

A recipe is made from the class that *this* process has; from the wire comes its name only. No
``__init__``, ``__new__``, ``__post_init__`` or validator runs when an instance is put together:
its fields are set as they were. A field that the sender does not know gets its default, or is an
error if it has none; a field that the receiver does not know is dropped.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import sys
from collections.abc import Callable
from typing import Any

from ..words.errors import DecodeError, EncodeError
from .paths import shown, type_name

# Where attrs keeps a hash once computed; the hash of a string differs between processes.
_CACHED_HASH = "_attrs_cached_hash"
# What does not travel: that, and where typing notes the Box[int] that was called.
_LOCAL = (_CACHED_HASH, "__orig_class__")
# Bits of a flag beyond those that its class names.
_MAX_FLAG_BITS = 64
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class was made by a class statement


#: Why parts that were made by this codec may not fit a class.
VERSIONS_DIFFER = "caller and worker have different versions of that class"


class Recipe:
    """
    Base of all recipes.

    Args:
        cls: The class.
        name: Its name on the wire.
    """

    def __init__(self, cls: type, name: str) -> None:
        self.cls = cls
        self.name = name

    def parts(self, obj: Any) -> list[Any]:
        """Return what stands for an instance: values that can be encoded in turn."""
        raise NotImplementedError

    def build(self, parts: list[Any]) -> Any:
        """
        Return the instance that parts stand for.

        Raises:
            DecodeError, TypeError, ValueError, LookupError: They do not fit the class.
        """
        raise NotImplementedError

    def _without(self, field: str) -> DecodeError:
        return DecodeError(
            f"an instance of {self.name} came without its field {field!r}, which has no default: "
            + VERSIONS_DIFFER
        )


class CustomRecipe(Recipe):
    """A pair of functions that the user registered."""

    def __init__(
        self, cls: type, name: str, encode: Callable[[Any], Any], decode: Callable[[Any], Any]
    ) -> None:
        super().__init__(cls, name)
        self._encode = encode
        self._decode = decode

    def parts(self, obj: Any) -> list[Any]:
        return [self._encode(obj)]

    def build(self, parts: list[Any]) -> Any:
        (value,) = parts
        return self._decode(value)


class EnumRecipe(Recipe):
    """Members by name; combinations of flags by value."""

    def __init__(self, cls: type[enum.Enum], name: str) -> None:
        super().__init__(cls, name)
        self._members: Any = cls.__members__

    def parts(self, obj: Any) -> list[Any]:
        if self._members.get(obj._name_) is obj:
            return [obj._name_]
        if isinstance(obj, enum.Flag) and self._is_short(obj._value_):
            return [obj._value_]
        raise EncodeError(f"a member of {type_name(self.cls)} that it does not know by name")

    def build(self, parts: list[Any]) -> Any:
        (key,) = parts
        try:
            if type(key) is str:
                return self._members[key]
            if type(key) is int and issubclass(self.cls, enum.Flag) and self._is_short(key):
                return self.cls(key)
        except (LookupError, ValueError):
            raise DecodeError(
                f"{self.name} has no member {shown(key)} here: {VERSIONS_DIFFER}"
            ) from None
        raise DecodeError(
            f"a member of {self.name} is not named by this {type(key).__name__}: {VERSIONS_DIFFER}"
        )

    def _is_short(self, value: int) -> bool:
        # An IntFlag takes any bits, and the class keeps each combination for ever.
        known = max((member.value.bit_length() for member in self._members.values()), default=0)
        return value.bit_length() <= max(_MAX_FLAG_BITS, known)


# -- classes with fields -----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """
    One field of a class.

    Attributes:
        name: Its name.
        default: Makes the value of an instance that came without it; ``None`` if it has none.
        is_needed: Whether an instance without it is an error.
    """

    name: str
    default: Callable[[Any], Any] | None = None
    is_needed: bool = True


class FieldsRecipe(Recipe):
    """
    Dataclasses and attrs classes: the fields, then what else an instance carries.

    Attributes that are not fields travel, too, as they do with pickle: nothing computes them
    again where ``__post_init__`` does not run.
    """

    def __init__(self, cls: type, name: str, fields: list[Field]) -> None:
        super().__init__(cls, name)
        self._fields = {field.name: field for field in fields}
        self._slots = tuple(_slot_names(cls))
        self._caches_hash = _CACHED_HASH in _names_used_by(cls.__hash__)

    def parts(self, obj: Any) -> list[Any]:
        state = self._state(obj)
        if state.keys() == self._fields.keys():
            return [state]
        known = {name: value for name, value in state.items() if name in self._fields}
        extra = {
            name: value
            for name, value in state.items()
            if name not in self._fields and name not in _LOCAL
        }
        return [known, extra] if extra else [known]

    def build(self, parts: list[Any]) -> Any:
        given, *extra = parts
        obj: Any = object.__new__(self.cls)
        if self._caches_hash:
            object.__setattr__(obj, _CACHED_HASH, None)
        for each in extra:
            self._set_extra(obj, _text_keys(each))
        put = object.__setattr__
        for name, field in self._fields.items():
            if name in given:
                put(obj, name, given[name])
            else:
                self._set_default(obj, field)
        return obj

    def _set_default(self, obj: Any, field: Field) -> None:
        if field.default is not None:
            object.__setattr__(obj, field.name, field.default(obj))
        elif field.is_needed:
            raise self._without(field.name)

    def _state(self, obj: Any) -> dict[str, Any]:
        state: dict[str, Any] = getattr(obj, "__dict__", {})
        if self._slots:
            found = {name: getattr(obj, name) for name in self._slots if hasattr(obj, name)}
            return {**found, **state}
        return state

    def _set_extra(self, obj: Any, extra: dict[str, Any]) -> None:
        for name, value in extra.items():
            if name in self._slots:
                object.__setattr__(obj, name, value)
            elif hasattr(obj, "__dict__"):
                obj.__dict__[name] = value


class NamedTupleRecipe(Recipe):
    """Named tuples: the fields, then what else an instance carries."""

    def __init__(self, cls: Any, name: str) -> None:
        super().__init__(cls, name)
        self._fields: tuple[str, ...] = cls._fields
        self._defaults: dict[str, Any] = getattr(cls, "_field_defaults", {})

    def parts(self, obj: Any) -> list[Any]:
        fields = dict(zip(self._fields, obj, strict=True))
        extra = getattr(obj, "__dict__", None)
        return [fields, extra] if extra else [fields]

    def build(self, parts: list[Any]) -> Any:
        given, *extra = parts
        obj: Any = tuple.__new__(self.cls, [self._value(given, name) for name in self._fields])
        for each in extra:
            if hasattr(obj, "__dict__"):
                obj.__dict__.update(_text_keys(each))
        return obj

    def _value(self, given: dict[str, Any], name: str) -> Any:
        if name in given:
            return given[name]
        if name in self._defaults:
            return self._defaults[name]
        raise self._without(name)


class PydanticRecipe(Recipe):
    """Pydantic models: fields, names of those that were set, extra fields, private attributes."""

    def parts(self, obj: Any) -> list[Any]:
        fields = self._fields
        return [
            {name: value for name, value in obj.__dict__.items() if name in fields},
            sorted(obj.__pydantic_fields_set__),
            obj.__pydantic_extra__,
            obj.__pydantic_private__,
        ]

    def build(self, parts: list[Any]) -> Any:
        given, names, extra, private = parts
        obj: Any = object.__new__(self.cls)
        values = {name: self._value(given, name) for name in self._fields}
        object.__setattr__(obj, "__dict__", values)
        object.__setattr__(obj, "__pydantic_fields_set__", {*map(str, names)})
        object.__setattr__(obj, "__pydantic_extra__", extra and _text_keys(extra))
        object.__setattr__(obj, "__pydantic_private__", private and _text_keys(private))
        return obj

    @property
    def _fields(self) -> dict[str, Any]:
        return self.cls.model_fields  # type: ignore[attr-defined, no-any-return]  # duck typed

    def _value(self, given: dict[str, Any], name: str) -> Any:
        if name in given:
            return given[name]
        field = self._fields[name]
        if field.is_required():
            raise self._without(name)
        return field.get_default(call_default_factory=True)


# -- which recipe a class gets -----------------------------------------------------------------


def recipe_for(cls: type, name: str) -> Recipe | None:
    """Return a new recipe for an enum, a class with fields or a model; ``None`` for others."""
    if issubclass(cls, enum.Enum):
        return EnumRecipe(cls, name)
    if is_model(cls):
        return PydanticRecipe(cls, name)
    if is_named_tuple(cls):
        return NamedTupleRecipe(cls, name)
    fields = _fields_of(cls)
    if fields is None or not _is_plain(cls):
        return None
    return FieldsRecipe(cls, name, fields)


def is_model(cls: type) -> bool:
    """Tell whether a class is a pydantic model (of pydantic 2)."""
    base = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return base is not None and issubclass(cls, base) and hasattr(cls, "model_fields")


def is_named_tuple(cls: type) -> bool:
    """Tell whether a class was made by ``NamedTuple`` or ``namedtuple``."""
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


def _fields_of(cls: Any) -> list[Field] | None:
    if dataclasses.is_dataclass(cls):
        return [_dataclass_field(cls, field) for field in dataclasses.fields(cls)]
    if hasattr(cls, "__attrs_attrs__"):
        return [_attrs_field(field) for field in cls.__attrs_attrs__]
    return None


def _dataclass_field(cls: Any, field: dataclasses.Field[Any]) -> Field:
    kept = inspect.getattr_static(cls, field.name, None)
    if field.default is not dataclasses.MISSING:
        if not field.init and kept is field.default:
            return Field(field.name, is_needed=False)  # instances find it in the class
        return Field(field.name, lambda obj: field.default)
    factory = field.default_factory
    if factory is not dataclasses.MISSING:
        return Field(field.name, lambda obj: factory())
    # An instance may lack a field that its __init__ does not set; one that is kept elsewhere, by
    # a descriptor, comes with the other attributes.
    is_elsewhere = inspect.isdatadescriptor(kept) and not inspect.ismemberdescriptor(kept)
    return Field(field.name, is_needed=field.init and not is_elsewhere)


def _attrs_field(field: Any) -> Field:
    default = field.default
    if default is getattr(sys.modules.get("attr"), "NOTHING", None):
        return Field(field.name, is_needed=field.init)
    if not hasattr(default, "takes_self"):
        return Field(field.name, lambda obj: default)
    if default.takes_self:
        return Field(field.name, default.factory)
    return Field(field.name, lambda obj: default.factory())


def _is_plain(cls: type) -> bool:
    """Tell whether instances are nothing but attributes: no built-in data below them."""
    return all(base is object or base.__flags__ & _HEAP_TYPE for base in cls.__mro__)


def _slot_names(cls: type) -> list[str]:
    return [
        name
        for base in cls.__mro__
        for name, value in vars(base).items()
        if inspect.ismemberdescriptor(value)
    ]


def _names_used_by(function: Any) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    return () if code is None else code.co_names


def _text_keys(content: dict[Any, Any]) -> dict[str, Any]:
    if type(content) is not dict or not all(type(name) is str for name in content):
        raise DecodeError("the attributes of an object are not named by strings")
    return content
