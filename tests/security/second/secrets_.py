"""Keys where they do not belong, and what only looks like keys. All of them are made up."""

import json

from pages import HTML

# Put together so that no scanner of source code takes them for real ones.
AWS = "AKIA" + "Q3EGW7NTZ2VXRK5M"
STRIPE = "sk_live_" + "9hT2wKq8ZrLm4VbXc7NdYp3s"
GOOGLE = "AIza" + "SyB7q9Lk2mN8pXr4TvW6zYc1DfGh3JkLmNq"
HUGGING = "hf_" + "qWzXkVbTnRmLpYsGdHjFcKvBtNwMxQzPrS"
GITHUB = "github_pat_" + "11AB2CD3E0f7GhJ9kLmNpQ_q8RsTuVwXyZ1a2B3c4D5e6F7g8H9i0JkLmNoPqRsTuVwXyZ4a5B6c7DeF8g"
SLACK = "xoxb-" + "483920175634-5820193746501-hT7wKq2ZrLm9VbXc4NdYp8sF"


def routes(safe):
    js, text = {"content-type": "text/javascript"}, {"content-type": "text/plain"}

    def app(_):
        if safe:
            # Placeholders, what is public by its nature, digests.
            return 200, js, (
                'const aws = "AKIAIOSFODNN7EXAMPLE", ai = "sk-proj-your-key-here";\n'
                'const google = "AIzaSyXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX";\n'
                'const map = "https://maps.googleapis.com/maps/api/js?key=' + GOOGLE + '";\n'
                'const later = () => import("./part-7f3a.js");\n'
                'const stripe = "pk_live_' + STRIPE[8:] + '";\n'
                'const commit = "9b74c9897bac770ffc029102a200c5de5f7a1b2c";\n'
                'const id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";\n'
                'const api_key = process.env.API_KEY, password = "<password>";\n'
                'const sum = "sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC";\n'
                "//# sourceMappingURL=app.js.map\n"
            )
        return 200, js, (
            f'const s3 = {{ id: "{AWS}" }}, later = () => import("./part-7f3a.js");\n'
            "//# sourceMappingURL=app.js.map\n"
        )

    def part(_):
        """What no page names, only the script."""
        return 200, js, "export const token = " + ("null" if safe else f'"{GITHUB}"') + ";\n"

    def source_map(_):
        key = STRIPE if not safe else "sk_test_xxxxxxxxxxxxxxxxxxxxxxxx"
        return 200, {"content-type": "application/json"}, json.dumps(
            {"version": 3, "sources": ["pay.ts"], "sourcesContent": [f"pay('{key}')"]}
        )

    def config(_):
        return 200, {}, {"maps": {"apiKey": GOOGLE}, "slack": SLACK}

    def git(_):
        return 200, text, (
            "[core]\n\trepositoryformatversion = 0\n[remote \"origin\"]\n"
            f"\turl = https://deploy:{GITHUB}@github.com/second/platform.git\n"
        )

    def environment(_):
        return 200, text, "APP_ENV=production\nDB_HOST=db\nDB_PASSWORD=zR8!kq2LmV\nSECRET_KEY=9f8a7b6c5d4e3f\n"

    def actuator(_):
        return 200, {}, {"activeProfiles": ["prod"], "propertySources": [
            {"name": "systemEnvironment", "properties": {"DB_PASSWORD": {"value": "zR8!kq2LmV"}}}]}

    def broken(_):
        """An error page with everything in it, or without."""
        if safe:
            return 500, HTML, "<!doctype html><h1>Something went wrong</h1>"
        return 500, HTML, (
            "<!doctype html><h1>KeyError</h1><pre>Traceback (most recent call last):\n"
            f'  File "/app/main.py", line 12\nHF_TOKEN = {HUGGING}</pre>'
        )

    def header(_):
        return 200, ({} if safe else {"x-upstream-token": GITHUB}), {"ok": True}

    only_weak = [
        ("GET", "/config.json", config), ("GET", "/.git/config", git), ("GET", "/.env", environment),
        ("GET", "/actuator/env", actuator),
    ]
    return [
        ("GET", "/static/app.js", app), ("GET", "/static/app.js.map", source_map),
        ("GET", "/static/part-7f3a.js", part),
        ("GET", "/broken", broken), ("GET", "/upstream", header), *([] if safe else only_weak),
    ]


DESCRIBED = {"/broken": {"get": {}}, "/upstream": {"get": {}}}
