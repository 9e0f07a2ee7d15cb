#!/usr/bin/env python3
"""What a request costs the load engine, beside wrk and oha on the same server in the same run; what it
costs in memory; and whether its times are true.

    cargo build --release --bin shakedown
    cargo build --release --example bench-server
    python3 benches/load.py [--quick] [--only cost,memory,users,scenarios,stream,stall] \\
        [path/to/shakedown [path/to/bench-server]]

The two builds are two commands: built together, the program would get the features that only tests
need. Prints the tables of docs/performance.md in about eleven minutes (--quick: three, and too short
for the record). Needs two cores that do nothing else: server and generator have one each, and the
generators take turns, so that what else goes on in the machine hits them all. shakedown runs as it
always does: dashboard attached, thresholds and objectives evaluated, journal written; the CPU time of
engine and dashboard counts, from start to end. wrk and oha are left out where they are not installed
(WRK and OHA name them). Everything stays on loopback, bounded in count and time.
"""
import fcntl, glob, json, os, platform, pty, re, resource, shutil, signal, statistics, struct
import subprocess, sys, tempfile, termios, threading, time, urllib.request

FLAGS = [a for a in sys.argv[1:] if a.startswith("--")]
QUICK = "--quick" in FLAGS
PLAIN = [a for a in sys.argv[1:] if not a.startswith("--")]
ONLY = PLAIN.pop(0).split(",") if "--only" in FLAGS else None
PROGRAM = os.path.abspath(PLAIN[0] if PLAIN else "target/release/shakedown")
SERVER = os.path.abspath(PLAIN[1] if len(PLAIN) > 1 else "target/release/examples/bench-server")
WRK, OHA = shutil.which(os.environ.get("WRK", "wrk")), shutil.which(os.environ.get("OHA", "oha"))
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CORE = CORES[0], CORES[-1]
SECONDS, ROUNDS = (3, 1) if QUICK else (10, 3)
TICK = os.sysconf("SC_CLK_TCK")


def pinned(core):
    return lambda: os.sched_setaffinity(0, {core})


class Server:
    """The server, on a core of its own."""

    def __enter__(self):
        self.process = subprocess.Popen([SERVER], stdout=subprocess.PIPE, preexec_fn=pinned(SERVER_CORE))
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def truth(self):
        return json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/truth"))


