#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Power loss under load: all nodes at once, then one alone. Their file systems lose what was not flushed, and are mounted
again with their journals. Nothing that was acknowledged is lost, and all replicas hold the same."""
import time

import faults
import history as judge
import lab
import lab_disk
import lab_wan
import nemesis
import workload

lab_wan.enter()


def back(cluster, load, users, names):
    """After the power is back: every node takes and shows mail. Returns how long that took."""
    before = len(load.history.rows)
    faults.probes(load.history, cluster, users, time.monotonic())
    for row in load.history.rows[before:]:
        lab.check(row["op"] != "probe" or row["result"] == "ok", f"{names}: no service: {row}")
    return f"{names} serve after {max(row['seconds'] for row in load.history.rows[before:] if row['op'] == 'probe'):.1f} s"


def test():
    with lab_disk.FaultCluster(3, delay_ms=2, groups=2) as cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(3)])
        load = workload.Load(cluster, users, "power", smtp_clients=4, imap_clients=2, pause_s=0.01).start()
        lab.wait_for("100 deliveries", lambda: load.history.count("deliver") >= 100, 60)
        nemesis.power_off_all(cluster.nodes)
        for node in cluster.nodes:
            node.power_on()
        figures = [back(cluster, load, users, "all nodes")]
        more = load.history.count("deliver") + 50
        lab.wait_for("50 more", lambda: load.history.count("deliver") >= more, 60)
        cluster.node(2).power_off()
        more += 50
        lab.wait_for("mail to go on without it", lambda: load.history.count("deliver") >= more, 60)
        cluster.node(2).power_on()
        figures.append(back(cluster, load, users, "one node"))
        load.stop()
        cluster.wait_healthy()
        faults.digests(load.history, cluster)
        workload.final_reads(load.history, cluster.nodes, users, cluster.password)
        found = judge.check(load.history.rows)
        lab.check(not found, "; ".join(found[:5]))
        return f"{load.history.count('deliver')} deliveries kept, {', '.join(figures)}"


lab_wan.main(test)
