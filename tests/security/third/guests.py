"""A guest book: behind a session, with names that are taken once, a form that is given again where it is
wrong, and a page of the last entry alone. Beside it a page that fails once, while entries are looked for.
"""

import html

import access
import library

SESSION = "of-ann"
# What is configured.
WELL = {"name": "ann", "text": "Hello", "topic": "garden"}
TOPICS = ("garden", "kitchen")
NAMES = set()
LAST = {"name": "bob", "text": "Lovely"}
FRAGILE = {"tried": False, "fails": False}


def routes(safe):
    escape = html.escape if safe else (lambda text: text)

    def signed(request):
        if safe and not access.user(request):
            return access.REFUSED
        if request.cookies.get("session") != SESSION:
            return 302, {"location": "/login"}, b""
        form = request.form()
        # The first as it is configured after one with something else in it.
        FRAGILE["fails"] |= FRAGILE["tried"] and form == WELL and not safe
        FRAGILE["tried"] |= form != WELL
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
        if FRAGILE["fails"]:
            FRAGILE.update(tried=False, fails=False)
            return None, {}, b""
        return library.page("<p>It holds</p>")

    return [("POST", "/guests", signed), ("GET", "/guests", guests), ("GET", "/fragile", fragile)]
