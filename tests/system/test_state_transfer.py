#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three nodes that keep little of their logs. One is away while so much mail comes in that no log reaches back to where
it was; it comes back and fetches the states of its groups from another, is killed with -9 in the midst of that, and
begins again. Mail flows all the time; at the end every node holds the same, byte for byte."""

import random
import subprocess

import lab

RETAIN = 1024 * 1024 # a log; eight times as much is held for a node that is away
BODY = 400 * 1024
BULK = 120
EXTRA = f"storage {{ log_retain_bytes = {RETAIN} transfer_rate_mb = 2 }}\n"


def bulk(cluster, node, users):
    """Mail that no compression makes smaller."""
    noise = random.Random(1)
    with node.smtp() as client:
        for number in range(BULK):
            user = users[number % len(users)]
            body = noise.randbytes(BODY // 2).hex()
            lines = "\r\n".join(body[at:at + 76] for at in range(0, len(body), 76))
            text = (f"From: <bulk@client.test>\r\nTo: <{user}>\r\nSubject: bulk-{number}\r\n"
                    f"Message-ID: <bulk-{number}@client.test>\r\n\r\n{lines}\r\n")
            client.sendmail("bulk@client.test", [user], text)


def states(node, asked):
    """What the replicas of node `asked` are, group by group, as `node` tells it."""
    return {group["group"]: state for group in node.cli("group", "list")["groups"]
            for state in group["states"] if state["node"] == asked}


def copying(node, asked):
    rows = states(node, asked).values()
    return [row for row in rows if row["state"] == "partial" and row.get("copy", {}).get("bytes", 0) > 4_000_000]


def digests(node):
    """{group: (index, hash)} of a node whose store runs or not."""
    run = subprocess.run([str(node.bin / "state-digest"), str(node.folder / "data")], capture_output=True, text=True,
                         timeout=120, check=True)
    return {int(line.split()[0]): tuple(line.split()[1:]) for line in run.stdout.splitlines()}


def copies_in_log(node):
    text = (node.folder / "log").read_text(errors="replace")
    return [line for line in text.splitlines() if "the state of a group was copied" in line]


def test():
    with lab.Cluster(3, network=27, extra=EXTRA, groups=1) as cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(4)])
        first, away = cluster.node(1), cluster.node(3)
        lab.wait_for("the third node to lead nothing, or its stop to hand that over", lambda: away.stop() == 0, 60)
        load = lab.Load(cluster, users, clients=4, size=2000, nodes=cluster.nodes[:2]).start()
        bulk(cluster, first, users)
        away.start()
        lab.wait_for("a copy to have come some way", lambda: copying(first, away.number), 90, 0.1)
        before = load.accepted()
        away.kill_tree()
        lab.check(len(copies_in_log(away)) <= 1, "only the directory's copy may have ended before the node was killed")
        lab.wait_for("mail to go on without it", lambda: load.accepted() > before + 20, 60)
        away.start()
        lab.wait_for("the states to be whole", lambda: len(states(first, 3)) == 2 and all(
            row["state"] == "whole" for row in states(first, 3).values()) and copies_in_log(away), 180, 0.5)
        cluster.wait_healthy(90)
        during = load.accepted()
        lab.wait_for("mail to go on with it", lambda: load.accepted() > during + 50, 60)
        load.stop()

        def boxes(node):
            return {user: lab.mailbox_tokens(node, user) for user in users}

        def small(rows):
            return {user: [row for row in box if not row[1].startswith("bulk")] for user, box in rows.items()}

        counts = lab.wait_for("hand-overs to end and the history to hold",
                              lambda: lab.check_history(load.history, small(boxes(first))), 60, 1)
        whole = boxes(first)
        lab.check(sum(token.startswith("bulk") for box in whole.values() for _, token in box) == BULK,
                  "bulk mail is missing")
        for node in cluster.nodes[1:]:
            lab.check(boxes(node) == whole, f"{node.name} holds other mailboxes than n1")
        lab.wait_for("all nodes to hold the same rows",
                     lambda: digests(first) == digests(cluster.node(2)) == digests(away), 60, 1)
        print("\n".join(copies_in_log(away)))
        return f"verdicts {counts}"


lab.main(test)
