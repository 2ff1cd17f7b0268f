#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`postraft storage compact`: much mail comes and goes for good; the node's databases are written anew while the others
serve, they are smaller then, and all that should be there is."""

import base64
import random

import lab

LARGE = 512 * 1024  # bytes that do not compress


def size(node):
    """Bytes of the node's state on disk."""
    return sum(row["file_bytes"] for row in node.cli("storage", "stat")["environments"] if row["name"].startswith("state"))


def noise(seed):
    return base64.encodebytes(random.Random(seed).randbytes(LARGE)).replace(b"\n", b"\r\n")


def test():
    with lab.Cluster(2, network=47, groups=2) as cluster:
        users = cluster.add_accounts(["stays", "goes"])
        first = cluster.node(1)
        first.cli("cluster", "policy", "set", "--undelete-days", "0")
        with first.smtp() as client:
            client.sendmail("sender@client.test", users[:1], lab.message("kept"))
            for number in range(60):
                client.sendmail("sender@client.test", users[1:], lab.message(f"large{number}") + noise(number))
        box = first.imap(users[1])
        box.select("INBOX")
        box.store("1:*", "+FLAGS", "(\\Deleted)")
        box.expunge()
        box.logout()
        full = size(first)
        lab.wait_for("the bodies to be freed", lambda: sum(row["free_bytes"] for row in first.cli("storage", "stat")["environments"]
                                                           if row["name"].startswith("state")) > full // 3, 60, 0.5)
        store = first.child("postraft-store")
        first.cli("storage", "compact", "--yes")
        lab.wait_for("the store to be another", lambda: first.child("postraft-store") not in (None, store), 30)
        cluster.wait_healthy(60)
        small = size(first)
        lab.check(small < full // 2, f"{full} bytes before, {small} after")
        for node in cluster.nodes:
            lab.check([token for _, token in lab.mailbox_tokens(node, users[0])] == ["kept"], f"mail is missing on {node.name}")
            box = node.imap(users[1])
            lab.check(box.select("INBOX")[1] == [b"0"], f"expunged mail is back on {node.name}")
            box.logout()
        return f"{full >> 20} MiB before, {small >> 20} after"


lab.main(test)
