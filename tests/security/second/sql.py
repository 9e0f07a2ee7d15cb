"""SQL: values put into statements, or beside them, in every place that a request has."""

import random
import sqlite3
import threading
import time

ROWS = [
    (1, "chair", "garden", "oak"), (2, "table", "garden", "teak"), (3, "lamp", "house", "brass"),
    (4, "bench", "garden", "pine"), (5, "sofa", "house", "linen"), (6, "stool", "bar", "beech"),
]
LOCK = threading.Lock()
DATABASE = sqlite3.connect(":memory:", check_same_thread=False)
DATABASE.execute("CREATE TABLE products (id INTEGER, name TEXT, category TEXT, made_of TEXT)")
DATABASE.executemany("INSERT INTO products VALUES (?, ?, ?, ?)", ROWS)


def select(statement, values=()):
    with LOCK:
        rows = DATABASE.execute("SELECT id, name, category, made_of FROM products " + statement, values)
        return [dict(zip(("id", "name", "category", "made_of"), row)) for row in rows]


def sleeping(event):
    """As MySQL has it: SLEEP is a function of any expression. A connection of its own."""
    own = sqlite3.connect(":memory:")
    own.create_function("SLEEP", 1, lambda seconds: time.sleep(min(float(seconds), 10)) or 0)
    own.execute("CREATE TABLE events (name TEXT)")
    own.execute("INSERT INTO events VALUES ('login')")
    try:
        own.execute(f"SELECT * FROM events WHERE name = '{event}'").fetchall()
    except sqlite3.Error:
        pass
    finally:
        own.close()


def routes(safe):
    def product(request):
        """A number without quotes; errors are told as they are."""
        value = request.query.get("id", "")
        if safe:
            try:
                number = int(value)
            except ValueError as error:
                return 400, {}, {"detail": str(error)}
            return 200, {}, {"products": select("WHERE id = ?", (number,))}
        try:
            return 200, {}, {"products": select(f"WHERE id = {value}")}
        except sqlite3.Error as error:
            return 500, {}, {"detail": f"sqlite3.{type(error).__name__}: {error}"}

    def search(request):
        """A pattern; errors are no results."""
        value = request.query.get("q", "")
        try:
            rows = (
                select("WHERE category LIKE ?", (f"%{value}%",))
                if safe
                else select(f"WHERE category LIKE '%{value}%'")
            )
        except sqlite3.Error:
            rows = []
        return 200, {}, {"results": rows, "took": random.random()}

    def by_name(request):
        """In the path; errors are a page that says nothing."""
        value = request.place["name"]
        try:
            rows = (
                select("WHERE name = ?", (value,)) if safe else select(f"WHERE name = '{value}'")
            )
        except sqlite3.Error:
            return 500, {"content-type": "text/plain"}, "Internal Server Error"
        return (200, {}, rows[0]) if rows else (404, {}, {"detail": "no such product"})

    def filtered(request):
        """Deep in JSON, in brackets."""
        body = request.json()
        body = body if isinstance(body, dict) else {}
        inner = body.get("filter")
        value = str(inner.get("category", "")) if isinstance(inner, dict) else ""
        try:
            rows = (
                select("WHERE category = ?", (value,))
                if safe
                else select(f"WHERE (category = ('{value}'))")
            )
        except sqlite3.Error as error:
            return 500, {}, {"error": "query failed", "cause": f"sqlite3.OperationalError: {error}"}
        return 200, {}, {"rows": rows}

    def tenant(request):
        """In a header, and in a cookie; no error is shown."""
        value = request.headers.get("x-category", "") or request.cookies.get("category", "")
        try:
            rows = (
                select("WHERE category = ?", (value,)) if safe
                else select(f"WHERE category = '{value}'")
            )
        except sqlite3.Error:
            return 500, {}, {"detail": "error"}
        return 200, {}, {"rows": rows}

    def coded(request):
        """In a form."""
        value = request.form().get("material", "")
        try:
            rows = (
                select("WHERE made_of = ?", (value,)) if safe
                else select(f'WHERE made_of = "{value}"')
            )
        except sqlite3.Error:
            return 500, {}, {"detail": "error"}
        return 200, {}, {"rows": rows}

    def event(request):
        """Blind: nothing but time."""
        if safe:
            time.sleep(random.random() / 3)
        else:
            sleeping(request.query.get("name", ""))
        return 202, {}, {"accepted": True}

    # Traps: none of them asks a database.
    def help_page(request):
        text = "Known errors: ORA-00933: SQL command not properly ended; PG::SyntaxError: ERROR"
        return 200, {"content-type": "text/plain"}, f"{text}\nYou asked for: {request.query.get('topic')}"

    def firewall(request):
        if set("'\"\\;") & set(request.query.get("v", "")):
            return 403, {"content-type": "text/plain"}, "Request blocked"
        return 200, {}, {"v": "ok"}

    def terms(request):
        """A search by words: every other word changes the answer."""
        words = sorted(set(request.query.get("q", "").lower().replace("=", " ").split()))
        return 200, {}, {"terms": len(words), "hits": [{"word": w, "n": len(w)} for w in words]}

    def hashed(request):
        draw = random.Random(request.query.get("seed", ""))
        return 200, {}, {"numbers": [draw.randrange(1000) for _ in range(50)]}

    def strict(request):
        """Breaks at what is no name, without a database."""
        value = request.query.get("name", "")
        if not value.isalnum():
            return 500, {"content-type": "text/plain"}, "unexpected error"
        return 200, {}, {"name": "known"}

    def flaky(request):
        """Fails by chance."""
        if random.random() < 0.25:
            return 500, {"content-type": "text/plain"}, "try again"
        return 200, {}, {"ok": True}

    return [
        ("GET", "/products", product), ("GET", "/search", search),
        ("GET", "/products/(?P<name>[^/]+)", by_name), ("POST", "/filter", filtered),
        ("GET", "/tenant", tenant), ("POST", "/materials", coded), ("GET", "/events", event),
        ("GET", "/help", help_page), ("GET", "/firewall", firewall), ("GET", "/terms", terms),
        ("GET", "/hashed", hashed), ("GET", "/strict", strict), ("GET", "/flaky", flaky),
    ]


def _query(name, example):
    return {"get": {"parameters": [{"name": name, "in": "query", "required": True,
                                    "schema": {"type": "string"}, "example": example}]}}


DESCRIBED = {
    "/products": {"get": {"parameters": [{"name": "id", "in": "query", "schema": {
        "type": "integer", "example": 3}}]}},
    "/search": _query("q", "garden"),
    "/products/{name}": {"get": {"parameters": [{
        "name": "name", "in": "path", "required": True, "schema": {"type": "string"},
        "example": "lamp"}]}},
    "/events": _query("name", "login"),
    "/help": _query("topic", "errors"),
    "/firewall": _query("v", "one"),
    "/terms": _query("q", "chair"),
    "/hashed": _query("seed", "one"),
    "/strict": _query("name", "lamp"),
    "/flaky": _query("x", "one"),
}
