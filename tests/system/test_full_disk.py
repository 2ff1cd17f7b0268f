#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk runs short of room under load: that node stops promising before a write fails. It says so, hands its leaderships
over, keeps running, and takes part again when there is room; mail goes on meanwhile, also through its own front ends.
Then a disk is really full: nothing is lost, and the node comes back by itself."""
import os

import faults
import history as judge
import lab
import lab_disk
import lab_wan
import workload

LEFT = 40 * 1024 * 1024  # less than the reserve of a small disk

lab_wan.enter()


def run_short(disk):
    room = os.statvfs(disk.folder)
    with open(disk.filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - LEFT)


def warned(cluster, name):
    status = cluster.node(1).cli("cluster", "status")
    return not status["healthy"] and any(f"node {name}" in text and "MB left" in text for text in status["warnings"])


def test():
    with lab_disk.FaultCluster(3, delay_ms=2, groups=2) as cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(3)])
        load = workload.Load(cluster, users, "full", smtp_clients=4, imap_clients=2, pause_s=0.01).start()
        lab.wait_for("100 deliveries", lambda: load.history.count("deliver") >= 100, 60)
        victim = cluster.leader_of(users[0])
        store = victim.child("postraft-store")
        run_short(victim.disk)
        if victim is not cluster.node(1):
            lab.wait_for("the status to say so", lambda: warned(cluster, victim.name), 20)
        lab.wait_for("another leader", lambda: cluster.leader_of(users[0]) is not victim, 20)
        with victim.smtp() as client:
            client.sendmail("sender@client.test", users[:1], lab.message("through-the-short-node"))
        more = load.history.count("deliver") + 100
        lab.wait_for("mail to go on", lambda: load.history.count("deliver") >= more, 60)
        lab.check(victim.child("postraft-store") == store, "the store did not keep running")
        victim.disk.free()
        cluster.wait_healthy(60)
        victim.disk.fill()
        more = load.history.count("deliver") + 100
        lab.wait_for("mail to go on beside a full disk", lambda: load.history.count("deliver") >= more, 60)
        victim.disk.free()
        cluster.wait_healthy(60)
        load.stop()
        faults.digests(load.history, cluster)
        workload.final_reads(load.history, cluster.nodes, users, cluster.password)
        # One message is not of the history.
        found = [text for text in judge.check(load.history.rows) if "through-the-short-node" not in text]
        lab.check(not found, "; ".join(found[:5]))
        return f"{load.history.count('deliver')} deliveries"


lab_wan.main(test)
