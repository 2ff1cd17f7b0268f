# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk of its own for each node's data: a file system on a loop device that can lose its power, fill up, become slow and
fail; and the clock of the node's processes. Faults inside processes are made by fault_io.c."""
import contextlib
import errno
import fcntl
import mmap
import os
import shutil
import struct
import subprocess

import lab
import lab_wan

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
WITHOUT_FLUSH = 2               # EXT4_GOING_FLAGS_NOLOGFLUSH: what was not flushed before is lost
WORDS = ("device", "clock_offset_ms", "sync_delay_us", "write_delay_us", "sync_error", "write_error",
         "short_writes", "left", "delayed", "failed", "shortened", "moved")  # struct faults of fault_io.c


class Controls:
    """The words that fault_io.c reads and counts in."""

    def __init__(self, path):
        path.write_bytes(bytes(8 * len(WORDS)))
        path.chmod(0o666)
        with open(path, "r+b") as file:
            self.words = mmap.mmap(file.fileno(), 8 * len(WORDS))

    def set(self, **words):
        for name, value in words.items():
            struct.pack_into("<q", self.words, 8 * WORDS.index(name), value)

    def get(self, name):
        return struct.unpack_from("<q", self.words, 8 * WORDS.index(name))[0]

    def clear(self):
        """The disk is well again; clock and counters stay."""
        self.set(sync_delay_us=0, write_delay_us=0, sync_error=0, write_error=0,
                 short_writes=0, left=0)


class Disk:
    def __init__(self, image, folder, megabytes):
        self.image = image
        self.folder = folder
        self.filler = folder / "filler"
        with open(image, "wb") as file:
            file.truncate(megabytes * 1024 * 1024)
        lab_wan.run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
        self.mount()

    def mount(self):
        """Replays the journal, as after a real loss of power."""
        done = subprocess.run(["mount", "-o", "loop", str(self.image), str(self.folder)], capture_output=True, text=True)
        if done.returncode != 0:
            raise lab_wan.Unavailable(f"no loop devices here: {done.stderr.strip()}")

    def unmount(self):
        lab.wait_for(f"{self.folder} to be unmounted",
                     lambda: subprocess.run(["umount", str(self.folder)], capture_output=True).returncode == 0, 20)

    def cut(self):
        """Power off: nothing reaches the disk any more, and what lies in the page cache never will."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(handle)

    def fill(self):
        """Takes all room but what is used. Returns how many bytes that was."""
        step, taken = 64 * 1024 * 1024, 0
        handle = os.open(self.filler, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while step >= 4096:
                try:
                    os.posix_fallocate(handle, taken, step)
                    taken += step
                except OSError as problem:
                    lab.check(problem.errno == errno.ENOSPC, f"filling the disk: {problem}")
                    step //= 2
        finally:
            os.close(handle)
        return taken

    def free(self):
        self.filler.unlink(missing_ok=True)

    def device(self):
        return os.stat(self.folder).st_dev


class FaultNode(lab.Node):
    """A node with a disk of its own, in a network namespace of its own."""

    def __init__(self, cluster, number):
        super().__init__(cluster, number)
        self.ip = f"10.50.{number}.1"
        self.disk = None
        self.controls = None

    def prepare_data(self):
        self.disk = Disk(self.folder / "disk", self.folder / "data", self.cluster.disk_megabytes)
        self.controls = Controls(self.folder / "faults")

    def environment(self):
        library = self.cluster.tools / "fault-io.so"
        if not library.exists():
            return {}
        return {"LD_PRELOAD": str(library), "LAB_FAULTS": str(self.folder / "faults")}

    def start(self):
        self.controls.set(device=self.disk.device())
        super().start()

    def freeze(self):
        """The whole node stands still. Returns its pids."""
        pids = [self.process.pid] + lab.children(self.process.pid)
        for pid in pids:
            lab.kill(pid, lab.signal.SIGSTOP)
        return set(pids + lab.children(self.process.pid))

    def thaw(self):
        for pid in [self.process.pid] + lab.children(self.process.pid):
            lab.kill(pid, lab.signal.SIGCONT)

    def power_off(self):
        """Stopped first, so that no process ever sees its disk fail; the network goes first of all, so that no peer
        is told that connections ended."""
        self.cluster.wan.cut(self.cluster.wan.around(self.number))
        self.freeze()
        self.disk.cut()
        self.kill_tree()

    def power_on(self):
        self.disk.unmount()
        self.disk.mount()
        self.cluster.wan.heal(self.cluster.wan.around(self.number))
        self.start()

    def end(self):
        with contextlib.suppress(OSError):
            if self.running():
                self.thaw()
                self.kill_tree()
        if self.disk is not None and os.path.ismount(self.folder / "data"):
            with contextlib.suppress(lab.Failed):
                self.disk.unmount()


class FaultCluster(lab.Cluster):
    """Three nodes in three data centers, each with its own disk and network."""
    node_class = FaultNode

    def __init__(self, count=3, delay_ms=2.0, build=lab.BUILD, tools=None, disk_megabytes=768, **options):
        super().__init__(count, network=0, build=build, **options)
        self.tools = tools or self.bin
        self.disk_megabytes = disk_megabytes
        self.delay_ms = delay_ms
        self.wan = lab_wan.Wan(self.folder, self.tools, count)

    def prefix(self, number):
        return self.wan.prefix(number)

    def create(self):
        self.wan.up()
        self.wan.distance(self.delay_ms, self.delay_ms / 10)
        super().create()

    def digests(self, node):
        """{group: (applied index, hash over all rows)} of a node that runs."""
        text = lab_wan.run(self.tools / "state-digest", node.folder / "data")
        rows = [line.split() for line in text.splitlines()]
        return {int(group): (int(applied), digest) for group, applied, digest in rows}

    def end(self, failed=False):
        if failed:
            self.show_logs()
        for node in self.nodes:
            node.end()
        self.wan.down()
        shutil.rmtree(self.folder, ignore_errors=True)
