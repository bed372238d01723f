"""The project's own source files as the floors test sees them: parsed, with their imports, without running them.

Imports under `if TYPE_CHECKING:` are left out: they exist for the type checker alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("storage", "actors", "gateway", "migrate", "holdfast", "bench")
PURE_MARK = "Pure."


@dataclass(frozen=True)
class Source:
    """One file. `name` is its path below the repository, `module` what Python calls it."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)

    @property
    def module(self) -> str:
        return self.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        return self.name.split("/")[0]

    @property
    def room(self) -> str:
        """The folder below the package, or the file itself where it stands at the package's root."""
        return ".".join(self.module.split(".")[:2])

    @property
    def docstring(self) -> str:
        return ast.get_docstring(self.tree) or ""

    @property
    def is_pure(self) -> bool:
        """Whether the file's docstring has the sentence `Pure.`"""
        return PURE_MARK in self.docstring.split()

    @cached_property
    def imports(self) -> frozenset[str]:
        """Every module named by an import; `from a import b` counts as `a` and as `a.b`."""
        return frozenset(_imports(self.tree))

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    @property
    def environment_reads(self) -> list[int]:
        """Lines that touch the process's environment."""
        names = {"environ", "environb", "getenv", "getenvb", "putenv"}
        return [
            node.lineno
            for node in ast.walk(self.tree)
            if (isinstance(node, ast.Attribute) and node.attr in names and _is_name(node.value, "os"))
            or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {a.name for a in node.names})
        ]


def package_sources() -> list[Source]:
    """Every file of the installed packages."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def sources_of_tests() -> list[Source]:
    """Every file below tests/."""
    paths = sorted((ROOT / "tests").rglob("*.py"))
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def _imports(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            yield from (name for part in child.orelse for name in _imports(ast.Module([part], [])))
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            yield base
            yield from (f"{base}.{alias.name}" for alias in child.names)
        else:
            yield from _imports(child)


def _is_type_checking(test: ast.expr) -> bool:
    return _is_name(test, "TYPE_CHECKING") or (isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING")


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
