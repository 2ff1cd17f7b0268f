#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Outgoing mail against hosts that take, refuse, defer and hang up at each stage: what arrives, when it is tried again, what
the sender hears of it (RFC 3464), what is handed on to the next host, large bodies byte for byte, connections used again.

`test_relay.py WORD` runs only the cases whose name has WORD in it."""
import os
import smtplib
import sys
import threading
import time
import traceback

import lab
import relay_lab
from relay_lab import Client, queue, send, wait_gone, wait_notices
from sink import CUT

CASES = []


def case(*users):
    def note(function):
        CASES.append((function, users))
        return function
    return note


class Script:
    """Answers of a sink: of each stage one after the other, then the usual ones."""

    def __init__(self, **stages):
        self.stages = {stage: list(answers) for stage, answers in stages.items()}
        self.times = []     # of answers that were told here

    def __call__(self, talk, stage, words):
        left = self.stages.get(stage)
        if not left:
            return None
        answer = left.pop(0)
        if answer is not None:
            self.times.append(time.monotonic())
        return answer


def arrived(sink, count=1, seconds=30):
    lab.wait_for(f"{count} messages at {sink.name}, where {len(sink.messages)} are", lambda: len(sink.messages) >= count,
                 seconds)
    lab.check(len(sink.messages) == count, f"{len(sink.messages)} messages at {sink.name}, not {count}")
    return sink.messages


def body_of(data):
    return data.split(b"\r\n\r\n", 1)[1]


# ---- hosts that defer ----

DEFERRED = {
    "connect_4xx": dict(connect=["421 4.3.2 busy"]),
    "connect_5xx": dict(connect=["554 5.3.2 not here"]),
    "connect_cut": dict(connect=[CUT]),
    "ehlo_cut": dict(ehlo=[CUT]),
    "ehlo_4xx": dict(ehlo=["421 4.3.2 busy"], helo=["421 4.3.2 busy"]),
    "mail_4xx": dict(mail=["451 4.3.0 later"]),
    "mail_cut": dict(mail=[CUT]),
    "rcpt_4xx": dict(rcpt=["450 4.2.1 later"]),
    "rcpt_cut": dict(rcpt=[CUT]),
    "data_4xx": dict(data=["451 4.3.0 later"], final=["451 4.3.0 later"]),
    "data_cut": dict(data=[CUT]),
    "final_4xx": dict(final=["452 4.3.1 full"]),
}


@case("deferred")
def deferred_at_each_stage(cluster, user):
    """Tried again at the time of the table, and nobody hears of it. Hosts with CHUNKING and hosts without."""
    node = cluster.node(1)
    sinks = {}
    client = Client(node, user)
    try:
        for number, (name, stages) in enumerate(DEFERRED.items()):
            sink = cluster.sink(21 + number)
            if number % 2 or name.startswith("data"):
                sink.extensions.remove("CHUNKING")
            sink.answers = Script(**stages)
            sinks[name] = sink.start()
            client.send(f"x@s{21 + number}.test", token=name)
        for name, sink in sinks.items():
            message = arrived(sink)[0]
            waited = message.at - sink.answers.times[-1]
            lab.check(sink.answers.times and 1.5 < waited < 12, f"{name}: tried again after {waited:.1f} s")
            lab.check(message.header("Subject") == name, f"{name} is {message.header('Subject')}")
        wait_gone(node, user)
        wait_notices(node, user, 0)
    finally:
        client.close()
        for sink in sinks.values():
            sink.stop()


@case("helo")
def no_ehlo(cluster, user):
    with cluster.sink(34) as sink:
        sink.answers = Script(ehlo=["502 5.5.1 what?"])
        send(cluster.node(1), user, "x@s34.test")
        message = arrived(sink)[0]
        lab.check(any(line.startswith("HELO ") for line in sink.lines), f"no HELO: {sink.lines}")
        lab.check((message.sender_words, message.recipient_words) == ("", [""]), f"options without EHLO: {message}")


@case("lost")
def final_dot_lost(cluster, user):
    """Nobody knows whether it was taken: it is not sent again for minutes, or when an operator says so."""
    node = cluster.node(1)
    with cluster.sink(35) as sink:
        sink.answers = Script(final=[CUT])
        send(node, user, "x@s35.test")
        lab.wait_for("the end of the message", lambda: sink.seen)
        row = lab.wait_for("the attempt", lambda: next((r for r in queue(node, "--from", user)
                                                        if r["recipients"][0]["attempts"] == 1), None))
        lab.check(row["due_ms"] - time.time() * 1000 > 200000, f"due again: {row}")
        lab.check(row["recipients"][0]["last_reply"] != "", f"why: {row}")
        node.cli("queue", "retry", row["id"])
        arrived(sink)
        wait_gone(node, user)


# ---- hosts that refuse ----

REFUSED = {
    "mail": ("550 5.7.1 not you", "5.7.1"),
    "rcpt": ("550 5.1.1 nobody", "5.1.1"),
    "data": ("554 5.6.0 no data", "5.6.0"),
    "final": ("554 5.7.1 spam", "5.7.1"),
}


@case("mail", "rcpt", "data", "final")
def refused_at_each_stage(cluster, *users):
    node = cluster.node(1)
    for number, (stage, (reply, status)) in enumerate(REFUSED.items()):
        with cluster.sink(36) as sink:
            sink.extensions.remove("CHUNKING")
            sink.answers = lambda talk, at, words: reply if at == stage else None
            send(node, users[number], "x@s36.test", token=f"refused-{stage}")
            notice = wait_notices(node, users[number])[0]
            block = notice.of("x@s36.test")
            lab.check((block["Action"], block["Status"]) == ("failed", status), f"{stage}: {block}")
            lab.check(block["Diagnostic-Code"] == f"smtp; {reply}", f"{stage}: {block['Diagnostic-Code']}")
            lab.check(block["Remote-MTA"] is not None and block["Last-Attempt-Date"] is not None, f"{stage}: {block}")
            lab.check(f"refused-{stage}" in notice.original.as_string(), f"{stage}: the original's header")
            lab.check(reply in notice.text, f"{stage}: people are told: {notice.text}")
            lab.check(not sink.messages, f"{stage}: it arrived")
        wait_gone(node, users[number])


@case("mixed")
def mixed(cluster, user):
    """Of six recipients at three domains two fail, one waits: three copies, one notice."""
    node = cluster.node(1)

    def answer(_talk, stage, words):
        if stage == "rcpt" and "gone" in words:
            return "550 5.1.1 gone"
        if stage == "rcpt" and "slow" in words and slow:
            slow.pop()
            return "450 4.2.1 slow"
        return None
    slow = [1]
    with cluster.sink(37) as one, cluster.sink(38) as two, cluster.sink(39) as three:
        for sink in (one, two, three):
            sink.answers = answer
        send(node, user, ["a@s37.test", "gone1@s37.test", "slow@s37.test", "b@s38.test", "gone2@s38.test", "c@s39.test"])
        arrived(one, 2)
        lab.check([m.recipients for m in one.messages] == [["a@s37.test"], ["slow@s37.test"]], f"{one.messages}")
        lab.check([m.recipients for m in arrived(two)] == [["b@s38.test"]], f"{two.messages}")
        lab.check([m.recipients for m in arrived(three)] == [["c@s39.test"]], f"{three.messages}")
        notice = wait_notices(node, user)[0]
        lab.check(notice.actions() == {"gone1@s37.test": "failed", "gone2@s38.test": "failed"}, f"{notice.actions()}")
        wait_gone(node, user)
        wait_notices(node, user, 1)


@case()
def null_sender(cluster):
    """Nobody hears that what nobody sent was not delivered."""
    node = cluster.node(1)
    node.cli("alias", "add", "away@example.test", "x@s40.test")
    with cluster.sink(40) as sink, smtplib.SMTP(node.ip, 2525, local_hostname="client.test", timeout=60) as smtp:
        sink.answers = lambda talk, stage, words: "550 5.1.1 nobody" if stage == "rcpt" else None
        lab.wait_for("the alias", lambda: smtp.ehlo() and smtp.sendmail(
            "", ["away@example.test"], lab.message("null-sender", "", "away@example.test")) == {})
        lab.wait_for("the end", lambda: relay_lab.log_lines(node, "cannot be delivered", "x@s40.test"))
        lab.wait_for("it is forgotten", lambda: not queue(node, "--to", "s40.test"))
        lab.check(sum(line.startswith("RCPT") for line in sink.lines) == 1, f"once: {sink.lines}")


@case("never")
def notify_never(cluster, user):
    node = cluster.node(1)
    with cluster.sink(41) as sink:
        sink.answers = lambda talk, stage, words: "550 5.1.1 nobody" if stage == "rcpt" else None
        send(node, user, "x@s41.test", rcpt=["NOTIFY=NEVER"])
        lab.wait_for("the refusal", lambda: relay_lab.log_lines(node, "cannot be delivered", "x@s41.test"))
        lab.check("NOTIFY=NEVER" in " ".join(sink.lines), f"{sink.lines}")
        wait_gone(node, user)
        wait_notices(node, user, 0)


# ---- what is handed on ----

@case("dsn")
def dsn_handed_on(cluster, user):
    node = cluster.node(1)
    with cluster.sink(42) as sink:
        send(node, user, "x@s42.test", mail=["RET=HDRS", "ENVID=QQ+2B314"],
             rcpt=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;orig+2B@s42.test"])
        message = arrived(sink)[0]
        lab.check(message.data.startswith(b"Received: "), f"what is for mailboxes here has left: {message.data[:80]}")
        for words, where in ((("RET=HDRS", "ENVID=QQ+2B314"), message.sender_words),
                             (("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;orig+2B@s42.test"), message.recipient_words[0])):
            lab.check(set(words) <= set(where.split()), f"{words} in {where}")
        wait_gone(node, user)
        wait_notices(node, user, 0)


@case("relayed")
def relayed_to_a_host_without_dsn(cluster, user):
    node = cluster.node(1)
    with cluster.sink(43) as sink:
        sink.extensions.remove("DSN")
        send(node, user, [("x@s43.test", ["NOTIFY=SUCCESS", "ORCPT=rfc822;orig@s43.test"]), ("y@s43.test", [])],
             mail=["RET=FULL", "ENVID=full"])
        message = arrived(sink)[0]
        lab.check(not {"RET", "ENVID", "NOTIFY", "ORCPT"} & {word.split("=")[0] for word in " ".join(
            [message.sender_words, *message.recipient_words]).split()}, f"{message}")
        notice = wait_notices(node, user)[0]
        block = notice.of("x@s43.test")
        lab.check(notice.actions() == {"x@s43.test": "relayed"} and block["Status"].startswith("2."), f"{block}")
        lab.check(block["Original-Recipient"].replace(" ", "") == "rfc822;orig@s43.test", f"{block}")
        lab.check(notice.fields["Original-Envelope-Id"] == "full", f"{notice.fields}")
        wait_gone(node, user)


@case("utf8", "eight", "size")
def what_a_host_cannot_take(cluster, utf8, eight, size):
    node = cluster.node(1)
    text = f"From: <{utf8}>\r\nSubject: \u00fc\r\n\r\n\u00e4\r\n".encode()
    with cluster.sink(44) as sink:
        sink.extensions = ["PIPELINING", "SIZE 6000"]
        send(node, utf8, "x@s44.test", data=text, mail=["SMTPUTF8", "BODY=8BITMIME"])
        send(node, eight, "x@s44.test", data=f"From: <{eight}>\r\nSubject: 8\r\n\r\n\u00e4\r\n".encode(),
             mail=["BODY=8BITMIME"])
        send(node, size, "x@s44.test", data=lab.message("large", size, size=9000))
        for user, status in ((utf8, "5.6.7"), (eight, "5.6.3"), (size, "5.3.4")):
            block = wait_notices(node, user)[0].of("x@s44.test")
            lab.check((block["Action"], block["Status"]) == ("failed", status), f"{user}: {block}")
        lab.check(not sink.seen, f"it was sent: {sink.seen}")
    with cluster.sink(45) as sink:
        send(node, utf8, "x@s45.test", data=text, mail=["SMTPUTF8", "BODY=8BITMIME"])
        words = arrived(sink)[0].sender_words.split()
        lab.check({"SMTPUTF8", "BODY=8BITMIME"} <= set(words), f"{words}")
        lab.check(body_of(sink.messages[0].data) == body_of(text), f"{sink.messages[0].data}")


# ---- bodies, connections, many recipients ----

@case("large")
def large_bodies(cluster, user):
    """20 MB with dots wherever they may hurt, to a host with CHUNKING and to one without."""
    node = cluster.node(1)
    lines = b"".join(b"." * (n % 5) + os.urandom(24).hex().encode() + b"." * (n % 3) + b"\r\n" for n in range(2000))
    data = f"From: <{user}>\r\nSubject: large\r\n\r\n.\r\n..\r\n".encode() + lines * 200 + b".\r\n.." + b"\r\n"
    with cluster.sink(46) as chunks, cluster.sink(47) as plain:
        plain.extensions.remove("CHUNKING")
        client = Client(node, user)
        client.expect(client.smtp.mail(user), 250, "MAIL")
        for recipient in ("x@s46.test", "x@s47.test"):
            client.expect(client.smtp.rcpt(recipient), 250, "RCPT")
        client.smtp.putcmd(f"BDAT {len(data)} LAST")
        client.smtp.sock.sendall(data)
        client.expect(client.smtp.getreply(), 250, "BDAT")
        for sink in (chunks, plain):
            message = arrived(sink, seconds=50)[0]
            lab.check(body_of(message.data) == body_of(data), f"{sink.name} has {len(message.data)} bytes of {len(data)}, changed")
            used = {line.split()[0] for line in sink.lines}
            lab.check(("BDAT" in used) == (sink is chunks) and ("DATA" in used) == (sink is plain), f"{used}")


@case("again")
def one_connection(cluster, user):
    """Used again while it is fresh; closed, with QUIT, after five seconds of rest."""
    node = cluster.node(1)
    client = Client(node, user)
    with cluster.sink(48) as sink:
        client.send("x@s48.test", token="one")
        arrived(sink)
        client.send("y@s48.test", token="two")
        arrived(sink, 2)
        last = time.monotonic()
        lab.check(sink.connections == 1, f"{sink.connections} connections")
        lab.wait_for("it to be closed", lambda: sink.open == 0, 15)
        rest = time.monotonic() - last
        lab.check(4 < rest < 9 and sink.lines[-1] == "QUIT", f"closed after {rest:.1f} s; {sink.lines[-1]}")
        client.send("z@s48.test", token="three")
        arrived(sink, 3)
        lab.check(sink.connections == 2, f"{sink.connections} connections")
    client.close()


@case("many")
def many_recipients(cluster, user):
    """A hundred in one transaction; ten at a time to a host that takes no more, without waiting."""
    node = cluster.node(1)

    def few(talk, stage, _words):
        full = stage == "rcpt" and talk.message is not None and len(talk.message.recipients) >= 10
        return "452 4.5.3 too many" if full else None
    with cluster.sink(49) as all_at_once, cluster.sink(50) as ten:
        ten.answers = few
        for sink, k in ((all_at_once, 49), (ten, 50)):
            begun = time.monotonic()
            send(node, user, [f"r{n}@s{k}.test" for n in range(100)])
            lab.wait_for(f"all at {sink.name}", lambda: sum(len(m.recipients) for m in sink.messages) >= 100)
            took = time.monotonic() - begun
            got = [recipient for message in sink.messages for recipient in message.recipients]
            lab.check(sorted(got) == sorted(f"r{n}@s{k}.test" for n in range(100)), f"{len(got)} recipients")
            lab.check(len(sink.messages) == (1 if sink is all_at_once else 10), f"{len(sink.messages)} transactions")
            lab.check(sink.connections == 1 and took < 10, f"{sink.connections} connections, {took:.1f} s")
        wait_gone(node, user)


# ---- delay and expiry: a cluster with short times ----

def delay_and_expiry(cluster, users):
    node = cluster.node(1)
    impatient, quiet, never_there = users
    with cluster.sink(20) as sink:
        sink.answers = lambda talk, stage, words: "451 4.3.0 the disk is full" if stage == "final" else None
        send(node, impatient, "x@s20.test", token="impatient")
        send(node, quiet, "x@s20.test", token="quiet", rcpt=["NOTIFY=FAILURE"])
        send(node, never_there, "x@s59.test", token="never-there")
        delayed = wait_notices(node, impatient)[0].of("x@s20.test")
        lab.check((delayed["Action"], delayed["Status"]) == ("delayed", "4.3.0"), f"{delayed}")
        lab.check(delayed["Will-Retry-Until"] is not None, f"{delayed}")
        failed = wait_notices(node, impatient, 2)[1].of("x@s20.test")
        lab.check((failed["Action"], failed["Status"]) == ("failed", "4.3.0"), f"{failed}")
        lab.check(failed["Diagnostic-Code"] == "smtp; 451 4.3.0 the disk is full", f"{failed}")
        lab.check(wait_notices(node, quiet)[0].actions() == {"x@s20.test": "failed"}, "only of the failure")
        block = wait_notices(node, never_there, 2)[1].of("x@s59.test")
        lab.check(block["Action"] == "failed" and block["Status"].startswith("4.4."), f"{block}")
        wait_gone(node, impatient)
        lab.check(not sink.messages and len(sink.seen) > 4, f"{len(sink.seen)} attempts")


def short_times(failures):
    try:
        with relay_lab.Cluster(1, 31, relay='retry = { "1s", "2s" } delay = { "3s" } expire_s = 9') as cluster:
            delay_and_expiry(cluster, cluster.open(["impatient", "quiet", "never-there"]))
            print("ok delay_and_expiry", flush=True)
    except Exception as problem:    # pylint: disable=broad-except
        failures.append(f"delay_and_expiry: {problem!r}")
        traceback.print_exc()


def play(cluster, function, users, failures):
    try:
        function(cluster, *[f"{name}@example.test" for name in users])
        print(f"ok {function.__name__}", flush=True)
    except Exception as problem:    # pylint: disable=broad-except
        failures.append(f"{function.__name__}: {problem}")
        if not isinstance(problem, lab.Failed):
            traceback.print_exc()


def test():
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    cases = [(function, users) for function, users in CASES if word in function.__name__]
    failures = []
    threads = [threading.Thread(target=short_times, args=(failures,))] if word in "delay_and_expiry" else []
    for thread in threads:
        thread.start()
    with relay_lab.Cluster(1, 30) as cluster:
        cluster.open(["probe", *[name for _, users in cases for name in users]])
        plays = [threading.Thread(target=play, args=(cluster, *each, failures)) for each in cases]
        for thread in plays:
            thread.start()
        for thread in plays + threads:
            thread.join()
        lab.check(not failures, "\n".join(failures))
        rows = queue(cluster.node(1))
        lab.check(not rows, f"left in the queue: {rows}")
    return f"{len(cases)} cases"


lab.main(test)
