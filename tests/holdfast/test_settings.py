"""All settings: where a value comes from, what is refused, what is warned about."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from actors.call import Durability
from holdfast.setting import SettingError
from holdfast.settings import Origin, all_settings, load_settings


def test_defaults_need_no_environment() -> None:
    settings = load_settings({})
    assert settings.app_env == "dev"
    assert (settings.service.host, settings.service.port) == ("127.0.0.1", 8700)
    assert settings.warnings == ()


def test_a_flag_is_stronger_than_a_variable_and_a_variable_than_the_default() -> None:
    settings = load_settings({"HOLDFAST_PORT": "1", "HOLDFAST_TTL_S": "3"}, {"HOLDFAST_PORT": "2"})
    assert (settings.service.port, settings.actors.ttl_s) == (2, 3.0)
    origins = {setting.variable: origin for setting, _, origin in settings.rows()}
    assert origins["HOLDFAST_PORT"] is Origin.FLAG
    assert origins["HOLDFAST_TTL_S"] is Origin.ENVIRONMENT
    assert origins["HOLDFAST_HOST"] is Origin.DEFAULT


def test_an_empty_variable_counts_as_absent() -> None:
    assert load_settings({"HOLDFAST_PORT": ""}).service.port == 8700


def test_nested_limits_are_set_by_their_own_variables() -> None:
    settings = load_settings({"HOLDFAST_PARAMETERS_MAX": "5", "HOLDFAST_DURABILITY": "r2"})
    assert settings.actors.database.parameters_max == 5
    assert settings.actors.durability is Durability.R2


@pytest.mark.parametrize("text", ["production", "Dev", "test"])
def test_an_unknown_environment_refuses_to_start(text: str) -> None:
    with pytest.raises(SettingError, match=r"^APP_ENV is .* expected one of dev, staging, prod$"):
        load_settings({"APP_ENV": text})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("HOLDFAST_TTL_S", "0"),
        ("HOLDFAST_RETENTION_S", "86399"),
        ("HOLDFAST_RELIST_AFTER_S", "3601"),
        ("HOLDFAST_PORT", "65536"),
        ("HOLDFAST_DRAIN_TIMEOUT_S", "-1"),
        ("HOLDFAST_SHARED_HOSTS", "0"),
        ("HOLDFAST_BUCKET", "a/b"),
        ("HOLDFAST_CORS_ORIGINS", "example.org"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_under_its_variables_name(variable: str, text: str) -> None:
    with pytest.raises(SettingError, match=f"^{variable}"):
        load_settings({variable: text})


def test_unknown_variables_are_warned_about_with_the_nearest_name() -> None:
    settings = load_settings({"HOLDFAST_PROT": "1", "HOLDFAST_URL": "x", "HOLDFAST_TEST_S3_ENDPOINT": "x", "PATH": "x"})
    assert settings.warnings == ("HOLDFAST_PROT is no setting and was ignored; did you mean HOLDFAST_PORT?",)


def test_fields_that_share_a_variable_agree_on_kind_and_default() -> None:
    by_variable: dict[str, set[tuple[object, object]]] = defaultdict(set)
    for setting in all_settings():
        by_variable[setting.variable].add((setting.kind, setting.default))
    assert {name: kinds for name, kinds in by_variable.items() if len(kinds) > 1} == {}


def test_a_shared_variable_fills_every_field_of_its_name() -> None:
    settings = load_settings({"HOLDFAST_IDLE_EVICT_S": "7"})
    assert (settings.actors.idle_evict_s, settings.host.idle_evict_s) == (7.0, 7.0)
    assert [s.variable for s, _, _ in settings.rows()].count("HOLDFAST_IDLE_EVICT_S") == 1


def test_placement_is_set_by_its_name() -> None:
    assert load_settings({"HOLDFAST_PLACEMENT": "shared"}).placement.mode == "shared"


def test_the_data_directory_is_the_store_unless_a_bucket_is_named() -> None:
    local = load_settings({"HOLDFAST_DATA_DIR": "/d"})
    assert (local.store.kind, local.store.root) == ("local", Path("/d"))
    remote = load_settings({"HOLDFAST_BUCKET": "b", "HOLDFAST_S3_ENDPOINT": "http://127.0.0.1:1"})
    assert remote.store.kind == "s3"
    assert remote.store.s3 is not None
    assert (remote.store.s3.bucket, remote.store.s3.endpoint) == ("b", "http://127.0.0.1:1")


def test_rule_20_one_machine_owns_by_its_lock_on_the_local_store_and_by_the_log_on_a_bucket() -> None:
    assert load_settings({}).actors.ownership == "single_machine"
    assert load_settings({"HOLDFAST_BUCKET": "b"}).actors.ownership == "strict"
    assert load_settings({"HOLDFAST_OWNERSHIP": "strict"}).actors.ownership == "strict"
    one = load_settings({"HOLDFAST_BUCKET": "b", "HOLDFAST_OWNERSHIP": "single_machine"})
    assert one.actors.ownership == "single_machine"
