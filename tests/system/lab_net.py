# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab whose nodes live in network namespaces of their own, joined by a bridge, so that links can be cut.

The whole test runs in a namespace that it made for itself (enter()), so nothing here touches the machine's own network,
and all of it is gone when its processes are."""
import os
import subprocess
import sys
import time

import lab

BRIDGE = "10.50.0.254/24"


def enter():
    """Runs this script again inside a fresh network namespace. Without the right to, it is skipped."""
    if os.environ.get("POSTRAFT_LAB_NET"):
        return
    if os.getuid() != 0:
        print("skipped: network namespaces need root")
        sys.exit(0)
    os.environ["POSTRAFT_LAB_NET"] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class NetCluster(lab.Cluster):
    def __init__(self, count, **options):
        super().__init__(count, network=0, **options)
        self.holders = []
        for node in self.nodes:
            node.ip = f"10.50.0.{node.number}"
        ip("link", "set", "lo", "up")
        ip("link", "add", "br0", "type", "bridge")
        ip("addr", "add", BRIDGE, "dev", "br0")
        ip("link", "set", "br0", "up")
        for node in self.nodes:
            self.join(node)

    def join(self, node):
        holder = subprocess.Popen(["unshare", "--net", "sleep", "100000"])
        self.holders.append(holder)
        own = os.readlink("/proc/self/ns/net")
        lab.wait_for("the namespace", lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != own, 10)
        port = f"port{node.number}"
        ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        ip("link", "set", port, "master", "br0", "up")
        inside = self.prefix(node.number)
        for words in (["addr", "add", f"{node.ip}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                      ["link", "set", "lo", "up"]):
            subprocess.run([*inside, "ip", *words], check=True)

    def prefix(self, number):
        return ["nsenter", "-t", str(self.holders[number - 1].pid), "-n", "--"]

    def cut(self, node):
        ip("link", "set", f"port{node.number}", "down")

    def mend(self, node):
        ip("link", "set", f"port{node.number}", "up")

    def end(self, failed=False):
        super().end(failed)
        for holder in self.holders:
            holder.kill()
            holder.wait()


def pause(seconds):
    """For faults that last a given time: the test is about the time itself."""
    time.sleep(seconds)
