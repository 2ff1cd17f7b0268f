# SPDX-License-Identifier: GPL-2.0-or-later
"""What processes cost: CPU time and memory, from /proc."""
import contextlib
import os
import pathlib

import lab

TICKS = os.sysconf("SC_CLK_TCK")


def tree(pids):
    """These and all below them."""
    return [pid for top in pids for pid in (top, *lab.children(top))]


def cpu_seconds(pids):
    """Of these processes, all below them, and those that they have waited for: nobody's work is lost when a
    process that serves a number of requests makes room for the next."""
    total = 0
    for pid in tree(pids):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def own_cpu_seconds(pid):
    """Of this process alone; 0 when it is gone."""
    with contextlib.suppress(OSError):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:13])) / TICKS
    return 0


def anonymous_kb(pid):
    """Resident and of no file; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    return 0


def memory_kb(pids):
    """Resident, and private to the processes, over all of them."""
    found = {"resident_kb": 0, "private_kb": 0}
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, value = line.split()[:2]
            if name == "Rss:":
                found["resident_kb"] += int(value)
            elif name in ("Private_Clean:", "Private_Dirty:"):
                found["private_kb"] += int(value)
    return found

