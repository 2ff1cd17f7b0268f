#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What submission promises beyond the delivery: mail that is held comes at its time, to accounts here and to other hosts, and
also when the node starts anew meanwhile; who asks for it is told that mail has arrived; REQUIRETLS and BY go along."""
import time

import lab
import relay_lab
from relay_lab import Client, Inbox, queue, send, wait_gone, wait_notices


def texts(node, user):
    with Inbox(node, user) as box:
        return [m for m in box.messages() if m.get_content_type() != "multipart/report"]


def announced(node, user):
    client = Client(node, user)
    client.smtp.ehlo()
    features = client.smtp.esmtp_features
    client.close()
    lab.check({"requiretls", "futurerelease", "deliverby", "dsn"} <= set(features), f"{features}")
    lab.check(features["futurerelease"].startswith("2592000 "), f"{features}")


def not_announced(node, user):
    def offered():
        client = Client(node, user)
        client.smtp.ehlo()
        client.close()
        return "futurerelease" in client.smtp.esmtp_features
    node.cli("setting", "set", "mail.hold_max", "0")
    lab.wait_for("FUTURERELEASE to be offered no more", lambda: not offered(), 30)


def held(cluster, ann, bob, cid):
    """Nobody has it before its time; then everybody once, and the sender is told."""
    node = cluster.node(1)
    with cluster.sink(20) as sink:
        begun = time.time()
        send(node, ann, [(bob, ["NOTIFY=SUCCESS", "ORCPT=rfc822;old@here.test"]), cid, "x@s20.test"], token="held",
             mail=["HOLDFOR=6"])
        lab.check(len(queue(node, "--from", ann)) == 1, "one record")
        node.stop()
        node.start()
        lab.wait_for("the node", lambda: queue(node, "--from", ann), 30)
        if time.time() < begun + 5:
            lab.check(not texts(node, bob) and not texts(node, cid) and not sink.messages, "too early")
        lab.wait_for("both to have it", lambda: texts(node, bob) and texts(node, cid) and sink.messages, 40)
        lab.check(time.time() >= begun + 6, "it came too early")
        notice = wait_notices(node, ann)[0]
        lab.check(notice.actions() == {bob: "delivered"}, f"{notice.actions()}")
        lab.check("old@here.test" in notice.of(bob)["Original-Recipient"], f"{notice.of(bob)}")
        wait_gone(node, ann)
        lab.check(len(texts(node, bob)) == len(texts(node, cid)) == len(sink.messages) == 1, "once")


def taken_back(cluster, dan, bob):
    node = cluster.node(1)
    before = len(texts(node, bob))
    send(node, dan, bob, token="back", mail=["HOLDFOR=3600"])
    node.cli("queue", "drop", "--from", dan, "--yes")
    wait_gone(node, dan)
    lab.check(len(texts(node, bob)) == before, "it came all the same")


def told(cluster, eve, bob):
    """Delivered at once, and told of at once: of an account, and of an alias for two."""
    node = cluster.node(1)
    node.cli("alias", "add", "team@example.test", bob, eve)
    send(node, eve, [(bob, ["NOTIFY=SUCCESS"]), ("team@example.test", ["NOTIFY=SUCCESS,FAILURE"])], token="told",
         mail=["ENVID=told"])
    notice = wait_notices(node, eve)[0]
    lab.check(set(notice.actions()) == {bob, "team@example.test"}, f"{notice.actions()}")
    lab.check(notice.of(bob)["Action"] == "delivered" and notice.of(bob)["Status"].startswith("2."), f"{notice.of(bob)}")
    lab.check(notice.of("team@")["Action"] in ("expanded", "relayed"), f"{notice.of('team@')}")
    lab.check(notice.fields["Original-Envelope-Id"] == "told", f"{notice.fields}")
    wait_gone(node, eve)
    wait_notices(node, eve)


def told_to_the_world(cluster, bob):
    """By the null sender; and a notice about a notice there is none."""
    node = cluster.node(1)
    with cluster.sink(22) as sink:
        for sender in ("w@s22.test", ""):
            smtp = node.smtp()
            smtp.ehlo()
            lab.check("requiretls" not in smtp.esmtp_features, "REQUIRETLS is offered in the clear")
            smtp.sendmail(sender, [bob], lab.message("world", "w@s22.test", bob), rcpt_options=["NOTIFY=SUCCESS"])
            smtp.quit()
        lab.wait_for("the notice", lambda: sink.messages, 30)
        lab.wait_for("an empty queue", lambda: not queue(node), 30)
        lab.check(len(sink.messages) == 1, f"{len(sink.messages)} notices")
        message = sink.messages[0]
        lab.check(message.sender == "" and b"Action: delivered" in message.data, f"{message}")


def with_tls_alone(cluster, fay):
    """A host whose name nobody vouches for does not get it."""
    node = cluster.node(1)
    with cluster.sink(21) as sink:
        send(node, fay, "x@s21.test", token="secret", mail=["REQUIRETLS", "RET=FULL"])
        notice = wait_notices(node, fay)[0]
        lab.check(notice.of("x@s21.test")["Action"] == "failed", f"{notice.actions()}")
        lab.check(notice.of("x@s21.test")["Status"] in ("5.7.30", "5.7.10"), f"{notice.of('x@s21.test')}")
        lab.check(notice.original.get_content_type() == "text/rfc822-headers", notice.original.get_content_type())
        lab.check(not sink.messages, "it was sent")


def test():
    with relay_lab.Cluster(1, 34) as cluster:
        names = ["ann", "bob", "cid", "dan", "eve", "fay"]
        cluster.open(["probe", *names])
        ann, bob, cid, dan, eve, fay = [f"{name}@example.test" for name in names]
        announced(cluster.node(1), ann)
        with_tls_alone(cluster, fay)
        held(cluster, ann, bob, cid)
        taken_back(cluster, dan, bob)
        told(cluster, eve, bob)
        told_to_the_world(cluster, bob)
        not_announced(cluster.node(1), ann)
    return "held, taken back, told, with TLS alone"


lab.main(test)
