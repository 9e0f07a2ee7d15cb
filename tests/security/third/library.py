"""Documents, notes and a motto that are written in one place and shown in others."""

import html

import access

HTML = {"content-type": "text/html; charset=utf-8"}
DOCUMENTS = {}
TAKEN_AWAY = []
NOTES = []
MOTTO = {"motto": "Slow is smooth", "size": 3}
# More notes than that are not kept.
MOST_NOTES = 40


def left():
    """What is still there, what was taken away by a link that nobody had better follow, and a motto that
    was not put back."""
    motto = [f"motto {MOTTO['motto']}"] if "zq" in MOTTO["motto"] else []
    followed = [f"followed to {name}" for name in TAKEN_AWAY]
    return [f"document {name}" for name in DOCUMENTS] + followed + motto


def page(body):
    return 200, HTML, f"<!doctype html><html><head><title>Third</title></head><body>{body}</body></html>"


def routes(safe):
    escape = html.escape if safe else (lambda text: text)

    def home(_):
        links = ("/list?sort=name", "/library", "/dropped", "/colophon", "/imprint", "/notes", "/guests", "/fragile")
        return page("".join(f'<a href="{to}">x</a>' for to in links))

    def ingest(request):
        body = request.json() or {}
        DOCUMENTS[str(body.get("id"))] = str(body.get("text"))
        return 201, {}, {"id": body.get("id")}

    def document(request):
        text = DOCUMENTS.get(request.place["id"])
        return (200, {}, {"text": text}) if text is not None else (404, {}, {"error": "not found"})

    def forget(request):
        gone = DOCUMENTS.pop(request.place["id"], None)
        return (204, {}, b"") if gone is not None else (404, {}, {"error": "not found"})

    def library(_):
        """The beginning of each, a link that takes it away, and one to the whole of it."""
        rows = (
            f'<li><a href="/library/delete?id={html.escape(name)}">x</a>'
            f'<a href="/library/view?id={html.escape(name)}">{escape(text[:24])}</a>'
            for name, text in DOCUMENTS.items()
        )
        return page(f"<h1>Library</h1><ul>{''.join(rows)}</ul>")

    def view(request):
        text = DOCUMENTS.get(request.query.get("id", ""))
        return page(f"<article>{escape(text)}</article>") if text is not None else (404, HTML, "gone")

    def taken_away(request):
        TAKEN_AWAY.append(request.query.get("id"))
        DOCUMENTS.pop(TAKEN_AWAY[-1], None)
        return page("gone")

    def noted(request):
        """A list that grows; what it keeps of who wrote is escaped in either platform."""
        if safe and not access.user(request):
            return access.REFUSED
        form = request.form()
        NOTES.append((form.get("text", ""), form.get("by", "")))
        del NOTES[:-MOST_NOTES]
        return 201, {}, {"noted": True}

    def notes(_):
        rows = (f"<li>{escape(text)} <i>{html.escape(by)}</i></li>" for text, by in NOTES)
        return page(f"<h1>Notes</h1><ul>{''.join(rows)}</ul>")

    def new_motto(request):
        """One that takes the place of the last, checked for its size; no more than that comes back."""
        if safe and not access.user(request):
            return access.REFUSED
        body = request.json() or {}
        if not isinstance(body.get("size"), int):
            return 422, {}, {"error": "size: expected a number"}
        MOTTO.update(motto=str(body.get("motto")), size=body["size"])
        return 200, {}, {"saved": True}

    def imprint(_):
        """Angle brackets alone are escaped in the weak one: no help within an attribute."""
        text = MOTTO["motto"].replace("<", "&lt;").replace(">", "&gt;")
        text = html.escape(MOTTO["motto"]) if safe else text
        return page(f'<p title="{text}">Third Ltd.</p>')

    def colophon(_):
        """The same motto before that, escaped in either platform."""
        return page(f"<p>{html.escape(MOTTO['motto'])}</p>")

    def question(request):
        if safe and not access.user(request):
            return access.REFUSED
        return 200, {}, {"answer": "It stands in the documents."}

    return [
        ("GET", "/", home), ("GET", "/health", lambda _: (200, {}, {"status": "ok"})),
        ("GET", "/colophon", colophon), ("GET", "/imprint", imprint), ("POST", "/motto", new_motto),
        ("POST", "/notes", noted), ("GET", "/notes", notes),
        ("POST", "/documents", ingest), ("GET", "/documents/(?P<id>[^/]+)", document),
        ("DELETE", "/documents/(?P<id>[^/]+)", forget),
        ("GET", "/library", library), ("GET", "/library/view", view),
        ("GET", "/library/delete", taken_away),
        ("POST", "/query", question),
    ]


DESCRIBED = {}
