"""Hypothesis strategies for parts of keys and for keys of every layout."""

from __future__ import annotations

from hypothesis import strategies as st

from storage.layout.address import ENVIRONMENTS, RESERVED_IDS
from storage.layout.flat import EarlyProfileFile, FlatFile, FlatGame
from storage.layout.media_type import MEDIA_TYPES
from storage.layout.part import InvalidKey
from storage.layout.profiled import EnvironmentFile, ProfileFile, UserFile
from storage.layout.project import OutputFile, SceneFile
from storage.layout.recognize import BareFile, ParsedKey
from storage.objects.key import key_problem

ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,12}", fullmatch=True).filter(lambda text: text not in RESERVED_IDS)
names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\x7f", exclude_categories=["Cc"]), min_size=1, max_size=8
).filter(lambda text: key_problem(text) is None)
parts = names | st.sampled_from(["profiles", "users", "projects", "log", "_log", "games", "database.sqlite"])
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
environments = st.sampled_from(ENVIRONMENTS)


def _made(kind: type[ParsedKey], *fields: st.SearchStrategy[str]) -> st.SearchStrategy[ParsedKey]:
    """Values of `kind`; fields that belong to another kind are left out."""

    def make(values: tuple[str, ...]) -> ParsedKey | None:
        try:
            return kind(*values)
        except InvalidKey:
            return None

    return st.tuples(*fields).map(make).filter(lambda made: made is not None)  # type: ignore[return-value]


flat_keys = _made(FlatFile, ids, paths) | _made(EarlyProfileFile, ids, ids, paths) | _made(FlatGame, paths)
profiled_keys = (
    _made(ProfileFile, environments, ids, ids, paths)
    | _made(UserFile, environments, ids, paths)
    | _made(EnvironmentFile, environments, paths)
)
project_keys = _made(SceneFile, names, names, names, st.sampled_from(MEDIA_TYPES), names) | _made(
    OutputFile, names, names, names
)
all_keys = flat_keys | profiled_keys | project_keys | _made(BareFile, names)
