# SPDX-License-Identifier: GPL-2.0-or-later
"""`run outbound --backlog N ...`: one node, and N messages that wait, once for each N.

While they come in, the node's relay is off, so that all of them wait and are due. Then the node is killed and comes back
  without the hosts: memory of relay and store, and whether mail to another domain leaves meanwhile;
  with them: how soon the first message is out after the start, what a message costs relay and store while next to all
  of N still wait (the first WINDOW of them), and how fast they leave.
Memory is anonymous memory: pages of files, the database's among them, are the kernel's to take back."""
import os
import smtplib
import time

import lab
import outbound
import outbound_lab
import processes

GOAL_BYTES = 1024
GOAL_QUEUED = 100000   # from so many on; below, it is what the relay has read ahead
SIZE = 1024
WINDOW = 1000
PROBES = 10
SETTLE_S = 15
PROGRAMS = ("postraft-relay", "postraft-store")


def restart(node, relay):
    """With -9 and back; with its relay or without. When it was started."""
    if node.running():
        node.kill_tree()
    text = node.config.read_text()
    node.config.write_text(text.replace(f"relay = {1 - relay} ", f"relay = {relay} "))
    begun_s = time.monotonic()
    node.start()
    return begun_s


def awake(node):
    lab.wait_for("the node to be back", lambda: node.cli("cluster", "status")["healthy"], 120)


def memory(node):
    """Anonymous, of relay and store."""
    return {name: processes.anonymous_kb(node.child(name)) for name in PROGRAMS if node.child(name)}


def cpu(node):
    return {name: processes.own_cpu_seconds(node.child(name)) for name in PROGRAMS if node.child(name)}


def cpu_between(begin, end, count):
    return {name: round((end[name] - begin[name]) * 1000 / max(1, count), 3) for name in end if name in begin}


def probe(node, hosts):
    """How long a new message to a domain of its own takes, from its 250 to that of the host, in ms."""
    before = hosts.messages("probe")
    with smtplib.SMTP(node.ip, 2525, local_hostname="client.test", timeout=40) as client:
        client.sendmail("sender@client.test", ["probe@example.test"], lab.message("probe", recipient="probe@example.test"))
        accepted_s = time.monotonic()
    lab.wait_for("a probe to arrive", lambda: hosts.messages("probe") > before, 120, 0.005)
    return round((hosts.counts("probe")["last_s"] - accepted_s) * 1000, 1)


def fill(subject, program, options, count):
    words = ["--connections", "100", "--size", str(SIZE), "--messages", str(count), "--limit", "7200"]
    result = outbound.load(subject, program, options, outbound_lab.DOMAINS, *words)
    lab.check(result["accepted"] >= count, f"{result['accepted']} of {count} messages were accepted: {result['codes']}")
    return result


def without_hosts(node, hosts, empty, count):
    """The relay has tried, nobody answers, the mail waits."""
    begun_s = restart(node, 1)
    awake(node)
    healthy_s = time.monotonic() - begun_s
    most = memory(node)
    latencies = []
    while time.monotonic() - begun_s < SETTLE_S or len(latencies) < PROBES:
        if len(latencies) < PROBES:
            latencies.append(probe(node, hosts))
        most = {name: max(value, most.get(name, 0)) for name, value in memory(node).items()}
        time.sleep(0.5)
    begin, begin_s = cpu(node), time.monotonic()
    time.sleep(5)
    idle = {name: round(value / (time.monotonic() - begin_s) / 1000 * 100, 2)
            for name, value in cpu_between(begin, cpu(node), 1).items()}
    more = {name: (most[name] - empty.get(name, 0)) * 1024 // count for name in most}
    return {"healthy_s": round(healthy_s, 2), "memory_kb": most, "memory_bytes_each": more,
            "probe_ms": {"first": latencies[0], "median": sorted(latencies)[len(latencies) // 2], "most": max(latencies)},
            "cpu_percent_waiting": idle}


def with_hosts(node, hosts, count):
    hosts.start()
    begun_s = restart(node, 1)
    lab.wait_for("the first message after the start", lambda: hosts.messages() > 0, 300, 0.005)
    window = min(WINDOW, count // 2)
    begin, at = cpu(node), hosts.messages()
    lab.wait_for("the next ones", lambda: hosts.messages() >= at + window, 600, 0.002)
    sent = hosts.messages() - at
    first = cpu_between(begin, cpu(node), sent)
    lab.wait_for("all of them", lambda: hosts.messages() >= count, 7200, 0.05)
    counts = hosts.counts()
    time.sleep(1)
    whole = cpu_between(begin, cpu(node), count)
    doubles = hosts.messages() - count
    hosts.stop()
    seconds = counts["last_s"] - counts["first_s"]
    return {"first_out_s": round(counts["first_s"] - begun_s, 3), "out_per_s": round(count / seconds, 1), "doubles": doubles,
            "sessions": counts["connections"], "cpu_ms_first": first, "window": sent, "cpu_ms_all": whole}


def round_of(subject, hosts, programs, options, count):
    node = subject.cluster.node(1)
    restart(node, 1)
    awake(node)
    probe(node, hosts)
    empty = memory(node)
    restart(node, 0)
    awake(node)
    filled = fill(subject, programs[0], options, count)
    row = {"queued": count, "accepted_per_s": filled["accepted_per_s"], "memory_kb_empty": empty,
           "memory_kb_filled": memory(node), **without_hosts(node, hosts, empty, count), **with_hosts(node, hosts, count)}
    row["cpu_ms_window"] = round(sum(row["cpu_ms_first"].values()), 3)
    return row


def show(row):
    each = sum(row["memory_bytes_each"].values())
    goal = f" (goal {GOAL_BYTES}: {'reached' if each < GOAL_BYTES else 'missed'})" if row["queued"] >= GOAL_QUEUED else ""
    print(f"{row['queued']} queued, filled with {row['accepted_per_s']:.0f}/s; load of the machine {os.getloadavg()[0]:.1f}\n"
          f"  memory without hosts: {row['memory_kb']} kB, empty {row['memory_kb_empty']} kB: {each} bytes a message{goal}\n"
          f"  meanwhile: a new message to another domain is out after {row['probe_ms']} ms; CPU % {row['cpu_percent_waiting']}\n"
          f"  restart: first message out after {row['first_out_s']} s, then {row['out_per_s']}/s, {row['sessions']} sessions, "
          f"{row['doubles']} doubles\n"
          f"  CPU ms a message: first {row['window']} of them {row['cpu_ms_first']}, all {row['cpu_ms_all']}", flush=True)


def run(options, programs, build):
    rows = []
    with outbound_lab.Hosts(programs[1], 39) as hosts:
        hosts.start("probe")
        # What was put off while the hosts were away is due again at once when they are back.
        with outbound_lab.cluster(1, hosts, 31, build, 'retry = { "1s" }') as cluster:
            subject = outbound_lab.Postraft(cluster)
            subject.prepare()
            for count in options.backlog:
                rows.append(round_of(subject, hosts, programs, options, count))
                if not options.json:
                    show(rows[-1])
    least, most = (pick(rows, key=lambda row: row["queued"]) for pick in (min, max))
    return {"rows": rows, "cost_ratio": round(most["cpu_ms_window"] / max(0.001, least["cpu_ms_window"]), 2)}
