#!/usr/bin/env python3
"""What the dashboard costs over SSH: bytes on the wire, CPU, time to the first frame.

    cargo build --release && python3 benches/dashboard.py [path/to/shakedown]

Runs the program on its embedded sandbox in a pseudo-terminal at three sizes, under the mixed load of
fifty users, and while paused. Nothing leaves this machine.
"""
import fcntl, os, pty, select, shutil, signal, struct, sys, tempfile, termios, time

PROGRAM = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/shakedown")
SECONDS = 20


class Terminal:
    def __init__(self, folder, columns, rows, arguments):
        self.started = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ["XDG_STATE_HOME"] = folder + "/state"
            os.environ["TERM"] = "xterm-256color"
            os.execv(PROGRAM, [PROGRAM, *arguments])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds, until=None):
        end, out = time.monotonic() + seconds, b""
        while time.monotonic() < end and not (until and until in out):
            ready, _, _ = select.select([self.fd], [], [], 0.01)
            if ready:
                try:
                    out += os.read(self.fd, 65536)
                except OSError:
                    break
        return out

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def cpu_seconds(self):
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(columns, rows):
    folder = tempfile.mkdtemp()
    length = ["--set", "phases.full.mixed=600s"]
    terminal = Terminal(folder, columns, rows, ["locust", *length])
    # The footer is drawn last; the header's first word is enough to know that there is a frame.
    terminal.read(10, until=b"shakedown")
    first = time.monotonic() - terminal.started
    terminal.read(15)
    before, at = terminal.cpu_seconds(), time.monotonic()
    live = len(terminal.read(SECONDS))
    cpu = (terminal.cpu_seconds() - before) / (time.monotonic() - at) * 100
    terminal.press("p")
    terminal.read(8)  # the objectives are evaluated once more after the last interval
    paused = len(terminal.read(10))
    terminal.press("Ay")
    terminal.read(10)
    terminal.press("q")
    terminal.read(2)
    try:
        os.kill(terminal.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    os.close(terminal.fd)
    os.waitpid(terminal.pid, 0)
    time.sleep(1)
    shutil.rmtree(folder, ignore_errors=True)
    return first * 1000, live / SECONDS, paused / 10, cpu


print("| terminal | first frame | live, bytes/s | paused, bytes/s | CPU, % of a core |")
print("|---|---|---|---|---|")
for columns, rows in [(80, 24), (120, 40), (200, 50)]:
    first, live, paused, cpu = measure(columns, rows)
    print(f"| {columns}x{rows} | {first:.0f} ms | {live:.0f} | {paused:.0f} | {cpu:.2f} |", flush=True)
