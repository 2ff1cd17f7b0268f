#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""More nodes than fit into the memberships of the releases before: eighteen, joined one after the other. All have the
directory, five vote in it. Mail comes in through all of them while one is killed for good; a new node takes its
place. What got 250 is there exactly once."""

import subprocess

import lab

NODES = 18
USERS = 12


def directory_of(node):
    return node.cli("group", "list")["groups"][0]


def join(cluster, number, data_center):
    node = lab.Node(cluster, number)
    cluster.nodes.append(node)
    node.prepare()
    node.start()
    lab.wait_for(f"{node.name} to answer", lambda: node.cli("cluster", "status") is not None, 60)
    token = cluster.node(1).cli("cluster", "token")["token"]
    node.cli("cluster", "join", token, "--node", node.name, "--data-center", data_center)
    return node


def replace(first, old, new):
    run = subprocess.run([str(first.bin / "postraft"), "--run", str(first.folder / "run"), "node", "replace", old.name,
                          new.name, "--yes", "--json"], capture_output=True, text=True, timeout=120)
    lab.check(run.returncode == 0, f"node replace: {run.stderr}")


def test():
    with lab.Cluster(NODES, network=35, groups=6) as cluster:
        first = cluster.node(1)
        members = directory_of(first)["members"]
        lab.check(len(members) == NODES, f"the directory has {len(members)} members")
        lab.check(sum(member["role"] == "voter" for member in members) == 5, f"who votes: {members}")
        users = cluster.add_accounts([f"user{n}" for n in range(USERS)])
        load = lab.Load(cluster, users, clients=4).start()
        lab.wait_for("200 messages", lambda: load.accepted() >= 200, 60)
        dead = cluster.node(NODES)
        dead.kill_tree()
        accepted = load.accepted()
        lab.wait_for("mail to go on", lambda: load.accepted() >= accepted + 200, 60)
        replace(first, dead, join(cluster, NODES + 1, f"dc{(NODES - 1) % 3 + 1}"))
        load.stop()
        cluster.nodes.remove(dead)
        names = lambda: {node["name"] for node in first.cli("node", "list")["nodes"]}
        lab.wait_for("the dead node to be forgotten", lambda: dead.name not in names(), 60, 0.5)
        cluster.wait_healthy(60)
        lab.check(len(directory_of(first)["members"]) == NODES, "the directory has other members")
        boxes = {user: lab.mailbox_tokens(cluster.nodes[n], user) for n, user in enumerate(users)}
        counts = lab.check_history(load.history, boxes)
        return f"verdicts {counts}, nodes {sorted(names())}"


lab.main(test)
