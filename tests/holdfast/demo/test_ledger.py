"""What clients were told against what is there."""

from __future__ import annotations

from holdfast.demo.ledger import Ledger


def test_every_acknowledged_write_must_be_there_once() -> None:
    ledger = Ledger()
    for key in "abc":
        ledger.acknowledge(key)
    assert ledger.judge("abc").holds
    assert ledger.judge("ab").missing == ("c",)
    assert ledger.judge("abcc").repeated == ("c",)
    assert ledger.judge("abcd").foreign == ("d",)


def test_an_unknown_write_may_be_there_or_not_but_not_twice() -> None:
    ledger = Ledger()
    ledger.doubt("a")
    assert ledger.judge("").holds
    assert ledger.judge("a").survived_unknown == 1
    assert not ledger.judge("aa").holds


def test_a_write_acknowledged_at_its_repetition_is_unknown_no_more() -> None:
    ledger = Ledger()
    ledger.doubt("a")
    ledger.acknowledge("a")
    ledger.doubt("a")
    assert ledger.judge("").missing == ("a",)
