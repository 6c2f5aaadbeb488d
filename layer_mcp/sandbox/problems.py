"""How Layer says no: problem+json, or FastAPI's list of refused fields; its storage in XML."""

from html import escape
from typing import Any, Literal

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response


class RefusalError(Exception):
    """An error answer in the making."""

    def __init__(
        self, status: int, code: str, detail: str, *, fields: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.fields = fields

    def response(self) -> Response:
        """The refusal as an HTTP answer."""
        if self.fields is not None:
            return JSONResponse({"detail": self.fields}, status_code=self.status)
        return problem(self.status, self.code, self.detail)


class StorageRefusalError(RefusalError):
    """An error answer of the storage host."""

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(status, code, details)
        self.message = message

    def response(self) -> Response:
        """The refusal as XML."""
        details = f"<Details>{escape(self.detail)}</Details>" if self.detail else ""
        xml = (
            "<?xml version='1.0' encoding='UTF-8'?>"
            f"<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message>"
            f"{details}</Error>"
        )
        return Response(xml, self.status, media_type="application/xml; charset=UTF-8")


def problem(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem+json answer (RFC 7807) as Layer writes it."""
    content = {
        "type": f"https://api.layer.ai/errors/{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
    }
    return JSONResponse(content, status, headers, "application/problem+json")


def refused_fields(
    error: ValidationError,
    style: Literal["problem", "fields"],
    *,
    place: Literal["body", "query"] = "body",
) -> RefusalError:
    """A 422 in either of its two shapes."""
    fields = [
        {"loc": [place, *item["loc"]], "msg": item["msg"], "type": item["type"]}
        for item in error.errors()
    ]
    first = fields[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    detail = f"{name}: {first['msg']}"
    return RefusalError(422, "INVALID_INPUTS", detail, fields=fields if style == "fields" else None)
