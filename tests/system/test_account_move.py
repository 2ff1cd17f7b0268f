#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three nodes, and an account with some 2,000 messages that moves from one group to another and back while it is in
use: mail comes in, flags change, messages are appended, expunged and read by several clients, one of which waits with
IDLE. On the way back the node that leads the group it leaves is killed with -9 while it copies. Nothing is lost or
there twice, UIDs and UIDVALIDITY stay, and the waiting session, whose view lives by MODSEQs, is told everything and
never broken."""

import contextlib
import re
import subprocess
import threading
import time

import lab
from imap_client import Imap, Lost

MESSAGES = 2000


class Client(threading.Thread):
    """Does something again and again until it is stopped; a lost connection is made anew, a refusal counted."""

    def __init__(self, cluster, node, user):
        super().__init__(daemon=True)
        self.cluster, self.node, self.user = cluster, node, user
        self.stopping = threading.Event()
        self.refused = 0
        self.done = 0
        self.problem = None
        self.slowest = 0.0

    def connect(self):
        client = Imap(self.node.ip, self.user, self.cluster.password, timeout=60)
        self.prepare(client)
        return client

    def prepare(self, client):
        answer = client.select("INBOX")[0]
        lab.check(answer.status == "OK", f"SELECT: {answer.text}")

    def run(self):
        client = None
        try:
            while not self.stopping.is_set():
                try:
                    client = client or self.connect()
                    begun = time.monotonic()
                    self.turn(client)
                    self.slowest = max(self.slowest, time.monotonic() - begun)
                except Lost:
                    self.lost()
                    client = None
                    self.stopping.wait(0.1)
            self.end(client)
        except Exception as problem:  # told by finish()
            self.problem = problem

    def lost(self):
        self.refused += 1

    def end(self, client):
        if client is not None:
            client.close()

    def count(self, answer):
        if answer.status == "OK":
            self.done += 1
        else:
            self.refused += 1
            self.stopping.wait(0.05)
        return answer.status == "OK"

    def finish(self):
        self.stopping.set()
        self.join(90)
        lab.check(not self.is_alive(), f"{type(self).__name__} hangs")
        lab.check(self.problem is None, f"{type(self).__name__}: {self.problem!r}")


class Idler(Client):
    """Never loses its connection; what it is told is, at the end, what is there."""
    rows = None

    def turn(self, client):
        client.idle(2)
        self.done += 1

    def lost(self):
        raise lab.Failed("the waiting session was broken")

    def end(self, client):
        client.command("NOOP")
        told = len(client.view)
        answer = client.command("UID SEARCH ALL")
        self.rows = [int(uid) for line in answer.lines if line.startswith(b"* SEARCH") for uid in line.split()[2:]]
        lab.check(answer.status == "OK" and len(self.rows) == told and not client.wrong,
                  f"the session was told of {told} messages, there are {len(self.rows)}; {client.wrong[:3]}")
        client.close()


class Appender(Client):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.history = []

    def prepare(self, client):
        pass

    def turn(self, client):
        token = f"append-{len(self.history)}"
        row = {"token": token, "recipients": [self.user], "node": self.node.number, "begun": time.monotonic(),
               "verdict": "unknown"}
        self.history.append(row)
        answer = client.command('APPEND "Sent"', lab.message(token, size=3000))
        row["verdict"] = "ok" if self.count(answer) else "no"
        row["ended"] = time.monotonic()


class Flagger(Client):
    """Sets a flag on one message after another; an OK is written down."""

    def __init__(self, *arguments, uids):
        super().__init__(*arguments)
        self.uids, self.flagged = uids, set()

    def turn(self, client):
        uid = self.uids[self.done % len(self.uids)]
        if self.count(client.command(f"UID STORE {uid} +FLAGS.SILENT (\\Flagged seen-{self.done % 3})")):
            self.flagged.add(uid)


class Expunger(Client):
    """Takes messages out, by UID; which of them surely, and which perhaps."""

    def __init__(self, *arguments, uids):
        super().__init__(*arguments)
        self.uids, self.tried, self.gone = list(uids), set(), set()

    def turn(self, client):
        if not self.uids:
            self.stopping.wait(0.2)
            return
        uid = self.uids.pop()
        self.tried.add(uid)
        if (self.count(client.command(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)"))
                and self.count(client.command(f"UID EXPUNGE {uid}"))):
            self.gone.add(uid)
        self.stopping.wait(0.05)


def look(cluster, node, user, box="INBOX"):
    """(uidvalidity, {uid: (token, flags)}) as a new session has it."""
    client = Imap(node.ip, user, cluster.password, timeout=60)
    try:
        answer, validity, _ = client.select(box)
        lab.check(answer.status == "OK", f"SELECT {box}: {answer.text}")
        rows = {row[0]: row for row in client.rows()}
        return validity, {uid: (row[1], row[2]) for uid, row in rows.items()}
    finally:
        client.close()


def group_of(node, user):
    return node.cli("account", "show", user)["group"]


def frozen_times(cluster):
    found = []
    for node in cluster.nodes:
        for line in (node.folder / "log").read_text(errors="replace").splitlines():
            if "an account has moved" in line:
                found.append(int(re.search(r"frozen_ms=(\d+)", line).group(1)))
    return found


def fill(cluster, user, other):
    load = lab.Load(cluster, [user], clients=12, size=3000).start()
    lab.wait_for(f"{MESSAGES} messages", lambda: load.accepted() >= MESSAGES, 60)
    load.stop()
    shared = lab.Load(cluster, [user, other], clients=2, per_message=2, size=3000).start()
    lab.wait_for("messages that two share", lambda: shared.accepted() >= 100, 30)
    shared.stop()
    return load.history + shared.history


def move_with_a_death(cluster, node, user, home, waiting):
    """Asks to move back, and kills the leader of the group that it leaves while it copies."""
    away = group_of(node, user)
    leader = cluster.leader_of(user)
    if leader is waiting: # it must live: the session that waits is there
        others = [each for each in cluster.nodes if each is not waiting]
        waiting.cli("group", "move-leader", str(away), others[0].name)
        leader = lab.wait_for("another leader", lambda: next(
            (each for each in others if cluster.leader_of(user) is each), None), 20)
    node.cli("account", "move", user, "--group", str(home), "--no-wait")
    under_way = "moves_to" in node.cli("account", "show", user)
    leader.kill_tree()
    lab.wait_for("the move to end", lambda: "moves_to" not in node.cli("account", "show", user), 60)
    leader.start()
    return under_way


def test():
    with lab.Cluster(3, network=29, groups=3) as cluster:
        user, other = cluster.add_accounts(["mover", "stayer"])
        waiting = cluster.node(1)
        history = fill(cluster, user, other)
        home = group_of(waiting, user)
        lab.wait_for("all hand-overs", lambda: len(look(cluster, waiting, user)[1]) >= MESSAGES + 100, 30)
        validity, before = look(cluster, waiting, user)
        uids = sorted(before)
        still, flagged, taken = uids[:300], uids[300:700], uids[700:900]
        clients = [Idler(cluster, waiting, user), Appender(cluster, waiting, user), Appender(cluster, cluster.node(2), other),
                   Flagger(cluster, waiting, user, uids=flagged), Expunger(cluster, waiting, user, uids=taken)]
        for client in clients:
            client.start()
        idler, appender, _, flagger, expunger = clients
        load = lab.Load(cluster, [user], clients=3, size=3000).start()
        shared = lab.Load(cluster, [other, user], clients=2, per_message=2, size=3000).start()
        lab.wait_for("clients at work", lambda: min(each.done for each in clients) > 3, 30)

        away = home % 3 + 1
        begun = time.monotonic()
        waiting.cli("account", "move", user, "--group", str(away), "--no-wait")
        lab.wait_for("the first move", lambda: "moves_to" not in waiting.cli("account", "show", user), 60)
        first = time.monotonic() - begun
        lab.check(group_of(waiting, user) == away, "the account is in the group that it was to move to")
        done = [each.done for each in clients]
        lab.wait_for("clients to go on", lambda: all(each.done > was for each, was in zip(clients, done)), 30)
        under_way = move_with_a_death(cluster, waiting, user, home, waiting)
        lab.check(group_of(waiting, user) == home, "the account is back")
        done = [each.done for each in clients]
        lab.wait_for("clients to go on", lambda: all(each.done > was for each, was in zip(clients, done)), 30)

        load.stop()
        shared.stop()
        for client in clients[1:]:
            client.finish()
        cluster.wait_healthy(60)
        history += load.history + shared.history
        expect = {(row["token"]) for row in history if row["verdict"] == "ok" and user in row["recipients"]}

        def all_there():
            rows = look(cluster, waiting, user)[1]
            gone = {before[uid][0] for uid in expunger.tried}
            return expect - gone <= {row[0] for row in rows.values()}

        move_watched(waiting, user, away)
        with contextlib.suppress(lab.Failed):
            lab.wait_for("hand-overs to end", all_there, 20, 0.5)
        idler.finish()
        validity_after, after = look(cluster, waiting, user)
        judge(before, after, still, flagger, expunger)
        lab.check(validity_after == validity, "UIDVALIDITY changed")
        lab.check(sorted(after) == sorted(idler.rows), "the waiting session has another mailbox")
        rows = sorted((uid, row[0]) for uid, row in after.items())
        rows += [(uid, before[uid][0]) for uid in expunger.tried if uid not in after]
        counts = lab.check_history(history_of(history, user), {user: sorted(rows)})
        sent = sorted((uid, row[0]) for uid, row in look(cluster, waiting, user, "Sent")[1].items())
        lab.check_history(appender.history, {user: sent})
        lab.check_history(history_of(history, other), {other: lab.mailbox_tokens(waiting, other)})
        for node in cluster.nodes[1:]:
            lab.check(look(cluster, node, user) == (validity, after), f"{node.name} has another mailbox")
        figures = {type(each).__name__: (each.done, each.refused, round(each.slowest, 2)) for each in clients}
        return (f"verdicts {counts}, first move {first:.1f} s, frozen {frozen_times(cluster)} ms, killed while it copied: "
                f"{under_way}; done, refused, slowest: {figures}")


def move_watched(node, user, group):
    """As an operator does it: the command watches until the account is there."""
    command = [str(node.bin / "postraft"), "--run", str(node.folder / "run"), "account", "move", user]
    run = subprocess.run(command + ["--group", str(group)], capture_output=True, text=True, timeout=60)
    lab.check(run.returncode == 0 and f"is in group {group}" in run.stdout, f"{run.stdout} {run.stderr}")
    lab.check(not run.stderr or "messages" in run.stderr, f"it shows how far it is: {run.stderr}")
    again = subprocess.run(command + ["--cancel"], capture_output=True, text=True, timeout=60)
    lab.check(again.returncode == 1 and "is not on its way" in again.stderr, again.stderr)


def history_of(history, user):
    """Of one of several recipients: when it came to that one, a moment after the 250, nobody knows."""
    return [row if len(row["recipients"]) == 1 else row | {"recipients": [user], "ended": float("inf")}
            for row in history if user in row["recipients"]]


def judge(before, after, still, flagger, expunger):
    for uid, row in before.items():
        if uid in expunger.tried:
            lab.check(uid not in after or uid not in expunger.gone, f"UID {uid} was expunged and is there")
            continue
        lab.check(uid in after, f"UID {uid} is lost")
        lab.check(after[uid][0] == row[0], f"UID {uid} is another message")
    for uid in still:
        lab.check(after[uid] == before[uid], f"UID {uid} changed: {before[uid]} {after[uid]}")
    for uid in flagger.flagged:
        lab.check("\\Flagged" in after[uid][1], f"UID {uid} lost its flag")


lab.main(test)
