"""Uploads: pictures, attachments, drawings and bundles. Files are kept in memory, by their full path."""

import io
import mimetypes
import posixpath
import uuid
import zipfile
from email.parser import BytesParser
from urllib.parse import unquote

FILES = {}
MOST = 4096
ACTIVE = {".html", ".htm", ".svg", ".xhtml", ".xml", ".js"}


def left():
    return sorted(FILES)


def part(request):
    """The file of a form: its name and its content."""
    head = f"content-type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + request.body)
    for one in message.get_payload() if message.is_multipart() else []:
        if one.get_filename() is not None:
            return one.get_filename(), one.get_payload(decode=True) or b""
    return None, b""


def keep(path, content):
    path = posixpath.normpath(path)
    FILES[path] = content
    return path


def stored(safe, method, path):
    """Serving and removing files, for what no route has taken."""
    path = posixpath.normpath(unquote(path))
    if path not in FILES:
        return None
    if method == "DELETE":
        del FILES[path]
        return 204, {}, b""
    if safe:
        return 200, {
            "content-type": "application/octet-stream", "content-disposition": "attachment",
            "x-content-type-options": "nosniff", "content-security-policy": "sandbox",
        }, FILES[path]
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return 200, {"content-type": kind}, FILES[path]


def routes(safe):
    def refused(why, status=415):
        return status, {}, {"detail": why}

    def take(folder, allowed, weak, ):
        """Keeps a file: the safe one under a name of its own and by a closed list of endings."""
        def answer(request):
            name, content = part(request)
            if not name:
                return refused("no file", 400)
            if safe:
                ending = posixpath.splitext(name)[1].lower()
                if len(content) > MOST:
                    return refused("too large", 413)
                if ending not in allowed or name.count(".") != 1 or set(name) & set("/\\%\0"):
                    return refused("not this kind of file")
                if ending == ".gif" and not content.startswith(b"GIF89a"):
                    return refused("not a picture")
                path = keep(f"/kept/{folder}/{uuid.uuid4().hex}.bin", content)
            else:
                if not weak(name, content):
                    return refused("not this kind of file")
                path = keep(f"/kept/{folder}/{unquote(name)}", content)
            return 201, {}, {"url": path, "name": posixpath.basename(path)}
        return answer

    def bundle(request):
        """An archive that is unpacked."""
        name, content = part(request)
        if not (name or "").endswith(".zip"):
            return refused("only archives")
        if len(content) > MOST:
            return refused("too large", 413)
        try:
            archive = zipfile.ZipFile(io.BytesIO(content))
            entries = archive.infolist()
        except zipfile.BadZipFile:
            return refused("no archive", 400)
        if safe:
            if sum(entry.file_size for entry in entries) > 20 * max(len(content), 1):
                return refused("grows too much", 413)
            if any(e.filename.startswith(("/", "\\")) or ".." in e.filename for e in entries):
                return refused("an entry leaves the folder", 400)
            if any(posixpath.splitext(e.filename)[1] in ACTIVE for e in entries):
                return refused("an entry is no text", 415)
        folder = uuid.uuid4().hex
        keep(f"/kept/bundles/{folder}/{name}" if safe else f"/kept/bundles/{folder}/{unquote(name)}", content)
        for entry in entries:
            if not entry.is_dir():
                keep(f"/kept/bundles/{folder}/{entry.filename}", archive.open(entry).read(1 << 20))
        return 201, {}, {"folder": folder}

    def delete_bundle(request):
        """All of a bundle."""
        gone = [path for path in FILES if path.startswith(f"/kept/bundles/{request.place['folder']}/")]
        for path in gone:
            del FILES[path]
        if gone:
            return 204, {}, b""
        # What an entry put beside the bundles can be removed as any file.
        return stored(safe, "DELETE", request.path) or (404, {}, {"detail": "no such bundle"})

    return [
        # Looks at the first bytes only.
        ("POST", "/pictures", take("pictures", {".gif"}, lambda _, content: content[:6] in (b"GIF89a", b"GIF87a") or content[:3] == b"\xff\xd8\xff")),
        # Looks for the ending anywhere in the name.
        ("POST", "/attachments", take("attachments", {".txt"}, lambda name, _: ".txt" in name)),
        # Takes everything.
        ("POST", "/drawings", take("drawings", {".txt", ".gif"}, lambda *_: True)),
        ("POST", "/bundles", bundle), ("DELETE", "/kept/bundles/(?P<folder>[^/]+)", delete_bundle),
    ]


_FORM = {"post": {"requestBody": {"content": {"multipart/form-data": {"schema": {
    "type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}}}}}}
DESCRIBED = {path: _FORM for path in ("/pictures", "/attachments", "/drawings", "/bundles")}
