# SPDX-License-Identifier: GPL-2.0-or-later
"""`run outbound`: mail that comes in for an alias and leaves for a domain elsewhere, through Postraft as one node and as
three, and through Postfix, as it comes and with its limits raised, to the same hosts under the same load in turn.

Out is what a host has answered with 250, from the first connection of the load to the last message of what was
accepted. Both write a message down durably before they accept it, on the same disk. CPU is of all processes of the
server, until it has come to rest; load generator and hosts share the machine with all of them alike."""
import contextlib
import os
import statistics
import sys
import tempfile
import time

import lab
import lab_postfix
import outbound_backlog
import outbound_lab
import postfix
import smtp

GOAL = 3.0     # out a second, beside Postfix, one node
DRAIN_S = 300
SETTLE_S = 22  # so long who leads a group anew looks for leases of others among its mail, which is not what is measured


def load(subject, program, options, domains, *words):
    with tempfile.NamedTemporaryFile("w", prefix="postraft-bench-") as file:
        file.write("".join(f"{outbound_lab.alias_of(n)}\n" for n in range(domains)))
        file.flush()
        subject.users = []
        return smtp.load(subject, program, options, "--recipients", file.name, *words)


def rest(subject):
    """CPU so far, by program, when it does no more."""
    smtp.rest(subject.pids())
    return subject.cpu()


def measure(subject, hosts, cell, program, options):
    """One case on one server."""
    size, domains, connections = cell
    os.sync()
    cpu = rest(subject)
    before = hosts.counts()
    words = ["--connections", str(connections), "--size", str(size), "--seconds", str(options.seconds)]
    if options.per_connection:
        words += ["--per-connection", str(options.per_connection)]
    result = load(subject, program, options, domains, *words)
    lab.wait_for(f"{subject.name} to send what it has accepted",
                 lambda: hosts.messages() - before["messages"] >= result["accepted"], DRAIN_S, 0.03)
    now = rest(subject)
    after = hosts.counts()
    count = max(1, result["accepted"])
    spent = {name: (value - cpu.get(name, 0)) * 1000 / count for name, value in now.items()}
    return {"server": subject.name, "nodes": subject.nodes, "domains": domains, **result,
            "out_per_s": round(result["accepted"] / (after["last_s"] - result["started_s"]), 1),
            "doubles": after["messages"] - before["messages"] - result["accepted"],
            "sessions": after["connections"] - before["connections"],
            "cpu_ms_per_message": round(sum(spent.values()), 3),
            "cpu_ms_by_program": {name: round(value, 3) for name, value in sorted(spent.items()) if value >= 0.0005}}


def alone(hosts, program, options):
    """The hosts under the same load without a server between: they are not to be the limit."""
    rows = []
    direct = type("Direct", (), {"name": "hosts alone", "targets": hosts.addresses("hosts")[:8], "pids": lambda self: []})()
    for size in options.sizes:
        cpu = outbound_lab.processes.own_cpu_seconds(hosts.pid())
        result = load(direct, program, options, 1, "--connections", "20", "--size", str(size), "--seconds", "2")
        cpu = outbound_lab.processes.own_cpu_seconds(hosts.pid()) - cpu
        rows.append({"size": size, "taken_per_s": result["accepted_per_s"],
                     "cpu_ms_per_message": round(cpu * 1000 / max(1, result["accepted"]), 4)})
    return rows


@contextlib.contextmanager
def subjects(options, hosts, build):
    with contextlib.ExitStack() as stack:
        found = []
        why = "as you wish" if options.peer == "none" else lab_postfix.missing()
        if why:
            print(f"bench: without Postfix, nothing to compare with: {why}", file=sys.stderr)
        else:
            for at, kind in enumerate(outbound_lab.SETTINGS):
                found.append(stack.enter_context(outbound_lab.Postfix(kind, hosts, 33 + at)))
        for at, count in enumerate(options.nodes):
            cluster = outbound_lab.cluster(count, hosts, 31 + 6 * at, build)
            found.append(outbound_lab.Postraft(stack.enter_context(cluster)))
            found[-1].prepare()
        time.sleep(SETTLE_S if options.nodes else 0)
        yield found


