"""Every setting of the service, from the environment and the command line, as values.

Holds what belongs to no single floor (`ServiceSettings`) and puts the floors' own dataclasses beside it. A value comes
from a flag, else from its `HOLDFAST_…` variable, else from its default. Variables nobody reads are warned about, wrong
values are one line that begins with the variable's name. docs/settings.md is generated from here.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from actors.hosting.settings import HostSettings, PlacementSettings, RouterSettings
from actors.settings import ActorSettings
from gateway.settings import GatewaySettings
from holdfast.setting import PREFIX, Setting, SettingError, settings_of
from storage.errors import InvalidRequest
from storage.flags.settings import FlagSettings
from storage.objects.settings import S3Settings, StoreSettings
from storage.r2_sqlite.settings import R2ModeSettings

APP_ENV = "APP_ENV"
OWNERSHIP = "HOLDFAST_OWNERSHIP"
SAVE_INTERVAL = "HOLDFAST_R2_SAVE_INTERVAL_S"
# Read by the command line's clients and by the tests, so no setting of the service.
OTHER_VARIABLES = frozenset({"HOLDFAST_URL"})
OTHER_PREFIXES = ("HOLDFAST_TEST_",)

Environment = Literal["dev", "staging", "prod"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Where the service listens and keeps its local state. Port 0 picks a free one."""

    host: str = "127.0.0.1"
    port: int = 8700
    data_dir: Path = Path("user_data")

    def validate(self) -> ServiceSettings:
        """Self, or `InvalidRequest` naming the field."""
        if not 0 <= self.port <= 65535:
            raise InvalidRequest(f"port is {self.port}, expected 0 to 65535")
        return self

    @property
    def local_dir(self) -> Path:
        """Journals and everything else that belongs to this machine and not to the bucket."""
        return self.data_dir / ".holdfast"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSettings:
    """Which environment's part of the bucket is served."""

    app_env: Environment = "dev"


