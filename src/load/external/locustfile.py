# Written by shakedown: plays plan.json with Locust. Credentials come from the environment. Every
# request is one line of JSON on the standard output, so that latencies are not rounded.
import json
import os
import random
import sys
import time

import gevent
from locust import HttpUser, events, task

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "plan.json")) as file:
    PLAN = json.load(file)


def say(what):
    sys.__stdout__.write(json.dumps(what) + "\n")
    sys.__stdout__.flush()


def user_class(scenario):
    think = scenario["think"] or {"min": 0, "max": 0}
    secrets = {header: os.environ[name] for header, name in scenario["secrets"].items()}

    class User(HttpUser):
        host = scenario["origin"]
        fixed_count = scenario["users"]

        def wait_time(self):
            return random.uniform(think["min"], think["max"])

        @task
        def play(self):
            flows = scenario["flows"]
            flow = random.choices(flows, weights=[flow["weight"] for flow in flows])[0]
            for step in flow["steps"]:
                if step.get("pause"):
                    gevent.sleep(step["pause"])
                    continue
                headers = {**scenario["headers"], **step["headers"], **secrets}
                with self.client.request(
                    step["method"], step["path"], data=step["body"], headers=headers,
                    name=step["name"], timeout=step["timeout_seconds"], allow_redirects=False,
                    catch_response=True, context={"scenario": scenario["name"]},
                ) as response:
                    if 300 <= response.status_code < 400:
                        response.failure(f"status {response.status_code}")
            say({"flow": scenario["name"]})

    User.__name__ = "Scenario%d" % scenario["number"]
    return User


for number, one in enumerate(PLAN["scenarios"]):
    one["number"] = number
    globals()["Scenario%d" % number] = user_class(one)


@events.request.add_listener
def on_request(name, response_time, response_length, response, context, exception, **_):
    status = getattr(response, "status_code", 0) or 0
    say({
        "scenario": context.get("scenario", ""), "step": name, "ms": response_time,
        "bytes": response_length or 0, "status": status,
        "error": type(exception).__name__ if exception else "",
    })


@events.test_start.add_listener
def on_start(environment, **_):
    def users():
        while True:
            counts = environment.runner.user_classes_count if environment.runner else {}
            names = {"Scenario%d" % one["number"]: one["name"] for one in PLAN["scenarios"]}
            say({"users": {names.get(name, name): count for name, count in counts.items()}})
            time.sleep(1)

    gevent.spawn(users)
