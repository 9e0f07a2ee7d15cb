"""Everybody's own things, at addresses that are the same for everybody; and one folder that is not."""

PEOPLE = {"the-right-token-of-the-first-user": "ann", "the-token-of-the-second-user": "bob"}
OWN = {
    "ann": [(1101, "Offer"), (1102, "Contract")],
    "bob": [(2201, "Offer"), (2202, "Contract")],
}
REFUSED = (401, {"www-authenticate": "Bearer"}, {"detail": "not authenticated"})


def user(request):
    return PEOPLE.get(request.headers.get("authorization", "").removeprefix("Bearer "))


def routes(safe):
    def own(request):
        who = user(request)
        if not who:
            return REFUSED
        of = [{"id": n, "title": title, "owner": who, "status": "draft"} for n, title in OWN[who]]
        return 200, {}, {"documents": of, "total": len(of)}

    def page(request):
        """The same as a page."""
        who = user(request)
        if not who:
            return REFUSED
        of = "".join(f"<li>{title} {n}</li>" for n, title in OWN[who])
        return 200, {"content-type": "text/html"}, f"<!doctype html><h1>My documents</h1><ul>{of}</ul>"

    def folder(request):
        """Of the first user, with what is told of who asks."""
        who = user(request)
        if not who:
            return REFUSED
        if safe and who != "ann":
            return 403, {}, {"detail": "not yours"}
        papers = [{"id": n, "title": title, "owner": "ann"} for n, title in OWN["ann"]]
        return 200, {}, {"folder_id": 7, "viewed_by": who, "papers": papers}

    return [
        ("POST", "/login", lambda _: (401, {}, {"detail": "wrong password"})),
        ("GET", "/me/documents", own), ("GET", "/me/page", page), ("GET", "/folders/7", folder),
    ]


DESCRIBED = {}
