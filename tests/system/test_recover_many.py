#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three of five nodes are lost for good, and two survive.

With a witness: what was acknowledged while the other survivor was down lies in the witness's log and in no state that is
left; `cluster recover` brings it back. Without one: each group goes on from whoever has it, some from one survivor, some
from the other, some by themselves."""
import contextlib
import itertools

import lab

WITNESS_NETWORK, PLAIN_NETWORK = 46, 47


class Sites(lab.Cluster):
    """Nodes in the data centers that are named, "dc3 witness" as a witness."""

    def __init__(self, sites, network, groups):
        super().__init__(len(sites), network, groups=groups)
        self.sites = sites

    def create(self):
        for node in self.nodes:
            node.prepare()
            node.start()
        for node in self.nodes:
            lab.wait_for(f"{node.name} to answer", lambda node=node: node.cli("cluster", "status") is not None, 60)
        first = self.nodes[0]
        first.cli("cluster", "init", "--name", "test", "--node", "n1", "--data-center", self.sites[0],
                  "--groups", str(self.groups))
        for node, site in list(zip(self.nodes, self.sites))[1:]:
            token = first.cli("cluster", "token")["token"]
            data_center, *witness = site.split()
            node.cli("cluster", "join", token, "--node", node.name, "--data-center", data_center,
                     *(f"--{word}" for word in witness))


def groups_of(node):
    return {group["group"]: group for group in node.cli("group", "list")["groups"]}


def voters(group):
    return {member["node"] for member in group["members"] if member["role"] == "voter"}


def lag(node):
    return max(member["lag_entries"] for group in groups_of(node).values() for member in group["members"])


def boxes(node, users):
    return {user: lab.mailbox_tokens(node, user) for user in users}


def send(cluster, users, nodes, count):
    load = lab.Load(cluster, users, clients=6, nodes=nodes).start()
    lab.wait_for("mail to flow", lambda: load.accepted() >= count, 60)
    load.stop()
    return load.history


def recover(node, lost):
    names = ",".join(other.name for other in lost)
    plan = lab.wait_for("the loss to show", lambda: node.cli("cluster", "recover", "--check", "--i-have-lost", names), 30)
    lab.check(plan["needed"], f"{plan}")
    done = node.cli("cluster", "recover", "--yes", "--i-have-lost", names)
    lab.check(done["event"] == "recovered", f"{done}")
    return {group["group"]: group for group in done["groups"]}


def with_witness():
    with Sites(["dc1", "dc1", "dc2", "dc2", "dc3 witness"], WITNESS_NETWORK, 2) as cluster:
        first, left = cluster.node(1), cluster.node(4)
        lost = cluster.nodes[:3]
        first.cli("cluster", "policy", "set", "--replicas", "5")
        lab.wait_for("five voters of each mail group", lambda: all(
            voters(group) == {1, 2, 3, 4, 5} for number, group in groups_of(first).items() if number != 0), 60)
        cluster.wait_healthy(60)
        users = cluster.add_accounts([f"user{n}" for n in range(4)])
        history = send(cluster, users, cluster.nodes[:4], 100)
        lab.wait_for("all nodes to have all", lambda: lag(first) == 0, 30)
        left.kill_tree()
        missed = send(cluster, users, lost, 150)
        for node in lost:
            node.kill_tree()
        left.start()
        lab.wait_for("n4 to answer", lambda: left.cli("group", "list"), 30)
        lab.wait_for("n4 to hear the witness", lambda: all(
            len([r for r in group["replicas"] if r["answers"]]) == 2
            for group in left.cli("cluster", "recover", "--check")["groups"]), 30)
        groups = recover(left, lost)
        for number, group in groups.items():
            lab.check(group["goes_on_from"] == 4 or number == 0, f"{group}")
            lab.check(group["log_of"] == 5 or number == 0, f"the witness's log is passed over: {group}")
        for row in missed:
            if row["verdict"] == "no":
                row["verdict"] = "unknown" # it may have been told no while the last nodes died
        counts = lab.wait_for("what the witness had",
                              lambda: lab.check_history(history + missed, boxes(left, users)), 60, 1)
        with left.smtp() as client:
            client.sendmail("sender@client.test", users[:1], lab.message("after-recovery"))
        lab.check(any(token == "after-recovery" for _, token in lab.mailbox_tokens(left, users[0])), "no mail any more")
        return f"with a witness: {counts}, {len(missed)} of them only in its log"


def choose_lost(groups):
    """Three nodes such that each group keeps a replica, and two groups keep theirs on different nodes."""
    best, lost = 1, None
    for three in itertools.combinations(range(1, 6), 3):
        left = {number: voters(group) - set(three) for number, group in groups.items() if number != 0}
        alone = {min(nodes) for nodes in left.values() if len(nodes) == 1}
        if all(left.values()) and len(alone) > best:
            best, lost = len(alone), three
    return lost


def without_witness():
    with Sites(["dc1", "dc1", "dc2", "dc2", "dc3"], PLAIN_NETWORK, 3) as cluster:
        cluster.wait_healthy(90)
        users = cluster.add_accounts([f"user{n}" for n in range(12)])
        cluster.node(1).cli("cluster", "rebalance", "--start", "--no-wait")
        numbers = lab.wait_for("the groups to have moved", lambda: cluster.node(1).cli("cluster", "status")["healthy"] and
                               choose_lost(groups_of(cluster.node(1))), 60, 0.5)
        groups = groups_of(cluster.node(1))
        lost = [cluster.node(number) for number in numbers]
        left = [node for node in cluster.nodes if node not in lost]
        history = send(cluster, users, cluster.nodes, 200)
        lab.wait_for("all nodes to have all", lambda: lag(cluster.node(1)) == 0, 30)
        for node in lost:
            node.kill_tree()
        done = recover(left[0], lost)
        for number, group in done.items():
            there = {node.number for node in left} & voters(groups[number])
            lab.check(number == 0 or group["majority"] or group["goes_on_from"] in there, f"{group}")
        sources = {group["goes_on_from"] for number, group in done.items() if number != 0 and not group["majority"]}
        lab.check(sources == {node.number for node in left}, f"the groups go on from {sources} alone: {done}")
        lab.wait_for("the survivors to be well", lambda: left[0].cli("cluster", "status")["healthy"], 60)
        counts = lab.wait_for("the history to hold", lambda: lab.check_history(history, boxes(left[1], users)), 60, 1)
        for number, user in enumerate(users):
            with left[number % 2].smtp() as client:
                client.sendmail("sender@client.test", [user], lab.message(f"after-{number}"))
        lab.wait_for("each group to take mail again", lambda: all(
            any(token == f"after-{number}" for _, token in lab.mailbox_tokens(left[0], user))
            for number, user in enumerate(users)), 30)
        # Who was lost is turned away by either survivor, and promises nothing by itself.
        lost[0].start()
        lab.wait_for("a lost node to be turned away", lambda: not lost[0].running(), 30)
        with contextlib.suppress(lab.Failed):
            lost[0].cli("cluster", "status")
            raise AssertionError("a node that was turned away answers")
        cluster.nodes = left
        return f"two survivors: {counts}, groups on from {sorted(sources)}"


def test():
    return "; ".join([with_witness(), without_witness()])


lab.main(test)
