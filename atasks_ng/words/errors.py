"""
Every error the library raises, in one tree.

The branches say whose fault it was::

    AtasksError
    ├── UsageError                 your code misused the library
    │   ├── NotConnectedError      (RuntimeError)
    │   │   ├── ForkedError
    │   │   └── WrongLoopError
    │   ├── NoCodecError           (RuntimeError)
    │   ├── RegisteredTwiceError   (ValueError)
    │   ├── OptionError            (TypeError)
    │   ├── BadURLError            (ValueError)
    │   └── UnsupportedError       (NotImplementedError)
    ├── CallError                  this call has no result
    │   ├── UnknownTaskError       (LookupError)
    │   ├── NoWorkerError          (LookupError)
    │   ├── WorkerLostError
    │   ├── DeadlineError          (TimeoutError)
    │   ├── RecursionTooDeepError  (RecursionError)
    │   └── RemoteError
    ├── CodecError                 bytes and values do not match
    │   ├── EncodeError            (TypeError)
    │   ├── DecodeError            (ValueError)
    │   └── TooLargeError          (ValueError)
    ├── ConnectionLostError        (ConnectionError) the world between broke
    │   ├── AccessDeniedError      (PermissionError)
    │   └── TLSError
    └── ProtocolError              the peer broke the protocol
        ├── BadMessageError        (ValueError)
        ├── IncompatibleError
        └── SignatureError

``args`` of each equals what its constructor was given, so that an error can be rebuilt on
another machine; the sentence is made when it is shown and says what to do next.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AccessDeniedError",
    "AtasksError",
    "BadMessageError",
    "BadURLError",
    "CallError",
    "CodecError",
    "ConnectionLostError",
    "DeadlineError",
    "DecodeError",
    "EncodeError",
    "ForkedError",
    "IncompatibleError",
    "NoCodecError",
    "NoWorkerError",
    "NotConnectedError",
    "OptionError",
    "ProtocolError",
    "RecursionTooDeepError",
    "RegisteredTwiceError",
    "RemoteError",
    "SignatureError",
    "TLSError",
    "TooLargeError",
    "UnknownTaskError",
    "UnsupportedError",
    "UsageError",
    "WorkerLostError",
    "WrongLoopError",
]


class AtasksError(Exception):
    """Root of every error that the library itself raises."""


# -- your code misused the library -------------------------------------------------------------


class UsageError(AtasksError):
    """The library was used in a way that cannot work; change the calling code."""


class NotConnectedError(UsageError, RuntimeError):
    """
    A task was called in a namespace that has no transport, or one that is not connected.

    Args:
        namespace: The namespace of the task.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.namespace = namespace

    def __str__(self) -> str:
        argument = "" if self.namespace == "default" else f", namespace={self.namespace!r}"
        return (
            f"namespace {self.namespace!r} is not connected: call tasks inside "
            f"`async with atasks_ng.connect(url{argument}):`, or create a transport "
            "for it and await its connect()"
        )


class ForkedError(NotConnectedError):
    """
    A connection was used in a child of the process that made it.

    Two processes on one socket would garble it for both.

    Args:
        namespace: The namespace of the task.
    """

    def __str__(self) -> str:
        return (
            f"namespace {self.namespace!r} was connected by the process that this one was forked "
            "from, and a connection cannot be shared: connect again here, after the fork"
        )


class WrongLoopError(NotConnectedError):
    """
    A connection was used in another event loop than the one that it was made in.

    Args:
        namespace: The namespace of the task.
    """

    def __str__(self) -> str:
        return (
            f"namespace {self.namespace!r} is connected in another event loop: connect in this one "
            "(under another namespace if the other goes on), or make the call there with "
            "asyncio.run_coroutine_threadsafe(call(), loop)"
        )


