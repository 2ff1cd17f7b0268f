#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A campaign: clusters of three nodes in three data centers are broken at random while clients use them, and each history
is judged.

usage: faults.py [--runs N] [--seconds N] [--seed S] [--first N] [--only KIND,...] [--keep] [--build NAME]

One line a run and a summary; exit status 1 when a run was wrong, or toothless: nothing happened in it. What a run that
was wrong leaves behind (history, logs, plan) is named. The same seed draws the same faults; real processes never
do quite the same twice."""
import argparse
import contextlib
import os
import pathlib
import re
import shutil
import signal
import smtplib
import sys
import threading
import time
import traceback

import history as judge
import lab
import lab_disk
import lab_wan
import nemesis
import workload

DELAYS_MS = (2.0, 20.0)
SHORT_LOG = "storage { log_retain_bytes = 1048576 }"    # every second pair of runs: who was away fetches states
USERS = 6
GROUPS = 4
HEALTHY_S = 90
EQUAL_S = 60
LEADER = re.compile(r"raft group\b.*\bgroup=(\d+) term=(\d+) leader=([1-9]\d*)")

# What a node never says, whatever is done to it: a program that dies by itself, a sanitizer's find, a state that is none.
NEVER = re.compile(r"child ended.*signal=(?!9\b|15\b)\d+|check failed|Sanitizer|runtime error:|log and state do not fit"
                   r"|log does not make sense|group stopped|a member needs entries that are trimmed")


class Run:
    """One cluster's life. `words` collects what the line about it says."""

    def __init__(self, seed, seconds, delay_ms, build, kinds=nemesis.KINDS, extra=""):
        self.seed = seed
        self.extra = extra
        self.seconds = seconds
        self.delay_ms = delay_ms
        self.build = build
        self.kinds = kinds
        self.history = []
        self.violations = []
        self.faults = []
        self.ended = []
        self.plan = ""
        self.leader_changes = 0
        self.copied = 0
        self.service_s = 0.0

    def go(self, keep=None):
        """Violations are there afterwards; what breaks the run itself is one too."""
        with contextlib.ExitStack() as stack:
            cluster = lab_disk.FaultCluster(3, self.delay_ms, self.build, groups=GROUPS, extra=self.extra)
            stack.callback(cluster.end)
            try:
                cluster.create()
                self.live(cluster)
            except (lab.Failed, OSError, smtplib.SMTPException, workload.Lost) as problem:
                self.violations.append(f"the run broke: {problem!r}")
                traceback.print_exc()
            if keep is not None and (self.violations or keep[1]):
                self.save(cluster, keep[0])

    def live(self, cluster):
        users = cluster.add_accounts([f"user{n}" for n in range(USERS)])
        load = workload.Load(cluster, users, self.seed)
        self.history = load.history.rows
        terms = leaders(cluster)
        load.start()
        lab.wait_for("the first deliveries", lambda: load.history.count("deliver") > 20, 60)
        faults = nemesis.Nemesis(cluster, load.history, self.seed, self.seconds, self.kinds)
        self.plan = faults.text()
        try:
            self.faults = faults.run()
        finally:
            self.ended = nemesis.mend_all(cluster)
            healed = time.monotonic()
            load.stopping.set()
            probes(load.history, cluster, users, healed)
            load.stop()
        self.service_s = max(row["seconds"] for row in self.history if row["op"] == "probe")
        cluster.wait_healthy(HEALTHY_S)
        self.leader_changes = len(leaders(cluster) - terms)
        self.copied = sum((node.folder / "log").read_text(errors="replace").count("the state of a group was copied")
                          for node in cluster.nodes)
        digests(load.history, cluster)
        workload.final_reads(load.history, cluster.nodes, users, cluster.password)
        self.violations += judge.check(self.history)
        self.violations += [f"{name} ended by itself" for name in self.ended]
        self.violations += never_said(cluster)

    def toothless(self):
        return not any(effect for _, effect in self.faults) or self.leader_changes == 0

    def line(self):
        def number(op, result="ok"):
            return sum(row["op"] == op and row["result"] == result for row in self.history)

        ops = " ".join(f"{op} {number(op)}" for op in judge.WRITES + ("read",))
        unknown = sum(row["result"] == "info" for row in self.history if row["op"] in judge.WRITES)
        later = sum(row["result"] == "later" for row in self.history if row["op"] in judge.WRITES)
        verdict = f"{len(self.violations)} VIOLATIONS" if self.violations else "TOOTHLESS" if self.toothless() else "ok"
        happened = ", ".join(f"{text} [{effect}]" for text, effect in self.faults)
        return (f"{verdict}: seed {self.seed}, {self.delay_ms:g} ms; {ops}; unknown {unknown}, later {later}, of them there "
                f"all the same {len(judge.ghosts(self.history))}; leaders elected {self.leader_changes}; states fetched {self.copied}; "
                f"service after {self.service_s:.1f} s; faults: {happened}")

    def save(self, cluster, folder):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "verdict", "w") as file:
            file.write("\n".join([self.line(), f"plan: {self.plan}", *self.violations]) + "\n")
        rows = workload.History()
        rows.rows = self.history
        rows.write(folder / "history.jsonl")
        for node in cluster.nodes:
            with contextlib.suppress(OSError):
                shutil.copy(node.folder / "log", folder / f"{node.name}.log")


