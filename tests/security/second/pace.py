"""How often one may ask."""

import threading
import time
from email.utils import formatdate

RETRY = {"retry-after": "2", "ratelimit-limit": "40", "ratelimit-remaining": "0", "ratelimit-reset": "2"}
ASKED, LOGINS = {}, {}
LOCK = threading.Lock()


def refuses(path, most=40, within=1.0):
    """Whether one path was asked too often within a second."""
    with LOCK:
        now = time.monotonic()
        recent = [at for at in ASKED.get(path, []) if now - at < within]
        ASKED[path] = [*recent, now]
        return len(recent) >= most


def routes(safe):
    def login(request):
        """The weak one counts by an address that anybody can claim."""
        body = request.json() or {}
        by = body.get("user") if safe else request.headers.get("x-forwarded-for", "")
        with LOCK:
            LOGINS[by] = LOGINS.get(by, 0) + 1
            often = LOGINS[by] > 8
        if often:
            when = {"retry-after": formatdate(time.time() + 60, usegmt=True)}
            return 429, when, {"detail": "too many attempts"}
        return 401, {}, {"detail": "wrong user or password"}

    def summary(request):
        """Costs much; the safe one takes five in ten seconds."""
        if safe and refuses("summary", 5, 10.0):
            return 429, {"retry-after": "10"}, {"detail": "later"}
        time.sleep(0.02)
        return 200, {}, {"summary": "All is well."}

    return [("POST", "/login", login), ("POST", "/summary", summary)]
