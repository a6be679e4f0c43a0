"""Measures the load generator beside its peers and prints a table.

nginx serves a file of 1 KB from core 0, each client runs on core 1, one after the other, in several rounds.
CPU time is that of the client's process and its children; requests are counted by nginx, the same for all.
Everything is on 127.0.0.1.
"""

import argparse
import csv
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

PEERS = Path("target/peers").resolve()
RUN = PEERS / "run"
OURS = Path("target/release/examples/bench_load").resolve()
OHA = PEERS / "bin/oha"
GOOSE = PEERS / "build/goose/release/goose-peer"
LOCUST = PEERS / "locust/bin/locust"
LOCUSTFILE = Path(__file__).resolve().parent / "locustfile.py"
PORT = 18480
BASE = f"http://127.0.0.1:{PORT}"
RATE = 2000

ORDER = json.dumps(
    {
        "code": "AB37CD",
        "secret": "8xk3m0q5z2",
        "status": "n",
        "total": "23.00",
        "email": "ab37cd@buyers.example.org",
        "locale": "en",
        "sales_channel": "web",
        "payment_provider": "manual",
        "positions": [{"id": 4711, "item": 5, "price": "23.00", "secret": "h4ckx0z9w8v7u6t5", "attendee_name": None}],
    }
)

NGINX = """
{user}
worker_processes 1;
worker_rlimit_nofile 65536;
pid {run}/nginx.pid;
error_log {run}/nginx.log;
events {{ worker_connections 30000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    open_file_cache max=10;
    sendfile on;
    client_body_temp_path {run}/body;
    proxy_temp_path {run}/proxy;
    fastcgi_temp_path {run}/fastcgi;
    uwsgi_temp_path {run}/uwsgi;
    scgi_temp_path {run}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=16384;
        root {run};
        location = /1k {{ default_type application/octet-stream; }}
        location = /order {{
            default_type application/json;
            add_header Set-Cookie "pretix_session=9v1w6n0kq3b7x5z2; Path=/; HttpOnly; SameSite=Lax";
            add_header Set-Cookie "pretix_csrftoken=Zx8Yw7Vu6Ts5; Path=/";
            return 201 '{order}';
        }}
        location = /count {{ stub_status; }}
    }}
}}
"""


class Server:
    """nginx, one worker, on core 0."""

    def __enter__(self):
        RUN.mkdir(parents=True, exist_ok=True)
        (RUN / "1k").write_bytes(b"x" * 1024)
        user = "user root;" if os.geteuid() == 0 else ""
        config = RUN / "nginx.conf"
        config.write_text(NGINX.format(user=user, run=RUN, port=PORT, order=ORDER))
        command = ["taskset", "-c", "0", "nginx", "-c", str(config), "-g", "daemon off;"]
        self.master = subprocess.Popen(command)
        for _ in range(100):
            try:
                self.requests()
                return self
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"nginx does not answer: see {RUN}/nginx.log")

    def __exit__(self, *_):
        self.master.terminate()
        self.master.wait()

    def requests(self):
        """Requests that were served so far, this one included."""
        with urllib.request.urlopen(f"{BASE}/count") as answer:
            return int(answer.read().split()[9])

    def stop_for(self, seconds):
        """Stops the worker: connections stay open, and nothing is answered."""
        children = Path(f"/proc/{self.master.pid}/task/{self.master.pid}/children").read_text().split()
        worker = int(children[0])
        os.kill(worker, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(worker, signal.SIGCONT)


def ours(mode, *args):
    return [str(OURS), mode, f"{BASE}/{'order' if mode == 'step' else '1k'}", *map(str, args)]


def wrk(connections, seconds):
    return ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"{BASE}/1k"]


def oha(connections, seconds, *more):
    return [str(OHA), "--no-tui", "--output-format", "json", "-c", str(connections), "-z", f"{seconds}s", *more, f"{BASE}/1k"]


def goose(users, seconds, *more):
    hatch = ["--increase-rate", str(users)]
    return [str(GOOSE), "--host", BASE, "--users", str(users), *hatch, "--run-time", f"{seconds}s", "--no-reset-metrics", *more]


def locust(kind, users, seconds):
    output = ["--headless", "--only-summary", "--csv", str(RUN / "locust")]
    return [str(LOCUST), "-f", str(LOCUSTFILE), kind, "--host", BASE, "-u", str(users), "-r", str(users), "-t", f"{seconds}s", *output]


