"""
What a lane is: the data path of one channel.

A lane publishes, takes deliveries and settles them; it declares nothing. Of these guarantees the
contract of the transport is made:

* ``publish``, ``answer``, ``ack`` and ``requeue`` never wait. What is asked for goes out in order.
* ``answer`` acknowledges a request after its answer is safe: on the same channel, the answer goes
  first, and the broker carries out what one channel asks for in order. So whatever happens to the
  link, the broker has seen the answer if it has seen the acknowledgement. With confirmations, the
  acknowledgement waits until the broker has confirmed the answer.
* A mandatory message that no queue takes comes back by ``on_returned``.
* After the channel is closed, everything is dropped: who asked hears from the session, and does on
  the next one what must be done.
"""

from __future__ import annotations

from collections.abc import Callable

from aiormq.channel import Channel

from ..parcels import Delivered, Parcel, Returned

OnDelivered = Callable[[Delivered], None]
OnBody = Callable[[bytes], None]
OnReturned = Callable[[Returned], None]

#: How long a message that the broker could not take rests before it is sent again, in seconds.
RETRY_AFTER = 1.0

#: An exchange that every broker has: asking for it shows that all before it was carried out.
PROBE_EXCHANGE = "amq.direct"

#: Why a connection is of no use any more.
UNCONFIRMED = "the broker did not confirm a message within {:g} s"


class Lane:
    """
    The data path of one channel.

    Args:
        channel: The channel, as aiormq opened it; declaring is done on it directly.
        on_returned: Called with each message that came back.
    """

    def __init__(self, channel: Channel, on_returned: OnReturned) -> None:
        self.channel = channel
        self._on_returned = on_returned

    def set_slack(self, requests: int) -> None:
        """Say how many acknowledgements may wait for others, for some milliseconds."""

    @property
    def is_writable(self) -> bool:
        """False while what is published only piles up here."""
        raise NotImplementedError

    @property
    def is_blocked(self) -> bool:
        """True while the broker takes nothing on this connection, short of memory or disk."""
        raise NotImplementedError

    def publish(self, parcel: Parcel) -> None:
        """Send a message."""
        raise NotImplementedError

    def holds(self, id: str) -> bool:
        """Return True if a request is still here, where it can be withdrawn."""
        return False

    def withdraw(self, id: str) -> None:
        """Forget a request that is still here."""

    def answer(self, tag: int, parcel: Parcel) -> None:
        """Send a message, and acknowledge a delivery once it is safe."""
        raise NotImplementedError

    def ack(self, tag: int) -> None:
        """Acknowledge a delivery."""
        raise NotImplementedError

    def requeue(self, tag: int) -> None:
        """Put a delivery back into its queue."""
        raise NotImplementedError

    async def consume(self, queue: str, consumer: str, take: OnDelivered) -> None:
        """Take deliveries of a queue; each counts until it is acknowledged or put back."""
        raise NotImplementedError

    async def listen(self, queue: str, consumer: str, take: OnBody) -> None:
        """Take bodies from a queue; they are acknowledged soon after ``take`` has returned."""
        raise NotImplementedError

    async def cancel(self, consumer: str) -> None:
        """Take no more for a consumer; what was delivered can still be settled."""
        raise NotImplementedError

    async def flush(self) -> None:
        """Return when the broker has carried out everything asked for so far."""
        raise NotImplementedError

    async def close(self) -> None:
        """Stop; what was not sent is dropped."""
        raise NotImplementedError
