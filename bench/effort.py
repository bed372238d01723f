"""How much is measured, and the names by which a part of it can be asked for. Pure."""

from __future__ import annotations

from dataclasses import dataclass

CONTENDERS = ("shared", "dedicated", "workerd", "files", "postgres", "naive")
QUICK_CONTENDERS = ("shared", "workerd", "files")
FIGURES = ("generator", "activation", "memory", "flush", "cost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """`generators` is the number of generator processes."""

    rounds: int
    duration_s: float
    warmup_s: float
    generators: int = 1


QUICK = Effort(rounds=3, duration_s=1.0, warmup_s=0.3)
FULL = Effort(rounds=7, duration_s=3.0, warmup_s=1.5)
