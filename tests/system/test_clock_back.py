#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The clocks of two nodes are set back by an hour while the third is away. It comes back: all find each other again at once,
since nothing between nodes may wait for a time of day."""
import time

import lab
import lab_disk
import lab_wan

BACK_MS = -3600 * 1000
lab_wan.enter()


def test():
    with lab_disk.FaultCluster(3, delay_ms=2, groups=2) as cluster:
        away = cluster.node(2)
        away.kill_tree()
        lab.wait_for("the others to notice", lambda: not cluster.node(1).cli("cluster", "status")["healthy"], 30, 0.3)
        for number in (1, 3):
            cluster.node(number).controls.set(clock_offset_ms=BACK_MS)
        away.start()
        begun = time.monotonic()
        cluster.wait_healthy(30)
        return f"healthy after {time.monotonic() - begun:.1f} s"


lab_wan.main(test)
