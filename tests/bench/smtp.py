# SPDX-License-Identifier: GPL-2.0-or-later
"""`run smtp`: Postraft as one node and as three, and Postfix with Dovecot, under the same load in turn.

Accepted is what got 250. Delivered is what lies in its mailbox: with Postraft that is the same moment (and is counted
afterwards), with Postfix the time runs until its queue is empty. CPU is of all processes of the server, until it has
come to rest; the load generator shares the machine with all of them alike. All servers run all the time, the cases of
one row right behind each other."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import lab
import postfix
import processes

ACCOUNTS = 64
GOALS = {1: 10.0, 3: 3.0}     # delivered a second, beside Postfix
DRAIN_S = 300
REST_S = 5
# As many connections as are measured may come from one address, and both cores are used, as in postfix.py.
CONFIG = """limits {{ connections_address = 20000 }}
processes {{ smtp = {processes} }}
{tls}"""


def certificate(folder):
    """A pair of files for both: P-256, as Postraft makes it by itself."""
    pair = pathlib.Path(folder) / "certificate.pem", pathlib.Path(folder) / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "7", "-subj", "/CN=bench.test", "-out", str(pair[0]), "-keyout", str(pair[1])],
                   check=True, capture_output=True)
    return pair


class Postraft:
    def __init__(self, cluster, names):
        self.cluster = cluster
        self.nodes = len(cluster.nodes)
        self.name = f"postraft {self.nodes}"
        self.targets = [f"{node.ip}:2525" for node in cluster.nodes]
        self.users = cluster.add_accounts(names)
        self.before = 0

    def pids(self):
        return [node.process.pid for node in self.cluster.nodes]

    def there(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return sum(pool.map(lambda user: self.cluster.node(1).cli("account", "show", user)["messages"], self.users))

    def begin(self):
        self.before = self.there()

    def delivered(self, result):
        """When was all delivered? With the last 250."""
        return result["started_s"] + result["seconds"]

    def verify(self, accepted):
        lab.wait_for("accepted messages to be in their mailboxes", lambda: self.there() - self.before == accepted, 60, 0.2)

    def end(self):
        pass


class Postfix:
    nodes = 0
    name = "postfix"

    def __init__(self, peer):
        self.peer = peer
        self.targets = [f"{peer.address}:2525"]
        self.users = [f"{name}@example.test" for name in peer.names]
        self.sent = self.stored = 0

    def pids(self):
        return self.peer.pids()

    def begin(self):
        self.sent = self.peer.delivered()
        self.stored = self.peer.stored()

    def delivered(self, result):
        lab.wait_for("Postfix to deliver what it has accepted",
                     lambda: self.peer.delivered() - self.sent >= result["accepted"], DRAIN_S, 0.03)
        return time.monotonic()

    def verify(self, accepted):
        lab.wait_for("Postfix's queue to be empty", lambda: self.peer.queued() == 0, 20)
        there = self.peer.stored() - self.stored
        lab.check(there == accepted, f"{there} of {accepted} messages are in Dovecot's mailboxes")

    def end(self):
        self.peer.empty()


def load(subject, program, options, *words):
    command = [str(program), *words]
    for target in subject.targets:
        command += ["--target", target]
    for user in subject.users:
        command += ["--recipient", user]
    run = subprocess.run(command, capture_output=True, text=True, timeout=options.seconds + 700)
    if run.returncode:
        raise lab.Failed(f"bench-smtp on {subject.name}: {run.stderr.strip()} {run.stdout.strip()}")
    return json.loads(run.stdout)


def rest(pids):
    """Waits until the processes do next to nothing, and says how much they have done so far."""
    last, end = processes.cpu_seconds(pids), time.monotonic() + REST_S
    while time.monotonic() < end:
        time.sleep(0.2)
        now = processes.cpu_seconds(pids)
        if now - last <= 0.02:
            return now
        last = now
    return last


def measure(subject, cell, program, options):
    """One case on one server."""
    size, connections, tls = cell
    words = ["--connections", str(connections), "--size", str(size), "--seconds", str(options.seconds)]
    if tls:
        words.append("--starttls")
    if options.attachments:
        words.append("--attachments")
    if options.per_connection:
        words += ["--per-connection", str(options.per_connection)]
    os.sync()   # what others have left to write is not this one's
    subject.begin()
    cpu = rest(subject.pids())
    result = load(subject, program, options, *words)
    elapsed = subject.delivered(result) - result["started_s"]
    cpu = rest(subject.pids()) - cpu
    subject.verify(result["accepted"])
    subject.end()
    return {"server": subject.name, "nodes": subject.nodes, "tls": tls, **result,
            "delivered_per_s": round(result["accepted"] / elapsed, 1),
            "cpu_ms_per_message": round(cpu * 1000 / max(1, result["accepted"]), 3)}


def middle(rows):
    """Of several rounds of a case: the one in the middle by what was delivered."""
    rows = sorted(rows, key=lambda row: row["delivered_per_s"])
    row = rows[len(rows) // 2]
    if len(rows) > 1:
        row["rounds_delivered_per_s"] = [r["delivered_per_s"] for r in rows]
    return row


@contextlib.contextmanager
def subjects(options, build):
    """The servers, started: Postfix first, if it can be."""
    names = [f"bench{n}" for n in range(ACCOUNTS)]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="postraft-bench-"))
        pair = certificate(folder)
        found = []
        if options.peer != "none":
            why = postfix.missing()
            if why:
                print(f"bench: without Postfix and Dovecot, nothing to compare with: {why}", file=sys.stderr)
            else:
                peer = postfix.Peer(names, pair, store=options.peer, connections=max(options.connections))
                found.append(Postfix(stack.enter_context(peer)))
        tls = f'tls {{ certificate = "{pair[0]}" key = "{pair[1]}" }}' if os.getuid() == 0 else ""
        extra = CONFIG.format(processes=os.cpu_count(), tls=tls)
        for at, count in enumerate(options.nodes):
            cluster = stack.enter_context(lab.Cluster(count, network=31 + 3 * at, build=build, extra=extra))
            found.append(Postraft(cluster, names))
        yield found


class Table:
    """Lines as they come: what each server delivers, and how much better than Postfix that is."""

    def __init__(self, found):
        self.found = found
        columns = "".join(f"{s.name:>11}" for s in found)
        ratios = "".join(f"{f'ratio {s.nodes}':>9}" for s in found if s.nodes) if self.compares() else ""
        width = 11 * len(found)
        print(f"{'':24}{'accepted/s':>{width}} |{'delivered/s':>{width}}{'':{len(ratios)}} |{'CPU ms a message':>{width}}"
              f" |{'p99 ms':>{width}}")
        print(f"{'bytes':>9}{'conns':>6}{'tls':>9}{columns} |{columns}{ratios} |{columns} |{columns}", flush=True)

    def compares(self):
        return any(s.nodes == 0 for s in self.found)

    def line(self, cell, rows, ratios):
        def cells(value, digits):
            return "".join(f"{value(row):>11.{digits}f}" for row in rows)
        factors = "".join(f"{ratios[s.nodes]:>8.1f}x" for s in self.found if s.nodes) if ratios else ""
        print(f"{cell[0]:>9}{cell[1]:>6}{'STARTTLS' if cell[2] else '-':>9}{cells(lambda r: r['accepted_per_s'], 1)} |"
              f"{cells(lambda r: r['delivered_per_s'], 1)}{factors} |{cells(lambda r: r['cpu_ms_per_message'], 3)} |"
              f"{cells(lambda r: r['latency_ms']['p99'], 1)}", flush=True)


def compare(cell, rows):
    """{nodes: delivered a second, ours by theirs}; {} when there is nobody to compare with."""
    theirs = next((row for row in rows if row["nodes"] == 0), None)
    if theirs is None:
        return {}
    return {row["nodes"]: round(row["delivered_per_s"] / theirs["delivered_per_s"], 2) for row in rows if row["nodes"]}


def verdict(ratios):
    """For each cluster size: the goal, the smallest and the middle ratio, and in how many cases it is reached."""
    found = []
    for nodes in sorted({n for row in ratios for n in row["ratio"]}):
        values = [row["ratio"][nodes] for row in ratios]
        goal = GOALS.get(nodes)
        found.append({"nodes": nodes, "goal": goal, "least": min(values), "median": statistics.median(values),
                      "cases": len(values), "reached": sum(v >= goal for v in values) if goal else None})
    return found


def run(options, program, build):
    quiet = options.json
    started = os.getloadavg()
    cells = [(size, connections, tls) for size in options.sizes for connections in options.connections
             for tls in options.tls]
    rows, ratios = [], []
    with subjects(options, build) as found:
        if not quiet:
            print(f"load of the machine before: {started[0]:.2f}; {options.seconds} s a case, "
                  f"{options.per_connection or 'all'} messages a connection, "
                  f"{'attachments' if options.attachments else 'text'}")
        table = None if quiet else Table(found)
        for subject in found:   # each mailbox is made, each process has started
            load(subject, program, options, "--messages", str(2 * ACCOUNTS), "--connections", "4")
            rest(subject.pids())
        for cell in cells:
            taken = [[] for _ in found]
            for round_number in range(options.rounds):
                order = list(enumerate(found))
                for at, subject in order if round_number % 2 == 0 else reversed(order):
                    taken[at].append(measure(subject, cell, program, options))
            now = [middle(of_one) for of_one in taken]
            rows += now
            ratio = compare(cell, now)
            if ratio:
                ratios.append({"size": cell[0], "connections": cell[1], "tls": cell[2], "ratio": ratio})
            if table:
                table.line(cell, now, ratio)
        versions = postfix.versions() if any(s.nodes == 0 for s in found) else {}
    goals = verdict(ratios)
    if not quiet:
        for goal in goals:
            reached = f"goal {goal['goal']:g}x reached in {goal['reached']} of {goal['cases']}" if goal["goal"] else "no goal"
            print(f"delivered/s, {goal['nodes']} node{'s' if goal['nodes'] > 1 else ''} : Postfix: median "
                  f"{goal['median']:.1f}x, least {goal['least']:.1f}x; {reached}")
    return {"peer": {**versions, "mailboxes": options.peer} if versions else None, "load_before": started,
            "load_after": os.getloadavg(), "seconds": options.seconds, "per_connection": options.per_connection,
            "attachments": options.attachments,
            "rows": rows, "ratios": ratios, "goals": goals}
