"""Who may import what, where foreign libraries live, what a pure file may not touch, how long things may grow.

The floors: storage, actors, then gateway and migrate side by side, then holdfast, then bench. docs/architecture.md
explains them.
Each rule is a function from sources to complaints, so that a second test can show each rule complaining.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest

from tests.architecture.sources import Source, package_sources, sources_of_tests

FLOORS = {"storage": 0, "actors": 1, "gateway": 2, "migrate": 2, "holdfast": 3, "bench": 4}
# The command that runs the benchmarks: the one way into bench from below.
DOOR_TO_BENCH = "holdfast/commands/bench.py"
# Library -> how the names of the files that may import it begin.
ONLY_IN = {
    "ray": "actors/hosting/ray_cluster.py",
    "boto3": "storage/objects/s3.py",
    "botocore": "storage/objects/s3",
}
IMPURE = frozenset(
    {
        "asyncio",
        "boto3",
        "botocore",
        "apsw",
        "ray",
        "fastapi",
        "starlette",
        "os",
        "time",
        "random",
        "secrets",
        "socket",
        "subprocess",
        "threading",
        "uuid",
    }
)
VAGUE_NAMES = frozenset({"utils", "util", "common", "helpers", "helper", "misc"})
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
GUARDED_LINES_MAX = {"actors/activation.py": 300}

Rule = Callable[[list[Source]], list[str]]


def imports_go_down(sources: list[Source]) -> list[str]:
    """A file imports from its own floor or a lower one; the two packages of one floor leave each other alone."""
    return [
        f"{source.name} imports {name}"
        for source in sources
        for name in sorted(source.imports)
        if (target := name.split(".")[0]) in FLOORS
        and target != source.package
        and FLOORS[target] >= FLOORS[source.package]
        and not (target == "bench" and source.name == DOOR_TO_BENCH)
    ]


def no_import_of_tests(sources: list[Source]) -> list[str]:
    """What is shipped runs without what tests and measures it."""
    return [
        f"{source.name} imports {name}"
        for source in sources
        for name in sorted(source.imports)
        if name.split(".")[0] in _not_for(source)
    ]


def rooms_have_no_cycles(sources: list[Source]) -> list[str]:
    """Inside a package too, imports go one way: two rooms that need each other are one room, or three."""
    rooms = {source.room for source in sources}
    needs: dict[str, set[str]] = {room: set() for room in rooms}
    for source in sources:
        needs[source.room] |= {
            room for name in source.imports if (room := ".".join(name.split(".")[:2])) in rooms and room != source.room
        }
    return [f"{' -> '.join(cycle)}" for cycle in _cycles(needs)]


def environment_is_read_at_the_front_door(sources: list[Source]) -> list[str]:
    return [
        f"{source.name}:{line} reads the environment"
        for source in sources
        for line in source.environment_reads
        if source.package != "holdfast" and not source.name.endswith("/__main__.py")
    ]


def foreign_libraries_stay_in_their_file(sources: list[Source]) -> list[str]:
    return [
        f"{source.name} imports {name}, which belongs to {ONLY_IN[name.split('.')[0]]}"
        for source in sources
        for name in sorted(source.imports)
        if not source.name.startswith(ONLY_IN.get(name.split(".")[0], ""))
    ]


def pure_files_are_pure(sources: list[Source]) -> list[str]:
    """Nor does a pure file reach I/O, time or randomness through another file of ours."""
    by_module = {source.module: source for source in sources}
    complaints = []
    for source in (source for source in sources if source.is_pure):
        for path in _reach(source, by_module):
            for name in sorted({name.split(".")[0] for name in path[-1].imports} & IMPURE):
                complaints.append(f"{' -> '.join(step.name for step in path)} imports {name}")
    return complaints


def names_say_something(sources: list[Source]) -> list[str]:
    return [source.name for source in sources if VAGUE_NAMES & set(source.module.split("."))]


def files_open_with_a_docstring(sources: list[Source]) -> list[str]:
    return [source.name for source in sources if source.text.strip() and not source.docstring]


def files_and_functions_are_bounded(sources: list[Source]) -> list[str]:
    complaints = []
    for source in sources:
        lines, bound = source.text.count("\n"), GUARDED_LINES_MAX.get(source.name, FILE_LINES_MAX)
        if lines > bound:
            complaints.append(f"{source.name} has {lines} lines, at most {bound}")
        for function in source.functions():
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > FUNCTION_LINES_MAX:
                complaints.append(f"{source.name}: {function.name} has {length} lines, at most {FUNCTION_LINES_MAX}")
    return complaints


RULES: list[Rule] = [
    imports_go_down,
    no_import_of_tests,
    rooms_have_no_cycles,
    environment_is_read_at_the_front_door,
    foreign_libraries_stay_in_their_file,
    pure_files_are_pure,
    names_say_something,
    files_open_with_a_docstring,
    files_and_functions_are_bounded,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_sources_keep_the_rule(rule: Rule) -> None:
    complaints = rule(package_sources())
    assert not complaints, "\n" + "\n".join(complaints)


def test_tests_have_names_that_say_something() -> None:
    assert names_say_something(sources_of_tests()) == []


def _not_for(source: Source) -> tuple[str, ...]:
    may_bench = source.package == "bench" or source.name == DOOR_TO_BENCH
    return ("tests", "hypothesis") if may_bench else ("tests", "hypothesis", "bench")


OFFENDERS: list[tuple[Rule, dict[str, str]]] = [
    (imports_go_down, {"storage/a.py": "from actors.call import Op"}),
    (imports_go_down, {"gateway/a.py": "import migrate.driver"}),
    (imports_go_down, {"migrate/a.py": "import gateway.app"}),
    (imports_go_down, {"actors/a.py": "def f():\n    from holdfast import settings"}),
    (no_import_of_tests, {"actors/a.py": "import tests.world"}),
    (no_import_of_tests, {"holdfast/commands/serve.py": "import bench.run"}),
    (no_import_of_tests, {"bench/a.py": "import hypothesis"}),
    (imports_go_down, {"holdfast/demo/a.py": "import bench.run"}),
    (
        rooms_have_no_cycles,
        {"storage/log/a.py": "import storage.objects.b", "storage/objects/b.py": "import storage.log.a"},
    ),
    (environment_is_read_at_the_front_door, {"actors/a.py": "import os\nos.environ['X']"}),
    (environment_is_read_at_the_front_door, {"storage/a.py": "from os import getenv"}),
    (foreign_libraries_stay_in_their_file, {"holdfast/a.py": "import ray"}),
    (foreign_libraries_stay_in_their_file, {"storage/objects/presign.py": "from botocore.config import Config"}),
    (pure_files_are_pure, {"storage/a.py": '"""Decides. Pure."""\nimport time'}),
    (
        pure_files_are_pure,
        {"storage/a.py": '"""Pure."""\nimport storage.b', "storage/b.py": '"""Not."""\nimport random'},
    ),
    (names_say_something, {"actors/utils.py": ""}),
    (files_open_with_a_docstring, {"actors/a.py": "X = 1"}),
    (files_and_functions_are_bounded, {"actors/a.py": "\n" * 401}),
    (files_and_functions_are_bounded, {"actors/activation.py": "\n" * 301}),
    (files_and_functions_are_bounded, {"actors/a.py": "def f():\n" + "    x = 1\n" * 70}),
]


@pytest.mark.parametrize(("rule", "files"), OFFENDERS, ids=lambda value: getattr(value, "__name__", None))
def test_rule_complains_about_an_offender(rule: Rule, files: Mapping[str, str]) -> None:
    assert rule([Source(name, text) for name, text in files.items()])


def test_imports_for_the_type_checker_alone_do_not_count() -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ray\nelse:\n    import boto3\n"
    assert {"ray", "boto3"} & Source("actors/a.py", text).imports == {"boto3"}


def _reach(source: Source, by_module: Mapping[str, Source]) -> Iterable[list[Source]]:
    """The file itself and every file of ours it leads to, each as the path of imports that leads there."""
    seen, waiting = {source.module}, [[source]]
    while waiting:
        path = waiting.pop()
        yield path
        for name in sorted(path[-1].imports):
            if name in by_module and name not in seen:
                seen.add(name)
                waiting.append([*path, by_module[name]])


def _cycles(needs: Mapping[str, set[str]]) -> list[list[str]]:
    """One path per room that leads back to itself."""
    found = []
    for start in sorted(needs):
        seen, waiting = set[str](), [[start]]
        while waiting:
            path = waiting.pop()
            for room in sorted(needs[path[-1]]):
                if room == start:
                    found.append([*path, room])
                elif room not in seen:
                    seen.add(room)
                    waiting.append([*path, room])
    return found