def never_said(cluster):
    for node in cluster.nodes:
        for line in (node.folder / "log").read_text(errors="replace").splitlines():
            if NEVER.search(line):
                yield f"{node.name} said: {line[:300]}"


def leaders(cluster):
    """{(group, term)} that had a leader, by the nodes' logs."""
    found = set()
    for node in cluster.nodes:
        for group, term, _ in LEADER.findall((node.folder / "log").read_text(errors="replace")):
            found.add((int(group), int(term)))
    return found


def probes(history, cluster, users, healed):
    """How long after the last fault each node takes and shows mail again; all nodes are asked at once."""
    threads = [threading.Thread(target=probe_node, args=(history, node, cluster, users[:GROUPS], healed))
               for node in cluster.nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def probe_node(history, node, cluster, users, healed):
    for user in users:
        row = {"op": "probe", "t0": healed, "client": "probe", "node": node.number, "result": "info", "user": user}
        while row["result"] != "ok" and time.monotonic() - healed < judge.SERVICE_S * 2:
            row["result"], row["why"] = probe(node, cluster, user)
            if row["result"] != "ok":
                time.sleep(0.1)
        row["t1"] = time.monotonic()
        row["seconds"] = row["t1"] - healed
        history.add(row)


def probe(node, cluster, user):
    """A log-in, a write and a fresh read in the user's group; no message, which would have to be in the history."""
    try:
        with smtplib.SMTP(node.ip, 2525, local_hostname="client.test", timeout=20) as smtp:
            smtp.ehlo()
            smtp.mail("probe@client.test")
            answer = smtp.rcpt(user)
            if answer[0] != 250:
                return "later", str(answer)
        client = workload.Imap(node.ip, user, cluster.password, 20)
        try:
            answer = client.command('SUBSCRIBE "Archive"')
            if answer.status == "OK":
                answer = client.select("INBOX")[0]
            return ("ok" if answer.status == "OK" else "later"), str(answer.text)
        finally:
            client.close()
    except (OSError, smtplib.SMTPException, workload.Lost) as problem:
        return "info", str(problem)


def digests(history, cluster):
    """Waits until all replicas of each group are at one index; the hashes then are the row."""
    def all_states():
        found = {}
        for node in cluster.nodes:
            for group, value in cluster.digests(node).items():
                found.setdefault(str(group), []).append(list(value))
        return found

    end = time.monotonic() + EQUAL_S
    groups = all_states()
    while any(len({index for index, _ in values}) > 1 for values in groups.values()) and time.monotonic() < end:
        time.sleep(0.3)
        groups = all_states()
    now = time.monotonic()
    history.add({"op": "digests", "t0": now, "t1": now, "client": "lab", "node": 0, "result": "ok", "groups": groups})


def kinds_of(text):
    names = {kind.__name__.lower(): kind for kind in nemesis.KINDS}
    wanted = text.lower().split(",")
    unknown = [name for name in wanted if name not in names]
    if unknown:
        sys.exit(f"no such fault: {', '.join(unknown)} (there are: {', '.join(names)})")
    return tuple(names[name] for name in wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", default=time.strftime("%Y%m%d"))
    parser.add_argument("--first", type=int, default=1, help="the number of the first run")
    parser.add_argument("--only", help="these faults only, separated by commas")
    parser.add_argument("--keep", action="store_true", help="keep histories and logs of good runs too")
    parser.add_argument("--build", default=lab.BUILD, help="a folder below build/, or a path")
    options = parser.parse_args()
    lab_wan.enter()
    kinds = kinds_of(options.only) if options.only else nemesis.KINDS
    wrong, toothless, totals = [], [], {}
    for number in range(options.first, options.first + options.runs):
        delay_ms = DELAYS_MS[(number - 1) % len(DELAYS_MS)]
        extra = SHORT_LOG if (number - 1) // 2 % 2 else ""
        run = Run(f"{options.seed}/{number}", options.seconds, delay_ms, options.build, kinds, extra)
        folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"postraft-faults-{options.seed}-{number}"
        start = time.monotonic()
        try:
            run.go((folder, options.keep))
        except lab_wan.Unavailable as why:
            print(f"skipped: {why}")
            return
        print(f"run {number} ({time.monotonic() - start:.0f} s) {run.line()}", flush=True)
        for text in run.violations[:10]:
            print(f"    {text[:600]}", flush=True)
        if run.violations:
            wrong.append(number)
            print(f"    left in {folder}", flush=True)
        elif run.toothless():
            toothless.append(number)
        for row in run.history:
            if row["op"] in judge.WRITES and row["result"] == "ok":
                totals[row["op"]] = totals.get(row["op"], 0) + 1
            if row["op"] == "fault":
                totals[row["kind"]] = totals.get(row["kind"], 0) + 1
    print(f"{options.runs} runs: {options.runs - len(wrong) - len(toothless)} right, wrong {wrong}, toothless {toothless}; "
          + ", ".join(f"{name} {count}" for name, count in sorted(totals.items())))
    sys.exit(1 if wrong or toothless else 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
