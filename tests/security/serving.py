"""How the platforms of the folders beside this file are served: Python's own server, which takes the first
route of the parts that fits, listens on a port of its own choosing and prints it; it ends with its standard
input, and says then what is left in it.
"""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit


class Request:
    """What a route sees of a request."""

    def __init__(self, handler):
        parts = urlsplit(handler.path)
        # What is asked for by HEAD is what GET would answer.
        self.method = "GET" if handler.command == "HEAD" else handler.command
        self.path = parts.path
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.headers = handler.headers
        self.cookies = dict(
            pair.strip().split("=", 1)
            for pair in handler.headers.get("cookie", "").split(";")
            if "=" in pair
        )
        self.body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        self.place = {}

    def json(self):
        try:
            return json.loads(self.body or b"null")
        except ValueError:
            return None

    def form(self):
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


class Platform(BaseHTTPRequestHandler):
    """What a platform serves; those of the folders say what is theirs."""

    protocol_version = "HTTP/1.1"
    # Head and body in one packet.
    wbufsize = -1
    disable_nagle_algorithm = True
    routes = []
    software = "platform"

    @classmethod
    def take(cls, title, safe, parts):
        """Takes the parts' routes, and a description of what they describe."""
        cls.routes = [
            (method, re.compile(pattern + r"\Z"), answer)
            for part in parts
            for method, pattern, answer in part.routes(safe)
        ]
        paths = {}
        for part in parts:
            for path, operation in getattr(part, "DESCRIBED", {}).items():
                paths.setdefault(path, {}).update(operation)
        described = {"openapi": "3.0.3", "info": {"title": title, "version": "1"}, "paths": paths}
        cls.routes.append(("GET", re.compile(r"/openapi\.json\Z"), lambda _: (200, {}, described)))

    def log_message(self, *_):
        pass

    def version_string(self):
        return self.software

    def headers_of(self, request, headers):
        """All headers of an answer: those of its route, and what every answer has."""
        return headers

    def path_of(self, request):
        """The path by which it is routed."""
        return request.path

    def missing(self, request):
        return 404, {}, {"error": "not found"}

    def refused(self, request):
        """The answer to a request that comes no further."""
        return None

    def answer(self):
        request = Request(self)
        status, headers, body = self.refused(request) or self.routed(request)
        if status is None:
            # No answer at all.
            self.close_connection = True
            return
        if isinstance(body, (dict, list)):
            headers = {"content-type": "application/json", **headers}
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in self.headers_of(request, headers).items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name, one.replace("\r", "").replace("\n", ""))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def routed(self, request):
        for method, pattern, answer in self.routes:
            match = pattern.match(self.path_of(request))
            if method == request.method and match:
                request.place = {name: unquote(v) for name, v in match.groupdict().items() if v}
                return answer(request)
        return self.missing(request)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = answer


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(platform, left):
    """Serves until the standard input ends; says then what `left` tells."""
    server = Server(("127.0.0.1", 0), platform)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    print(json.dumps(left()), flush=True)
