#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A data center is lost for good, under load.

With a witness in a third place: either of the two nodes with mail goes on with the witness alone, nobody acts, and has
every message that got 250. Without one, two nodes here and one there: the one that is left has lost the majority, and
every message that got 250 is there after `postraft cluster recover`, because durability is cross-dc."""

import time

import lab


class Sites(lab.Cluster):
    """Nodes in the data centers that are named, "dc3 witness" as a witness."""

    def __init__(self, sites, network):
        super().__init__(len(sites), network)
        self.sites = sites

    def create(self):
        for node in self.nodes:
            node.prepare()
            node.start()
            lab.wait_for(f"{node.name} to answer", lambda node=node: node.cli("cluster", "status") is not None, 60)
        first = self.nodes[0]
        first.cli("cluster", "init", "--name", "test", "--node", "n1", "--data-center", self.sites[0])
        for node, site in list(zip(self.nodes, self.sites))[1:]:
            token = first.cli("cluster", "token")["token"]
            data_center, *witness = site.split()
            node.cli("cluster", "join", token, "--node", node.name, "--data-center", data_center,
                     *(f"--{word}" for word in witness))
        self.wait_healthy(90)


def boxes(node, users):
    return {user: lab.mailbox_tokens(node, user) for user in users}


def forgive_after(history, moment):
    """Who was told no after the loss may find the message all the same: nobody could know then."""
    for row in history:
        if row["verdict"] == "no" and row["ended"] >= moment:
            row["verdict"] = "unknown"


def with_witness(lost, network):
    with Sites(["dc1", "dc2", "dc3 witness"], network) as cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(6)])
        left = cluster.node(3 - lost)
        load = lab.Load(cluster, users, clients=8, per_message=2, nodes=[left]).start()
        lab.wait_for("some mail", lambda: load.accepted() > 300, 60)
        cluster.node(lost).kill_tree()
        killed = time.monotonic()
        before = load.accepted()
        lab.wait_for("mail to go on with the witness", lambda: load.accepted() > before + 20, 60)
        pause = time.monotonic() - killed
        lab.wait_for("more mail", lambda: load.accepted() > before + 300, 90)
        load.stop()
        counts = lab.wait_for("the history to hold", lambda: lab.check_history(load.history, boxes(left, users)), 60, 1)
        return f"n{lost} lost: {counts}, on again after {pause:.1f} s"


def without_witness():
    with Sites(["dc1", "dc1", "dc2"], 43) as cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(6)])
        left = cluster.node(3)
        load = lab.Load(cluster, users, clients=8, per_message=2).start()
        lab.wait_for("some mail", lambda: load.accepted() > 500, 60)
        moment = time.monotonic()
        for node in cluster.nodes[:2]:
            node.kill_tree()
        load.stop()
        forgive_after(load.history, moment)
        refused = None
        try:
            left.cli("cluster", "recover", "--i-have-lost", "n1", "--yes")
        except lab.Failed as problem:
            refused = str(problem)
        lab.check(refused is not None, "a recovery that does not name all lost nodes was not refused")
        done = left.cli("cluster", "recover", "--i-have-lost", "n1,n2", "--yes")
        lab.check(done["event"] == "recovered", f"not recovered: {done}")
        counts = lab.wait_for("the history to hold", lambda: lab.check_history(load.history, boxes(left, users)), 60, 1)
        with left.smtp() as client:
            client.sendmail("sender@client.test", users[:1], lab.message("after-recovery"))
        lab.check(any(token == "after-recovery" for _, token in lab.mailbox_tokens(left, users[0])), "no mail after the recovery")
        # Those who come back are turned away: two of three would have had a majority.
        for node in cluster.nodes[:2]:
            node.start()
        lab.wait_for("the survivor to have turned them away",
                     lambda: all(b"was taken out of the cluster" in (node.folder / "log").read_bytes() for node in cluster.nodes[:2]), 60)
        for node in cluster.nodes[:2]:
            try:
                with node.smtp(10) as client:
                    client.sendmail("sender@client.test", users[:1], lab.message(f"to-{node.name}"))
            except OSError:
                continue
            raise lab.Failed(f"{node.name}, which was given up, takes mail")
        return f"recovered: {counts}"


def test():
    return "; ".join([with_witness(1, 41), with_witness(2, 42), without_witness()])


lab.main(test)
