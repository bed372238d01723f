"""Many keep-alive connections driven by one epoll loop: the clients of one generator process.

Made so that the generator costs little beside what it measures: requests are bytes made in advance, no coroutines, one
`recv` and one `send` per request. One request is under way per connection. A connection that breaks is counted as a
failure and opened again, so that a server's refusal never ends a run by itself.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.load.http import AnswerReader, ProtocolError
from bench.load.outcome import Outcome
from bench.load.schedule import NS, Schedule
from bench.load.timer import Timer

RECEIVE_BYTES = 256 << 10
WAIT_MAX_S = 1.0
BROKEN_MAX = 10_000
# How long after the end of an open loop answers are still waited for.
DRAIN_S = 5.0

Request = tuple[str, bytes]  # kind, the bytes to send


class TooManyBroken(Exception):
    """Connections break faster than they are opened: there is nothing to measure."""


@dataclass(slots=True)
class _Connection:
    link: socket.socket
    reader: AnswerReader = field(default_factory=AnswerReader)
    kind: str = ""
    since_ns: int = 0
    unsent: bytes = b""


class LoadClients:
    """`connections` clients of one server. `run` may be called once."""

    def __init__(self, host: str, port: int, *, connections: int, next_request: Callable[[], Request]) -> None:
        self._server = (host, port)
        self._next_request = next_request
        self._epoll = select.epoll()
        self._by_fd: dict[int, _Connection] = {}
        self._free: deque[_Connection] = deque()
        self._due: deque[int] = deque()
        self._outcome = Outcome()
        self._open = False
        self._count_from_ns = 0
        self._end_ns = 0
        for _ in range(connections):
            self._free.append(self._connect())

    def run(self, schedule: Schedule, arrivals: Iterator[int], *, start_ns: int) -> Outcome:
        """Load the server from `start_ns` (monotonic) on. `arrivals` are an open loop's due times since then."""
        self._open = schedule.open
        self._count_from_ns = start_ns + int(schedule.warmup_s * NS)
        self._end_ns = start_ns + schedule.span_ns
        time.sleep(max(0.0, (start_ns - time.monotonic_ns()) / NS))
        cpu_from = time.process_time()
        try:
            if schedule.open:
                self._run_open(arrivals, start_ns)
            else:
                self._run_closed()
        finally:
            self._close()
        outcome = self._outcome
        outcome.seconds = schedule.duration_s
        outcome.cpu_s = (time.process_time() - cpu_from) * schedule.duration_s / (schedule.span_ns / NS)
        return outcome

    # ---- the two loops

    def _run_closed(self) -> None:
        while self._free:
            self._send(self._free.popleft(), time.monotonic_ns())
        while time.monotonic_ns() < self._end_ns:
            for fd, events in self._epoll.poll(WAIT_MAX_S):
                connection = self._serve(fd, events)
                if connection is not None:
                    self._send(connection, time.monotonic_ns())

    def _run_open(self, arrivals: Iterator[int], start_ns: int) -> None:
        timer = Timer()
        self._epoll.register(timer.fileno(), select.EPOLLIN)
        upcoming = next(arrivals, None)
        try:
            while upcoming is not None or self._due or len(self._free) < len(self._by_fd):
                now = time.monotonic_ns()
                if now > self._end_ns + DRAIN_S * NS:
                    break
                while upcoming is not None and start_ns + upcoming <= now:
                    self._outcome.late_ns_max = max(self._outcome.late_ns_max, now - start_ns - upcoming)
                    self._due.append(start_ns + upcoming)
                    upcoming = next(arrivals, None)
                while self._due and self._free:
                    self._send(self._free.popleft(), self._due.popleft())
                if upcoming is not None:
                    timer.ring_at(start_ns + upcoming)
                self._wait_open(timer)
        finally:
            timer.close()
        self._outcome.unsent = len(self._due) + len(self._by_fd) - len(self._free)

    def _wait_open(self, timer: Timer) -> None:
        for fd, events in self._epoll.poll(WAIT_MAX_S):
            if fd == timer.fileno():
                timer.quiet()
                continue
            connection = self._serve(fd, events)
            if connection is not None:
                if self._due:
                    self._send(connection, self._due.popleft())
                else:
                    self._free.append(connection)

    # ---- one connection

    def _connect(self) -> _Connection:
        link = socket.create_connection(self._server, timeout=30)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setblocking(False)
        connection = _Connection(link)
        self._by_fd[link.fileno()] = connection
        self._epoll.register(link.fileno(), select.EPOLLIN)
        return connection

    def _send(self, connection: _Connection, due_ns: int) -> None:
        """Send the next request. Its latency counts from `due_ns`."""
        connection.kind, data = self._next_request()
        connection.since_ns = due_ns
        try:
            sent = connection.link.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the break shows up in epoll, and is counted there
        if sent < len(data):
            connection.unsent = data[sent:]
            self._epoll.modify(connection.link.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _serve(self, fd: int, events: int) -> _Connection | None:
        """Carry one connection on; it is returned when it is free again."""
        connection = self._by_fd[fd]
        try:
            if events & select.EPOLLOUT and connection.unsent:
                connection.unsent = connection.unsent[connection.link.send(connection.unsent) :]
                if not connection.unsent:
                    self._epoll.modify(fd, select.EPOLLIN)
            if not events & ~select.EPOLLOUT:
                return None
            data = connection.link.recv(RECEIVE_BYTES)
            if not data:
                return self._replace(connection, "closed by the server")
            status = connection.reader.feed(data)
        except BlockingIOError:
            return None
        except (OSError, ProtocolError) as error:
            return self._replace(connection, str(error))
        if not status:
            return None
        self._count(connection, status)
        return self._replace(connection, "") if connection.reader.closing else connection

    def _count(self, connection: _Connection, status: int) -> None:
        now = time.monotonic_ns()
        # A closed loop counts what ends inside the time; an open one what was due inside it, however late it ended.
        at = connection.since_ns if self._open else now
        if not self._count_from_ns <= at <= self._end_ns:
            return
        if 200 <= status < 300:
            self._outcome.histogram(connection.kind).record(now - connection.since_ns)
        else:
            self._outcome.failures[str(status)] += 1
            if not self._outcome.first_failure:
                self._outcome.first_failure = f"{connection.kind}: {connection.reader.body_bytes()[:300]!r}"

    def _replace(self, connection: _Connection, why: str) -> _Connection:
        if why:
            self._outcome.failures["broken"] += 1
            self._outcome.first_failure = self._outcome.first_failure or f"{connection.kind}: {why}"
            if self._outcome.failures["broken"] > BROKEN_MAX:
                raise TooManyBroken(f"{BROKEN_MAX} connections broke, the last one: {why}")
        self._drop(connection)
        return self._connect()

    def _drop(self, connection: _Connection) -> None:
        self._epoll.unregister(connection.link.fileno())
        del self._by_fd[connection.link.fileno()]
        connection.link.close()

    def _close(self) -> None:
        for connection in list(self._by_fd.values()):
            self._drop(connection)
        self._epoll.close()
