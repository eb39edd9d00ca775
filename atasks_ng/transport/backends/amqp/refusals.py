"""What the broker and the client library raise, as errors of this library."""

from __future__ import annotations

import re
import ssl

from aiormq.exceptions import (
    AuthenticationError,
    ChannelAccessRefused,
    ConnectionClosed,
    ConnectionNotAllowed,
    ProbableAuthenticationError,
)

from ....words.errors import AccessDeniedError, ConnectionLostError, TLSError
from .dialing import Target

#: The reply code for a virtual host that a user may not enter, or that is not there.
NOT_ALLOWED = 530

# The alert with which a TLS server answers plain text, as it is shown in an error.
_ALERT = re.compile(r"b\W*x15\W*x03")

_HOW_TO_PERMIT = (
    "have the operator permit it (`atasks-ng permissions` prints what to permit), or, where "
    "something does not exist, declare it beforehand (`atasks-ng declare`)"
)


def translated(exc: BaseException, target: Target) -> ConnectionLostError:
    """Return the error that tells why a broker could not be dialed."""
    if (tls := _tls_reason(exc)) is not None:
        return TLSError(f"no safe connection to {target.shown}: {tls}")
    why = f"{target.shown} refuses user {target.user!r}: {reason(exc)}"
    if isinstance(exc, (ProbableAuthenticationError, AuthenticationError)):
        return AccessDeniedError(f"{why}; check the user and the password")
    if _is_entry_refused(exc):
        return AccessDeniedError(
            f"{why}; check the name of the virtual host, and the user's permissions in it"
        )
    if isinstance(exc, ChannelAccessRefused):
        return AccessDeniedError(f"{why}; {_HOW_TO_PERMIT}")
    if _ALERT.search(why):
        return ConnectionLostError(f"{target.shown} answers as a TLS server: use amqps://")
    return ConnectionLostError(f"cannot connect to {target.shown}: {reason(exc)}")


def not_permitted(user: str, what: str, needs: str) -> AccessDeniedError:
    """
    Return the error for something that a user may not do.

    Args:
        user: Who.
        what: The operation and the resource.
        needs: The permissions of the broker that are missing.
    """
    return AccessDeniedError(
        f"user {user!r} may not {what}, which takes the permission {needs}: {_HOW_TO_PERMIT}"
    )


def joined(failures: list[ConnectionLostError]) -> ConnectionLostError:
    """Return one error for several brokers that could not be dialed."""
    kinds = {type(each) for each in failures}
    kind = kinds.pop() if len(kinds) == 1 else ConnectionLostError
    return kind("none of the brokers can be used: " + "; ".join(map(str, failures)))


def reason(exc: BaseException) -> str:
    """Return kind and text of an exception of the client library, which prints only a part."""
    text = ", ".join(str(arg) for arg in exc.args if arg) or str(exc)
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def _is_entry_refused(exc: BaseException) -> bool:
    if isinstance(exc, ConnectionNotAllowed):
        text = exc.args[0]
    elif isinstance(exc, ConnectionClosed) and exc.args[0] == NOT_ALLOWED:
        text = exc.args[1]
    else:
        return False
    # The same code tells that there are too many connections, which passes.
    return "limit" not in str(text)


def _tls_reason(exc: BaseException | None) -> str | None:
    while exc is not None:
        if isinstance(exc, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted ({exc.verify_message}); give the authority that "
                "signed it as cafile=, and the name it is made for as the host"
            )
        if isinstance(exc, ssl.SSLError):
            return f"TLS failed ({exc.reason or exc}); {_tls_hint(exc.reason or '')}"
        if isinstance(exc, ConnectionAbortedError) and "SSL handshake" in str(exc):
            return f"it does not answer as a TLS server ({exc})"
        exc = exc.__cause__
    return None


def _tls_hint(why: str) -> str:
    if why in _NO_TLS:
        return "does it speak TLS on this port?"
    if "CERTIFICATE" in why or "HANDSHAKE_FAILURE" in why:
        return "it may want a certificate of yours: give it as certfile= and keyfile="
    return "the broker's log may tell more"


_NO_TLS = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")
