#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A row that is not the same on all replicas, while mail comes in: `postraft storage check` says which node is alone, from
whichever node it is asked, `postraft status` is not healthy, and a fresh copy of the state puts it right when the
operator asks for it."""

import json
import subprocess

import lab


def check(node, *words):
    """The answer, also when it tells of something bad."""
    command = [str(node.bin / "postraft"), "--run", str(node.folder / "run"), "storage", "check", *words, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    row = json.loads(run.stdout)
    lab.check((run.returncode != 0) == bool(row["differences"] or row["lost"]), f"exit {run.returncode}: {run}")
    return row


def checked(node):
    check(node, "--no-wait")

    def ended():
        row = check(node, "--status")
        return None if row["running"] else row
    return lab.wait_for("the check to end", ended, 90)


def refused(node):
    try:
        node.cli("storage", "check", "--repair", "--yes")
    except lab.Failed as problem:
        return str(problem)
    raise lab.Failed("a repair was not refused")


def change(node, old, new):
    """In all rows that have it as text; pieces of bodies are compressed."""
    path = node.folder / "data" / "state-0" / "data.mdb"
    data = path.read_bytes()
    lab.check(len(old) == len(new) and old in data, "there is no such row")
    path.write_bytes(data.replace(old, new))


def test():
    with lab.Cluster(3, network=48, groups=1) as cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(3)])
        with cluster.node(1).smtp() as client:
            client.sendmail("a@client.test", users[:1], "From: <a@client.test>\r\nSubject: the row that is changed\r\n\r\nx\r\n")
        load = lab.Load(cluster, users, clients=3, nodes=[cluster.node(1), cluster.node(3)]).start()
        lab.wait_for("mail to flow", lambda: load.accepted() > 100, 60)
        clean = checked(cluster.node(1))
        lab.check(clean["ranges"] > 5 and not clean["differences"], f"under load, all the same: {clean}")
        ill = cluster.node(2)
        lab.check(ill.stop() == 0, "a clean stop")
        change(ill, b"the row that is changed", b"the row that was changed"[:23])
        ill.start()
        cluster.wait_healthy(60)
        for node in (cluster.node(1), ill):
            found = checked(node)
            lab.check(found["differences"], f"{node.name} finds nothing: {found}")
            for row in found["differences"]:
                lab.check(row["group"] == 1 and row["minority"] == 2, f"{node.name}: {row}")
        lab.check({row["node"] for row in check(ill, "--status")["differences"]} == {1, 3}, "from the ill node's side")
        lab.check({row["node"] for row in check(cluster.node(1), "--status")["differences"]} == {2}, "from the other side")
        lab.check(not cluster.node(3).cli("cluster", "status")["healthy"], "the cluster calls itself healthy")
        lab.check("is not the one that is alone" in refused(cluster.node(1)), "a repair on the wrong node")
        lab.check(ill.cli("storage", "check", "--repair", "--yes")["groups"] == 1, "no repair")
        lab.wait_for("the rows to be the same", lambda: not checked(ill)["differences"] and
                     not checked(cluster.node(1))["differences"], 60, 0.5)
        lab.wait_for("the cluster to be well", lambda: cluster.node(3).cli("cluster", "status")["healthy"], 30)
        lab.check("no rows here differ" in refused(ill), "a repair of nothing")
        load.stop()
        boxes = {user: lab.mailbox_tokens(ill, user) for user in users[1:]}
        lab.check_history([row for row in load.history if row["recipients"][0] in boxes], boxes)
        return f"{clean['ranges']} ranges, {clean['ranges_open']} open under load; repaired"


lab.main(test)
