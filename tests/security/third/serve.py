"""A platform with weaknesses that show little: a number in an answer, an order of rows, a file that lies
one folder too high, a list on another page than the one that was written to; or (SAFE=1) without any,
but with what looks like them.

A real SQLite and real folders. What is described is found by that; the rest by links, beside it.
"""

import os

import access
import files
import guests
import library
import rows
import serving

SAFE = os.environ["SAFE"] == "1"
FORGETFUL = os.environ.get("FORGETFUL") == "1"


class Platform(serving.Platform):
    answers = 0

    def headers_of(self, request, headers):
        Platform.answers += 1
        headers = {
            "x-content-type-options": "nosniff", "cache-control": "no-store",
            "content-security-policy": "default-src 'self'; frame-ancestors 'none'",
            **headers,
        }
        # A forgetful one misses a header once in a while.
        if FORGETFUL and Platform.answers % 5 == 0:
            del headers["x-content-type-options"]
        return headers


if __name__ == "__main__":
    Platform.take("third", SAFE, (rows, access, files, library, guests))
    serving.serve(Platform, lambda: files.left() + library.left())
