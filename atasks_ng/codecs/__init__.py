"""
The codecs: how values become bytes and back, and which classes may travel.

:class:`MsgpackCodec` is the default. :func:`register` lets the instances of a class travel
with it.
"""

from .base import Codec, get_codec
from .classes import register
from .cloudpickle_codec import CloudpickleCodec
from .compressed_codec import CompressedCodec
from .encrypted_codec import EncryptedCodec
from .json_codec import JsonCodec
from .keys import KeyRing
from .msgpack_codec import MsgpackCodec
from .pickle_codec import PickleCodec
from .signed_codec import SignedCodec

__all__ = [
    "CloudpickleCodec",
    "Codec",
    "CompressedCodec",
    "EncryptedCodec",
    "JsonCodec",
    "KeyRing",
    "MsgpackCodec",
    "PickleCodec",
    "SignedCodec",
    "get_codec",
    "register",
]
