#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The node that sends is stopped in order: all arrives, nothing twice. It stands still, as a virtual machine does that is moved,
until others have taken over, and wakes up: it does not end what it had begun. A minute, most of it waiting."""
import signal
import sys
import time

import lab
import relay_lab
from relay_copies import Senders, check_doubles, slow, wait_all
from relay_lab import Gate

COUNT = 200


def clean_stop(cluster, users):
    """In mid-sending, and while a host keeps one message waiting: that one is another node's at once."""
    others = [node for node in cluster.nodes if node is not cluster.leader_of(users[0])]
    victim = cluster.leader_of(users[0])
    gate = Gate("data")
    with cluster.sink(20) as sink, cluster.sink(24) as slow_host:
        sink.answers = slow(0.3)
        slow_host.extensions.remove("CHUNKING")
        slow_host.answers = gate
        relay_lab.send(others[0], users[0], "x@s24.test", token="kept waiting")
        lab.wait_for("it to wait", lambda: gate.waiting)
        slow_host.answers = None
        senders = Senders(cluster, users, others, COUNT, ["s20.test"])
        lab.wait_for("some messages", lambda: len(sink.messages) > COUNT / 5)
        begun = time.monotonic()
        lab.check(victim.stop() == 0, "the end of the node")
        took = time.monotonic() - begun
        senders.join()
        wait_all(senders, sink, 40)
        check_doubles(senders, sink, [])
        lab.wait_for("what the host kept waiting", lambda: slow_host.messages, 10)
        gate.open()
        lab.check(took < 12, f"stopped after {took:.1f} s")
    victim.start()
    cluster.wait_healthy()
    return f"stopped in {took:.1f} s, {len(senders.accepted)} arrived, none twice"


def stand_still(cluster, users):
    """Five copies: one is in mid-transaction (before its final dot) when the node stops, one behind its final dot."""
    victim = cluster.leader_of(users[0])
    other = next(node for node in cluster.nodes if node is not victim)
    gates = {21: Gate("data"), 22: Gate("final")}
    with cluster.sink(21) as before, cluster.sink(22) as behind, cluster.sink(23) as free:
        for k, sink in ((21, before), (22, behind)):
            sink.extensions.remove("CHUNKING")
            sink.answers = gates[k]
        client = relay_lab.Client(other, users[0])
        for k in gates:
            client.send(f"x@s{k}.test", token=f"k{k}")
        lab.wait_for("both to be under way", lambda: all(gate.waiting for gate in gates.values()))
        pids = [victim.process.pid] + lab.children(victim.process.pid)
        for pid in pids:
            lab.kill(pid, signal.SIGSTOP)
        stopped = time.monotonic()
        for sink in (before, behind):
            sink.answers = None     # connections from now on
        client.send("x@s23.test", token="k23")
        lab.wait_for("the new leader's mail", lambda: free.messages, 40)
        lab.wait_for("both by the new leader", lambda: before.messages and behind.messages, 60, 0.3)
        taken_over = time.monotonic() - stopped
        for pid in pids:
            lab.kill(pid, signal.SIGCONT)
        for gate in gates.values():
            gate.open()
        cluster.wait_healthy()
        lab.wait_for("the queue to be empty", lambda: not relay_lab.queue(other), 40)
        lab.wait_for("the old connections to end", lambda: before.open + behind.open == 0, 30, 0.3)
        lab.check(len(before.seen) == 1, f"{len(before.seen)} copies of what was before its final dot")
        lab.check(len(behind.seen) <= 2, f"{len(behind.seen)} copies of what was behind it")
        lab.check(len(free.seen) == 1, f"{len(free.seen)} copies of what came meanwhile")
    return f"taken over after {taken_over:.1f} s"


def test():
    with relay_lab.Cluster(3, 39, relay='retry = { "60s" }') as cluster:
        users = cluster.open([f"u{k}" for k in range(4)])
        for part in [part for part in (stand_still, clean_stop) if not sys.argv[1:] or part.__name__ in sys.argv]:
            print(f"ok {part.__name__}: {part(cluster, users)}", flush=True)


lab.main(test)
