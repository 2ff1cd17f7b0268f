# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong in a run: a plan of faults drawn from a seed, each of which is begun, lasts, is mended, and leaves a row
in the history that says what it really did."""
import contextlib
import errno
import random
import time

import lab

PROGRAMS = ("postraft-store", "postraft-store", "postraft-smtp", "postraft-imap")


class Fault:
    """`kind` is the row's name; begin() and mend() act on the cluster. One object is one fault of a plan."""

    def __init__(self, draw, cluster, not_on=0):
        self.cluster = cluster
        self.number = draw.choice([n for n in range(1, cluster.count + 1) if n != not_on])
        self.other = draw.choice([n for n in range(1, cluster.count + 1) if n != self.number])
        self.seconds = draw.uniform(2, 8)
        self.detail = ""
        self.draw(draw)

    def draw(self, draw):
        """What else of it is left to the seed."""

    @property
    def node(self):
        return self.cluster.node(self.number)

    @property
    def kind(self):
        return type(self).__name__.lower()

    def text(self):
        return f"{self.kind} n{self.number}{' ' + str(self.detail) if self.detail != '' else ''} {self.seconds:.1f}s"

    def begin(self):
        raise NotImplementedError

    def mend(self):
        pass

    def effect(self):
        """What it did that can be counted; 0: it was in nobody's way."""
        return 1


class Cut(Fault):
    """Lines of the network; the effect is how many packets were dropped."""
    pairs = ()

    def begin(self):
        self.before = self.cluster.wan.dropped()
        self.cluster.wan.cut(self.pairs)

    def mend(self):
        self.packets = self.cluster.wan.dropped() - self.before
        self.cluster.wan.heal(self.pairs)

    def effect(self):
        return self.packets


class Partition(Cut):
    def draw(self, draw):
        self.pairs = [(self.number, self.other), (self.other, self.number)]
        self.detail = f"| n{self.other}"


class OneWay(Cut):
    def draw(self, draw):
        self.pairs = [(self.number, self.other)]
        self.detail = f"-> n{self.other}"


class Isolate(Cut):
    def draw(self, draw):
        self.pairs = self.cluster.wan.around(self.number)


class Lossy(Fault):
    """All lines lose packets, and take a varying time."""

    def draw(self, draw):
        self.percent = draw.choice((2, 10, 25))
        self.detail = f"{self.percent}%"

    def begin(self):
        delay_ms = self.cluster.delay_ms
        self.cluster.wan.distance(delay_ms, 2 * delay_ms, self.percent)

    def mend(self):
        self.cluster.wan.distance(self.cluster.delay_ms, self.cluster.delay_ms / 10)


class KillNode(Fault):
    """Sometimes large mail flows meanwhile, and the logs no longer reach back to where the node was."""

    def draw(self, draw):
        self.detail = draw.choice(("", "misses much"))

    def begin(self):
        self.node.kill_tree()
        if self.detail:
            self.cluster.load.large.set()

    def mend(self):
        self.cluster.load.large.clear()
        self.node.start()


class KillProcess(Fault):
    def draw(self, draw):
        self.detail = draw.choice(PROGRAMS)
        self.seconds = draw.uniform(1, 3)
        self.killed = False

    def begin(self):
        pid = self.node.child(self.detail)
        if pid is not None:
            lab.kill(pid)
            self.killed = True

    def effect(self):
        return int(self.killed)


class Stop(Fault):
    """The whole node stands still, as a virtual machine that is moved does, or its store alone."""

    def draw(self, draw):
        self.seconds = draw.uniform(1, 10)
        self.detail = draw.choice(("", "postraft-store"))

    def begin(self):
        if self.detail:
            pid = self.node.child(self.detail)
            self.found = pid is not None
            if self.found:
                lab.kill(pid, lab.signal.SIGSTOP)
        else:
            self.found = bool(self.node.freeze())

    def mend(self):
        self.node.thaw()

    def effect(self):
        return int(self.found)


class PowerCut(Fault):
    def draw(self, draw):
        self.seconds = draw.uniform(0.5, 4)

    def begin(self):
        self.node.power_off()

    def mend(self):
        self.node.power_on()


class PowerCutAll(Fault):
    """All nodes at once, or all but one: no majority is left."""

    def draw(self, draw):
        self.seconds = draw.uniform(0.2, 3)
        spared = draw.choice((None, self.number))
        self.nodes = [node for node in self.cluster.nodes if node.number != spared]
        self.detail = "and all others" if spared is None else "spared"

    def begin(self):
        power_off_all(self.nodes)

    def mend(self):
        for node in self.nodes:
            node.power_on()


class Call(Fault):
    """Faults inside the processes' calls; the effect is counted there."""
    counter = "delayed"

    def begin(self):
        self.before = self.node.controls.get(self.counter)
        self.node.controls.set(**self.words)

    def mend(self):
        self.node.controls.clear()

    def effect(self):
        return self.node.controls.get(self.counter) - self.before


