"""Pages that repeat what they are sent, in each context of HTML; documents; headers; missing pages."""

import html
import json

HTML = {"content-type": "text/html; charset=utf-8"}
DOCUMENTS = {}


def left():
    return [f"document {name}" for name in DOCUMENTS]


def page(body, **more):
    return 200, {**HTML, **more}, f"<!doctype html><html><head><title>Second</title></head><body>{body}</body></html>"


def routes(safe):
    escape = html.escape if safe else (lambda text: text)

    def of(name, draw):
        return lambda request: page(draw(request.query.get(name, "")))

    def no_tags(text):
        """Only the angle brackets, as who has read half of the advice."""
        return html.escape(text) if safe else text.replace("<", "&lt;").replace(">", "&gt;")

    def link(to):
        if safe and not to.startswith(("/", "http://", "https://")):
            to = "/"
        return f'<a href="{html.escape(to)}">further</a>'

    def script(lang):
        text = json.dumps(lang).replace("<", "\\u003c") if safe else f'"{lang}"'
        return f"<script>var lang = {text};</script>"

    def handler(item):
        """Escaped as HTML, which is not enough: the parser takes that off before the script runs."""
        if safe:
            return f'<button data-item="{html.escape(item)}">Buy</button>'
        return f"<button onclick=\"buy('{html.escape(item)}')\">Buy</button>"

    def unquoted(size):
        return f'<input value="{html.escape(size)}">' if safe else f"<input value={no_tags(size)}>"

    def tag(request):
        return page(f"<h1>Tag {escape(request.place['tag'])}</h1>")

    def feedback(request):
        return page(f"<p>Thank you, {escape(request.form().get('who', ''))}!</p>")

    def echo(request):
        return 200, {}, {"said": request.query.get("text", "")}

    def plain(request):
        kind = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
        return 200, kind, request.query.get("text", "")

    def download(request):
        """For saving, never shown."""
        more = {"content-disposition": "attachment; filename=note.csv", "content-type": "text/csv"}
        return 200, {**more, "x-content-type-options": "nosniff"}, request.query.get("text", "")

    def ingest(request):
        body = request.json() or {}
        DOCUMENTS[str(body.get("id"))] = str(body.get("text"))
        return 201, {}, {"id": body.get("id")}

    def document(request):
        text = DOCUMENTS.get(request.place["id"])
        if text is None:
            return missing(safe, request)
        return page(f"<article>{escape(text)}</article>")

    def forget(request):
        return (204, {}, b"") if DOCUMENTS.pop(request.place["id"], None) else missing(safe, request)

    def question(request):
        # The platform has credentials: what it is there for is not open to everybody.
        import access

        if safe and not access.user(request):
            return access.REFUSED
        return 200, {}, {"answer": "It stands in the documents.", "documents": len(DOCUMENTS)}

    def home(request):
        cookie = "session=8fa1c2; Path=/; HttpOnly; SameSite=Lax" if safe else "session=8fa1c2; Path=/"
        links = "".join(f'<a href="{to}">x</a>' for to in ("/about", "/static/app.js"))
        return page(f"<h1>Welcome</h1>{links}<script src=/static/app.js></script>", **{"set-cookie": cookie})

    def about(_):
        """The safe one says its policy in the page itself, but for what has to be a header."""
        if not safe:
            return page("<p>About us</p>")
        policy = "<meta http-equiv=Content-Security-Policy content=\"default-src 'self'\">"
        more = {"content-security-policy": "frame-ancestors 'none'"}
        return 200, {**HTML, **more}, f"<!doctype html><html><head>{policy}</head><body>About us</body></html>"

    return [
        ("GET", "/", home), ("GET", "/about", about),
        ("GET", "/hello", of("name", lambda v: f"<p>Hello {escape(v)}</p>")),
        ("GET", "/find", of("q", lambda v: f"<input name=q value='{no_tags(v)}'>")),
        ("GET", "/go", of("to", link)), ("GET", "/lang", of("l", script)),
        ("GET", "/draft", of("text", lambda v: f"<textarea>{escape(v)}</textarea>")),
        ("GET", "/note", of("n", lambda v: f"<!-- {escape(v)} --><p>Noted</p>")),
        ("GET", "/buy", of("item", handler)), ("GET", "/size", of("s", unquoted)),
        ("GET", "/title", of("t", lambda v: f"<title>{escape(v)}</title><p>x</p>")),
        ("GET", "/tags/(?P<tag>[^/]+)", tag), ("POST", "/feedback", feedback),
        ("GET", "/echo", echo), ("GET", "/plain", plain), ("GET", "/download", download),
        ("POST", "/documents", ingest), ("GET", "/documents/(?P<id>[^/]+)", document),
        ("DELETE", "/documents/(?P<id>[^/]+)", forget), ("POST", "/query", question),
    ]


def hardening(safe, headers):
    """The headers of every answer."""
    if not safe:
        return {"x-powered-by": "PHP/7.4.3"}
    common = {
        "x-content-type-options": "nosniff", "cache-control": "no-store",
        "referrer-policy": "strict-origin-when-cross-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    if headers.get("content-type", "").startswith("text/html"):
        common["content-security-policy"] = (
            "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
            "frame-ancestors 'none'"
        )
        common["x-frame-options"] = "DENY"
    return common


def missing(safe, request):
    """A page for everything, with the address of what was asked for."""
    path = html.escape(request.path)
    return page(f"<div id=app>Nothing at {path}</div>") if safe else (404, HTML, f"<h1>Not found</h1><p>{path}</p>")


def _query(name, example):
    return {"get": {"parameters": [{"name": name, "in": "query", "schema": {"type": "string"},
                                    "example": example}]}}


DESCRIBED = {
    "/hello": _query("name", "Ann"), "/find": _query("q", "boots"), "/go": _query("to", "/about"),
    "/lang": _query("l", "en"), "/draft": _query("text", "words"), "/note": _query("n", "seen"),
    "/buy": _query("item", "boots"), "/size": _query("s", "12"), "/title": _query("t", "news"),
    "/tags/{tag}": {"get": {"parameters": [{"name": "tag", "in": "path", "required": True,
                                            "schema": {"type": "string"}, "example": "red"}]}},
    "/echo": _query("text", "words"), "/plain": _query("text", "words"),
    "/download": _query("text", "words"), "/about": {"get": {}},
}
