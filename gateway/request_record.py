"""What remains of a request once it is answered: its counts in the metrics and its line in the log."""

from __future__ import annotations

from typing import Protocol

from gateway.json_logs import RequestLine, RequestLog
from gateway.metrics import GatewayMetrics
from storage.clock import Clock


class Answered(Protocol):
    """A request that is over; the words mean what they mean in `gateway.context`."""

    request_id: str
    started_at: float
    status: int
    mode: str
    code: str

    @property
    def user(self) -> str: ...
    @property
    def profile(self) -> str: ...


class RequestRecords:
    """Takes every request once, however it was served."""

    def __init__(self, metrics: GatewayMetrics, requests: RequestLog, *, clock: Clock, access_log: bool) -> None:
        self._metrics = metrics
        self._requests = requests
        self._clock = clock
        self._access_log = access_log

    def add(self, answered: Answered, *, method: str, route: str, bytes_in: int) -> None:
        """Count it, and write its line where lines are wanted. `route` is the template, never the path."""
        seconds = self._clock.now() - answered.started_at
        self._metrics.observe(route=route, method=method, status=answered.status, mode=answered.mode, seconds=seconds)
        if self._access_log:
            line = RequestLine(
                time=self._clock.wall(),
                message="request",
                request_id=answered.request_id,
                method=method,
                route=route,
                status=answered.status,
                ms=round(seconds * 1000, 3),
                user=answered.user,
                profile=answered.profile,
                mode=answered.mode,
                code=answered.code,
                bytes_in=bytes_in,
            )
            self._requests.add(line)
