#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One short run of the campaign (faults.py) with today's seed: a node dies or is cut off, and what else the seed draws. The
lab itself is tried first: lines take as long as they should, and what is cut is cut."""
import os
import time

import faults
import lab
import lab_wan

SECONDS = 15
lab_wan.enter()


def lines_are_real(folder):
    """Distances and cuts of the network, without any node."""
    wan = lab_wan.Wan(folder, lab.ROOT / "build" / lab.BUILD / "bin", 2)
    listener = None
    try:
        wan.up()
        script = "import socket\ns=socket.create_server(('', 7101))\nprint('ready', flush=True)\nwhile True: s.accept()"
        listener = lab.subprocess.Popen([*wan.prefix(2), lab.sys.executable, "-c", script],
                                        stdout=lab.subprocess.PIPE, text=True)
        lab.check(listener.stdout.readline() == "ready\n", "the listener does not start")
        for delay_ms in (2, 20):
            wan.distance(delay_ms)
            took = wan.round_trip_ms(1, 2, 7101)
            lab.check(took >= 2 * delay_ms, f"{took:.2f} ms for twice {delay_ms} ms")
        wan.cut([(2, 1)])
        try:
            wan.round_trip_ms(1, 2, 7101)
            raise lab.Failed("a line that is cut one way still answers")
        except lab.Failed as problem:
            lab.check("timed out" in str(problem), str(problem))
        lab.check(wan.dropped() > 0, "nothing was dropped")
        wan.heal()
        wan.round_trip_ms(1, 2, 7101)
    finally:
        if listener is not None:
            listener.kill()
        wan.down()


def test():
    seed = os.environ.get("POSTRAFT_SEED", time.strftime("%Y%m%d"))
    with lab.tempfile.TemporaryDirectory() as folder:
        lines_are_real(lab.pathlib.Path(folder))
    run = faults.Run(f"{seed}/1", SECONDS, 2.0, lab.BUILD)
    run.go((lab.pathlib.Path(lab.tempfile.gettempdir()) / f"postraft-faults-{seed}", False))
    lab.check(not run.violations, f"{run.line()}\nplan: {run.plan}\n" + "\n".join(run.violations[:10]))
    lab.check(not run.toothless(), run.line())
    return run.line()


lab_wan.main(test)
