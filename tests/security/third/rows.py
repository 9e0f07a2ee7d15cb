"""Statements whose errors are swallowed, and whose effect is a number or an order."""

import html
import random
import re
import sqlite3
import threading
import time
import uuid

import access

ROWS = [
    (1, "saw", "tool", 30), (2, "chisel", "tool", 12), (3, "oak board", "wood", 44),
    (4, "hammer", "tool", 18), (5, "glue", "other", 5), (6, "ash board", "wood", 39),
    (7, "file", "tool", 9), (8, "brush", "other", 7),
]
DATABASE = sqlite3.connect(":memory:", check_same_thread=False)
DATABASE.execute("CREATE TABLE parts (id INTEGER, name TEXT, kind TEXT, price INTEGER)")
DATABASE.executemany("INSERT INTO parts VALUES (?, ?, ?, ?)", ROWS)
LOCK = threading.Lock()
SOUGHT = ["", []]
WORDS = "buy sell new old cheap best sturdy light heavy fine rare plain more less now soon".split()


def select(what, rest, values=()):
    with LOCK:
        return DATABASE.execute(f"SELECT {what} FROM parts {rest}", values).fetchall()


def routes(safe):
    def number(statement, values=()):
        """A number, whatever becomes of the statement; and how long that took."""
        began = time.monotonic()
        try:
            total = select("count(*)", statement, values)[0][0]
        except sqlite3.Error:
            total = 0
        return 200, {}, {"total": total, "took_ms": (time.monotonic() - began) * 1000}

    def count(request):
        kind = request.query.get("kind", "")
        return number("WHERE kind = ?", (kind,)) if safe else number(f"WHERE kind = '{kind}'")

    def among(request):
        ids = request.query.get("ids", "")
        if safe:
            wanted = [int(one) for one in ids.split(",") if one.isdigit()]
            return number(f"WHERE id IN ({','.join('?' * len(wanted))})", wanted)
        return number(f"WHERE (id IN ({ids}) AND price > 0)")

    def only(request):
        """Takes it for granted that there is one."""
        which = request.query.get("id", "")
        if safe and not which.isdigit():
            return 400, {}, {"detail": "no number"}
        try:
            rows = select("name", "WHERE id = ?", (which,)) if safe else select("name", f"WHERE id = {which}")
        except sqlite3.Error:
            rows = []
        if rows:
            return 200, {}, {"name": rows[0][0]}
        return (404, {}, {"detail": "no such part"}) if safe else (500, {}, {"detail": "error"})

    def find(request):
        """What the description names finds nothing here."""
        q = request.query.get("q", "")
        if safe:
            return number("WHERE name LIKE '%' || ? || '%'", (q,))
        return number(f"WHERE name LIKE '%{q}%' AND price > 0")

    def sorted_by(default):
        def answer(request):
            sort = request.query.get("sort", default)
            if safe and sort.lstrip("-") not in ("id", "name", "kind", "price"):
                sort = default
            down = " DESC" if sort.startswith("-") else ""
            try:
                names = select("name", f"ORDER BY {sort.lstrip('-')}{down}")
            except sqlite3.Error:
                names = select("name", "ORDER BY price")
            return 200, {}, {"names": [name for name, in names]}
        return answer

    def top(request):
        limit = request.query.get("limit", "3")
        if safe:
            limit = int(limit) if limit.isdigit() else 3
        try:
            return 200, {}, [name for name, in select("name", f"ORDER BY price LIMIT {limit}")]
        except sqlite3.Error:
            return 400, {}, {"error": "no such limit"}

    def towards(request):
        """The direction is part of the statement."""
        way = request.query.get("dir", "asc")
        if safe and way not in ("asc", "desc"):
            way = "asc"
        try:
            return 200, {}, [name for name, in select("name", f"ORDER BY name {way}")]
        except sqlite3.Error:
            return 400, {}, {"error": "no such direction"}

    def arranged(request):
        """What cannot be worked out comes in another order, and is all there."""
        way = request.query.get("dir", "asc")
        if safe and way not in ("asc", "desc"):
            way = "asc"
        try:
            return 200, {}, [name for name, in select("name", f"ORDER BY name {way}")]
        except sqlite3.Error:
            return 200, {}, [name for name, in select("name", "ORDER BY price")]

    def offers(request):
        """What was found, among words that are others every time."""
        kind = request.query.get("kind", "")
        try:
            rows = select("name", "WHERE kind = ?", (kind,)) if safe else select("name", f"WHERE kind = '{kind}'")
        except sqlite3.Error:
            rows = []
        words = [f"{random.choice(WORDS)} {uuid.uuid4().hex[:6]}" for _ in range(random.randrange(20, 60))]
        names = [name for name, in rows]
        random.shuffle(names)
        return 200, {}, {"advert": words, "names": names}

    def seek(request):
        """A form that leads to a page with what was found; errors are swallowed."""
        if safe and not access.user(request):
            return 303, {"location": "/login?next=/sought"}, b""
        name = request.form().get("name", "")
        try:
            rows = select("name", "WHERE name = ?", (name,)) if safe else select("name", f"WHERE name = '{name}'")
        except sqlite3.Error:
            rows = []
        SOUGHT[:] = [name, [found for found, in rows]]
        return 303, {"location": "/sought"}, b""

    def sought(request):
        if not access.user(request):
            return 303, {"location": "/login?next=/sought"}, b""
        name, rows = SOUGHT
        found = "".join(f"<li>{one} is in stock today</li>" for one in rows) or "<p>Nothing fits</p>"
        return 200, {"content-type": "text/html"}, f"<!doctype html><h1>{html.escape(name)}</h1>{found}"

    # Traps: none of them asks a database.
    def words(request):
        return 200, {}, {"words": len(request.query.get("q", "").split())}

    def length(request):
        return 200, {}, {"length": len(request.query.get("q", ""))}

    def numbers(request):
        return 200, {}, {"distinct": len(set(re.findall(r"\d+", request.query.get("q", ""))))}

    def parity(request):
        """True for one of the numbers and not for the other, every time."""
        odd = any(int(n) % 2 for n in re.findall(r"\d+", request.query.get("q", ""))[-2:])
        return 200, {}, {"odd": odd}

    def bucket(request):
        return 200, {}, {"bucket": hash(request.query.get("q", "")) % 2}

    def visitors(_):
        return 200, {}, {"now here": random.randrange(3)}

    return [
        ("GET", "/count", count), ("GET", "/among", among), ("GET", "/several", among),
        ("GET", "/only", only), ("GET", "/find", find),
        ("GET", "/list", sorted_by("name")), ("GET", "/shelf", sorted_by("id")), ("GET", "/top", top),
        ("GET", "/towards", towards), ("GET", "/arranged", arranged), ("GET", "/offers", offers),
        ("POST", "/seek", seek), ("GET", "/sought", sought),
        ("GET", "/words", words), ("GET", "/length", length), ("GET", "/numbers", numbers),
        ("GET", "/parity", parity), ("GET", "/bucket", bucket), ("GET", "/visitors", visitors),
    ]


def _query(name, **example):
    return {"get": {"parameters": [{"name": name, "in": "query", "schema": {"type": "string"}, **example}]}}


DESCRIBED = {
    "/count": _query("kind", example="tool"), "/among": _query("ids", example="3"),
    # How many there are stands in the one part of its schema, its type in the other.
    "/several": _query("ids", example="3,4"), "/only": _query("id", schema={"allOf": [
        {"type": "integer", "minimum": 1}, {"default": 3}]}),
    # Without an example, and without its parameter: that one stands in a link.
    "/find": _query("q"), "/list": {"get": {}},
    "/shelf": _query("sort", example="id"), "/top": _query("limit", example="3"),
    "/towards": _query("dir", example="desc"), "/arranged": _query("dir", example="asc"),
    "/offers": _query("kind", example="tool"),
    # For whom it is stands in the description; what it takes does not.
    "/seek": {"post": {"security": [{"bearer": []}]}},
    "/words": _query("q", example="two words"), "/length": _query("q", example="word"),
    "/numbers": _query("q", example="word"), "/parity": _query("q", example="word"),
    "/bucket": _query("q", example="word"), "/visitors": _query("q", example="word"),
}
