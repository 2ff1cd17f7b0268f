#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""600 messages through three nodes while relays, a store and a leading node are killed with -9: each arrives, and comes twice
only where the first copy was out when somebody was killed who had not said so yet."""
import time

import lab
import relay_lab
from relay_copies import Senders, check_doubles, slow, wait_all

COUNT = 600
CLIENTS = 6
APART_S = 4     # kills, so that what each of them costs is told apart


def relays(cluster, kills):
    pids = [pid for node in cluster.nodes if (pid := node.child("postraft-relay"))]
    kills.append(time.monotonic())
    for pid in pids:
        lab.kill(pid)


def store(cluster, kills, user):
    node = cluster.leader_of(user)
    kills.append(time.monotonic())
    lab.kill(node.child("postraft-store"))


def leader(cluster, kills, user):
    node = cluster.leader_of(user)
    kills.append(time.monotonic())
    node.kill_tree()
    time.sleep(1) # dead for so long, not waited for
    node.start()


def test():
    with relay_lab.Cluster(3, 37) as cluster:
        users = cluster.open([f"u{k}" for k in range(CLIENTS)])
        kills = []
        with cluster.sink(20) as one:
            one.answers = slow(0.3)
            begun = time.monotonic()
            senders = Senders(cluster, users, cluster.nodes, COUNT, ["s20.test"])
            for number, kill in enumerate((relays, store, relays, leader, relays), 1):
                lab.wait_for("messages", lambda: len(one.messages) > number * COUNT / 10 and (
                    not kills or time.monotonic() > kills[-1] + APART_S), 40)
                kill(cluster, kills, *([] if kill is relays else [users[0]]))
            senders.join()
            wait_all(senders, one, 60)
            took = time.monotonic() - begun
            doubles, longest = check_doubles(senders, one, kills)
            lab.wait_for("the queue to be empty", lambda: not relay_lab.queue(cluster.node(2)), 30)
        cluster.wait_healthy()
        return f"{len(senders.accepted)} arrived in {took:.1f} s, {doubles} twice, up to {longest:.2f} s before one of {len(kills)} kills"


lab.main(test)
