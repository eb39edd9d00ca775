"""What a machine asks its shell to do. Machines only return these; the router carries them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .calls import IncomingCall, OutgoingCall
    from .envelopes import Envelope, Item, Pull, Tell
    from .pieces import Body


class Send(NamedTuple):
    """Hand the request of a call to the transport: for the first time, or again."""

    call: OutgoingCall


class SendCancel(NamedTuple):
    """Tell whoever has the call, or will get it, that it is cancelled."""

    call: OutgoingCall
    reason: str


class SendPull(NamedTuple):
    """Ask the process that runs an async generator for more."""

    call: OutgoingCall
    pull: Pull


class SendWho(NamedTuple):
    """Ask all workers of the queue of a call whether one of them has it."""

    call: OutgoingCall


class SendTell(NamedTuple):
    """
    Tell a worker what is to become of a call.

    Attributes:
        origin: Address of the worker.
        tell: The envelope.
    """

    origin: str
    tell: Tell


class Deliver(NamedTuple):
    """Wake whoever awaits the next item of a stream."""

    call: OutgoingCall
    item: Item


class End(NamedTuple):
    """
    Wake whoever awaits the call.

    Attributes:
        call: The call, which is in no table any more.
        outcome: The envelope that ended it, an exception to raise, or ``None``: raise the
            cancellation that is waiting.
    """

    call: OutgoingCall
    outcome: Envelope | BaseException | None


class Warn(NamedTuple):
    """
    Tell the log that nobody serves the queue of a call.

    Attributes:
        call: The call.
        waited: How long it has waited, in seconds; or, if a worker had it, how long nothing was
            heard of that one.
    """

    call: OutgoingCall
    waited: float


class Start(NamedTuple):
    """Run the body of a call."""

    call: IncomingCall


class Interrupt(NamedTuple):
    """Raise a cancellation inside the running body."""

    call: IncomingCall
    message: str | None


class Say(NamedTuple):
    """Send an envelope about a call to its caller; the call goes on."""

    call: IncomingCall
    envelope: Envelope


class Answer(NamedTuple):
    """Send the last envelope of a call, or none, and settle its delivery."""

    call: IncomingCall
    envelope: Envelope | None


class Look(NamedTuple):
    """Find out whether the caller of a call, which does not answer, has its link."""

    call: IncomingCall


class Widen(NamedTuple):
    """
    Let the transport bring one call more, or one less again.

    Attributes:
        call: The call that does not count against its window meanwhile.
        change: 1 or -1.
    """

    call: IncomingCall
    change: int


class SayTo(NamedTuple):
    """Send an envelope, encoded, to an address."""

    address: str
    id: str
    body: Body


class Bury(NamedTuple):
    """Keep the request where operators find it; it has cost too many workers."""

    call: IncomingCall
    reason: str


class FreeSlot(NamedTuple):
    """Give back the slot of a call that ended before its body began."""

    call: IncomingCall


class HandBack(NamedTuple):
    """Put the delivery back into its queue, for another worker."""

    call: IncomingCall


class AnswerAgain(NamedTuple):
    """A delivery of a call that ended here a moment ago: send the same answer, settle."""

    call: IncomingCall
    body: Body


Action = (
    Send
    | SendCancel
    | SendPull
    | SendWho
    | SendTell
    | Deliver
    | End
    | Warn
    | Start
    | Interrupt
    | Say
    | Answer
    | HandBack
    | AnswerAgain
    | SayTo
    | Look
    | Widen
    | FreeSlot
    | Bury
)