class SlowDisk(Call):
    def draw(self, draw):
        ms = draw.choice((20, 100, 400))
        self.words = {"sync_delay_us": ms * 1000}
        self.detail = f"{ms} ms a flush"


class DiskError(Call):
    """Some calls fail, then all is well again: what was lost meanwhile must not be taken for written."""

    def draw(self, draw):
        self.detail, self.counter, self.words = draw.choice((
            ("EIO of a flush", "failed", {"sync_error": errno.EIO}),
            ("EIO of a write", "failed", {"write_error": errno.EIO}),
            ("ENOSPC of a write", "failed", {"write_error": errno.ENOSPC}),
            ("short write", "shortened", {"short_writes": 1})))
        self.words = self.words | {"left": draw.randint(1, 2)}


class FullDisk(Fault):
    """Files are written ahead of their use, so it may take some megabytes of mail to notice; the effect is how often the
    node did: it makes no new promises, or its store ends."""

    def draw(self, draw):
        self.seconds = draw.uniform(5, 10)

    def noticed(self):
        text = (self.node.folder / "log").read_text(errors="replace")
        return text.count("disk failed") + text.count("too little room on the disk")

    def begin(self):
        self.before = self.noticed()
        self.node.disk.fill()
        self.cluster.load.large.set()

    def mend(self):
        self.cluster.load.large.clear()
        self.node.disk.free()

    def effect(self):
        return self.noticed() - self.before


class ClockJump(Call):
    """The effect is how often a moved time was told. Half of the clocks stay as they are until the run ends."""
    counter = "moved"

    def draw(self, draw):
        seconds = draw.choice((-3600, -30, 30, 3600, 26 * 3600))
        self.words = {"clock_offset_ms": seconds * 1000}
        self.stays = draw.random() < 0.5
        self.detail = f"{seconds:+d} s{' for good' if self.stays else ''}"

    def mend(self):
        if not self.stays:
            self.node.controls.set(clock_offset_ms=0)


KINDS = (Partition, OneWay, Isolate, Lossy, KillNode, KillProcess, Stop, PowerCut, PowerCutAll, SlowDisk, DiskError,
         FullDisk, ClockJump)
BESIDE = (KillProcess, SlowDisk, DiskError, FullDisk, ClockJump)  # may come together with another one
STRONG = (Isolate, KillNode, Stop, PowerCut, PowerCutAll)   # what takes a leader away; each plan has one at least


def power_off_all(nodes):
    """All at once: every process stands still before the first disk goes."""
    for node in nodes:
        node.freeze()
    for node in nodes:
        node.power_off()


class Nemesis:
    """A plan of (pause before it, faults): mostly one at a time, sometimes two, on different nodes."""

    def __init__(self, cluster, history, seed, seconds, kinds=KINDS):
        draw = random.Random(f"{seed}/faults")
        self.cluster = cluster
        self.history = history
        self.plan = []
        planned = 0.0
        while planned < seconds:
            kind = draw.choice(STRONG if not self.plan and set(STRONG) & set(kinds) else kinds)
            faults = [kind(draw, cluster)]
            pause = draw.uniform(0.5, 3)
            beside = [each for each in BESIDE if each in kinds]
            if beside and kind not in (PowerCutAll, Lossy) and draw.random() < 0.3:
                faults.append(draw.choice(beside)(draw, cluster, not_on=faults[0].number))
            faults[0].seconds = min(faults[0].seconds, max(0.5, seconds - planned - pause))
            self.plan.append((pause, faults))
            planned += pause + faults[0].seconds

    def text(self):
        return ", ".join(f"{pause:.1f}s then {' with '.join(fault.text() for fault in faults)}"
                         for pause, faults in self.plan)

    def run(self):
        """Breaks and mends for the planned time. Returns [(text of the fault, its effect)]."""
        done = []
        for pause, faults in self.plan:
            time.sleep(pause)
            rows = []
            for fault in faults:
                fault.begin()
                # The row's time lies inside the fault: only what falls wholly into it was surely hit.
                rows.append({"op": "fault", "kind": fault.kind, "node": fault.number, "client": "nemesis", "result": "ok",
                             "t0": time.monotonic(), "text": fault.text()})
            time.sleep(faults[0].seconds)
            for fault, row in reversed(list(zip(faults, rows))):
                row["t1"] = time.monotonic()
                fault.mend()
                row["effect"] = fault.effect()
                self.history.add(row)
                done.append((fault.text(), row["effect"]))
        return done


def mend_all(cluster):
    """Whatever is still broken is mended. Returns the names of nodes that had ended by themselves."""
    cluster.load.large.clear()
    cluster.wan.heal()
    cluster.wan.distance(cluster.delay_ms, cluster.delay_ms / 10)
    ended = []
    for node in cluster.nodes:
        node.controls.clear()
        with contextlib.suppress(OSError):
            node.disk.free()
        if node.running():
            node.thaw()
        else:
            ended.append(node.name)
            node.start()
    return ended
