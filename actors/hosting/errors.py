"""Errors of the way to an actor, for those who react differently to them.

    HostUnavailable                 the host cannot be reached now
    └── LinkLost                    the connection ended under a call; `may_have_run` says whether it was written
        └── NobodyListens           there is no such socket any more: that life of the host is over
    ActorError
    ├── MalformedFrame              the other side broke the link's format: that connection ends
    └── LinkRefused                 the other side does not know the secret, or speaks no common version

What an actor itself answers comes back as the error of actors.errors or storage.errors that it was.
"""

from __future__ import annotations

from actors.errors import ActorError, HostUnavailable


class LinkLost(HostUnavailable):
    """`may_have_run` False: the call surely did not reach an activation."""

    def __init__(self, message: str, *, may_have_run: bool) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


class NobodyListens(LinkLost):
    """Nothing ran, and asking at the same place again is of no use."""

    def __init__(self, message: str) -> None:
        super().__init__(message, may_have_run=False)


class MalformedFrame(ActorError):
    code = "malformed_frame"


class LinkRefused(ActorError):
    code = "link_refused"
