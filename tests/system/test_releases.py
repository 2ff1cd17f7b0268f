#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The release before and this one side by side. A cluster of three old nodes gets this release node by node while mail
comes in and accounts move between groups; one goes back to the old release and forward again; then the upgrade is
finished, and each node started once more. Until then there is no address that the old release does not know; afterwards the
cluster has an account of its own, and aliases work. Everything that got 250 is there once, on every node, at each step. The
old release is built from the repository's history."""

import contextlib
import smtplib
import subprocess

import lab

FORMAT_BEFORE = 3  # what the release before has at most
PREVIOUS = (lab.ROOT / "tests/fixtures/previous-release").read_text().split()[0]
ALIAS = "info@example.test"
ROLE = "postmaster@localhost"  # the cluster's own account
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


def nothing_new_yet(node, target):
    """A node of this release, where others are older: what the older do not know is refused, and says why."""
    try:
        node.cli("alias", "add", ALIAS, target)
    except lab.Failed as problem:
        lab.check("postraft cluster upgrade" in str(problem), f"an alias is refused, but nobody learns why: {problem}")
    else:
        raise lab.Failed("an alias was made while a node runs the older release")
    lab.check(not role_account(node), "the cluster's own account is there before the upgrade")
    with node.smtp() as client:
        try:
            client.sendmail("sender@client.test", [ALIAS], lab.message("too-early", recipient=ALIAS))
        except smtplib.SMTPRecipientsRefused as problem:
            code = next(iter(problem.recipients.values()))[0]
            lab.check(code == 550, f"mail for an alias that is not there got {code}")
        else:
            raise lab.Failed("mail for an alias that is not there was taken")


def role_account(node):
    with contextlib.suppress(lab.Failed):
        return node.cli("account", "show", ROLE)
    return None


def aliases_work(cluster, targets):
    """Made on one node, answered on each, with mail in the mailboxes of both targets."""
    cluster.nodes[1].cli("alias", "add", ALIAS, *targets)
    for node in cluster.nodes:
        token = f"alias-{node.name}"

        def takes(node=node, token=token):
            with node.smtp() as client, contextlib.suppress(smtplib.SMTPRecipientsRefused):
                client.sendmail("sender@client.test", [ALIAS], lab.message(token, recipient=ALIAS))
                return True
            return False

        lab.wait_for(f"{node.name} to know the alias", takes, 20)
        for user in targets:
            lab.wait_for(f"mail for the alias to reach {user}",
                         lambda user=user, token=token: [found for _, found in lab.mailbox_tokens(cluster.nodes[0], user)].count(token) == 1, 20)


def test():
    new = lab.ROOT / "build" / lab.BUILD / "bin"
    cluster = lab.Cluster(3, network=27)
    cluster.bin = old
    for node in cluster.nodes:
        node.bin = old
    with cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(10)])
        quiet = [users.pop(), users.pop()]
        load = lab.Load(cluster, users, clients=6, per_message=2).start()
        lab.wait_for("some mail", lambda: load.accepted() > 200, 60)
        first, second, third = cluster.nodes
        switch(cluster, first, new, load)
        move(cluster, third, users[0])
        switch(cluster, second, new, load)
        move(cluster, first, users[1])
        move(cluster, third, users[2])
        nothing_new_yet(first, quiet[0])
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
        role = lab.wait_for("the cluster's own account", lambda: role_account(first), 30)
        aliases_work(cluster, quiet)
        for node in cluster.nodes:
            switch(cluster, node, new, load)
            lab.wait_for(f"{node.name} to know the cluster's own account", lambda node=node: role_account(node) == role, 20)
        load.stop()
        cluster.wait_healthy(60)

        def boxes(node, of):
            return {user: lab.mailbox_tokens(node, user) for user in of}

        counts = lab.wait_for("the history to hold", lambda: lab.check_history(load.history, boxes(first, users)), 60, 1)
        expected = boxes(first, users + quiet)
        for node in cluster.nodes[1:]:
            lab.check(boxes(node, users + quiet) == expected, f"{node.name} holds other mailboxes than n1")
        return f"verdicts {counts}"


old = build_previous()
if old is None:
    print("skipped: the history does not reach back to the release before")
else:
    lab.main(test)
