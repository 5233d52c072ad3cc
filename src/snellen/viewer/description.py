"""The viewer's questions and answers as an OpenAPI 3.1 document, so that a script can ask them and a test can try them.

It is made from the same limits and names that the server obeys, and `tests/viewer/test_description.py` holds the rest
true: the routes, and each status under the questions that schemathesis makes up.
"""

from __future__ import annotations

from typing import Any, get_args

from snellen.data.pictures import Fit
from snellen.version import VERSION
from snellen.viewer.auth import Limits
from snellen.viewer.live import UPLOADED

_FOR_ALL = {
    400: "no HTTP, a length said in two ways, or a Host that is not this server's own",
    401: "without the cookie that the printed address gives",
    413: "more bytes or pixels than are read",
    505: "another version than HTTP/1.0 and 1.1",
}
_FOR_ORIGINALS = _FOR_ALL | {
    400: "as for all; or no such split, no such picture, or one without a file",
    415: "its file is no picture any more",
    422: "its file is gone, or broken",
    429: "other pictures are being looked at; ask again after `Retry-After` seconds",
}
_FOR_UPLOADS = _FOR_ALL | {
    400: "as for all; or no such run, no such fit, a picture of another size than /explain takes",
    403: "not from the viewer's own page",
    408: "the picture was not here in time",
    415: "no picture, or of another format",
    422: "a broken picture",
    429: "other pictures are being looked at; ask again after `Retry-After` seconds",
}


def description(*, port: int, runs: int, limits: Limits) -> dict[str, Any]:
    """The OpenAPI document, JSON-able, of a viewer that listens on `port`, shows so many runs and obeys `limits`."""
    home = f"http://127.0.0.1:{port}"
    run = _parameter("run", "query", {"type": "integer", "minimum": 0, "maximum": runs - 1, "default": 0})
    fit = _parameter("fit", "query", {"enum": list(get_args(Fit))})
    origin = {**_parameter("Origin", "header", {"const": home}), "required": True}
    site = _parameter("Sec-Fetch-Site", "header", {"const": "same-origin"})
    file = {"schema": {"type": "string", "format": "binary", "maxLength": limits.body_bytes}}

    def shown(summary: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"get": {"summary": summary, "responses": _responses(kind, schema, _FOR_ALL)}}

    def upload(summary: str, answer: dict[str, Any], formats: list[str], *parameters: dict[str, Any]) -> dict[str, Any]:
        responses = _responses("application/json", answer, _FOR_UPLOADS)
        responses["429"]["headers"] = _RETRY
        body = {"required": True, "content": dict.fromkeys(formats, file)}
        asked = {"parameters": [run, *parameters, origin, site], "requestBody": body}
        return {"post": {"summary": summary, **asked, "responses": responses}}

    def taken(summary: str, schema: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
        responses = _responses("application/json", schema, _FOR_ORIGINALS)
        responses["429"]["headers"] = _RETRY
        return {"get": {"summary": summary, "parameters": list(parameters), "responses": responses}}

    split = {**_parameter("split", "query", {"enum": ["val", "test", "doubted"]}), "required": True}
    number = {**_parameter("id", "query", {"type": "integer", "minimum": 0, "maximum": 10**9 - 1}), "required": True}
    formats = [f"image/{name.lower()}" for name in UPLOADED]
    return {
        "openapi": "3.1.0",
        "info": {"title": "snellen view", "version": VERSION},
        "servers": [{"url": home}],
        "security": [{"came in": []}],
        "components": {"securitySchemes": {"came in": {"type": "apiKey", "in": "cookie", "name": f"snellen-{port}"}}},
        "paths": {
            "/": shown("the page", "text/html", {"type": "string"}),
            "/openapi.json": shown("this document", "application/json", {"type": "object"}),
            "/original": taken("a picture of the page as it lies on the disk", _ORIGINAL, split, number),
            "/answer": upload("what the network says about a picture", _ANSWER, formats, fit),
            "/explain": upload(
                "where it looks, and what it has seen like it, for `input` of /answer", _EXPLANATION, ["image/png"]
            ),
        },
    }


_RETRY = {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}}


def _parameter(name: str, place: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": schema}


def _responses(kind: str, schema: dict[str, Any], refusals: dict[int, str]) -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string", "minLength": 1}}}
    refused = {str(status): {"description": why, "content": text} for status, why in sorted(refusals.items())}
    return {"200": {"description": "it is", "content": {kind: {"schema": schema}}}, **refused}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _array(items: dict[str, Any], length: int | None = None) -> dict[str, Any]:
    return {"type": "array", "items": items} | ({} if length is None else {"minItems": length, "maxItems": length})


_COUNT, _NUMBER, _STRING = {"type": "integer", "minimum": 0}, {"type": "number"}, {"type": "string"}
_SHEET = _object(mime={"const": "image/png"}, columns=_COUNT, tile=_array(_COUNT, 2), count=_COUNT, data=_STRING)
_ORIGINAL = _object(
    shown=_object(mime=_STRING, columns=_COUNT, per=_COUNT, tile=_array(_COUNT, 2), count=_COUNT, data=_STRING),
    square=_array(_NUMBER, 4),
    size=_array(_COUNT, 2),
)
_ANSWER = _object(
    picture=_object(format=_STRING, mode=_STRING, size=_array(_COUNT, 2), notes=_array(_STRING)),
    shown=_SHEET,
    square=_array(_NUMBER, 4),
    input=_SHEET,
    top=_array(_array({"type": "number", "minimum": 0}, 2)),  # class number and probability
    unlike={"type": ["string", "null"]},
)
_EXPLANATION = _object(
    cams=_array({"type": "object"}, 2), activations=_array(_array({"type": "object"})),
    neighbours=_array({"type": "array"}),
    layers=_array(_object(key=_STRING, path=_STRING, map=_array(_COUNT, 2))), learned={"type": "object"},
)  # fmt: skip
