#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""No relay begins while the one before it lives, here halted as its postraftd is killed: what that one has leased would be sent
twice."""
import os
import signal

import lab
import relay_lab


def test():
    with relay_lab.Cluster(1, 44) as cluster:
        node = cluster.node(1)
        first = node.child("postraft-relay")
        os.kill(first, signal.SIGSTOP)
        lab.kill(node.process.pid)
        node.process.wait()
        node.start()
        said = "the relay before this one has not ended yet"
        lab.wait_for("a relay to wait for its end", lambda: said in (node.folder / "log").read_text(), 30)
        lab.kill(first)
        serves = 'event="child serves" child=postraft-relay'
        lab.wait_for("a relay", lambda: serves in (node.folder / "log").read_text().rsplit(said, 1)[1], 40)
        return "waited for its end"


lab.main(test)