CLIENTS = [
    ("firedrill", lambda c, s: ours("get", c, s)),
    ("wrk", wrk),
    ("oha", oha),
    ("goose", goose),
    ("Locust FastHttpUser", lambda c, s: locust("Fast", c, s)),
    ("Locust HttpUser", lambda c, s: locust("Plain", c, s)),
    ("firedrill, full step", lambda c, s: ours("step", c, s)),
]


def is_there(command):
    return shutil.which(command[0]) is not None


class Peak(threading.Thread):
    """Follows the peak memory of a process. What `wait4` says would be that of this script at least."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.status = Path(f"/proc/{pid}/status")
        self.mb = 0.0
        self.start()

    def run(self):
        while True:
            try:
                found = re.search(r"VmHWM:\s+(\d+)", self.status.read_text())
            except OSError:
                return
            # A process that has ended has no memory, until it is waited for.
            if not found:
                return
            self.mb = int(found.group(1)) / 1024
            time.sleep(0.05)


def execute(command, meanwhile=None, env=None):
    """Runs a client on core 1: its output, CPU seconds and peak memory in MB."""
    full = ["taskset", "-c", "1", *command]
    with open(RUN / "out.txt", "w") as out, open(RUN / "err.txt", "w") as err:
        process = subprocess.Popen(full, stdout=out, stderr=err, env={**os.environ, **(env or {})})
        # From when it has become the client: before, it is `taskset`.
        time.sleep(0.2)
        peak = Peak(process.pid)
        if meanwhile:
            meanwhile()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    text = (RUN / "out.txt").read_text()
    if process.returncode != 0:
        print(f"{command[0]} ended with {process.returncode}: {(RUN / 'err.txt').read_text()[-500:]}", file=sys.stderr)
    return text, usage.ru_utime + usage.ru_stime, peak.mb


def throughput(server, seconds, rounds):
    """Rows of the first table: requests/s, CPU, peak memory; clients take turns."""
    seen = {name: [] for name, _ in CLIENTS}
    for number in range(rounds):
        for name, client in CLIENTS:
            command = client(50, seconds)
            if not is_there(command):
                continue
            before = server.requests()
            _, cpu, peak = execute(command)
            count = max(server.requests() - before - 1, 1)
            seen[name].append((count / seconds, cpu * 1e5 / count, peak))
            print(f"round {number + 1}: {name}: {count / seconds:.0f}/s, {cpu * 1e5 / count:.2f} CPU-s/100k", file=sys.stderr)
    return seen


def throughput_table(seen):
    print("| client | requests/s | CPU-s / 100k (min-max) | times wrk, same round | peak MB |")
    print("| --- | --- | --- | --- | --- |")
    for name, rounds in seen.items():
        if not rounds:
            print(f"| {name} | not installed | | | |")
            continue
        rate, cpu, peak = (statistics.median(column) for column in zip(*rounds))
        cpus = [round_[1] for round_ in rounds]
        ratios = [own[1] / of_wrk[1] for own, of_wrk in zip(rounds, seen["wrk"])]
        ratio = f"{statistics.median(ratios):.2f}" if ratios else ""
        print(f"| {name} | {rate:,.0f} | {cpu:.2f} ({min(cpus):.2f}-{max(cpus):.2f}) | {ratio} | {peak:.0f} |")


def ours_p99(text):
    return json.loads(text)["latency_ms"]["p99"]


def oha_p99(text):
    return json.loads(text)["latencyPercentiles"]["p99"] * 1e3


def wrk_p99(text):
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def goose_p99(text):
    # The table of percentiles: name, 50 %, 75 %, 98 %, 99 %, 99.9 %, 99.99 %.
    table = text[text.rindex("Slowest page load within specified percentile") :]
    adjusted = table.find("Adjusted for Coordinated Omission")
    table = table[max(adjusted, 0) :]
    row = re.search(r"(?:Aggregated|GET[^|]*)\s*\|(.*)", table).group(1)
    return float(row.split("|")[3].strip().replace(",", ""))


def locust_p99(_):
    with open(RUN / "locust_stats.csv") as file:
        return float(next(row for row in csv.DictReader(file) if row["Name"] == "Aggregated")["99%"])


def stops(server, seconds):
    """What each client reports as p99 when the server stands still for 1 s."""
    pace = {"PEER_PACE": str(RATE / 200)}
    rows = [
        ("firedrill, open model", ours("open", RATE, seconds), ours_p99, {}),
        ("oha -q 2000", oha(50, seconds, "-q", str(RATE)), oha_p99, {}),
        ("oha -q 2000 --latency-correction (opt-in)", oha(50, seconds, "-q", str(RATE), "--latency-correction"), oha_p99, {}),
        ("goose --throttle-requests 2000", goose(50, seconds, "--throttle-requests", str(RATE)), goose_p99, {}),
        (
            "goose, --co-mitigation average (opt-in)",
            goose(50, seconds, "--throttle-requests", str(RATE), "--co-mitigation", "average"),
            goose_p99,
            {},
        ),
        ("Locust FastHttpUser, 200 users of 10/s", locust("Fast", 200, seconds), locust_p99, pace),
        ("wrk (has no rate: 50 connections)", wrk(50, seconds), wrk_p99, {}),
    ]
    print("| client | requests | reported p99, ms |")
    print("| --- | --- | --- |")

    def stop():
        time.sleep(seconds * 0.5)
        server.stop_for(1)

    for name, command, read, env in rows:
        if not is_there(command):
            print(f"| {name} | not installed | |")
            continue
        before = server.requests()
        text, _, _ = execute(command, meanwhile=stop, env=env)
        count = server.requests() - before - 1
        try:
            print(f"| {name} | {count:,} | {read(text):,.1f} |")
        except (AttributeError, KeyError, ValueError, StopIteration, OSError) as error:
            print(f"| {name} | {count:,} | its output was not understood: {error!r} |")


def lag(seconds):
    """Start lag of our open model at its rate; no peer reports one."""
    lags = []
    for _ in range(3):
        text, cpu, _ = execute(ours("open", RATE, seconds))
        result = json.loads(text)
        lags.append((result["start_lag_us"]["p50"], result["start_lag_us"]["p99"], result["start_lag_us"]["max"], cpu))
    print("| round | p50, us | p99, us | max, us | CPU-s |")
    print("| --- | --- | --- | --- | --- |")
    for number, (p50, p99, most, cpu) in enumerate(lags, 1):
        print(f"| {number} | {p50} | {p99} | {most} | {cpu:.2f} |")


def memory(seconds):
    """Memory of one more virtual user, from the peaks with few and with many."""
    print("| client | 1,000 users, KB each | 10,000 users, KB each |")
    print("| --- | --- | --- |")
    cells = []
    for count in (1_000, 10_000):
        result = json.loads(execute(ours("users", count))[0])
        cells.append(f"{result['kb_per_user_idle']:.1f} idle, {result['kb_per_user_used']:.1f} in use")
    print(f"| firedrill | {cells[0]} | {cells[1]} |")
    for name, client in CLIENTS[1:6]:
        if not is_there(client(50, seconds)):
            print(f"| {name} | not installed | |")
            continue
        base = execute(client(50, seconds))[2]
        cells = []
        for count in (1_000, 10_000):
            # Locust takes long to hatch so many.
            peak = execute(client(count, seconds * (3 if "Locust" in name else 1)))[2]
            cells.append(f"{(peak - base) * 1024 / (count - 50):.1f}")
        print(f"| {name} | {cells[0]} | {cells[1]} |")


def flatness(seconds):
    """Peak memory of a short and of a long run: does it grow with the requests?"""
    print("| client | requests | peak MB | requests | peak MB |")
    print("| --- | --- | --- | --- | --- |")
    for name, client in (CLIENTS[0], CLIENTS[6]):
        cells = []
        for factor in (0.5, 3):
            text, _, peak = execute(client(50, int(seconds * factor)))
            cells.append(f"{json.loads(text)['requests']:,} | {peak:.0f}")
        print(f"| {name} | {cells[0]} | {cells[1]} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not shutil.which("nginx"):
        raise SystemExit("nginx is missing: install the package of that name")
    if not OURS.exists():
        raise SystemExit(f"{OURS} is missing: run `peers.sh build` first")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    busy = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    with Server() as server:
        seen = throughput(server, options.seconds, options.rounds)
        print(f"Load average before the first run: {busy} on {os.cpu_count()} cores.\n\n## 1 KB GET, 50 connections\n")
        throughput_table(seen)
        print(f"\n## The server stands still for 1 s of {options.seconds} at {RATE} requests/s\n")
        stops(server, options.seconds)
        print(f"\n## Start lag at {RATE} arrivals/s\n")
        lag(options.seconds)
        print("\n## Memory of a virtual user\n")
        memory(max(options.seconds // 2, 3))
        print("\n## Memory over time\n")
        flatness(options.seconds)


if __name__ == "__main__":
    main()
