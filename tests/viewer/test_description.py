"""The OpenAPI document against the viewer it describes: schemathesis makes up questions, right ones and wrong ones.

Two hundred in the fast tests; `SNELLEN_EXAMPLES=5000 pytest tests/viewer/test_description.py` asks longer.
"""

from __future__ import annotations

import io
import os
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = int(os.environ.get("SNELLEN_EXAMPLES", "25"))  # for each route, of right questions and of wrong ones
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
SIDE = 32


def a_picture(format: str, width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, format)
    return buffer.getvalue()


def pictures(format: str) -> st.SearchStrategy[bytes]:
    """Files of a format: whole, of the network's own size, cut, and any bytes at all."""
    side, level = st.integers(1, 60), st.integers(0, 255)
    whole = st.builds(a_picture, st.just(format), side, side, st.tuples(level, level, level))
    own = st.builds(a_picture, st.just(format), st.just(SIDE), st.just(SIDE), st.tuples(level, level, level))
    cut = st.builds(lambda content, kept: content[: int(kept * len(content))], whole, st.floats(0, 1))
    return st.one_of(whole, own, cut, st.binary(max_size=200))


for _format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"):
    schemathesis.openapi.media_type(f"image/{_format.lower()}", pictures(_format))


@pytest.fixture(scope="module")
def document(viewer: Any) -> dict[str, Any]:
    """As the viewer gives it."""
    said: dict[str, Any] = viewer.client.get("/openapi.json").json()
    return said


def test_it_names_every_route_with_its_method_and_no_other(viewer: Any, document: dict[str, Any]) -> None:
    methods = ("get", "post", "put", "delete", "patch", "options", "trace")
    for path, described in document["paths"].items():
        for method in methods:
            response = viewer.client.request(method, path, headers={"origin": viewer.origin})
            assert (response.status_code == 405) == (method not in described), (method, path)
    assert list(document["paths"]) == ["/", "/openapi.json", "/original", "/answer", "/explain"]


def test_it_is_shown_only_to_who_has_come_in(viewer: Any) -> None:
    assert httpx.get(f"{viewer.origin}/openapi.json").status_code == 401


def test_the_key_that_it_names_is_the_one_that_opens(viewer: Any, document: dict[str, Any]) -> None:
    (key,) = document["components"]["securitySchemes"].values()
    assert (key["in"], f"{key['name']}={viewer.tokens.cookie}") == ("cookie", viewer.cookie)
    assert document["servers"] == [{"url": viewer.origin}]


def test_its_limit_is_the_real_one(viewer: Any, document: dict[str, Any]) -> None:
    body = document["paths"]["/answer"]["post"]["requestBody"]["content"]["image/png"]["schema"]
    assert viewer.post("/answer", bytes(body["maxLength"])).status_code == 415
    assert viewer.post("/answer", bytes(body["maxLength"] + 1)).status_code == 413


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("route", ["GET /", "GET /openapi.json", "POST /answer", "POST /explain"])
def test_every_question_it_allows_or_forbids_gets_an_answer_it_describes(
    viewer: Any, document: dict[str, Any], route: str, mode: Any
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    method, path = route.split(" ")
    operation = schema[path][method]
    seen: set[int] = set()

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES < 1_000,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        cookies = {f"snellen-{viewer.port}": viewer.tokens.cookie}
        response = case.call_and_validate(base_url=viewer.origin, cookies=cookies, checks=CHECKS)
        seen.add(response.status_code)

    ask()
    if method == "POST":
        expected = {200, 422, 415} if mode.value == "positive" else {403}
        assert len(seen & expected) >= min(2, len(expected)), seen
