"""A codec for functions and classes as well, between ends that trust each other."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ..words.errors import DecodeError, EncodeError, IncompatibleError
from .paths import has_attributes, locate, shown, type_name
from .pickling import PicklingCodec, undecodable

# Bytecode travels, and its meaning changes with each minor version.
_VERSION = bytes(sys.version_info[:2])


class CloudpickleCodec(PicklingCodec):
    """
    Values as cloudpickles, in signed messages: lambdas, closures and classes travel, too, by value.

    Both ends must run the same minor version of Python: it leads each message and is compared.
    The package ``cloudpickle`` is imported at the first use.

    .. warning::
       Decoding a pickle runs code of the sender's choosing: whoever has the key can do anything on
       callers and workers. Between processes, messages are therefore signed, as
       :class:`~atasks_ng.codecs.SignedCodec` has it, and the signature is checked before
       anything is unpickled. Without a key, only the loopback transport takes it.

    Args:
        namespace: Where to install it.
        key: A key, several, or a callable that returns them: see
            :class:`~atasks_ng.codecs.keys.KeyRing`. ``None``: those in ``ATASKS_NG_KEY``.
        unsafe_no_signature: True lets messages leave the process unsigned if there is no key, so
            that everybody who can write to the broker can run code here; the log says so
            at each start.
        allow: What messages may name beside harmless built-in types: modules, as ``"shop.models"``,
            with all that they and those below them define, and full names, as
            ``"decimal.Decimal"``. All else is refused where it arrives, at callers and workers
            alike. ``None`` sets no limit. A second fence behind the signature, not one that
            strangers may come to: what is listed can be called with any arguments.
            Functions and classes that travel by value are code: they are refused unless
            ``"cloudpickle"`` is listed.

    Raises:
        OptionError: A key is too short, or given although none need be used; or ``allow`` lists
            what is no name.
    """

    def encode(self, obj: Any) -> bytes:
        """
        Return the version of Python, then the cloudpickle of a value.

        Raises:
            EncodeError: Some part of it cannot be pickled; the sentence tells where it sits. Or
                the package ``cloudpickle`` is not installed.
        """
        try:
            return _VERSION + _dumps(obj)
        except EncodeError:
            raise
        except Exception as exc:
            path, part = locate(obj, _is_encodable, has_attributes)
            raise EncodeError(
                f"{path}: a value of type {type_name(type(part))} cannot be pickled "
                f"({shown(exc)}): pass data instead"
            ) from exc

    def decode(self, content: bytes) -> Any:
        """
        Return the value of a cloudpickle, and run the code in it.

        Raises:
            IncompatibleError: It was made by another minor version of Python.
            DecodeError: It is no cloudpickle, or names what does not exist or is not allowed here.
        """
        if len(content) < len(_VERSION):
            raise DecodeError("these bytes are too few for a cloudpickle")
        version = bytes(content[: len(_VERSION)])
        if version != _VERSION:
            raise IncompatibleError("Python version", _dotted(version), _dotted(_VERSION))
        loads = self._loads
        try:
            return loads(memoryview(content)[len(_VERSION) :])
        except Exception as exc:
            raise undecodable(exc) from exc


def _dumps(obj: Any) -> bytes:
    try:
        cloudpickle: Any = importlib.import_module("cloudpickle")
    except ImportError as exc:
        raise EncodeError("CloudpickleCodec needs a package: pip install cloudpickle") from exc
    content: bytes = cloudpickle.dumps(obj)
    return content


def _is_encodable(part: Any) -> bool:
    try:
        _dumps(part)
    except Exception:
        return False
    return True


def _dotted(version: bytes) -> str:
    return ".".join(map(str, version))
