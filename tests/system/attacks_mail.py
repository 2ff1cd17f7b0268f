# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks by mail: for whom it is, whose it says it is, what becomes of it that cannot be delivered, and what it says that
others have said; see test_attacks.py."""
import contextlib

import lab
from hostile import ANN, BOB, EVE, FUL, STRANGER, SUBMISSION, VICTIM, fields

INFO = "info@example.test"


def attack_17_backscatter(world):
    """Whatever is refused is refused before the end; nobody hears of it who may not have written it."""
    refuse = "MIME-Version: 1.0\r\n" + "".join(
        f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(300))
    team = "team@example.test"
    world.deliver("full", FUL)
    world.cli("account", "quota", FUL, "--messages", "1")
    world.cli("alias", "add", team, ANN, FUL)
    for over, code in (("for-now", "452"), ("for-good", "552")):
        if over == "for-good":
            world.cli("cluster", "policy", "--over-quota", over)
        with world.client() as client:
            client.ready().expect("250", f"MAIL FROM:<{VICTIM}>")

            def refused():
                return client.say(f"RCPT TO:<{FUL}>").startswith(code)
            lab.wait_for(f"a full mailbox to get {code}", refused, 10)
            client.expect("550", "RCPT TO:<nobody@example.test>")
            client.expect(("503", "554"), "DATA")
            client.expect("250", "RSET")
            client.message("550", fields("bare", VICTIM) + "\r\na\nb", VICTIM)
            client.message("554", fields("deep", VICTIM) + refuse, VICTIM)
            client.message("55", fields("big", VICTIM, "X-A: b\r\n" * 40_000), VICTIM)
            client.expect("250", "MAIL FROM:<> SIZE=1000")
            client.expect("550", "RCPT TO:<nobody@example.test>")
            client.expect("250", "RSET")
            client.message("250", fields(f"to a team, {over}", VICTIM), VICTIM, [team])
            world.took(f"to a team, {over}", ANN, FUL) # who is one of many gets it all the same
    world.cli("alias", "remove", team, "--yes")
    world.cli("account", "disable", EVE, "--receive")
    world.cli("forward", "set", BOB, FUL)
    with world.client() as client: # one of many, in one transaction
        client.ready().expect("250", f"MAIL FROM:<{VICTIM}>")
        client.expect("250", f"RCPT TO:<{ANN}>")
        client.expect("550", "RCPT TO:<nobody@example.test>")
        client.expect("552", f"RCPT TO:<{FUL}>")
        client.expect("552", f"RCPT TO:<{BOB}>")
        client.expect("550", f"RCPT TO:<{EVE}>")
        client.expect("354", "DATA")
        client.send(fields("one of many", VICTIM))
        client.expect("250", "\r\n.")
        world.took("one of many", ANN)
    world.cli("forward", "clear", BOB)
    world.cli("account", "enable", EVE)


def attack_18_loops(world):
    for keep in (["--keep"], []):
        rings = [(ANN, BOB), (BOB, EVE), (EVE, ANN)]
        for source, target in rings:
            world.cli("forward", "set", source, target, *keep)
        for user in (ANN, BOB):
            token = f"loop-{user}{''.join(keep)}"
            with world.client() as client:
                client.ready().message("250", lab.message(token, STRANGER, user), recipients=[user])
            world.took(token, *((ANN, BOB, EVE) if keep else (user,))) # once each; or where it began: it is not lost
        for source, _ in rings:
            world.cli("forward", "clear", source)
    world.cli("alias", "add", "one@example.test", "two@example.test")
    world.cli("alias", "add", "two@example.test", "one@example.test")
    world.cli("alias", "add", "half@example.test", "one@example.test", ANN)
    with contextlib.suppress(lab.Failed):
        world.cli("list", "add", "self@example.test", "self@example.test", "--owner", ANN)
        raise AssertionError("a list was made that has itself as a member")
    with world.client() as client:
        client.ready()
        client.expect("250", f"MAIL FROM:<{STRANGER}>")
        client.expect("550 5.4.6", "RCPT TO:<one@example.test>")
        client.expect("250", "RSET")
        client.message("250", fields("half a loop"), recipients=["half@example.test"])
        client.message("250", fields("50 hosts", more="Received: by host.test\r\n" * 50))
        client.message("554 5.4.6", fields("51 hosts", more="Received: by host.test\r\n" * 51))
        client.expect("250", "NOOP")
        world.took("half a loop", ANN)
        world.took("50 hosts", ANN)
    for alias in ("one", "two", "half"):
        world.cli("alias", "remove", f"{alias}@example.test", "--yes")
    world.cli("forward", "set", EVE, "eve@far.test", "--keep")
    with world.client() as client: # by way of another host, which sends it back
        client.ready()
        lab.wait_for("mail to be sent on", lambda: client.message(
            "250", lab.message("there", STRANGER, EVE), recipients=[EVE]) is not None, 20)
        world.took("there", EVE)
        client.message("554 5.4.6", lab.message("and back", STRANGER, EVE).replace(
            b"From:", f"Delivered-To: {EVE.upper()}\r\nFrom:".encode(), 1), recipients=[EVE])
    rows = world.cli("queue", "list")["messages"]
    lab.check([row["first_to"] for row in rows] == ["eve@far.test"], f"in the queue: {rows}")
    world.cli("queue", "drop", rows[0]["id"], "--yes")
    world.cli("forward", "clear", EVE)


FOREIGN = [VICTIM, "victim%far.test@example.test", "far.test!victim@example.test", "far.test!victim",
           '"victim@far.test"@example.test', '"victim%far.test"@example.test', "victim@[127.0.0.1]", "victim@[192.0.2.1]",
           "victim@[IPv6:2001:db8::1]", "@example.test:victim@far.test", "@example.test,@far.test:victim@far.test",
           "victim@far.test@example.test", "victim@example.test.far.test", "victim@far.test.", "victim@n1.test",
           "victim%far.test", "victim@example.test@far.test", "victim@localhost"]
LOOKED_UP = [VICTIM, "victim%far.test@example.test", "victim@[127.0.0.1]", "victim@n1.test"] # not refused by their looks
SENDERS = [STRANGER, ANN, "", "postmaster@example.test"]
AFAR = ["192.0.2.77", "2001:db8::77", "::1", "::ffff:192.0.2.78"]


def relay(client, senders, codes, recipients):
    for sender in senders:
        client.expect("250", f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            client.expect(codes, f"RCPT TO:<{recipient}>")
        client.expect(("503", "554"), "DATA")
        client.expect("250", "RSET")


def attack_27_relay(world):
    """At each node, from anywhere: this machine, the node's own address, another's, IPv6."""
    network = f"127.0.{world.cluster.network}"
    for node in world.cluster.nodes:
        for source in ("127.0.0.1", f"{network}.{node.number}", f"{network}.{node.number % 3 + 1}"):
            for sender in SENDERS: # a connection may be wrong 20 times
                with world.client(node=node, source=source) as client:
                    client.greeted()
                    relay(client, [sender], "55", FOREIGN)
        with world.client(SUBMISSION, node) as client:
            client.greeted()
            client.start_tls()
            client.expect("530", f"MAIL FROM:<{ANN}>")
            client.expect(("503", "530"), f"RCPT TO:<{VICTIM}>")
    with contextlib.ExitStack() as stack: # they wait for their greetings at once
        clients = [stack.enter_context(world.cluster.proxied(peer, node)) for node in world.cluster.nodes for peer in AFAR]
        for client in clients:
            client.greeted()
            relay(client, SENDERS, "550 5.7.1", [VICTIM])
    with world.client() as client: # a header of a proxy from whom none is taken
        lab.check(client.reply().startswith("220"), "greeting")
        client.expect("50", f"PROXY TCP4 127.0.0.1 {world.node.ip} 40000 25")


def attack_27_relay_without_majority(world):
    """While the directory cannot decide, too: later, or never, but not 250."""
    gone = world.cluster.nodes[1:]
    for node in gone:
        node.kill_tree()
    with contextlib.ExitStack() as stack: # all at once: each look-up takes its time
        clients = []
        for sender in SENDERS:
            for recipient in LOOKED_UP:
                client = stack.enter_context(world.client())
                client.ready().expect("250", f"MAIL FROM:<{sender}>")
                client.send(f"RCPT TO:<{recipient}>\r\n")
                clients.append((client, recipient))
        said = {}
        for client, recipient in clients:
            said.setdefault(client.reply()[:9], []).append(recipient)
            client.expect(("503", "554"), "DATA")
        print(f"   {said}", flush=True)
        lab.check(all(code.startswith(("4", "5")) for code in said), f"RCPT without a majority: {said}")
    for node in gone:
        node.start()
    world.cluster.wait_healthy(60)
    lab.wait_for("mail to flow again", lambda: world.deliver("again") is None, 30)


def attack_28_whose_from(world):
    world.cli("alias", "add", INFO, EVE)
    cases = [("another's", f"From: <{BOB}>\r\n", "550"), ("none", "", "554"),
             ("two fields", f"From: <{ANN}>\r\nFrom: <{BOB}>\r\n", "554"),
             ("two fields, apart", f"FROM: <{ANN}>\r\nX-A: b\r\nfrom: <{BOB}>\r\n", "554"),
             ("twice the same", f"From: <{ANN}>\r\nFrom: <{ANN}>\r\n", "554"),
             ("two fields and a Sender", f"From: <{ANN}>\r\nFrom: <{ANN}>\r\nSender: <{ANN}>\r\n", "554"),
             ("two addresses", f"From: <{ANN}>, <{BOB}>\r\n", "55"),
             ("two with a Sender", f"From: <{ANN}>, <{BOB}>\r\nSender: <{ANN}>\r\n", "550"),
             ("another's Sender", f"From: <{ANN}>\r\nSender: <{BOB}>\r\n", "550"),
             ("a Sender that is none", f"From: <{ANN}>\r\nSender: Bob\r\n", "554"),
             ("a group", f"From: all: {BOB};\r\n", "55"), ("empty", "From: \r\n", "554"),
             ("display name, bare", f"From: {BOB} <{ANN}>\r\n", "554"),
             ("display name, then his own", f"From: \"{BOB}\" <{BOB}> <{ANN}>\r\n", "554"),
             ("display name in a route", f"From: <@{BOB.split('@')[1]}:{BOB}>\r\n", "55"),
             ("folded", f"From:\r\n {BOB}\r\n", "550"), ("space", f"From : <{BOB}>\r\n", "55"),
             ("comment", f"From: ({ANN}) {BOB}\r\n", "550"), ("foreign", f"From: <{VICTIM}>\r\n", "550"),
             ("alias without right", f"From: <{INFO}>\r\n", "550"),
             ("postmaster", "From: <postmaster@example.test>\r\n", "550"),
             ("quoted local part", "From: <\"ann@example.test\"@far.test>\r\n", "55"),
             ("encoded address", "From: =?utf-8?q?=3Cbob=40example.test=3E?=\r\n", "554"),
             ("behind the empty line", f"X-A: b\r\n\r\nFrom: <{ANN}>\r\n", "554")]
    with world.client(SUBMISSION) as client:
        client.ready(SUBMISSION)
        for number, (name, text, codes) in enumerate(cases):
            if number % 10 == 9: # 20 times wrong, and it ends
                client.message("250", fields(f"own-{number}", ANN), ANN, [BOB])
                world.took(f"own-{number}", BOB)
            try:
                client.message(codes, f"{text}To: <{BOB}>\r\nSubject: from {name}\r\n", ANN, [BOB])
            except lab.Failed as problem:
                raise lab.Failed(f"From, {name}: {problem}") from problem
        for sender in (BOB, INFO, VICTIM, "postmaster@example.test", "ann@far.test"):
            client.expect("553", f"MAIL FROM:<{sender}>")
        client.message("550", f"From: <{BOB}>\r\nSubject: a notice\r\n", "", [BOB]) # <> hides nobody
        client.message("250", fields("ann's own", ANN), ANN, [BOB])
        world.took("ann's own", BOB)
        world.cli("account", "rights", ANN, "--add", INFO)
        lab.wait_for("the right to count", lambda: client.message("250", fields("by right", INFO), INFO, [BOB]) is not None, 10)
        world.took("by right", BOB)
        world.cli("account", "rights", ANN, "--remove", INFO)
        lab.wait_for("the right to be gone", lambda: client.say("RSET") and client.say(f"MAIL FROM:<{INFO}>")[:3] == "553", 10)
    world.cli("alias", "remove", INFO, "--yes")


def attack_29_forged_verdicts(world):
    name = f"{world.node.name}.test"
    forged = [f"Authentication-Results: {name}; dkim=pass", f"authentication-RESULTS: (x) {name.upper()} 1; spf=pass",
              f"Authentication-Results:\r\n\t\"{name}\";\r\n dmarc=pass", f"Authentication-Results : {name}; dmarc=pass",
              f"Authentication-Results:\r\n (a\r\n b)\r\n {name}.; dmarc=pass", "Authentication-Results: ; dmarc=pass",
              "Received-SPF: pass", "X-Spam-Status: No", "X-Spam-Flag: NO", "x-spam-anything: 1", "X-Postraft-Verdict: good",
              "X-Virus-Scanned: clean", "X-Spam-Report:\r\n two lines\r\n\tdmarc=pass", f"Return-Path: <{BOB}>"]
    kept = ["Authentication-Results: mx.far.test; dkim=pass", f"Authentication-Results: {name}.far.test; dkim=pass",
            "Authentication-Results: \"mx.far.test\"; dkim=pass", "X-Mailer: ours", "Received: by far.test; long ago", "X-Spa: kept"]
    text = "\r\n".join([*forged, *kept, ""])

    def in_chunks(client):
        message = (text + fields("forged in chunks") + "\r\nReceived-SPF: in the text").encode()
        client.expect("250", f"MAIL FROM:<{STRANGER}>")
        client.expect("250", f"RCPT TO:<{ANN}>")
        for at in range(0, len(message), 7):
            client.send(f"BDAT {len(message[at:at + 7])}\r\n".encode() + message[at:at + 7])
            lab.check(client.reply().startswith("250"), "a chunk is refused")
        client.expect("250", "BDAT 0 LAST")
    with world.client() as client:
        client.ready().message("250", text + fields("forged in lines") + "\r\nReceived-SPF: in the text")
        in_chunks(client)
    with world.client(SUBMISSION) as client: # by one of ours, too
        client.ready(SUBMISSION).message("250", text + fields("forged by ann", ANN) + "\r\nReceived-SPF: in the text", ANN)
    for token, sender in (("forged in lines", STRANGER), ("forged in chunks", STRANGER), ("forged by ann", ANN)):
        world.took(token, ANN)
        header, _, body = world.text(ANN, token).partition("\r\n\r\n")
        for line in kept:
            lab.check(f"\r\n{line}\r\n" in header, f"{token}: {line} is gone from {header}")
        lab.check(body.startswith("Received-SPF: in the text"), f"{token}: the text was changed: {body!r}")
        header = header.lower()
        for word in ("received-spf", "x-spam", "x-postraft", "x-virus", "dmarc=pass", "spf=pass", name + "; dkim=pass", BOB):
            lab.check(word not in header, f"{token}: {word} came through: {header}")
        lab.check(header.count("return-path:") == 1 and f"return-path: <{sender}>" in header, f"Return-Path: {header}")
