"""The built wheel alone, in an empty environment, from another folder: the demo runs, hosts included.

Nothing of the repository is on the path there, so what Ray's workers import comes from the wheel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("storage", "actors", "gateway", "migrate", "holdfast", "bench")
# What pip says when no package index can be reached at all.
UNREACHABLE = ("Max retries exceeded", "name resolution", "Network is unreachable", "Connection refused")

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the pins and the wheel, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = build_wheel(folder)
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    install(python, "--require-hashes", "--requirement", str(ROOT / "constraints.txt"))
    install(python, "--no-deps", str(wheel))
    return python


def build_wheel(folder: Path) -> Path:
    """A wheel of what is in the repository, built beside it."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip(Path(sys.executable), "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("holdfast-*.whl")
    return wheel


def install(python: Path, *arguments: str) -> None:
    pip(python, "install", *arguments)


def pip(python: Path, *arguments: str) -> None:
    done = subprocess.run(
        [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and any(text in done.stderr for text in UNREACHABLE):
        pytest.skip("no package index can be reached, and the pins are not cached")
    assert done.returncode == 0, done.stderr


def environment() -> dict[str, str]:
    """Ours without what would lead back to the repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HOLDFAST_", "RAY_"))}


def test_every_package_and_its_data_files_are_in_the_wheel(python: Path, tmp_path: Path) -> None:
    places = subprocess.run(
        [str(python), "-c", f"import {', '.join(PACKAGES)}; print(*({', '.join(f'{n}.__file__' for n in PACKAGES)},))"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    site = {Path(place).parents[1] for place in places}
    assert len(site) == 1
    installed = site.pop()
    assert python.parents[1] in installed.parents
    for package in PACKAGES:
        wanted = {
            p.relative_to(ROOT) for p in (ROOT / package).rglob("*") if p.is_file() and "__pycache__" not in p.parts
        }
        assert {path for path in wanted if not (installed / path).exists()} == set()


def test_the_demo_runs_from_the_wheel_in_another_folder(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(python.parent / "holdfast"), "demo"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 missing, 0 repeated, 0 never written" in done.stdout
    assert list(tmp_path.iterdir()) == []
