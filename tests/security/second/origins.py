"""Which pages of others may read: one way of getting it wrong for each path."""

import re

TRUSTED = "https://app.example.com"


def _weak(path, origin):
    return {
        "/cors/any": True,
        "/cors/null": origin in (TRUSTED, "null"),
        "/cors/ends": origin.endswith("example.com"),
        "/cors/begins": origin.startswith(TRUSTED),
        "/cors/dot": re.fullmatch("https://app.example.com", origin) is not None,
        "/cors/plain": origin in (TRUSTED, "http://app.example.com"),
    }.get(path, False)


def headers(safe, request):
    origin = request.headers.get("origin")
    path = request.path
    # Traps, on both: public data, the credentials header alone, one answer for everybody.
    if path == "/cors/public":
        return {"access-control-allow-origin": "*"}
    if path == "/cors/alone":
        return {"access-control-allow-credentials": "true"}
    if path == "/cors/fixed":
        return {"access-control-allow-origin": TRUSTED, "access-control-allow-credentials": "true"}
    if not path.startswith("/cors/") or origin is None:
        return {}
    allowed = origin == TRUSTED
    if path == "/cors/below":
        # A trap: what is below it is trusted too, and nothing that only looks so.
        allowed = re.fullmatch(r"https://([a-z0-9-]+\.)*app\.example\.com", origin) is not None
    elif path == "/cors/preflight":
        allowed = allowed or not safe and request.method == "OPTIONS"
    elif not safe:
        allowed = allowed or _weak(path, origin)
    if not allowed:
        return {"vary": "Origin"}
    return {
        "access-control-allow-origin": origin, "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, PUT, DELETE",
        "access-control-allow-headers": "authorization, content-type", "vary": "Origin",
    }


PATHS = ["any", "null", "ends", "begins", "dot", "plain", "preflight", "public", "alone", "fixed",
         "below"]


def routes(safe):
    read = lambda request: (200, {}, {"balance": 12, "of": request.path})
    return [(method, f"/cors/{name}", read if method == "GET" else lambda r: (204, {}, b""))
            for name in PATHS for method in ("GET", "OPTIONS")]
