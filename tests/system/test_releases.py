#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The release before and this one side by side. A cluster of three old nodes gets this release node by node while mail
comes in and accounts move between groups; one goes back to the old release and forward again; then the upgrade is
finished, and each node started once more, which copies its log into a journal. Everything that got 250 is there once, on
every node, at each step. The old release is built from the repository's history."""

import pathlib
import subprocess

import lab

FORMAT_BEFORE = 2  # what the release before has at most
PREVIOUS = (lab.ROOT / "tests/fixtures/previous-release").read_text().split()[0]
FOLDER = lab.ROOT / "build/previous" / PREVIOUS[:12]


def build_previous():
    """Its bin folder, or None where the history does not reach back."""
    known = subprocess.run(["git", "cat-file", "-e", f"{PREVIOUS}^{{commit}}"], cwd=lab.ROOT, capture_output=True)
    if known.returncode:
        return None
    source = FOLDER / "source"
    if not (source / "CMakeLists.txt").exists():
        source.mkdir(parents=True, exist_ok=True)
        archive = subprocess.Popen(["git", "archive", PREVIOUS], cwd=lab.ROOT, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", str(source)], stdin=archive.stdout, check=True)
        lab.check(archive.wait() == 0, "git archive failed")
    programs = ["postraftd", "postraft-store", "postraft-smtp", "postraft-imap", "postraft"]
    for words in (["cmake", "--preset", "release", "-B", str(FOLDER / "build")],
                  ["cmake", "--build", str(FOLDER / "build"), "--target", *programs]):
        run = subprocess.run(words, cwd=source, capture_output=True, text=True)
        lab.check(run.returncode == 0, f"the release before does not build: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    return FOLDER / "build/bin"


def switch(cluster, node, binaries, load):
    """Stops a node as an operator would, and starts it with other programs."""
    before = load.accepted()
    node.stop(60)
    node.bin = binaries
    node.start()
    lab.wait_for("mail to go on", lambda: load.accepted() > before + 200, 60)
    cluster.wait_healthy(90)


def move(cluster, node, user):
    """Moves an account to the next group while mail for it comes in; both releases take part in the copy."""
    groups = [group["group"] for group in node.cli("cluster", "status")["groups"] if group["kind"] == "mail"]
    home = node.cli("account", "show", user)["group"]
    away = groups[(groups.index(home) + 1) % len(groups)]
    node.cli("account", "move", user, "--group", str(away), "--no-wait")
    lab.wait_for("the move to end", lambda: "moves_to" not in node.cli("account", "show", user), 60)
    for other in cluster.nodes:
        lab.wait_for("all nodes to know", lambda: other.cli("account", "show", user)["group"] == away, 20)


def test():
    new = lab.ROOT / "build" / lab.BUILD / "bin"
    cluster = lab.Cluster(3, network=27)
    cluster.bin = old
    for node in cluster.nodes:
        node.bin = old
    with cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(8)])
        load = lab.Load(cluster, users, clients=6, per_message=2).start()
        lab.wait_for("some mail", lambda: load.accepted() > 200, 60)
        first, second, third = cluster.nodes
        switch(cluster, first, new, load)
        move(cluster, third, users[0])
        switch(cluster, second, new, load)
        move(cluster, first, users[1])
        move(cluster, third, users[2])
        refused = subprocess.run([str(new / "postraft"), "--run", str(first.folder / "run"), "cluster", "upgrade", "--yes"],
                                 capture_output=True, text=True)
        lab.check(refused.returncode == 1 and "older release" in refused.stderr,
                  f"an upgrade with an old node was not refused: {refused}")
        switch(cluster, first, old, load)
        move(cluster, second, users[1])
        switch(cluster, first, new, load)
        switch(cluster, third, new, load)
        answer = first.cli("cluster", "upgrade", "--yes")
        lab.check(answer["format"] == answer["newest"] and answer["format"] == FORMAT_BEFORE + 1, f"the upgrade did not end: {answer}")
        move(cluster, second, users[3])
        before = load.accepted()
        lab.wait_for("mail in the new format", lambda: load.accepted() > before + 200, 60)
        for node in cluster.nodes:
            data = node.folder / "data"
            lab.check((data / "log").exists() and not (data / "journal").exists(), f"{node.name} has another log before its restart")
            switch(cluster, node, new, load)
            lab.check((data / "journal").exists() and not (data / "log").exists(), f"{node.name} has not taken its log over")
        load.stop()
        cluster.wait_healthy(60)

        def boxes(node):
            return {user: lab.mailbox_tokens(node, user) for user in users}

        counts = lab.wait_for("the history to hold", lambda: lab.check_history(load.history, boxes(first)), 60, 1)
        expected = boxes(first)
        for node in cluster.nodes[1:]:
            lab.check(boxes(node) == expected, f"{node.name} holds other mailboxes than n1")
        return f"verdicts {counts}"


old = build_previous()
if old is None:
    print("skipped: the history does not reach back to the release before")
else:
    lab.main(test)
