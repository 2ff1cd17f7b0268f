#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile clients against a whole cluster, by real sockets: smuggled ends of messages, commands injected before TLS, relaying,
floods, forged headers, loops. After each attack a connection and a message go through as ever, the SMTP process is the one it
was and has not grown, every mailbox holds exactly what it should, and nothing waits in the queue for other hosts.

The attacks are in attacks_session.py and attacks_mail.py. `test_attacks.py WORD` runs only those whose name has WORD in it."""
import sys
import time

import attacks_mail
import attacks_session
import lab
from hostile import USERS, Cluster, World


def check_logs(cluster):
    for node in cluster.nodes:
        text = (node.folder / "log").read_text(errors="replace")
        lab.check(not any(word in text for word in ("AddressSanitizer", "runtime error", "LeakSanitizer")), "a sanitizer spoke")
        secrets = [cluster.password, *map(cluster.secret, USERS)]
        lab.check(not any(secret in text for secret in secrets), f"the log of {node.name} has a password")


def test():
    attacks = [(name, do) for name, do in sorted((vars(attacks_session) | vars(attacks_mail)).items())
               if name.startswith("attack_") and (len(sys.argv) < 2 or sys.argv[1] in name)]
    with Cluster(3, network=29) as cluster:
        cluster.add_accounts([user.split("@")[0] for user in USERS])
        lab.wait_for("the cluster's format", lambda: cluster.node(1).cli(
            "setting", "set", "mail.outbound", "on", "--tenant", "example") is not None or True)
        world = World(cluster)
        for user in USERS:
            world.deliver("first", user)
        for name, do in attacks:
            begun = time.monotonic()
            try:
                do(world)
                world.settle(name)
            except (lab.Failed, OSError) as problem:
                raise lab.Failed(f"{name}: {problem}") from problem
            print(f"ok {name} ({time.monotonic() - begun:.1f} s, {world.grown_mb()} MB)", flush=True)
        check_logs(cluster)
    return f"{len(attacks)} attacks"


lab.main(test)
