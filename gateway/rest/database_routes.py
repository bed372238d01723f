"""Routes of the database operations: for the framework's router, and as the short cut that the edge takes.

The short cut answers sql and status without walking the router and its middleware; both ways run the same endpoints.
"""

from __future__ import annotations

from starlette.routing import Route

from gateway.asgi import App, Scope
from gateway.rest.database import DatabaseEndpoint, Databases
from gateway.rest.target import DATABASE_SHAPES, parse_target

HOT = frozenset({("POST", "sql"), ("GET", "status")})


class DatabaseRoutes:
    """One endpoint per method, operation and shape of path."""

    def __init__(self, databases: Databases) -> None:
        self._endpoints = {
            (method, name, shape): DatabaseEndpoint(databases, operation, f"{shape}/{name}")
            for (method, name), operation in databases.operations.items()
            for shape in DATABASE_SHAPES
        }

    def for_router(self) -> list[Route]:
        """Every route, the hot ones first."""
        ordered = sorted(self._endpoints, key=lambda key: key[:2] not in HOT)
        return [self._route(method, name, shape) for method, name, shape in ordered]

    def _route(self, method: str, name: str, shape: str) -> Route:
        route = Route(f"{shape}/{name}", self._endpoints[method, name, shape], methods=[method], name=name)
        if (method, name) not in HOT and route.methods is not None:
            route.methods.discard("HEAD")  # the framework adds it: a whole export, made to be thrown away
        return route

    def hot(self, scope: Scope) -> App | None:
        """The endpoint of a hot request, with the path's parameters put into its scope."""
        path: str = scope["path"]
        if not path.endswith(("/sql", "/status")):
            return None
        target = parse_target(path)
        if target is None or (scope["method"], target.operation) not in HOT:
            return None
        scope["path_params"] = {"user": target.user, "profile": target.profile}
        return self._endpoints[scope["method"], target.operation, target.shape]
