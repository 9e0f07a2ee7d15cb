#!/usr/bin/env python3
"""What a backup drill takes: time and peak memory of the engine, by number of documents.

    cargo build --release
    bash .ci/live/stores.sh python3 benches/drill.py [--sandbox] [--store KINDS] [--program PATH] [DOCUMENTS ...]

Drills the stores that the live suite started, or those of `--store` among them (with --sandbox, the
embedded ones: then no suite is needed), one drill after the other, each with the default options.
Documents: 1000 and 100000 unless said otherwise. Nothing leaves this machine.
"""
import argparse, glob, json, os, subprocess, sys, tempfile, time

KINDS = ["postgres", "redis", "qdrant", "neo4j", "minio"]


def configuration(folder, kinds):
    """Where the suite's stores are: its variables are no configuration, a file is."""
    stores = {}
    for kind in kinds:
        name = "SHAKEDOWN_LIVE_" + kind.upper()
        if name not in os.environ:
            continue
        stores[kind] = {"url": os.environ[name]}
        if name + "_USER" in os.environ:
            path = os.path.join(folder, kind + ".user")
            with open(path, "w") as file:
                file.write(os.environ[name + "_USER"])
            stores[kind]["user"] = {"file": path}
        if name + "_PASSWORD" in os.environ:
            stores[kind]["password"] = {"file": os.environ[name + "_PASSWORD"]}
    path = os.path.join(folder, "shakedown.yaml")
    with open(path, "w") as file:
        json.dump({"target": {"name": "benchmark", "environment": "staging"}, "stores": stores}, file)
    return path


def engine(folder):
    """The process that drills: the one that was started with this folder's run."""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            words = open(path, "rb").read().split(b"\0")
        except OSError:
            continue
        if len(words) > 2 and words[1] == b"engine" and words[2].startswith(folder.encode()):
            return os.path.dirname(path)
    return None


def peak_mb(process):
    try:
        for line in open(process + "/status"):
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def drill(program, documents, sandbox, kinds):
    with tempfile.TemporaryDirectory(prefix="drill-bench-") as folder:
        command = [program, "backup", "--headless", "--seed", "7", "--documents", str(documents)]
        command += ["--store", ",".join(kinds)]
        if not sandbox:
            command += ["--config", configuration(folder, kinds)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SHAKEDOWN_")}
        environment["XDG_STATE_HOME"] = folder + "/state"
        began, peak, process = time.monotonic(), 0.0, None
        child = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        while child.poll() is None:
            process = process or engine(folder)
            peak = max(peak, peak_mb(process) if process else 0.0)
            time.sleep(0.05)
        took = time.monotonic() - began
        reports = glob.glob(folder + "/runs/*/backup_report.json")
        if not reports:
            sys.exit(child.stdout.read())
        report = json.load(open(reports[0]))["backup"][0]
        print(f"\n{documents} documents: {took:.1f} s, engine's peak memory {peak:.0f} MB, exit {child.returncode}")
        for store in report["stores"]:
            steps = {step["step"]: step["ms"] / 1000 for step in store.get("steps", [])}
            times = "  ".join(f"{name} {seconds:.2f} s" for name, seconds in steps.items())
            records = (store.get("records") or {}).get("expected")
            print(f"  {store['store']:9} {store['verdict']:12} {records} records  {times}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--program", default="target/release/shakedown")
    options.add_argument("--sandbox", action="store_true")
    options.add_argument("--store", default=",".join(KINDS))
    options.add_argument("documents", nargs="*", type=int, default=[1000, 100000])
    options = options.parse_args()
    for documents in options.documents:
        drill(os.path.abspath(options.program), documents, options.sandbox, options.store.split(","))


main()
