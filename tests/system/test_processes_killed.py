#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of front ends, then of a store process alone, under load: the supervisor repairs it within two seconds,
nothing that was acknowledged is lost, and clients of the other nodes notice nothing but a pause."""
import time

import lab

REPAIR_S = 2.0


def kill_and_time(node, name, works):
    """Kills one process of a node; returns after how long `works` is true again."""
    pid = node.child(name)
    lab.check(pid is not None, f"{name} runs on {node.name}")
    lab.kill(pid)
    start = time.monotonic()
    lab.wait_for(f"{name} on {node.name} to be back", lambda: node.child(name) not in (None, pid) and works(), 20, 0.02)
    return time.monotonic() - start


def test():
    with lab.Cluster(3, network=23) as cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(4)])
        load = lab.Load(cluster, users, clients=6).start()
        other = lab.Load(cluster, users, clients=4, nodes=cluster.nodes[1:]).start()
        lab.wait_for("200 messages", lambda: load.accepted() >= 200, 60)
        node = cluster.node(1)

        def smtp_works():
            with node.smtp(5) as smtp:
                return smtp.ehlo()[0] == 250

        def imap_works():
            client = node.imap(users[0], 5)
            client.logout()
            return True

        def store_works():
            return node.cli("cluster", "status")["initialised"]

        figures = {"smtp": kill_and_time(node, "postraft-smtp", smtp_works),
                   "imap": kill_and_time(node, "postraft-imap", imap_works)}
        for name, seconds in figures.items():
            lab.check(seconds <= REPAIR_S, f"{name} took {seconds:.2f} s")
        seconds = kill_and_time(node, "postraft-store", store_works)
        lab.check(seconds <= REPAIR_S, f"the store took {seconds:.2f} s")
        figures["store"] = seconds
        before = load.accepted()
        lab.wait_for("mail to go on", lambda: load.accepted() > before + 200, 60)
        load.stop()
        other.stop()
        cluster.wait_healthy(60)
        history = load.history + other.history
        boxes = {user: lab.mailbox_tokens(node, user) for user in users}
        counts = lab.check_history(history, boxes)
        lab.check(all(row["verdict"] == "ok" for row in other.history),
                  f"clients of the other nodes saw errors: {other.errors}")
        pause = max(row["ended"] - row["begun"] for row in other.history)
        return f"repaired in {figures}, verdicts {counts}, longest pause elsewhere {pause:.1f} s"


lab.main(test)
