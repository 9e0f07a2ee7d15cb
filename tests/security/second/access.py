"""Who may see what: credentials, tokens, other spellings, other people's things."""

import base64
import hashlib
import hmac
import json
import os
import time

from pages import HTML, page

KEY = os.environ["SIGNING_KEY"].encode()


def _part(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims(token, verify=True, none=False, expiry=True):
    """What a token says, or nothing."""
    try:
        head, body, signature = token.split(".")
        header, said = json.loads(_part(head)), json.loads(_part(body))
        if none and str(header.get("alg", "")).lower() == "none":
            return said
        if verify:
            right = hmac.new(KEY, f"{head}.{body}".encode(), hashlib.sha256).digest()
            if header.get("alg") != "HS256" or not hmac.compare_digest(right, _part(signature)):
                return None
        if expiry and said.get("exp", 1 << 40) < time.time():
            return None
        return said
    except (ValueError, AttributeError, TypeError):
        return None


def bearer(request):
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def user(request, **how):
    said = claims(bearer(request), **how)
    return said.get("sub") if isinstance(said, dict) else None


REFUSED = (401, {"www-authenticate": "Bearer"}, {"detail": "not authenticated"})
FORBIDDEN = (403, {}, {"detail": "not allowed"})
PAPERS = {name: {"paper": name, "lines": [f"{name} line {n} of what only few may read" for n in range(8)]}
          for name in ("audit", "payroll", "plans", "board", "invoice", "people", "internal", "forecast")}


def routes(safe):
    def guarded(name, weak):
        """The right check, or another one."""
        def answer(request):
            knows = user(request) is not None if safe else weak(request)
            return (200, {}, PAPERS[name]) if knows else REFUSED
        return answer

    def forecast(request):
        return (200, {}, PAPERS["forecast"]) if user(request) else REFUSED

    def spelled(request):
        """The guard of the weak one stands before one spelling only."""
        asked = request.headers.get("x-original-url", request.path) if not safe else request.path
        guard = safe or asked == "/board/minutes"
        return (200, {}, PAPERS["board"]) if not guard or user(request) else REFUSED

    def internal(request):
        near = not safe and request.headers.get("x-forwarded-for", "") == "127.0.0.1"
        return (200, {}, PAPERS["internal"]) if near or user(request) else REFUSED

    def order(request):
        who = user(request)
        if not who:
            return REFUSED
        return (200, {}, PAPERS["invoice"]) if who == "alice" or not safe else FORBIDDEN

    def people(request):
        who = user(request)
        if not who:
            return REFUSED
        return (200, {}, PAPERS["people"]) if who == "alice" or not safe else FORBIDDEN

    def profile(request):
        """Everybody's own: another answer, not the first one's."""
        who = user(request)
        text = {"alice": ["sailing", "Oslo", "blue"], "bob": ["chess", "Graz", "green", "tea", "owl"]}
        return (200, {}, {"you": who, "likes": text.get(who, [])}) if who else REFUSED

    def portal(request):
        """A page to sign in, with 200."""
        if user(request):
            return page("<h1>Portal</h1><p>Balance: 1204.33</p><p>Messages: 3, open orders: 2</p>")
        return 200, HTML, "<!doctype html><form method=post action=/session><input name=user><input type=password name=password></form>"

    def polite(request):
        """Refuses with 200, in words."""
        return (200, {}, PAPERS["plans"]) if user(request) else (200, {}, {"error": "unauthorized"})

    board = "/board/minutes/?" if not safe else "/board/minutes"
    return [
        ("GET", "/audit", guarded("audit", lambda r: True)),
        ("GET", "/payroll", guarded("payroll", lambda r: bool(r.headers.get("authorization")))),
        ("GET", "/unsigned", guarded("plans", lambda r: user(r, none=True) is not None)),
        ("GET", "/unverified", guarded("plans", lambda r: user(r, verify=False) is not None)),
        ("GET", "/expired", guarded("audit", lambda r: user(r, expiry=False) is not None)),
        ("GET", "/forecast", forecast),
        ("GET", board, spelled), ("GET", "/internal", internal), ("GET", "/orders/17", order),
        ("GET", "/admin/people", people), ("GET", "/profile", profile),
        ("GET", "/portal", portal), ("GET", "/polite", polite),
    ]


_SECURED = {"get": {"security": [{"bearer": []}]}}
DESCRIBED = {
    path: _SECURED
    for path in ("/audit", "/payroll", "/unsigned", "/unverified", "/expired", "/forecast", "/board/minutes",
                 "/internal", "/portal", "/polite")
}
