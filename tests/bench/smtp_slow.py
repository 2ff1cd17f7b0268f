# SPDX-License-Identifier: GPL-2.0-or-later
"""`run smtp-slow`: thousands of connections that do nothing, a thousand that send a byte every few seconds, and mail
that goes on meanwhile. How fast without and with them, and what memory a connection costs postraft-smtp.

They come from many loopback addresses, so that limits for one address keep their defaults and do not bite. The rate
without them is measured before and after, in the clear and over TLS alike; the load itself is always in the clear."""
import contextlib
import json
import os
import resource
import statistics
import subprocess
import threading

import lab
import processes
import smtp

GOAL = 0.8
CONNECTIONS, SIZE = 20, 4096
SOURCES = 1000
READY_S = 300


class Deadline:
    """Ends a process that does not do in time what is waited for."""

    def __init__(self, seconds, process):
        self.timer = threading.Timer(seconds, process.kill)
        self.timer.daemon = True
        self.timer.start()

    def stop(self):
        self.timer.cancel()


def descriptors():
    """How many files a process may have open here."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


class Held:
    """with Held(...) as held: ... keeps them; afterwards `result` says what became of them."""

    def __init__(self, program, subject, idle, slow, tls):
        self.command = [str(program), "--target", subject.targets[0], "--recipient", subject.users[0], "--idle", str(idle),
                        "--slow", str(slow), "--sources", str(SOURCES)] + (["--starttls"] if tls else [])
        self.result = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        timer = Deadline(READY_S, self.process)
        line = self.process.stdout.readline()
        timer.stop()
        if line.strip() != "ready":
            self.process.kill()
            self.process.wait()
            raise lab.Failed(f"the connections could not all be opened: {line.strip() or 'no answer'}")
        return self

    def __exit__(self, kind, value, trace):
        out = ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            out, _ = self.process.communicate(timeout=60)
        self.process.kill()
        self.process.wait()
        if kind is None:
            self.result = json.loads(out)


def servers(subject):
    """The pids of postraft-smtp."""
    return [pid for pid in processes.tree(subject.pids()) if lab.process_name(pid) == "postraft-smtp"]


def memory(subject):
    return processes.memory_kb(servers(subject))


def rate(subject, program, options):
    os.sync()
    subject.begin()
    result = smtp.load(subject, program, options, "--connections", str(CONNECTIONS), "--size", str(SIZE), "--seconds",
                       str(options.seconds), "--sources", str(CONNECTIONS), "--per-connection",
                       str(options.per_connection or 2**31))
    subject.verify(result["accepted"])
    return result


def round_of(subject, programs, options, tls):
    """Without, with, and without again."""
    load, hold = programs
    loads = [rate(subject, load, options)]
    before = memory(subject)
    with Held(hold, subject, options.idle, options.slow, tls) as held:
        after = memory(subject)
        cpu = processes.cpu_seconds(servers(subject))
        loads.append(rate(subject, load, options))
        busy = memory(subject)
        cpu = processes.cpu_seconds(servers(subject)) - cpu
    loads.append(rate(subject, load, options))
    count = options.idle + options.slow
    first, with_them, last = (result["accepted_per_s"] for result in loads)
    return {"tls": tls, "without_per_s": [first, last], "with_per_s": with_them,
            "ratio": round(with_them / statistics.mean((first, last)), 3), "refused": loads[1]["refused"],
            "codes": loads[1]["codes"], "p99_ms": [result["latency_ms"]["p99"] for result in loads], "memory_before": before, "memory_held": after,
            "memory_busy": busy, "smtp_cpu_s": round(cpu, 2),
            "resident_bytes_each": (after["resident_kb"] - before["resident_kb"]) * 1024 // count,
            "private_bytes_each": (after["private_kb"] - before["private_kb"]) * 1024 // count, "held": held.result}


def line(row):
    without = " and ".join(f"{value:.0f}" for value in row["without_per_s"])
    return (f"{'TLS' if row['tls'] else 'clear':>6}{without:>16}{row['with_per_s']:>9.0f}{row['ratio'] * 100:>8.1f} %"
            f"{row['memory_before']['resident_kb'] / 1024:>10.1f}{row['memory_held']['resident_kb'] / 1024:>8.1f}"
            f"{row['memory_busy']['resident_kb'] / 1024:>8.1f}{row['memory_held']['private_kb'] / 1024:>9.1f}"
            f"{row['resident_bytes_each']:>10}{row['private_bytes_each']:>9}"
            f"{row['refused']:>9}{row['held']['closed'] + row['held']['refused']:>9}")


def run(options, programs, build):
    if options.idle + options.slow + 100 > descriptors():
        raise lab.Failed(f"{descriptors()} open files are not enough for {options.idle + options.slow} connections")
    rows = []
    extra = f"processes {{ smtp = {os.cpu_count()} }}"
    with lab.Cluster(1, network=36, build=build, extra=extra) as cluster:
        subject = smtp.Postraft(cluster, [f"bench{n}" for n in range(smtp.ACCOUNTS)])
        smtp.load(subject, programs[0], options, "--messages", str(2 * smtp.ACCOUNTS), "--connections", "4")
        if not options.json:
            print(f"load of the machine before: {os.getloadavg()[0]:.2f}; {options.idle} idle and {options.slow} slow "
                  f"connections; delivery of {SIZE} bytes over {CONNECTIONS} connections, {options.seconds} s each\n"
                  f"{'':6}{'delivered/s':>25}{'':10}{'postraft-smtp, MB resident':>26}{'private':>9}{'bytes a connection':>19}"
                  f"{'refused':>9}{'ended by':>9}\n{'':6}{'without':>16}{'with':>9}{'ratio':>10}{'before':>10}{'held':>8}{'busy':>8}"
                  f"{'held':>9}{'resident':>10}{'private':>9}{'mail':>9}{'server':>9}", flush=True)
        for tls in options.tls:
            for _ in range(options.rounds):
                rows.append(round_of(subject, programs, options, tls))
                if not options.json:
                    print(line(rows[-1]), flush=True)
    goals = [{"tls": tls, "goal": GOAL, "ratio": statistics.median(row["ratio"] for row in rows if row["tls"] == tls)}
             for tls in options.tls]
    if not options.json:
        for goal in goals:
            print(f"{'over TLS' if goal['tls'] else 'in the clear'}: {goal['ratio'] * 100:.1f} % of the rate, goal "
                  f"{GOAL * 100:.0f} % {'reached' if goal['ratio'] >= GOAL else 'missed'}")
    return {"idle": options.idle, "slow": options.slow, "connections": CONNECTIONS, "size": SIZE, "rows": rows, "goals": goals}
