"""A platform with every weakness that OWASP describes for the eight tests, or (SAFE=1) without any.

Written from the published descriptions of the weaknesses, not from the probes, on another stack than
the program's: Python's own server, a real SQLite, its parsers of forms, mails and archives.
Listens on a port of its own choosing and prints it; ends with its standard input.
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
import origins
import pages
import pace
import secrets_
import sql

SAFE = os.environ["SAFE"] == "1"
ROUTES = [
    (method, re.compile(pattern + r"\Z"), answer)
    for part in (sql, pages, access, files, secrets_, pace, origins)
    for method, pattern, answer in part.routes(SAFE)
]
PARTS = {"sql": sql, "pages": pages, "access": access, "files": files, "secrets": secrets_}


class Request:
    """What a route sees of a request."""

    def __init__(self, handler):
        parts = urlsplit(handler.path)
        self.method = handler.command
        self.path = parts.path
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.headers = handler.headers
        self.cookies = dict(
            pair.strip().split("=", 1)
            for pair in handler.headers.get("cookie", "").split(";")
            if "=" in pair
        )
        length = int(handler.headers.get("content-length") or 0)
        self.body = handler.rfile.read(length)
        self.place = {}

    def json(self):
        try:
            return json.loads(self.body or b"null")
        except ValueError:
            return None

    def form(self):
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def version_string(self):
        return "platform" if SAFE else "Apache/2.4.41 (Ubuntu)"

    def answer(self):
        request = Request(self)
        status, headers, body = self.of(request)
        if isinstance(body, (dict, list)):
            headers = {"content-type": "application/json", **headers}
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode("utf-8", "replace")
        headers = {**pages.hardening(SAFE, headers), **headers}
        for name, value in origins.headers(SAFE, request).items():
            headers.setdefault(name, value)
        self.send_response(status)
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name, one.replace("\r", "").replace("\n", ""))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if request.method != "HEAD":
            self.wfile.write(body)

    def of(self, request):
        if SAFE and pace.refuses(request.path):
            return 429, pace.RETRY, {"error": "slow down"}
        method = "GET" if request.method == "HEAD" else request.method
        # The safe one routes by the path as it came; the weak one is as lenient as some servers are.
        path = request.path if SAFE else unquote(request.path)
        for of, pattern, answer in ROUTES:
            match = pattern.match(path)
            if of == method and match:
                request.place = {name: unquote(v) for name, v in match.groupdict().items() if v}
                return answer(request)
        stored = files.stored(SAFE, method, path)
        return stored or pages.missing(SAFE, request)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = answer


def description():
    """The OpenAPI description of what the parts have."""
    paths = {}
    for part in PARTS.values():
        for path, operation in part.DESCRIBED.items():
            paths.setdefault(path, {}).update(operation)
    return {"openapi": "3.0.3", "info": {"title": "second", "version": "1"}, "paths": paths}


ROUTES.append(("GET", re.compile(r"/openapi\.json\Z"), lambda _: (200, {}, description())))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    # What is left over, for who asks.
    print(json.dumps(files.left() + pages.left()), flush=True)


if __name__ == "__main__":
    main()
