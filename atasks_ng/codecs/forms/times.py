"""Forms of dates, times, durations and time zones."""

from __future__ import annotations

import datetime
import re
import struct
import zoneinfo
from collections.abc import Callable
from typing import Any

from ...words.errors import DecodeError, EncodeError
from . import wire
from .wire import Form, ext

_UTC = datetime.UTC
_MICROSECOND = datetime.timedelta(microseconds=1)

_date = struct.Struct(">HBB")
_datetime = struct.Struct(">HBBBBBIB")  # the last one is the fold
_time = struct.Struct(">BBBIB")
_timedelta = struct.Struct(">iII")
_offset = struct.Struct(">q")

# Keys of time zones become names of files: a narrow alphabet, and no way upwards.
_ZONE_KEY = re.compile(r"[A-Za-z0-9_+\-]{1,64}(/[A-Za-z0-9_+\-]{1,64}){0,4}\Z")
# Every zone that exists, with its posix/ and right/ twins, is fewer than this.
_MAX_ZONES = 4096
_zones: dict[str, zoneinfo.ZoneInfo] = {}

_AWARE = ext(wire.AWARE)


# -- dates and times ---------------------------------------------------------------------------


def _date_form(value: datetime.date) -> Form:
    return ext(wire.DATE, _date.pack(value.year, value.month, value.day))


def _datetime_form(value: datetime.datetime) -> Form:
    data = _datetime.pack(
        value.year,
        value.month,
        value.day,
        value.hour,
        value.minute,
        value.second,
        value.microsecond,
        value.fold,
    )
    zone = value.tzinfo
    if zone is None:
        return ext(wire.DATETIME, data)
    if zone is _UTC:
        return ext(wire.DATETIME_UTC, data)
    return [_AWARE, ext(wire.DATETIME, data), zone]


def _read_datetime(zone: datetime.tzinfo | None) -> Callable[[bytes], datetime.datetime]:
    def read(data: bytes) -> datetime.datetime:
        year, month, day, hour, minute, second, microsecond, fold = _datetime.unpack(data)
        return datetime.datetime(
            year, month, day, hour, minute, second, microsecond, zone, fold=fold
        )

    return read


def _time_form(value: datetime.time) -> Form:
    leaf = ext(
        wire.TIME,
        _time.pack(value.hour, value.minute, value.second, value.microsecond, value.fold),
    )
    return leaf if value.tzinfo is None else [_AWARE, leaf, value.tzinfo]


def _read_time(data: bytes) -> datetime.time:
    hour, minute, second, microsecond, fold = _time.unpack(data)
    return datetime.time(hour, minute, second, microsecond, fold=fold)


def _aware(parts: list[Any]) -> datetime.datetime | datetime.time:
    value, zone = parts
    if type(value) is datetime.datetime or type(value) is datetime.time:
        return value.replace(tzinfo=zone)
    raise DecodeError(f"a {type(value).__name__} has no time zone")


def _timedelta_form(value: datetime.timedelta) -> Form:
    return ext(wire.TIMEDELTA, _timedelta.pack(value.days, value.seconds, value.microseconds))


# -- time zones --------------------------------------------------------------------------------


def _timezone_form(value: datetime.timezone) -> Form:
    # The only view of whether a name was given is what pickle is told.
    offset, *name = value.__getinitargs__()  # type: ignore[attr-defined]  # not in typeshed
    data = _offset.pack(offset // _MICROSECOND)
    return ext(
        wire.TIMEZONE, data + b"=" + name[0].encode("utf-8", "surrogatepass") if name else data
    )


def _timezone(data: bytes) -> datetime.timezone:
    (microseconds,) = _offset.unpack(data[: _offset.size])
    offset = datetime.timedelta(microseconds=microseconds)
    if len(data) == _offset.size:
        return datetime.timezone(offset)
    name = data[_offset.size + 1 :].decode("utf-8", "surrogatepass")
    return datetime.timezone(offset, name)


def _zone_form(value: zoneinfo.ZoneInfo) -> Form:
    key: Any = value.key  # None in a zone that was read from a file
    if not isinstance(key, str) or not _ZONE_KEY.match(key):
        raise EncodeError(f"the time zone {value!r} has no key that names it on other machines")
    return ext(wire.ZONE, key.encode("ascii"))


def _zone(data: bytes) -> zoneinfo.ZoneInfo:
    key = data.decode("ascii")
    zone = _zones.get(key)
    if zone is None:
        zone = _load_zone(key)
        if len(_zones) < _MAX_ZONES:
            _zones[key] = zone
    return zone


def _load_zone(key: str) -> zoneinfo.ZoneInfo:
    if not _ZONE_KEY.match(key):
        raise DecodeError("a time zone whose key is not a name")
    try:
        return zoneinfo.ZoneInfo(key)
    except Exception as exc:
        raise DecodeError(
            f"this machine does not know the time zone {key!r}: pip install tzdata"
        ) from exc


FORMS: dict[type, Callable[[Any], Form]] = {
    datetime.date: _date_form,
    datetime.datetime: _datetime_form,
    datetime.time: _time_form,
    datetime.timedelta: _timedelta_form,
    datetime.timezone: _timezone_form,
    zoneinfo.ZoneInfo: _zone_form,
}

LEAVES: dict[int, Callable[[bytes], Any]] = {
    wire.DATE: lambda data: datetime.date(*_date.unpack(data)),
    wire.DATETIME: _read_datetime(None),
    wire.DATETIME_UTC: _read_datetime(_UTC),
    wire.TIME: _read_time,
    wire.TIMEDELTA: lambda data: datetime.timedelta(*_timedelta.unpack(data)),
    wire.TIMEZONE: _timezone,
    wire.ZONE: _zone,
}

COMPOSITES: dict[int, Callable[[list[Any]], Any]] = {wire.AWARE: _aware}
