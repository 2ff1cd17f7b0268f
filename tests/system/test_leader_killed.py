#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three nodes, twenty clients: three times the whole process tree of a leader is killed with -9 and started again.
Every message that got 250 is there exactly once, none that got a refusal is, UIDs ascend, and all nodes hold equal
mailboxes. At least 5,000 messages."""

import lab

MESSAGES = 5000


def test():
    with lab.Cluster(3, network=22) as cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(8)])
        load = lab.Load(cluster, users, clients=20, per_message=2).start()
        for round_number in range(3):
            goal = (round_number + 1) * MESSAGES // 4
            lab.wait_for(f"{goal} messages", lambda: load.accepted() >= goal, 180)
            victim = cluster.leader_of(users[round_number])
            victim.kill_tree()
            before = load.accepted()
            lab.wait_for("mail to go on without it", lambda: load.accepted() > before + 100, 60)
            victim.start()
        lab.wait_for(f"{MESSAGES} messages", lambda: load.accepted() >= MESSAGES, 180)
        load.stop()
        cluster.wait_healthy(90)

        def boxes(node):
            return {user: lab.mailbox_tokens(node, user) for user in users}

        counts = lab.wait_for("hand-overs to end and the history to hold",
                              lambda: lab.check_history(load.history, boxes(cluster.node(1))), 60, 1)
        first = boxes(cluster.node(1))
        for node in cluster.nodes[1:]:
            lab.check(boxes(node) == first, f"{node.name} holds other mailboxes than n1")
        slowest = max(row["ended"] - row["begun"] for row in load.history)
        print("errors seen by clients:", load.errors)
        return f"verdicts {counts}, slowest delivery {slowest:.1f} s"


lab.main(test)
