"""An inbox is bounded, counts until answers are out, and passes on one answer per call."""

from __future__ import annotations

import pytest

from actors.call import Call, Op, Reply
from actors.errors import ActivationEnded
from actors.hosting.inbox import Inbox
from storage.errors import HoldfastError
from storage.layout.address import Address


class Asked:
    """A call and the answers it got."""

    def __init__(self, body: bytes = b"") -> None:
        self.replies: list[Reply] = []
        self.errors: list[HoldfastError] = []
        self.call = Call(Op.SQL, {}, body, self.replies.append, self.errors.append)


def an_inbox(*, calls_max: int = 3, bytes_max: int = 100, waiting_max: int = 2, serve: bool = True) -> Inbox:
    inbox = Inbox(Address("alice", "p"), calls_max=calls_max, bytes_max=bytes_max, waiting_max=waiting_max)
    if serve:
        inbox.serve = lambda call: None
    return inbox


def test_calls_past_the_bound_are_overloaded_with_a_time_to_come_back() -> None:
    inbox = an_inbox(calls_max=2)
    asked = [Asked() for _ in range(3)]
    assert [inbox.admit(each.call) for each in asked] == [True, True, False]
    (error,) = asked[2].errors
    assert (error.code, error.retryable) == ("overloaded", True) and error.retry_after_s


def test_bytes_past_the_bound_are_overloaded_but_one_call_always_fits() -> None:
    inbox = an_inbox(bytes_max=100)
    assert inbox.admit(Asked(bytes(150)).call)
    late = Asked(b"x")
    assert not inbox.admit(late.call) and late.errors[0].code == "overloaded"


def test_while_its_activation_starts_an_inbox_holds_fewer() -> None:
    inbox = an_inbox(calls_max=10, waiting_max=2, serve=False)
    assert [inbox.admit(Asked().call) for _ in range(3)] == [True, True, False]


def test_a_call_holds_its_place_until_it_is_answered() -> None:
    inbox = an_inbox(calls_max=1)
    asked = Asked(bytes(10))
    inbox.admit(asked.call)
    inbox.run_one()
    assert (inbox.open_calls, inbox.open_bytes) == (1, 10)
    assert not inbox.admit(Asked().call)
    asked.call.reply(Reply(b"now"))
    assert (inbox.open_calls, inbox.open_bytes) == (0, 0) and asked.replies == [Reply(b"now")]
    assert inbox.admit(Asked().call)


def test_a_second_answer_is_dropped_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    inbox = an_inbox()
    asked = Asked()
    inbox.admit(asked.call)
    asked.call.reply(Reply())
    asked.call.fail(ActivationEnded("late"))
    assert len(asked.replies) == 1 and asked.errors == [] and inbox.open_calls == 0
    assert "answered twice" in caplog.text


def test_refusing_answers_what_waits_and_nothing_else() -> None:
    inbox = an_inbox()
    ran, waits = Asked(), Asked()
    inbox.admit(ran.call)
    inbox.run_one()
    inbox.admit(waits.call)
    assert inbox.refuse_waiting(ActivationEnded("over")) == 1
    assert waits.errors[0].code == "activation_ended" and ran.errors == [] and inbox.open_calls == 1