def of_status(pid, key):
    return int(re.search(key + r":\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) / 1024


class Run:
    """A run of shakedown's mixed load, watched by its dashboard in a pseudo-terminal."""

    def __init__(self, port, scenarios, seconds, users=None, service="rag", spawn_rate=100_000):
        self.folder = tempfile.mkdtemp(prefix="shakedown-bench-")
        endpoint = {"base_url": f"http://127.0.0.1:{port}", "health": "/", "timeout": "20s"}
        mixed = {
            "think_time": {"min": "0s", "max": "0s"},
            "scenarios": [{"service": service, **scenario} for scenario in scenarios],
            "thresholds": {"response_time": ["p(99)<5s"], "http_req_failed": ["rate<1%"]},
        }
        if users:
            mixed.update(users=users, spawn_rate=spawn_rate)
        rag = {"endpoint": endpoint, "query": {"path": "/", "body": {"q": "{question}"}}}
        chat = {"endpoint": endpoint, "model": "bench"}
        config = {
            "target": {"name": "bench", "environment": "sandbox"},
            "services": {"rag": rag} if service == "rag" else {"chat": chat},
            "phases": {"full": {"mixed": f"{seconds}s"}},
            "workloads": {"mixed": mixed},
        }
        with open(self.folder + "/shakedown.yaml", "w") as file:
            json.dump(config, file)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.sched_setaffinity(0, {CORE})
            os.chdir(self.folder)
            os.environ.update(XDG_STATE_HOME=self.folder + "/state", XDG_RUNTIME_DIR=self.folder)
            os.environ["TERM"] = "xterm-256color"
            os.execv(PROGRAM, [PROGRAM, "load"])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.screen = b""
        threading.Thread(target=self.read, daemon=True).start()
        self.engine, self.cpu, self.samples = None, {}, []

    def read(self):
        try:
            while piece := os.read(self.fd, 65536):
                self.screen = (self.screen + piece)[-4096:]
        except OSError:
            pass

    def find_engine(self):
        for file in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                words = open(file).read().split("\0")
            except OSError:
                continue
            if "engine" in words and any(self.folder in word for word in words):
                return int(file.split("/")[2])

    def sample(self):
        """Takes down CPU time and memory of the engine, and CPU time of the dashboard."""
        self.engine = self.engine or self.find_engine()
        for pid in {self.pid, self.engine} - {None}:
            try:
                fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
                self.cpu[pid] = (int(fields[11]) + int(fields[12])) / TICK
                if pid == self.engine:
                    self.samples.append((time.monotonic(), of_status(pid, "VmRSS")))
            except (OSError, TypeError):
                pass

    def journal(self):
        return next(iter(glob.glob(self.folder + "/**/events.jsonl", recursive=True)), None)

    def has_begun(self):
        journal = self.journal()
        return bool(journal) and '"load":"started"' in open(journal).read(200_000)

    def journal_per_hour(self):
        """What the journal grows by between its first interval (one second) and its last, in MB."""
        sizes, at = [], 0
        for line in open(self.journal(), "rb"):
            at += len(line)
            if b'"load":"interval"' in line:
                sizes.append(at)
        return (sizes[-1] - sizes[0]) / max(len(sizes) - 1, 1) * 3600 / 1e6

    def report(self):
        for path in glob.glob(self.folder + "/runs/*/production_validation_report.json", recursive=True):
            try:
                return json.load(open(path))
            except ValueError:
                return None

    def finish(self, patience, meanwhile=None):
        """Follows the run to its end, and says what it came to."""
        end, report = time.monotonic() + patience, None
        while not report:
            if time.monotonic() > end:
                screen = self.screen.decode(errors="replace")
                self.close()
                sys.exit(f"no end of the run after {patience} s; its screen: {screen}")
            self.sample()
            if meanwhile and self.has_begun():
                meanwhile()
                meanwhile = None
            time.sleep(0.05)
            report = self.report()
        phase = next(phase for phase in report["phases"] if phase.get("load"))
        hourly = self.journal_per_hour()
        self.close()
        load = phase["load"]
        everything = load["services"]["all"]
        if not everything["n"] or everything["failed"]:
            sys.exit(f"{everything['failed']} of {everything['n']} requests failed: {everything['errors']}")
        return {
            "n": everything["n"],
            "rate": everything["requests_per_second"],
            "seconds": phase["seconds"],
            "cpu": sum(self.cpu.values()),
            "engine_cpu": self.cpu.get(self.engine, 0.0),
            "mb": max((mb for _, mb in self.samples), default=0.0),
            "journal": hourly,
            "load": load,
            "figures": everything,
            "verdict": f"{phase['status']}: {phase['reason']}",
        }

    def close(self):
        """Ends what was started here, by its id, and waits for it."""
        for pid in [self.engine, self.pid]:
            try:
                os.kill(pid, signal.SIGTERM)
            except (ProcessLookupError, TypeError):
                pass
        os.waitpid(self.pid, 0)
        os.close(self.fd)
        end = time.monotonic() + 10
        while self.engine and os.path.exists(f"/proc/{self.engine}") and time.monotonic() < end:
            time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)


GET = {"name": "get", "flows": [{"name": "get", "steps": [{"request": {"path": "/"}}]}]}


def shakedown(port, connections):
    run = Run(port, [GET], SECONDS, users=connections).finish(SECONDS + 40)
    return run["n"], run["cpu"], run["rate"]


def other(command):
    """Runs another tool; its output and CPU time."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=pinned(CORE))
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    return output, usage.ru_utime + usage.ru_stime


def wrk(port, connections):
    command = [WRK, "-t1", f"-c{connections}", f"-d{SECONDS}s", f"http://127.0.0.1:{port}/"]
    output, cpu = other(command)
    n = int(re.search(r"(\d+) requests in", output)[1])
    return n, cpu, n / SECONDS


def oha(port, connections):
    command = [OHA, "--no-tui", "--output-format", "json", "-z", f"{SECONDS}s", "-c", str(connections)]
    output, cpu = other(command + [f"http://127.0.0.1:{port}/"])
    n = sum(json.loads(output)["statusCodeDistribution"].values())
    return n, cpu, n / SECONDS


def cost():
    tools = [(shakedown, True), (wrk, WRK), (oha, OHA)]
    tools = [tool for tool, there in tools if there]
    print(f"Cost of a request: median of {ROUNDS} rounds of {SECONDS} s.\n")
    print("| connections | tool | CPU, us/request | requests/s of CPU | requests/s |")
    print("|---|---|---|---|---|")
    for connections in [1, 50, 1000]:
        seen = {tool: [] for tool in tools}
        with Server() as server:
            for _ in range(ROUNDS):
                for tool in tools:
                    n, cpu, rate = tool(server.port, connections)
                    seen[tool].append((cpu * 1e6 / n, n / cpu, rate))
        for tool in tools:
            micros, per_core, rate = (statistics.median(column) for column in zip(*seen[tool]))
            row = f"| {connections} | {tool.__name__} | {micros:.2f} | {per_core:,.0f} | {rate:,.0f} |"
            print(row, flush=True)


def memory():
    print("\nMemory of the engine, 50 users.\n\n| requests | most resident, MB |\n|---|---|")
    for n in [100_000, 500_000] if QUICK else [1_000_000, 10_000_000]:
        iterations = {"executor": "shared-iterations", "vus": 50, "iterations": n, "maxDuration": "1h"}
        with Server() as server:
            run = Run(server.port, [{**GET, **iterations}], 600).finish(900)
        print(f"| {run['n']:,} | {run['mb']:.1f} |", flush=True)


def users():
    print("\nUsers who think for 10 s between requests.\n")
    print("| users | requests/s | CPU, % of a core | most resident, MB |\n|---|---|---|---|")
    seconds = 12 if QUICK else 30
    for n in [50, 1000, 10_000]:
        thinking = {**GET, "think_time": {"min": "10s", "max": "10s"}}
        with Server() as server:
            run = Run(server.port, [thinking], seconds, users=n).finish(seconds + 60)
        busy = run["engine_cpu"] * 100 / run["seconds"]
        print(f"| {n:,} | {run['rate']:.0f} | {busy:.1f} | {run['mb']:.1f} |", flush=True)


def scenarios():
    print("\nScenarios that share 50 users without think time.\n")
    print("| scenarios | CPU, us/request | most resident, MB | journal, MB/h |\n|---|---|---|---|")
    for n in [1, 10, 50]:
        all_of_them = [{**GET, "name": f"get {at}"} for at in range(n)]
        with Server() as server:
            run = Run(server.port, all_of_them, SECONDS, users=50).finish(SECONDS + 40)
        micros = run["cpu"] * 1e6 / run["n"]
        print(f"| {n} | {micros:.2f} | {run['mb']:.1f} | {run['journal']:.1f} |", flush=True)


def stream():
    """Times of streamed answers beside the server's own clock."""
    flow = {"name": "ask", "steps": [{"chat": {"prompt": "hi", "stream": True}}]}
    chat = [{"name": "chat", "flows": [flow]}]
    with Server() as server:
        # They come four at a time: all at once they would ask in step, and wait for one another's parsing.
        run = Run(server.port, chat, SECONDS, users=20, service="chat", spawn_rate=20)
        run, truth = run.finish(SECONDS + 40), server.truth()
    streams = run["figures"]["streams"]
    print("\nStreamed answers of 20 users, by the generator and by the server's own clock, ms.\n")
    print("| | n | P50 | server's P50 | P99 | server's P99 |\n|---|---|---|---|---|---|")
    for name, key, true in [("first token", "first_token", "first"), ("gap", "token_gap", "gaps")]:
        of, true = streams[key], truth[true]
        print(f"| {name} | {true['n']:,} | {of['p50_ms']:.2f} | {true['p50'] / 1e3:.2f} "
              f"| {of['p99_ms']:.2f} | {true['p99'] / 1e3:.2f} |", flush=True)


def stall():
    """The server is stopped for 2 of 10 s under 1000 requests/s: theory has every percentile."""
    print("\nA stall of 2 s in 10 s at 1000 requests/s; response time, s.\n")
    print("| | P95 | P99 | mean |\n|---|---|---|---|\n| theory | 1.500 | 1.900 | 0.200 |")

    def stop(process, after):
        time.sleep(after)
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        process.send_signal(signal.SIGCONT)

    rate = {"executor": "constant-arrival-rate", "rate": 1000, "duration": "10s",
            "preAllocatedVUs": 2500, "maxVUs": 4000}
    with Server() as server:
        run = Run(server.port, [{**GET, **rate}], 10)
        run = run.finish(60, lambda: stop(server.process, 4))
    times = run["figures"]["response"]
    row = " | ".join(f"{times[key] / 1e3:.3f}" for key in ["p95_ms", "p99_ms", "mean_ms"])
    print(f"| shakedown | {row} |", flush=True)
    if OHA:
        command = [OHA, "--no-tui", "--output-format", "json", "--latency-correction", "-q", "1000"]
        with Server() as server:
            threading.Thread(target=stop, args=(server.process, 4)).start()
            output, _ = other(command + ["-z", "10s", "-c", "2500", f"http://127.0.0.1:{server.port}/"])
        told = json.loads(output)
        of = told["latencyPercentiles"]
        row = " | ".join(f"{of[key]:.3f}" for key in ["p95", "p99"])
        print(f"| oha --latency-correction | {row} | {told['summary']['average']:.3f} |", flush=True)


if len(CORES) < 2:
    sys.exit("server and generator need a core each, and there is one")
for path in [PROGRAM, SERVER]:
    if not os.access(path, os.X_OK):
        sys.exit(f"{path} is missing: build it first, as the head of this file says")
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))
model = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
print(f"{time.strftime('%Y-%m-%d')}, {model[1] if model else platform.machine()}, {len(CORES)} cores, "
      f"Linux {platform.release()}, load before the start {os.getloadavg()[0]:.1f}\n", flush=True)
for part in [cost, memory, users, scenarios, stream, stall]:
    if not ONLY or part.__name__ in ONLY:
        part()