def compare(rows):
    """{nodes: out a second by the better one of theirs}; {} when there is nobody to compare with."""
    theirs = max((row["out_per_s"] for row in rows if row["nodes"] == 0), default=0)
    return {row["nodes"]: round(row["out_per_s"] / theirs, 2) for row in rows if row["nodes"]} if theirs else {}


class Table:
    def __init__(self, found):
        columns = "".join(f"{s.name:>17}" for s in found)
        ratios = "".join(f"{f'ratio {s.nodes}':>9}" for s in found if s.nodes)
        print(f"{'':22}{'out a second':>{17 * len(found)}}{'':{len(ratios)}} |{'CPU ms a message':>{17 * len(found)}}\n"
              f"{'bytes':>8}{'domains':>8}{'conns':>6}{columns}{ratios} |{columns}", flush=True)

    @staticmethod
    def line(cell, rows, ratios):
        factors = "".join(f"{value:>8.1f}x" for value in ratios.values())
        print(f"{cell[0]:>8}{cell[1]:>8}{cell[2]:>6}" + "".join(f"{row['out_per_s']:>17.1f}" for row in rows) + factors +
              " |" + "".join(f"{row['cpu_ms_per_message']:>17.3f}" for row in rows), flush=True)
        for row in rows:
            if row["nodes"]:
                shares = ", ".join(f"{name} {value:g}" for name, value in row["cpu_ms_by_program"].items())
                print(f"{'':22}{row['server']}: accepted {row['accepted_per_s']:.0f}/s; CPU ms: {shares}; {row['sessions']} sessions, {row['doubles']} doubles", flush=True)


def rates(options, programs, build):
    cells = [(size, domains, connections) for size in options.sizes for domains in options.domains
             for connections in options.connections]
    rows, ratios = [], []
    with outbound_lab.Hosts(programs[1], 39) as hosts:
        hosts.start()
        hosts_alone = alone(hosts, programs[0], options)
        if not options.json:
            for row in hosts_alone:
                print(f"hosts alone, {row['size']} bytes: {row['taken_per_s']:.0f} a second, {row['cpu_ms_per_message']} CPU ms each")
        with subjects(options, hosts, build) as found:
            table = None if options.json else Table(found)
            for subject in found:     # all processes have started, all routes are known
                before = hosts.messages()
                count = 2 * outbound_lab.DOMAINS
                load(subject, programs[0], options, outbound_lab.DOMAINS, "--messages", str(count), "--connections", "4")
                lab.wait_for(f"the first mail of {subject.name}", lambda: hosts.messages() - before >= count, DRAIN_S)
            for cell in cells:
                now = [measure(subject, hosts, cell, programs[0], options) for subject in found]
                rows += now
                ratio = compare(now)
                if ratio:
                    ratios.append({"size": cell[0], "domains": cell[1], "connections": cell[2], "ratio": ratio})
                if table:
                    table.line(cell, now, ratio)
            versions = postfix.versions()["postfix"] if any(s.nodes == 0 for s in found) else None
    return {"peer": versions, "peer_settings": outbound_lab.SETTINGS if versions else None, "hosts_alone": hosts_alone,
            "rows": rows, "ratios": ratios, "goals": goals(ratios)}


def goals(ratios):
    found = []
    for nodes in sorted({n for row in ratios for n in row["ratio"]}):
        values = [row["ratio"][nodes] for row in ratios]
        found.append({"nodes": nodes, "goal": GOAL if nodes == 1 else None, "least": min(values),
                      "median": statistics.median(values), "cases": len(values)})
    return found


def run(options, programs, build):
    started = os.getloadavg()
    if not options.json:
        print(f"load of the machine before: {started[0]:.2f}; {options.seconds} s a case, "
              f"{options.per_connection or 'all'} messages a connection of the load")
    told = {} if options.backlog and not options.compare else rates(options, programs, build)
    if not options.json:
        for goal in told.get("goals", []):
            said = f"; goal {goal['goal']:g}x {'reached' if goal['least'] >= goal['goal'] else 'missed'}" if goal["goal"] else ""
            print(f"out/s, {goal['nodes']} node{'s' if goal['nodes'] > 1 else ''} : the better Postfix: median "
                  f"{goal['median']:.1f}x, least {goal['least']:.1f}x{said}")
    if options.backlog:
        told["backlog"] = outbound_backlog.run(options, programs, build)
    return {"load_before": started, "load_after": os.getloadavg(), "seconds": options.seconds, **told}
