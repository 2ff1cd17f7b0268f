#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster changes while mail comes in: a node joins in a new data center, one is drained and removed, groups are
added, leaders moved. Nothing that was acknowledged is missing, and no client meets more than a delay."""
import json
import subprocess
import time

import lab


def steps(node, *words, text=None):
    """`postraft ... --json` that tells how far it is: the last object, after lines of progress."""
    command = [str(node.bin / "postraft"), "--run", str(node.folder / "run"), *words, "--json"]
    run = subprocess.run(command, input=text, capture_output=True, text=True, timeout=90)
    lab.check(run.returncode == 0, f"postraft {' '.join(words)}: {run.stderr}")
    rest = run.stdout
    decoder = json.JSONDecoder()
    objects = []
    while rest.strip():
        value, used = decoder.raw_decode(rest.lstrip())
        objects.append(value)
        rest = rest.lstrip()[used:]
    for event in objects[:-1]:
        lab.check(event["event"] == "progress" and 0 <= event["done"] <= event["total"], f"{words}: {event}")
    return objects[-1]


def refused(node, *words):
    try:
        node.cli(*words)
    except lab.Failed as problem:
        return str(problem)
    raise lab.Failed(f"postraft {' '.join(words)} was not refused")


def groups_of(node):
    return {group["group"]: group for group in node.cli("group", "list")["groups"]}


def members(group):
    return {member["node"] for member in group["members"]}


def join_fourth(cluster):
    first, fourth = cluster.node(1), lab.Node(cluster, 4)
    cluster.nodes.append(fourth)
    fourth.prepare()
    fourth.start()
    lab.wait_for("n4 to answer", lambda: fourth.cli("cluster", "status") is not None, 30)
    added = first.cli("node", "add", "n4", "--data-center", "dc4")
    words = added["command"].split()
    lab.check(words[0] == "postraft" and added["token"] not in words, f"the command shows the token: {words}")
    lab.check("exclude" in refused(fourth, *words[1:], added["token"]), "a token twice")
    joined = fourth.cli(*words[1:], text=added["token"] + "\n")
    lab.check(joined["node_id"] == 4, f"joined as {joined}")
    lab.check("already" in refused(fourth, "cluster", "join", added["token"], "--node", "again", "--data-center", "dc4"),
              "a node joined twice")


def drain_and_remove(cluster):
    first, third = cluster.node(1), cluster.node(3)
    lab.check("node drain n3" in refused(first, "node", "remove", "n3", "--yes"), "a node with mail was removed")
    lab.check(steps(first, "node", "drain", "n3")["event"] == "drained", "n3 was not drained")
    shown = first.cli("node", "show", "3")
    lab.check(shown["drained"] and shown["mail_replicas"] == 0 and shown["groups_led"] == 0, f"drained: {shown}")
    for number, group in groups_of(first).items():
        lab.check(number == 0 or members(group) == {1, 2, 4}, f"group {number} has {members(group)}")
    lab.wait_for("n3 to drop what went elsewhere", lambda: third_replicas(first) == 1, 20)
    lab.check(steps(first, "node", "remove", "n3", "--yes")["event"] == "removed", "n3 was not removed")
    lab.check([node["id"] for node in first.cli("node", "list")["nodes"]] == [1, 2, 4], "n3 is still named")
    lab.wait_for("n3 to stop when it hears that it was removed", lambda: not third.running(), 30)
    lab.check(third.process.poll() == 2, "n3 does not say that starting again is of no use")
    cluster.nodes.remove(third)


def third_replicas(first):
    return next(node["replicas"] for node in first.cli("node", "list")["nodes"] if node["id"] == 3)


def add_and_lead(cluster):
    first = cluster.node(1)
    added = steps(first, "group", "add", "2")
    lab.check(added["first"] == 5 and added["count"] == 2, f"added {added}")
    lab.check(members(groups_of(first)[6]) == {1, 2, 4}, "a new group has not its three replicas")
    for target in (4, 1):
        first.cli("group", "move-leader", "1", f"n{target}")
        lab.wait_for(f"n{target} to lead group 1", lambda: groups_of(first)[1]["leader"] == target, 30)
    lab.check("there is no node n3" in refused(first, "group", "move-leader", "1", "n3"), "a removed node leads")
    plan = first.cli("cluster", "rebalance")
    lab.check(plan["moves"] == [], f"three nodes with all of everything: {plan}")


def test():
    begun = time.monotonic()
    with lab.Cluster(3, network=23) as cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(6)])
        load = lab.Load(cluster, users, clients=6, per_message=2, nodes=[cluster.node(1), cluster.node(2)]).start()
        lab.wait_for("mail to flow", lambda: load.accepted() > 50, 60)
        join_fourth(cluster)
        drain_and_remove(cluster)
        add_and_lead(cluster)
        before = load.accepted()
        lab.wait_for("mail to flow on", lambda: load.accepted() > before + 50, 60)
        load.stop()
        cluster.wait_healthy(60)
        fresh = cluster.node(1).cli("account", "add", "fresh@example.test", "--generate")
        lab.check(fresh["address"] == "fresh@example.test", f"{fresh}")
        group = cluster.node(1).cli("account", "show", "fresh@example.test")["group"]
        lab.check(group in (5, 6), f"a new account went to group {group}, not to an empty one")

        def boxes(node):
            return {user: lab.mailbox_tokens(node, user) for user in users}

        counts = lab.wait_for("the history to hold",
                              lambda: lab.check_history(load.history, boxes(cluster.node(1))), 60, 1)
        fourth = next(node for node in cluster.nodes if node.number == 4)
        lab.check(boxes(fourth) == boxes(cluster.node(1)), "n4 holds other mailboxes than n1")
        lab.check(counts["no"] == 0 and counts["unknown"] == 0, f"clients met errors: {load.errors}")
        slowest = max(row["ended"] - row["begun"] for row in load.history)
        return f"verdicts {counts}, slowest delivery {slowest:.1f} s, {time.monotonic() - begun:.0f} s"


lab.main(test)
