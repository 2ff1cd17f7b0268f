#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that gives other bytes back than it was given: `postraft storage check` finds the bodies, fetches them from
another node, and the replicas are the same again, byte for byte."""

import random
import subprocess

import lab

BODIES = 6


def deliver(node, user, number, noise):
    """Random bytes in hexadecimal digits compress by half and no further: some stretches of them lie on disk as they are."""
    body = "\r\n".join(noise.randbytes(35).hex() for _ in range(400))
    text = (f"From: <a@client.test>\r\nTo: <{user}>\r\nSubject: body-{number}\r\n"
            f"Message-ID: <body-{number}@client.test>\r\n\r\n{body}\r\n")
    with node.smtp() as client:
        client.sendmail("a@client.test", [user], text)


def flip(node, count):
    """Changes a bit in the middle of pages that hold nothing but a piece of a body."""
    path = node.folder / "data" / "state-0" / "data.mdb"
    data = bytearray(path.read_bytes())
    flipped = 0
    for page in range(2, len(data) // 4096):
        start = page * 4096
        flags = int.from_bytes(data[start + 10:start + 12], "little")
        pages = int.from_bytes(data[start + 12:start + 16], "little")
        # An overflow page by itself, full of what looks compressed.
        if flags == 4 and pages == 1 and len(set(data[start + 200:start + 4000])) > 200 and flipped < count:
            data[start + 2000] ^= 0x10
            flipped += 1
    path.write_bytes(data)
    return flipped


def checked(node):
    node.cli("storage", "check", "--no-wait")

    def ended():
        row = node.cli("storage", "check", "--status")
        return None if row["running"] else row
    return lab.wait_for("the check to end", ended, 60)


def digests(node):
    run = subprocess.run([str(node.bin / "state-digest"), str(node.folder / "data")], capture_output=True, text=True,
                         timeout=120, check=True)
    return {int(line.split()[0]): tuple(line.split()[1:]) for line in run.stdout.splitlines()}


def test():
    with lab.Cluster(3, network=28, groups=1) as cluster:
        user = cluster.add_accounts(["user"])[0]
        noise = random.Random(3)
        for number in range(BODIES):
            deliver(cluster.node(1), user, number, noise)
        ill = cluster.node(2)
        clean = lab.wait_for("the bodies to be on the node", lambda: (row := checked(ill))["bodies"] >= BODIES and row, 60)
        lab.check(clean["damaged"] == 0 and clean["bodies"] >= BODIES and not clean["running"], f"clean: {clean}")
        stat = ill.cli("storage", "stat")
        rows = {table["name"]: table["rows"] for table in stat["tables"]}
        lab.check(rows["blob"] >= BODIES and rows["block"] > 2 * BODIES, f"tables: {rows}")
        lab.check({row["name"] for row in stat["environments"]} >= {"log", "state-0"}, f"environments: {stat}")
        lab.check(ill.stop() == 0, "a clean stop")
        flipped = flip(ill, 4)
        lab.check(flipped > 0, "no piece of a body was found")
        ill.start()
        cluster.wait_healthy(60)
        damaged = checked(ill)
        lab.check(damaged["damaged"] > 0 and damaged["repaired"] == damaged["damaged"] and damaged["lost"] == 0,
                  f"after {flipped} flips: {damaged}")
        again = checked(ill)
        lab.check(again["damaged"] == 0 and again["bodies"] == clean["bodies"], f"afterwards: {again}")
        lab.wait_for("all nodes to hold the same rows",
                     lambda: digests(ill) == digests(cluster.node(1)) == digests(cluster.node(3)), 60, 1)
        return f"{flipped} flips, {damaged['damaged']} bodies repaired"


lab.main(test)
