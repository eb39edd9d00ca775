"""
The tables of the protocol: what follows from what, on both sides.

Law: every (state, event) pair that can occur is listed; a pair that is not listed is a defect of
this library, never the doing of the peer, whose envelopes are matched to a call before they come
here. A row is ``(state, event): (next state, steps)``; steps are methods of the machine, done in
this order. A step may make a further event happen.
"""

from __future__ import annotations

Table = dict[tuple[str, str], tuple[str, tuple[str, ...]]]

# -- the caller --------------------------------------------------------------------------------
#
# open        an answer is awaited
# parked      a stream whose consumer is busy with an item
# cancelling  the caller was cancelled and waits for the callee to end
# ended       in no table any more

OPEN, PARKED, CANCELLING, ENDED = "open", "parked", "cancelling", "ended"

#: What the transport brings.
REPLY, NOTICE, ITEM, RESTARTED, ASKED = "reply", "notice", "item", "restarted", "asked"
RETURNED, RELINKED, UNLINKED, LOST = "returned", "relinked", "unlinked", "lost"
UNSERVED = "unserved"
#: What the awaiting task does.
CANCEL, ABANDON, ASK = "cancel", "abandon", "ask"
#: What the clock brings.
DEADLINE, RESEND, QUIET, UNHELD, OVERDUE = "deadline", "resend", "quiet", "unheld", "overdue"

CALLER: Table = {
    (OPEN, REPLY): (ENDED, ("end", "recall_copies")),
    (OPEN, NOTICE): (OPEN, ("note_holder",)),
    (OPEN, ITEM): (PARKED, ("deliver",)),
    (OPEN, RESTARTED): (ENDED, ("send_cancel", "end_restarted")),
    (OPEN, ASKED): (OPEN, ("seek_holder",)),
    (OPEN, RETURNED): (OPEN, ("try_later",)),
    (OPEN, UNSERVED): (OPEN, ("miss_worker",)),
    (OPEN, RELINKED): (OPEN, ("send_again",)),
    (OPEN, LOST): (ENDED, ("end",)),
    (OPEN, CANCEL): (CANCELLING, ("send_cancel", "await_sign")),
    (OPEN, ABANDON): (ENDED, ("send_cancel",)),
    (OPEN, DEADLINE): (ENDED, ("send_expiry", "end_expired")),
    (OPEN, RESEND): (OPEN, ("send",)),
    (OPEN, QUIET): (OPEN, ()),
    (OPEN, UNHELD): (OPEN, ("grant",)),
    (OPEN, OVERDUE): (OPEN, ("miss",)),
    (PARKED, REPLY): (ENDED, ("end",)),
    (PARKED, NOTICE): (PARKED, ("note_holder",)),
    (PARKED, ITEM): (PARKED, ()),
    (PARKED, RESTARTED): (ENDED, ("send_cancel", "end_restarted")),
    (PARKED, ASKED): (PARKED, ("seek_holder",)),
    (PARKED, RETURNED): (PARKED, ()),
    (PARKED, RELINKED): (PARKED, ()),
    (PARKED, LOST): (ENDED, ("end",)),
    (PARKED, ASK): (OPEN, ("send_pull",)),
    (PARKED, ABANDON): (ENDED, ("send_cancel",)),
    (PARKED, DEADLINE): (ENDED, ("send_expiry", "end_expired")),
    (PARKED, RESEND): (PARKED, ()),
    (PARKED, QUIET): (PARKED, ()),
    (PARKED, UNHELD): (PARKED, ("grant",)),
    (CANCELLING, REPLY): (ENDED, ("end_unless_crossed",)),
    (CANCELLING, NOTICE): (CANCELLING, ("await_end",)),
    # An async generator that swallows the cancel and yields.
    (CANCELLING, ITEM): (PARKED, ("deliver",)),
    (CANCELLING, RESTARTED): (ENDED, ("send_cancel", "end_cancelled")),
    # Its worker is gone, and with it what was to be cancelled.
    (CANCELLING, ASKED): (CANCELLING, ("tell_settled", "await_sign")),
    # It never reached a queue, so it never starts.
    (CANCELLING, RETURNED): (ENDED, ("end_cancelled",)),
    # Nobody can say that it runs, and nobody that it has ended; the cancel is sent later.
    (CANCELLING, UNLINKED): (ENDED, ("end_cancelled",)),
    (CANCELLING, LOST): (ENDED, ("end_cancelled",)),
    (CANCELLING, CANCEL): (CANCELLING, ("send_cancel",)),
    (CANCELLING, ABANDON): (ENDED, ()),
    (CANCELLING, DEADLINE): (ENDED, ("end_expired",)),
    (CANCELLING, RESEND): (ENDED, ("end_cancelled",)),
    (CANCELLING, QUIET): (ENDED, ("end_cancelled",)),
    (CANCELLING, UNHELD): (ENDED, ("tell_settled", "end_cancelled")),
}

