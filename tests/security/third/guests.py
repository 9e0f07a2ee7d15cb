"""A guest book: behind a session, with names that are taken once, a form that is given again where it is
wrong, and a page of the last entry alone. Beside it a page that fails while that is an attack's.
"""

import html

import access
import library

SESSION = "of-ann"
TOPICS = ("garden", "kitchen")
NAMES = set()
LAST = {"name": "bob", "text": "Lovely"}


def routes(safe):
    escape = html.escape if safe else (lambda text: text)

    def signed(request):
        if safe and not access.user(request):
            return access.REFUSED
        if request.cookies.get("session") != SESSION:
            return 302, {"location": "/login"}, b""
        form = request.form()
        if form.get("topic") not in TOPICS:
            return library.page("<p>Choose a topic</p>")
        if form.get("name") in NAMES:
            return 409, {}, {"error": "name: there is one already"}
        NAMES.add(form.get("name"))
        LAST.update(name=form.get("name", ""), text=form.get("text", ""))
        return 303, {"location": "/guests"}, b""

    def guests(_):
        return library.page(f"<p>{escape(LAST['text'])} <i>{html.escape(LAST['name'])}</i></p>")

    def fragile(_):
        if not safe and "zq" in LAST["name"] + LAST["text"]:
            return None, {}, b""
        return library.page("<p>It holds</p>")

    return [("POST", "/guests", signed), ("GET", "/guests", guests), ("GET", "/fragile", fragile)]
