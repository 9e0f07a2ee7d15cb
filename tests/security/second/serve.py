"""A platform with every weakness that OWASP describes for the eight tests, or (SAFE=1) without any.

Written from the published descriptions of the weaknesses, not from the probes, on another stack than
the program's: Python's own server, a real SQLite, its parsers of forms, mails and archives.
"""

import os
from urllib.parse import unquote

import access
import files
import origins
import pace
import pages
import secrets_
import serving
import sql

SAFE = os.environ["SAFE"] == "1"


class Platform(serving.Platform):
    software = "platform" if SAFE else "Apache/2.4.41 (Ubuntu)"

    def headers_of(self, request, headers):
        headers = {**pages.hardening(SAFE, headers), **headers}
        for name, value in origins.headers(SAFE, request).items():
            headers.setdefault(name, value)
        return headers

    def path_of(self, request):
        # The safe one routes by the path as it came; the weak one is as lenient as some servers are.
        return request.path if SAFE else unquote(request.path)

    def refused(self, request):
        if SAFE and pace.refuses(request.path):
            return 429, pace.RETRY, {"error": "slow down"}
        return None

    def missing(self, request):
        stored = files.stored(SAFE, request.method, self.path_of(request))
        return stored or pages.missing(SAFE, request)


if __name__ == "__main__":
    Platform.take("second", SAFE, (sql, pages, access, files, secrets_, pace, origins))
    # What is left over, for who asks.
    serving.serve(Platform, lambda: files.left() + pages.left())
