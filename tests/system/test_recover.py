#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A majority is lost for good: an operator lets the cluster go on from the survivor. What it had is there, what comes
in is taken again, and the lost nodes are turned away when they come back."""
import json
import smtplib

import lab


def refused(node, *words):
    try:
        node.cli(*words)
    except lab.Failed as problem:
        return str(problem)
    raise lab.Failed(f"postraft {' '.join(words)} was not refused")


def lose_and_recover(cluster, survivor, lost):
    names = ",".join(node.name for node in lost)
    lab.check("every group has" in refused(survivor, "cluster", "recover"), "recovered what has a majority")
    lab.check("answers" in refused(survivor, "cluster", "recover", "--yes", "--i-have-lost", names),
              "nodes that answer were given up")
    for node in lost:
        node.kill_tree()
    shown = lab.wait_for("the loss to show", lambda: survivor.cli("cluster", "recover", "--check"), 30)
    lab.check(shown["needed"] and all(g["goes_on_from"] == survivor.number for g in shown["groups"]), f"{shown}")
    lab.check("--i-have-lost" in refused(survivor, "cluster", "recover", "--yes"), "nothing was named")
    lab.check("not named as lost" in refused(survivor, "cluster", "recover", "--yes", "--i-have-lost", lost[0].name),
              "a silent node was passed over")
    lab.check("answers" in refused(survivor, "cluster", "recover", "--yes", "--i-have-lost",
                                   f"{names},{survivor.name}"), "a node that answers was given up")
    done = survivor.cli("cluster", "recover", "--yes", "--i-have-lost", names)
    lab.check(done["recovery"] == 1, f"{done}")
    with open(done["record"], encoding="utf-8") as record:
        written = json.load(record)
    lab.check([n["lost"] for n in written["nodes"]] == [n in lost for n in cluster.nodes], f"{written['nodes']}")


def alone(survivor, back, users):
    """No survivor can be reached: one that comes back is held off by nothing but the lack of a majority. It promises
    nothing."""
    survivor.kill_tree()
    back.start()
    lab.wait_for("it to answer", lambda: back.cli("group", "list"), 30)
    try:
        with back.smtp(20) as client:
            client.sendmail("sender@client.test", users[:1], lab.message("to-one-that-is-alone"))
    except (OSError, smtplib.SMTPException):
        pass
    else:
        raise lab.Failed("a lost node that is alone takes mail")
    back.kill_tree()
    survivor.start()
    lab.wait_for("the survivor to serve again", lambda: survivor.cli("cluster", "status")["healthy"], 60)


def test():
    with lab.Cluster(3, network=24) as cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(4)])
        survivor, lost = cluster.node(1), [cluster.node(2), cluster.node(3)]
        load = lab.Load(cluster, users, clients=4).start()
        lab.wait_for("mail to flow", lambda: load.accepted() > 200, 60)
        load.stop()
        lab.wait_for("all nodes to have all", lambda: all(
            member["lag_entries"] == 0 for group in survivor.cli("group", "list")["groups"] for member in group["members"]
        ), 30)
        lose_and_recover(cluster, survivor, lost)
        lab.wait_for("the survivor to serve", lambda: survivor.cli("cluster", "status")["healthy"], 60)
        after = lab.Load(cluster, users, clients=2, nodes=[survivor]).start()
        lab.wait_for("mail to flow again", lambda: after.accepted() > 20, 60)
        after.stop()
        boxes = {user: lab.mailbox_tokens(survivor, user) for user in users}
        counts = lab.check_history(load.history + after.history, boxes)
        alone(survivor, lost[0], users)
        for node in lost:
            node.start()
        lab.wait_for("the lost nodes to be turned away", lambda: not any(node.running() for node in lost), 30)
        lab.check([node.process.poll() for node in lost] == [2, 2], "they do not say that it is of no use")
        lost[0].start()
        lab.check(lost[0].process.wait(20) == 2, "a node that was turned away starts again")
        lab.check(survivor.cli("cluster", "status")["healthy"], "the survivor suffers from them")
        cluster.nodes = [survivor]
        return f"verdicts {counts}"


lab.main(test)
