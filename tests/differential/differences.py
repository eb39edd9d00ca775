"""
The differences that are in the nature of a call to another place, each with its reason.

A program that is listed here must differ, wherever values are copied, over a network, or even
without a copy; in ``SOMETIMES`` it may, since it depends on which of two messages is first. Every
other program must not.
"""

from __future__ import annotations

import sys

_COPY = "arguments and results are copies: to change one is not to change the other"
_LIVE = "what lives in one process (locks, functions, iterators) has no form on a wire"
_FORM = "the default codec carries data of known types only: register the class, or send data"
_SUSPENDS = "a call lets other tasks run while it is under way, even if its body never suspends"
_APART = "two cancels of one step are two messages, which may arrive apart"
_BEGINS = "a call that is cancelled before a worker has begun it never begins"

#: Program → why a task cannot do there what a plain function does.
EVERYWHERE = {
    "identity_of_an_argument": _COPY,
    "mutation_of_an_argument": _COPY,
    "one_object_twice": _COPY,
    "sharing_within_a_result": _COPY,
    "mutable_default": _COPY,
    "value_that_contains_itself": _FORM,
    "live_object_as_argument": _LIVE,
    "function_as_argument": _LIVE,
    "task_as_argument": _LIVE,
    "generator_as_argument": _LIVE,
    "exception_with_a_live_object": _LIVE,
    "exception_with_a_live_argument": _LIVE,
    "instance_of_a_plain_class": _FORM,
    "subclass_of_a_built_in": _FORM,
    "simple_namespace": _FORM,
    "addresses": _FORM,
    "memory_view": _FORM,
    "cancel_with_message_that_is_no_text": "a cancel message that is no text travels as its text",
    "cancel_before_the_task_starts": (
        "a coroutine cancelled before its first step shows the line where it is defined in its "
        "traceback, and that of a task is defined in the library"
    ),
    "traceback_of_a_recursion": (
        "between the frames of two calls stands the line that names the worker, so that repeated "
        "frames are not counted but shown"
    ),
    "signature_without_following_wrapped": (
        "inspect.getfullargspec looks at the code that stands in for the function; "
        "inspect.signature is exact"
    ),
    "interleaving_of_calls_that_do_not_suspend": _SUSPENDS,
    "cancel_of_a_call_that_never_suspends": _SUSPENDS,
}

#: Program → why a task cannot do that even on loopback without a copy.
WITHOUT_A_COPY = {
    "cancel_before_the_task_starts": EVERYWHERE["cancel_before_the_task_starts"],
    "signature_without_following_wrapped": EVERYWHERE["signature_without_following_wrapped"],
    "traceback_of_a_recursion": (
        "between the frames of two calls stand those of the library, so that repeated frames are "
        "not counted but shown"
    ),
}

if sys.version_info >= (3, 13):
    EVERYWHERE["statement_of_several_lines"] = (
        "of a statement of several lines, a frame of the callee shows the first"
    )

#: Program → why it differs where caller and callee are two processes.
OVER_A_NETWORK = {
    "not_propagated": "context variables leave their process only when propagate() names them",
    "not_propagated_back": "context variables leave their process only when propagate() names them",
    "decimal_context": "the context of decimal is a variable that propagate() cannot name",
    "state_of_the_module": "each process has its own modules and closures",
}

#: Program → what decides whether it differs over a network.
SOMETIMES = {
    "cancel_of_a_call_about_to_be_sent": _BEGINS,
    "cancel_in_the_step_after_the_start": _BEGINS,
    "timeout_already_over": _BEGINS,
    "cancel_twice_at_once": _APART,
    "cancel_twice_at_once_and_taken_back_once": _APART,
    "keyboard_interrupt_of_a_child": (
        "an interrupt that ends the event loop cuts the link to the broker within it, and the "
        "broker's client may complain of that"
    ),
    "left_open_at_the_end": (
        "a generator that is still open when its connection is closed ends on its worker, "
        "and nobody waits for it"
    ),
}

#: Program → what is wrong; to be mended.
DEFECTS: dict[str, str] = {}
