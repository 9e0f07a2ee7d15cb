"""A platform with weaknesses that show little: a number in an answer, an order of rows, a file that lies
one folder too high, a list on another page than the one that was written to; or (SAFE=1) without any,
but with what looks like them.

A real SQLite and real folders. Listens on a port of its own choosing and prints it; ends with its
standard input, and says then what is left in it.
"""

import json
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

import access
import files
import library
import rows

SAFE = os.environ["SAFE"] == "1"
PARTS = (rows, access, files, library)
ROUTES = [
    (method, re.compile(pattern + r"\Z"), answer)
    for part in PARTS
    for method, pattern, answer in part.routes(SAFE)
]


class Request:
    """What a route sees of a request."""

    def __init__(self, handler):
        parts = urlsplit(handler.path)
        self.path = parts.path
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.headers = handler.headers
        self.body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        self.place = {}

    def json(self):
        try:
            return json.loads(self.body or b"null")
        except ValueError:
            return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def version_string(self):
        return "platform"

    def answer(self):
        request = Request(self)
        status, headers, body = self.of(request)
        if isinstance(body, (dict, list)):
            headers = {"content-type": "application/json", **headers}
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode("utf-8", "replace")
        common = {
            "x-content-type-options": "nosniff", "cache-control": "no-store",
            "content-security-policy": "default-src 'self'; frame-ancestors 'none'",
        }
        self.send_response(status)
        for name, value in {**common, **headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def of(self, request):
        method = "GET" if self.command == "HEAD" else self.command
        for of, pattern, answer in ROUTES:
            match = pattern.match(request.path)
            if of == method and match:
                request.place = {name: unquote(v) for name, v in match.groupdict().items() if v}
                return answer(request)
        return 404, {}, {"error": "not found"}

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = answer


def description():
    """What is described; the rest is found by links, beside it."""
    paths = {}
    for part in PARTS:
        paths.update(part.DESCRIBED)
    return {"openapi": "3.0.3", "info": {"title": "third", "version": "1"}, "paths": paths}


ROUTES.append(("GET", re.compile(r"/openapi\.json\Z"), lambda _: (200, {}, description())))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    print(json.dumps(files.left() + library.left()), flush=True)


if __name__ == "__main__":
    main()
