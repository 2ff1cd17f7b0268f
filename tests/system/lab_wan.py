# SPDX-License-Identifier: GPL-2.0-or-later
"""Nodes in data centers some milliseconds apart: a network namespace a node, a router between them, packets that are
held back (wan_delay.c), and lines that can be cut in one direction or both.

The whole test runs in network, mount and process namespaces that it made for itself (enter()). What it mounts, starts and
routes is gone when it ends, however it ends. The test's own clients sit on the router: they reach each node at once, also
one that the other nodes cannot reach."""
import contextlib
import ctypes
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import lab

NO_QUEUES = 3           # exit status of wan-delay
PR_SET_PDEATHSIG = 1    # of prctl()


class Unavailable(Exception):
    """This machine cannot make the fault: the test is skipped."""


def enter():
    """Runs this script again inside namespaces of its own. This process waits, passes signals on, and removes what files
    are left; when it is killed, all in the namespaces dies with it (--kill-child)."""
    if os.environ.get("POSTRAFT_LAB_WAN"):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
        return
    if os.getuid() != 0:
        print("skipped: namespaces and mounts need root")
        sys.exit(0)
    folder = tempfile.mkdtemp(prefix="postraft-lab-")
    os.chmod(folder, 0o755)
    words = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv]
    inside = subprocess.Popen(words, env=os.environ | {"POSTRAFT_LAB_WAN": folder}, start_new_session=True,
                              preexec_fn=die_with_parent)

    def pass_on(*_):
        for pid in lab.children(inside.pid)[:1]:
            lab.kill(pid, signal.SIGTERM)

    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, pass_on)
        status = inside.wait()
    finally:
        inside.kill()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status if status >= 0 else 128 - status)


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main(test):
    """As lab.main(), for tests that a machine may not be able to run."""
    def run():
        try:
            return test()
        except Unavailable as why:
            print(f"skipped: {why}")
            sys.exit(0)
    lab.main(run)


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    lab.check(done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


class Wan:
    """The router, the lines between the nodes, and what is wrong with them. Times are one way, in milliseconds."""

    def __init__(self, folder, tools, count):
        self.folder = folder
        self.tools = tools
        self.count = count
        self.pairs = list(itertools.permutations(range(1, count + 1), 2))
        self.lines = {pair: (0.0, 0.0, 0.0) for pair in self.pairs}
        self.cuts = set()
        self.holders = {}
        self.daemon = None

    def up(self):
        run("ip", "link", "set", "lo", "up")
        pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        for number in range(1, self.count + 1):
            self.join(number)
        self.start_daemon()
        for source, target in self.pairs:
            self.rule("mangle", "-A", source, target, "NFQUEUE", "--queue-num", self.queue(source, target),
                      "--queue-bypass")

    def join(self, number):
        holder = subprocess.Popen(["unshare", "--net", "sleep", "100000"])
        self.holders[number] = holder
        own = os.readlink("/proc/self/ns/net")
        lab.wait_for("the namespace", lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != own, 10)
        run("ip", "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", holder.pid)
        run("ip", "addr", "add", f"10.50.{number}.254/24", "dev", f"port{number}")
        run("ip", "link", "set", f"port{number}", "up")
        for words in (["addr", "add", f"10.50.{number}.1/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                      ["link", "set", "lo", "up"], ["route", "add", "default", "via", f"10.50.{number}.254"]):
            run(*self.prefix(number), "ip", *words)

    def prefix(self, number):
        return ["nsenter", "-t", str(self.holders[number].pid), "-n", "--"]

    @staticmethod
    def queue(source, target):
        return 16 * source + target

    @staticmethod
    def rule(table, verb, source, target, *action):
        try:
            run("iptables", "-w", "-t", table, verb, "FORWARD", "-i", f"port{source}", "-o", f"port{target}",
                "-j", *action)
        except FileNotFoundError:
            raise Unavailable("there is no iptables") from None
        except lab.Failed as problem:
            if action[0] == "NFQUEUE":
                raise Unavailable(f"no packet queues here: {problem}") from None
            raise

    def write(self):
        """Written beside and renamed: the daemon never reads half a file."""
        fresh = self.folder / "wan.new"
        fresh.write_text("".join(
            f"{self.queue(*pair)} {int(delay * 1000)} {int(jitter * 1000)} {int(loss * 10000)}\n"
            for pair, (delay, jitter, loss) in self.lines.items()))
        fresh.rename(self.folder / "wan")

    def start_daemon(self):
        self.write()
        program = self.tools / "wan-delay"
        if not program.exists():
            raise Unavailable("wan-delay is not built: libmnl-dev is missing")
        self.daemon = subprocess.Popen([str(program), str(self.folder / "wan")], stdout=subprocess.PIPE, text=True)
        if self.daemon.stdout.readline() != "ready\n":
            if self.daemon.wait(5) == NO_QUEUES:
                raise Unavailable("this kernel has no packet queues (NFQUEUE)")
            raise lab.Failed("wan-delay did not start")

    def distance(self, delay_ms, jitter_ms=0.0, loss_percent=0.0, pairs=None):
        """Takes effect at once. `pairs`: of (from, to); all when not given."""
        for pair in pairs or self.pairs:
            self.lines[pair] = (delay_ms, jitter_ms, loss_percent)
        self.write()
        self.daemon.send_signal(signal.SIGHUP)

    def cut(self, pairs):
        for pair in set(pairs) - self.cuts:
            self.rule("filter", "-A", *pair, "DROP")
            self.cuts.add(pair)

    def heal(self, pairs=None):
        for pair in set(self.cuts if pairs is None else pairs) & self.cuts:
            self.rule("filter", "-D", *pair, "DROP")
            self.cuts.discard(pair)

    def dropped(self):
        """How many packets the cuts that are in place have stopped."""
        lines = run("iptables", "-w", "-nvxL", "FORWARD").splitlines()
        return sum(int(line.split()[0]) for line in lines if " DROP " in line)

    def around(self, number):
        """All lines from and to a node: cut, it is alone."""
        return [pair for pair in self.pairs if number in pair]

    def round_trip_ms(self, source, target, port):
        """How long a connection from one node to another's port takes: the quickest of five."""
        script = ("import socket,sys,time\n"
                  "def go():\n"
                  "  t=time.monotonic();socket.create_connection((sys.argv[1],int(sys.argv[2])),5).close()\n"
                  "  return time.monotonic()-t\n"
                  "print(min(go() for _ in range(5))*1000)\n")
        return float(run(*self.prefix(source), sys.executable, "-c", script, f"10.50.{target}.1", port))

    def down(self):
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(10)
        for holder in self.holders.values():
            holder.kill()
            holder.wait()
        for number in self.holders:
            with contextlib.suppress(lab.Failed):
                run("ip", "link", "del", f"port{number}")
        with contextlib.suppress(lab.Failed, FileNotFoundError):
            for table in ("mangle", "filter"):
                run("iptables", "-w", "-t", table, "-F", "FORWARD")
        self.holders.clear()


def pause(seconds):
    """For faults that last a given time: the test is about the time itself."""
    time.sleep(seconds)
