"""Forms of pages: urlencoded bodies as a dict of texts."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from assent.web.refusals import Refusal

MOST_FIELDS = 500


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; of fields sent twice the last. Raises Refusal for anything else than a form."""
    if not is_form(request):
        raise Refusal(422, "this address takes a form", "use the form on the page")
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise Refusal(422, "the form cannot be read", "use the form on the page") from None
    if any("\x00" in part for pair in pairs for part in pair):
        raise Refusal(422, "the form holds a NUL character", "remove it")
    return dict(pairs)


def is_form(request: Request) -> bool:
    """Is the body urlencoded?"""
    return request.headers.get("content-type", "").partition(";")[0].strip() == "application/x-www-form-urlencoded"


Form = Annotated[dict[str, str], Depends(read_form)]
"""The fields of the form that was sent."""
