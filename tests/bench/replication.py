# SPDX-License-Identifier: GPL-2.0-or-later
"""What `run replication` measures: the product's log, transport and replicator in processes of their own
(bench-replication), and a whole cluster for what only that can show: fail-over, start, memory."""
import json
import pathlib
import smtplib
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import lab  # noqa: E402

BIN = lab.ROOT / "build/release/bin"
PORT = 24100
FAIL_OVERS = 5


def load(**options):
    """One run of bench-replication."""
    with tempfile.TemporaryDirectory(prefix="bench-replication-") as folder:
        words = [str(BIN / "bench-replication"), "--folder", folder, "--port", str(PORT)]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        run = subprocess.run(words, capture_output=True, text=True, timeout=3600)
        if run.returncode:
            sys.exit(f"bench-replication: {run.stderr.strip()[-2000:]}")
        return json.loads(run.stdout)


def throughput(options):
    for size in options.entry_sizes:
        for groups in options.groups:
            for depth in (1, 16):
                yield "throughput", load(groups=groups, depth=depth, size=size, seconds=options.seconds)
    for delay in (2, 20):
        for depth in (1, 64):
            yield "distance", load(groups=4, depth=depth, size=4096, delay_ms=delay, seconds=options.seconds)
    # The log must reach back: this machine has no state that could be fetched instead.
    yield "catch-up", load(groups=4, depth=16, size=25600, catch_up_mb=options.catch_up_mb, retain_mb=2 * options.catch_up_mb)
    if options.steady_gb:
        yield "steady", load(groups=16, depth=16, size=25600, retain_mb=64, total_mb=options.steady_gb * 1024, step_mb=1024)


def resident_mb(node, name="postraft-store"):
    status = pathlib.Path(f"/proc/{node.child(name)}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {what: round(int(fields[key].split()[0]) / 1024, 1) for what, key in (("anonymous_mb", "RssAnon"), ("file_mb", "RssFile"))}


class Probe(threading.Thread):
    """Delivers one message after the other to a node, each on a connection of its own, and keeps when which got 250."""

    def __init__(self, node, user):
        super().__init__(daemon=True)
        self.node, self.user, self.times, self.going = node, user, [], True

    def run(self):
        while self.going:
            try:
                with smtplib.SMTP(self.node.ip, 2525, timeout=40) as client:
                    client.sendmail("sender@client.test", [self.user], "Subject: probe\r\n\r\nprobe\r\n")
                self.times.append(time.monotonic())
            except (OSError, smtplib.SMTPException):
                time.sleep(0.01)

    def first_after(self, moment):
        return next((t for t in self.times if t > moment), None)


def cluster_figures(options):
    with lab.Cluster(3, network=33) as cluster:
        users = cluster.add_accounts([f"bench{n}" for n in range(4)])
        yield "memory at rest", resident_mb(cluster.node(1))
        pauses = []
        for round_number in range(FAIL_OVERS):
            user = users[round_number % len(users)]
            victim = cluster.leader_of(user)
            probe = Probe(next(node for node in cluster.nodes if node is not victim), user)
            probe.start()
            lab.wait_for("mail to flow", lambda probe=probe: len(probe.times) > 20)
            killed = time.monotonic()
            victim.kill_tree()
            # What was under way at the kill may still be answered: the pause is the longest between two answers.
            lab.wait_for("mail to go on", lambda probe=probe, killed=killed: len([t for t in probe.times if t > killed]) > 20, 60)
            probe.going = False
            probe.join()
            after = [killed] + [t for t in probe.times if t > killed]
            pauses.append(max(b - a for a, b in zip(after, after[1:])))
            victim.start()
            cluster.wait_healthy(90)
        yield "fail-over", {"pauses_s": [round(p, 3) for p in pauses], "worst_s": round(max(pauses), 3)}
        traffic = lab.Load(cluster, users, clients=20, size=4096).start()
        time.sleep(options.seconds)
        loaded = resident_mb(cluster.node(1))
        traffic.stop()
        yield "memory under load", loaded


def start_time(options):
    """A node with so much mail is stopped and started."""
    with lab.Cluster(1, network=34) as cluster:
        users = cluster.add_accounts([f"bench{n}" for n in range(8)])
        node = cluster.node(1)
        words = [str(BIN / "bench-smtp"), "--connections", "8", "--size", str(1024 * 1024), "--seconds", "5", "--target", f"{node.ip}:2525"]
        for user in users:
            words += ["--recipient", user]
        folder = node.folder / "data"

        def stored():
            return sum(f.stat().st_blocks * 512 for f in folder.rglob("*.mdb"))

        while stored() < options.start_gb << 30:
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=120)
        node.stop(60)
        began = time.monotonic()
        node.start()
        probe = Probe(node, users[0])
        probe.start()
        first = lab.wait_for("the first 250", lambda: probe.first_after(began), 120, 0.01)
        probe.going = False
        yield "start", {"stored_gb": round(stored() / 2**30, 1), "first_250_s": round(first - began, 2)}


def rows(options):
    parts = {"throughput": throughput, "cluster": cluster_figures}
    if options.start_gb:
        parts["start"] = start_time
    for name, part in parts.items():
        if options.only and name not in options.only:
            continue
        for what, figures in part(options):
            yield {"what": what, **figures}