class NoCodecError(UsageError, RuntimeError):
    """
    A namespace has no codec.

    Args:
        namespace: The namespace without one.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.namespace = namespace

    def __str__(self) -> str:
        argument = "" if self.namespace == "default" else f"namespace={self.namespace!r}"
        return (
            f"namespace {self.namespace!r} has no codec: create one first, "
            f"for instance atasks_ng.codecs.MsgpackCodec({argument})"
        )


class RegisteredTwiceError(UsageError, ValueError):
    """
    Two different functions claim one task name.

    Args:
        name: The name.
        namespace: Its namespace.
        first: Where the function registered first was defined.
        second: Where the other one is defined.
    """

    def __init__(self, name: str, namespace: str, first: str, second: str) -> None:
        super().__init__(name, namespace, first, second)
        self.name = name
        self.namespace = namespace

    def __str__(self) -> str:
        _, _, first, second = self.args
        return (
            f"task {self.name!r} of namespace {self.namespace!r} is defined at {first} and again "
            f"at {second}: give one of them another name with @atask(name=...)"
        )


class OptionError(UsageError, TypeError):
    """
    An option that does not exist, or whose value is out of its range.

    Args:
        sentence: What is wrong and what is allowed.
    """


class BadURLError(UsageError, ValueError):
    """
    A transport URL that cannot be used.

    Args:
        url: The URL, its password masked.
        reason: What is wrong with it, and which forms exist.
    """

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url

    def __str__(self) -> str:
        return f"cannot use the transport URL {self.url!r}: {self.args[1]}"


class UnsupportedError(UsageError, NotImplementedError):
    """
    The transport in use cannot carry what was asked of it.

    Args:
        sentence: What was asked, of which transport, and what to use instead.
    """


# -- this call has no result -------------------------------------------------------------------


class CallError(AtasksError):
    """The call ended without a result of its own."""


class UnknownTaskError(CallError, LookupError):
    """
    The worker that got the call has no task of that name.

    Args:
        name: The task asked for.
        namespace: Its namespace.
        worker: The worker that answered.
    """

    def __init__(self, name: str, namespace: str, worker: str) -> None:
        super().__init__(name, namespace, worker)
        self.name = name
        self.namespace = namespace
        self.worker = worker

    def __str__(self) -> str:
        return (
            f"worker {self.worker} has no task {self.name!r} in namespace {self.namespace!r}: "
            f"start it with the module that defines the task "
            f"(atasks-ng worker {_module_of(self.name)} ...), or give the task a queue of its own. "
            "A task is named after its module; that of a program that is run by its path is "
            "another than when it is run by `python -m package.module`"
        )


class NoWorkerError(CallError, LookupError):
    """
    No worker served the queue of the call within the grace time.

    Args:
        name: The task called.
        queue: The queue that nobody serves.
        grace: How long the caller waited, in seconds.
        namespace: The namespace of the task.
    """

    def __init__(self, name: str, queue: str, grace: float, namespace: str = "default") -> None:
        super().__init__(name, queue, grace, namespace)
        self.name = name
        self.queue = queue
        self.grace = grace
        self.namespace = namespace

    def __str__(self) -> str:
        return (
            f"nobody served queue {self.queue!r} of namespace {self.namespace!r} for "
            f"{self.grace:g} s, and no worker has said that it runs {self.name!r}: "
            + how_to_start_a_worker(self.name, self.queue)
        )


class WorkerLostError(CallError):
    """
    The worker that ran the call is gone, and the call may not be run again.

    Args:
        name: The task called.
        attempts: How many times it had been started.
    """

    def __init__(self, name: str, attempts: int) -> None:
        super().__init__(name, attempts)
        self.name = name
        self.attempts = attempts

    def __str__(self) -> str:
        return (
            f"the worker that ran {self.name!r} was lost (attempt {self.attempts}); "
            "the call may have run in part or in full and is not run again"
        )


class DeadlineError(CallError, TimeoutError):
    """
    The deadline of a call passed.

    Args:
        name: The task called.
        timeout: The time that the call had, in seconds.
    """

    def __init__(self, name: str, timeout: float) -> None:
        super().__init__(name, timeout)
        self.name = name
        self.timeout = timeout

    def __str__(self) -> str:
        return f"{self.name!r} did not end within {self.timeout:.3g} s"


class RecursionTooDeepError(CallError, RecursionError):
    """
    Calls that call calls went deeper than the limit.

    Args:
        name: The task whose call was one too deep.
        limit: The greatest depth allowed.
    """

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(name, limit)
        self.name = name
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"maximum depth of nested calls exceeded ({self.limit}) while calling {self.name!r}; "
            "raise it with Router(max_depth=...) if the recursion is meant"
        )


class RemoteError(CallError):
    """
    A task failed with an exception that cannot be rebuilt here.

    Args:
        type_name: Module and name of the exception's class.
        text: ``str()`` of the exception.
    """

    def __init__(self, type_name: str, text: str) -> None:
        super().__init__(type_name, text)
        self.type_name = type_name
        self.text = text

    def __str__(self) -> str:
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


# -- bytes and values do not match -------------------------------------------------------------


class CodecError(AtasksError):
    """A value does not fit into bytes, or bytes do not make a value."""


class EncodeError(CodecError, TypeError):
    """
    A value cannot be encoded.

    Args:
        sentence: Which value, where it sits, and the way out.
    """


class DecodeError(CodecError, ValueError):
    """
    Bytes cannot be decoded.

    Args:
        sentence: What is wrong with them.
    """


class TooLargeError(CodecError, ValueError):
    """
    A payload is larger than the limit.

    Args:
        size_bytes: Its size.
        limit_bytes: The limit.
        what: What it is: ``"the arguments of 'm:f'"``.
        option: Which option sets the limit, and on which side; empty if nobody can raise it.
    """

    def __init__(
        self, size_bytes: int, limit_bytes: int, what: str = "the payload", option: str = ""
    ) -> None:
        super().__init__(size_bytes, limit_bytes, what, option)
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes

    def __str__(self) -> str:
        _, _, what, option = self.args
        return (
            f"{what} came to {self.size_bytes} bytes, the limit is {self.limit_bytes}: "
            "pass a reference to the data" + (f", or raise {option}" if option else "")
        )


# -- the world between broke -------------------------------------------------------------------


class ConnectionLostError(AtasksError, ConnectionError):
    """
    The connection is gone, or could not be made.

    Args:
        sentence: Which connection, why, and what happens next.
    """


class AccessDeniedError(ConnectionLostError, PermissionError):
    """
    The broker refuses a login, or something that was asked of it.

    Args:
        sentence: Who may not do what with what, and what to change.
    """


class TLSError(ConnectionLostError):
    """
    There is no safe way to the broker: its certificate is not trusted, or it does not speak TLS.

    Args:
        sentence: Which connection, why, and what to change.
    """


# -- the peer broke the protocol ---------------------------------------------------------------


class ProtocolError(AtasksError):
    """The other side sent something that it must not send."""


class BadMessageError(ProtocolError, ValueError):
    """
    A message that is not an envelope of this library.

    Args:
        reason: What is wrong with it.
    """


class IncompatibleError(ProtocolError):
    """
    The two sides speak different versions of the protocol, or use different codecs.

    Args:
        what: ``"version"`` or ``"codec"``.
        theirs: What the other side uses.
        ours: What this side uses.
    """

    def __init__(self, what: str, theirs: Any, ours: Any) -> None:
        super().__init__(what, theirs, ours)
        self.what = what
        self.theirs = theirs
        self.ours = ours

    def __str__(self) -> str:
        return (
            f"caller and worker differ in {self.what}: {self.theirs!r} there, {self.ours!r} here; "
            f"use the same {self.what} on both sides"
        )


class SignatureError(ProtocolError):
    """
    A message without the signature that is asked for.

    Args:
        namespace: The namespace whose messages are signed.
        reason: What is wrong with its signature, and what to do.
    """

    def __init__(self, namespace: str, reason: str) -> None:
        super().__init__(namespace, reason)
        self.namespace = namespace

    def __str__(self) -> str:
        return f"a message of namespace {self.namespace!r} was refused: {self.args[1]}"


def how_to_start_a_worker(name: str, queue: str) -> str:
    """Return the sentence that tells how to start a worker for a task on a queue."""
    option = "" if queue == "default" else f" --queue {queue}"
    return f"start one with `atasks-ng worker {_module_of(name)} --url <url>{option}`"


def _module_of(name: str) -> str:
    """Return the module in the name of a task; names that were chosen may have none."""
    module, colon, _ = name.partition(":")
    return module if colon else f"<the module that defines {name!r}>"
