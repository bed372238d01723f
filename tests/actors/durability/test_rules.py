"""The rules as switches: all on, and no setting turns one off."""

from __future__ import annotations

from dataclasses import fields

from actors.durability.parts import Parts
from actors.durability.rules import Rules
from actors.settings import ActorSettings
from storage.log.claim import ClaimRules


def test_every_rule_is_on() -> None:
    rules = Rules()
    assert all(getattr(rules, each.name) is True for each in fields(rules) if each.name != "claim")
    assert all(getattr(rules.claim, each.name) is True for each in fields(ClaimRules))


def test_parts_follow_every_rule_unless_a_test_says_otherwise() -> None:
    default = next(each for each in fields(Parts) if each.name == "rules").default_factory
    assert default is Rules


def test_no_setting_names_a_rule() -> None:
    rules = {each.name for each in (*fields(Rules), *fields(ClaimRules))}
    assert not rules & {each.name for each in fields(ActorSettings)}