class Origin(StrEnum):
    """Where a value came from."""

    DEFAULT = "default"
    ENVIRONMENT = "env"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them. `origins` and `warnings` are for people: `holdfast config show`, the first lines of the log."""

    environment: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    service: ServiceSettings = field(default_factory=ServiceSettings)
    s3: S3Settings = field(default_factory=lambda: S3Settings(bucket=""))
    actors: ActorSettings = field(default_factory=ActorSettings)
    placement: PlacementSettings = field(default_factory=PlacementSettings)
    host: HostSettings = field(default_factory=HostSettings)
    router: RouterSettings = field(default_factory=RouterSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    flags: FlagSettings = field(default_factory=FlagSettings)
    r2_mode: R2ModeSettings = field(default_factory=R2ModeSettings)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def app_env(self) -> Environment:
        return self.environment.app_env

    @property
    def store(self) -> StoreSettings:
        """The object store: the bucket where one is named, else the data directory."""
        if self.s3.bucket:
            return StoreSettings(kind="s3", s3=self.s3)
        return StoreSettings(kind="local", root=self.service.data_dir)

    def rows(self) -> list[tuple[Setting, str, Origin]]:
        """Each variable with its value as text (secrets masked) and its origin."""
        first = {setting.variable: setting for setting in reversed(all_settings())}
        return [
            (setting, setting.show(_value_at(self, setting)), self.origins.get(setting.variable, Origin.DEFAULT))
            for setting in reversed(first.values())
        ]


SECTIONS = ("environment", "service", "s3", "actors", "placement", "host", "router", "gateway", "flags", "r2_mode")
# Fields whose own name says too little outside their dataclass.
_VARIABLES = {
    ("environment", "app_env"): APP_ENV,
    ("placement", "mode"): "HOLDFAST_PLACEMENT",
    ("s3", "bucket"): "HOLDFAST_BUCKET",
    ("flags", "backend"): "HOLDFAST_FLAGS",
    ("r2_mode", "shadow_share"): "HOLDFAST_SHADOW_SHARE",
}
_SECTION_PREFIXES = {"s3": "HOLDFAST_S3_", "flags": "HOLDFAST_FLAGS_", "r2_mode": "HOLDFAST_R2_"}


def all_settings() -> list[Setting]:
    """Every setting there is, in the order in which people read them.

    Two floors may have a field of the same name and meaning; one variable then fills both.
    """
    defaults = Settings()
    return [
        dataclasses.replace(setting, variable=_variable(setting))
        for section in SECTIONS
        for setting in settings_of(section, getattr(defaults, section))
    ]


def load_settings(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Settings:
    """Settings from variables and from flags (variable -> text, the stronger of the two), checked.

    Raises `SettingError` naming the variable. An empty variable counts as absent.
    """
    given, origins = _collect(environ, flags or {})
    settings = Settings(origins=origins, warnings=tuple(unknown_variables(environ)))
    for setting in all_settings():
        if setting.variable in given:
            settings = _with_value(settings, setting, setting.parse(given[setting.variable]))
    return _validated(_with_derived_defaults(settings))


def unknown_variables(environ: Iterable[str]) -> list[str]:
    """One warning for each `HOLDFAST_…` variable that nothing reads."""
    known = sorted(setting.variable for setting in all_settings())
    warnings = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.startswith(OTHER_PREFIXES) or name in OTHER_VARIABLES or name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        warnings.append(f"{name} is no setting and was ignored" + (f"; did you mean {close[0]}?" if close else ""))
    return warnings


def _collect(environ: Mapping[str, str], flags: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Origin]]:
    given: dict[str, str] = {}
    origins: dict[str, Origin] = {}
    for setting in all_settings():
        name = setting.variable
        if name in flags:
            given[name], origins[name] = flags[name], Origin.FLAG
        elif environ.get(name, "") != "":
            given[name], origins[name] = environ[name], Origin.ENVIRONMENT
    return given, origins


def _variable(setting: Setting) -> str:
    name = _VARIABLES.get((setting.section, setting.path[-1]))
    return name or _SECTION_PREFIXES.get(setting.section, PREFIX) + setting.path[-1].upper()


def _with_derived_defaults(settings: Settings) -> Settings:
    """On the local store, unless somebody says otherwise: only this machine can claim (rule 20), and a key may be
    written as often as one likes."""
    if settings.s3.bucket:
        return settings
    if OWNERSHIP not in settings.origins:
        settings = _with(settings, "actors", ownership="single_machine")
    return settings if SAVE_INTERVAL in settings.origins else _with(settings, "r2_mode", save_interval_s=0.0)


def _with(settings: Settings, section: str, **values: object) -> Settings:
    section_values: Any = dataclasses.replace(getattr(settings, section), **values)
    changed: Settings = _replaced(settings, (section,), section_values)
    return changed


def _validated(settings: Settings) -> Settings:
    for section in SECTIONS:
        validate = getattr(getattr(settings, section), "validate", None)
        if validate is None or (section == "s3" and not settings.s3.bucket):
            continue
        try:
            validate()
        except InvalidRequest as error:
            raise SettingError(_name_variable(error.message, section)) from error
    return settings


def _name_variable(message: str, section: str) -> str:
    """A floor's complaint about its field, opened with the name under which people know it."""
    for setting in all_settings():
        if setting.section == section and re.search(rf"\b{setting.path[-1]}\b", message):
            return f"{setting.variable}: {message}"
    return message


def _value_at(settings: Settings, setting: Setting) -> object:
    value: Any = getattr(settings, setting.section)
    for name in setting.path:
        value = getattr(value, name)
    return value


def _with_value(settings: Settings, setting: Setting, value: object) -> Settings:
    changed: Settings = _replaced(settings, (setting.section, *setting.path), value)
    return changed


def _replaced(holder: Any, path: tuple[str, ...], value: object) -> Any:
    name, *rest = path
    inner = _replaced(getattr(holder, name), tuple(rest), value) if rest else value
    return dataclasses.replace(holder, **{name: inner})