# -- the callee --------------------------------------------------------------------------------
#
# asking      delivered before, or sent twice: the caller is asked whether it still waits
# waiting     no slot is free
# confirming  a slot is there, but the last attempt must be known to the caller before it begins
# running     the body runs
# cancelling  the body runs, and was told to stop
# answering   the body has ended, its answer is being encoded
# ended       in no table any more

ASKING, WAITING, CONFIRMING = "asking", "waiting", "confirming"
RUNNING, ANSWERING = "running", "answering"

#: What the caller says.
GO, STAND_BY, SETTLED, CONDEMNED, GONE = "go", "stand by", "settled", "condemned", "gone"
#: What happens in the worker.
SLOT, LAST_SLOT, BODY_ENDED = "slot", "last slot", "body ended"
ANSWERED, RECALL = "answered", "recall"
#: What the clock brings, beside the deadline.
SILENCE, ASK_AGAIN, FORBIDDEN = "silence", "ask again", "forbidden"
#: What the transport knows of a caller that is silent: it is there, or its link is away.
LISTENING, AWAY = "listening", "away"

CALLEE: Table = {
    (ASKING, GO): (WAITING, ("line_up",)),
    (ASKING, STAND_BY): (ASKING, ("ask_later",)),
    (ASKING, SETTLED): (ENDED, ("answer_nothing",)),
    (ASKING, CONDEMNED): (ENDED, ("bury",)),
    (ASKING, GONE): (ENDED, ("answer_nothing",)),
    (ASKING, CANCEL): (ENDED, ("answer_cancelled",)),
    (ASKING, DEADLINE): (ENDED, ("answer_nothing",)),
    (ASKING, RECALL): (ENDED, ("hand_back",)),
    (ASKING, UNLINKED): (ENDED, ()),
    (ASKING, ASK_AGAIN): (ASKING, ("ask",)),
    (ASKING, SILENCE): (ASKING, ("look",)),
    (ASKING, LISTENING): (ASKING, ("presume",)),
    # Nobody can answer it, and its answer could not be delivered: it comes back, or is gone.
    (ASKING, AWAY): (ASKING, ("stop_counting", "ask_much_later")),
    (ASKING, FORBIDDEN): (ENDED, ("answer_lost",)),
    (WAITING, SLOT): (RUNNING, ("start",)),
    (WAITING, LAST_SLOT): (CONFIRMING, ("ask",)),
    (CONFIRMING, GO): (RUNNING, ("start",)),
    (CONFIRMING, SILENCE): (RUNNING, ("start",)),
    (CONFIRMING, STAND_BY): (CONFIRMING, ("ask_later",)),
    (CONFIRMING, ASK_AGAIN): (CONFIRMING, ("ask",)),
    (CONFIRMING, SETTLED): (ENDED, ("answer_nothing", "free_slot")),
    (CONFIRMING, CONDEMNED): (ENDED, ("bury", "free_slot")),
    (CONFIRMING, GONE): (ENDED, ("answer_nothing", "free_slot")),
    (CONFIRMING, CANCEL): (ENDED, ("answer_cancelled", "free_slot")),
    (CONFIRMING, DEADLINE): (ENDED, ("answer_nothing", "free_slot")),
    (CONFIRMING, RECALL): (ENDED, ("hand_back", "free_slot")),
    (CONFIRMING, UNLINKED): (ENDED, ("free_slot",)),
    (WAITING, CANCEL): (ENDED, ("leave_line", "answer_cancelled")),
    (WAITING, DEADLINE): (ENDED, ("leave_line", "answer_nothing")),
    (WAITING, GONE): (ENDED, ("leave_line", "answer_nothing")),
    (WAITING, RECALL): (ENDED, ("leave_line", "hand_back")),
    (WAITING, UNLINKED): (ENDED, ("leave_line",)),
    (RUNNING, CANCEL): (CANCELLING, ("notice", "interrupt")),
    (RUNNING, DEADLINE): (CANCELLING, ("mark_expired", "interrupt")),
    (RUNNING, GONE): (CANCELLING, ("mark_orphaned", "interrupt")),
    (RUNNING, RECALL): (CANCELLING, ("mark_recalled", "interrupt")),
    (RUNNING, BODY_ENDED): (ANSWERING, ()),
    (CANCELLING, CANCEL): (CANCELLING, ("notice", "interrupt_again")),
    (CANCELLING, DEADLINE): (CANCELLING, ()),
    (CANCELLING, GONE): (CANCELLING, ()),
    (CANCELLING, RECALL): (CANCELLING, ("interrupt",)),
    (CANCELLING, BODY_ENDED): (ANSWERING, ()),
    (ANSWERING, CANCEL): (ANSWERING, ()),
    (ANSWERING, DEADLINE): (ANSWERING, ()),
    (ANSWERING, GONE): (ANSWERING, ()),
    (ANSWERING, RECALL): (ANSWERING, ()),
    (ANSWERING, ANSWERED): (ENDED, ("answer",)),
}

#: What a caller may say about a call.
VERDICTS = frozenset({GO, STAND_BY, SETTLED, CONDEMNED})

#: Events that come late when the call has moved on: they change nothing then.
STALE = VERDICTS | {SILENCE, ASK_AGAIN}
