"""`/openapi.json`, and `/docs` with every asset served from here: a browser without internet shows it too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import swagger_ui_bundle
from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, JSONResponse, Response

from gateway.errors import NotFound
from gateway.parts import GatewayParts
from gateway.rest.openapi import openapi_document

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_FOLDER = Path(swagger_ui_bundle.swagger_ui_path)


class Docs:
    """The document is made once, on first request."""

    def __init__(self, parts: GatewayParts) -> None:
        self._settings = parts.settings
        self._document: dict[str, Any] | None = None

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/openapi.json", self.document, methods=["GET"])
        router.add_api_route("/docs", self.page, methods=["GET"])
        router.add_api_route("/docs/assets/{name}", self.asset, methods=["GET"])
        return router

    async def document(self, request: Request) -> Response:
        if self._document is None:
            self._document = openapi_document(
                request.app, user_header=self._settings.user_header, guarded=self._settings.guarded
            )
        return JSONResponse(self._document)

    async def page(self, request: Request) -> Response:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Holdfast",
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon-32x32.png",
        )

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            raise NotFound(f"no asset {name[:80]!r}")
        return FileResponse(_FOLDER / name, media_type=ASSETS[name])
