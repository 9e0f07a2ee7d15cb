"""Uploads into real folders, served and removed by their own routes only: nothing lies at an address of
its own."""

import base64
import html
import io
import os
import shutil
import tempfile
import time
import uuid
import zipfile
from email.parser import BytesParser

ROOT = tempfile.mkdtemp()
DROP, UNZIP = os.path.join(ROOT, "data", "drop"), os.path.join(ROOT, "data", "unzip")
KEPT, HUNG = {}, {}
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
for folder in (DROP, UNZIP):
    os.makedirs(folder)


def left():
    """What is still there; the folders go."""
    files = [os.path.join(folder, name) for folder, _, names in os.walk(ROOT) for name in names]
    shutil.rmtree(ROOT)
    return sorted(files) + sorted(KEPT) + sorted(HUNG)


def part(request):
    head = f"content-type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + request.body)
    for one in message.get_payload() if message.is_multipart() else []:
        if one.get_filename() is not None:
            return one.get_filename(), one.get_payload(decode=True) or b""
    return "", b""


def inside(folder, name):
    """A path within a folder, or none."""
    path = os.path.realpath(os.path.join(folder, name))
    return path if path.startswith(os.path.realpath(folder) + os.sep) else None


def routes(safe):
    def place(folder, name):
        return inside(folder, name) if safe else os.path.join(folder, name)

    def write(path, content):
        try:
            with open(path, "wb") as file:
                file.write(content)
            return True
        except (OSError, ValueError):
            return False

    def serve(path):
        try:
            with open(path, "rb") as file:
                more = {"content-type": "application/octet-stream", "content-disposition": "attachment"}
                return 200, more, file.read()
        except (OSError, ValueError, TypeError):
            return 404, {}, {"error": "no such file"}

    def remove(path):
        try:
            os.remove(path)
            return 204, {}, b""
        except (OSError, ValueError, TypeError):
            return 404, {}, {"error": "no such file"}

    def meant(name, content):
        return name.lower().endswith(".png") and content.startswith(b"\x89PNG") if safe else True

    def drop(request):
        """The name is part of the form."""
        name, content = part(request)
        if not name or "\0" in name or not meant(name, content) or name.startswith("/"):
            return 415, {}, {"error": "not this"}
        path = place(DROP, name)
        if not path or not write(path, content):
            return 400, {}, {"error": "no such place"}
        return 201, {}, {"name": name}

    def put(request):
        """The name is in the query, the file is the body."""
        name = request.query.get("filename", "")
        if not name.endswith(".txt") or name.startswith("/") or "\0" in name:
            return 415, {}, {"error": "not this"}
        path = place(DROP, name)
        if not path or os.sep in name and safe or not write(path, request.body):
            return 400, {}, {"error": "no such place"}
        return 201, {}, {"name": name}

    def unzip(request):
        """Unpacked into a folder of its own, entry by entry."""
        _, content = part(request)
        try:
            archive = zipfile.ZipFile(io.BytesIO(content))
        except zipfile.BadZipFile:
            return 400, {}, {"error": "no archive"}
        name = uuid.uuid4().hex
        folder = os.path.join(UNZIP, name)
        if safe and any(not inside(folder, e.filename) or e.file_size > 10_000 for e in archive.infolist()):
            return 400, {}, {"error": "an entry leaves the folder, or is too large"}
        os.mkdir(folder)
        for entry in archive.infolist():
            if not entry.filename.startswith("/"):
                write(os.path.join(folder, entry.filename), archive.read(entry))
        return 201, {}, {"id": name}

    def forget(request):
        folder = inside(UNZIP, request.place["id"])
        if not folder or not os.path.isdir(folder):
            return 404, {}, {"error": "no such archive"}
        shutil.rmtree(folder)
        return 204, {}, b""

    def of_drop(answer):
        return lambda request: answer(place(DROP, request.place["name"]))

    def of_unzip(answer):
        def one(request):
            folder = inside(UNZIP, request.place["id"])
            return answer(place(folder, request.place["name"]) if folder else None)
        return one

    # Traps: names that climb and go nowhere.
    def keep(request):
        """Kept by the name as it came, which is no path."""
        name, content = part(request)
        if not name.endswith(".txt"):
            return 415, {}, {"error": "not this"}
        KEPT[name] = content
        return 201, {}, {"name": name}

    def kept(request):
        content = KEPT.get(request.place["name"])
        plain = {"content-type": "text/plain"}
        return (200, plain, content) if content is not None else (404, {}, {"error": "no such file"})

    def unkeep(request):
        gone = KEPT.pop(request.place["name"], None)
        return (204, {}, b"") if gone is not None else (404, {}, {"error": "no such file"})

    def clean(answer):
        """Only the last part of a name counts, when it is written and when it is read."""
        def one(request):
            return answer(os.path.join(DROP, os.path.basename(request.place["name"])))
        return one

    def tidy(request):
        name, content = part(request)
        if not name.endswith(".txt"):
            return 415, {}, {"error": "not this"}
        write(os.path.join(DROP, os.path.basename(name)), content)
        return 201, {}, {"name": name}

    def gallery(request):
        """Looked through before it is shown; the safe one draws pictures anew, by names of its own."""
        name, content = part(request)
        if ".png" not in name or not meant(name, content):
            return 415, {}, {"error": "not this"}
        if safe:
            name, content = f"{uuid.uuid4().hex}.png", PIXEL
        HUNG[name] = (time.monotonic() + 0.7, content)
        return 202, {}, {"name": name}

    def hung(request):
        name = request.place["name"]
        shown, content = HUNG.get(name, (float("inf"), b""))
        if time.monotonic() < shown:
            return 404, {}, {"error": "no such picture"}
        return 200, {"content-type": "text/html" if name.endswith(".html") else "image/png"}, content

    def take_down(request):
        gone = HUNG.pop(request.place["name"], None)
        return (204, {}, b"") if gone is not None else (404, {}, {"error": "no such picture"})

    def shelf(_):
        """What was dropped, as a page."""
        rows = "".join(f"<li>{html.escape(n) if safe else n}" for n in sorted(os.listdir(DROP)))
        return 200, {"content-type": "text/html"}, f"<!doctype html><ul>{rows}</ul>"

    one = "(?P<name>[^/]+)"
    return [
        ("GET", "/dropped", shelf), ("POST", "/drop", drop), ("POST", "/put", put), ("GET", f"/drop/{one}", of_drop(serve)),
        ("DELETE", f"/drop/{one}", of_drop(remove)),
        ("POST", "/unzip", unzip), ("DELETE", "/unzip/(?P<id>[^/]+)", forget),
        ("GET", f"/unzip/(?P<id>[^/]+)/{one}", of_unzip(serve)),
        ("DELETE", f"/unzip/(?P<id>[^/]+)/{one}", of_unzip(remove)),
        ("POST", "/keep", keep), ("GET", f"/keep/{one}", kept), ("DELETE", f"/keep/{one}", unkeep),
        ("POST", "/tidy", tidy), ("GET", f"/tidy/{one}", clean(serve)),
        ("DELETE", f"/tidy/{one}", clean(remove)),
        ("POST", "/gallery", gallery), ("GET", f"/gallery/{one}", hung), ("DELETE", f"/gallery/{one}", take_down),
    ]


_FORM = {"post": {"requestBody": {"content": {"multipart/form-data": {"schema": {
    "type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}}}}}}
DESCRIBED = {path: _FORM for path in ("/drop", "/unzip", "/keep", "/tidy", "/gallery")}
