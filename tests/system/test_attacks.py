#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile clients against a whole cluster, by real sockets: smuggled ends of messages, commands injected before TLS, relaying,
floods, forged headers, loops. After each attack a connection and a message go through as ever, the SMTP process is the one it
was, every mailbox holds exactly what it should, and nothing waits in the queue for other hosts.

`test_attacks.py WORD` runs only the attacks whose name has WORD in it."""
import contextlib
import ssl
import sys
import threading
import time

import lab
from hostile import (ANN, BOB, CONNECTIONS_MAX, EVE, FUL, SMTP, STRANGER, SUBMISSION, USERS, VICTIM, Cluster, World, fields,
                     insecure)

LINEAR_S = 10 # for what takes a second here

INBOUND = ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\n.\r", "\r.\n", "\r\n.\r", "\r\n\0.\r\n", "\r\n.\0\r\n"]
OUTBOUND = [*INBOUND, "\r\n.\r\r\n", "\r\r\n.\r\r\n"]


def smuggle(world, port, sequences):
    sender = ANN if port == SUBMISSION else STRANGER
    second = f"MAIL FROM:<{sender}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n{fields('smuggled', sender)}\r\nsecond"
    for number, end in enumerate(sequences):
        with world.client(port) as client:
            client.ready(port).envelope(sender, ANN)
            token = f"first-{port}-{number}"
            client.send(f"{fields(token, sender)}\r\nfirst{end}{second}")
            said = client.expect(("250", "550"), "\r\n.")
            if said.startswith("250"):
                world.took(token, ANN)
            client.expect("250", "NOOP") # and nobody answers a command of the text before it
    with world.client(port) as client: # that two can be seen, and that a stuffed dot ends nothing
        client.ready(port).envelope(sender, ANN)
        client.send(f"{fields(f'stuffed-{port}', sender)}\r\nfirst\r\n..\r\n{second}\r\n.\r\n{second.split('DATA')[0]}DATA\r\n")
        codes = [client.reply()[:3] for _ in range(4)]
        lab.check(codes == ["250", "250", "250", "354"], f"two messages in one segment: {codes}")
        client.send(fields(f"true-{port}", sender))
        client.expect("250", "\r\n.")
        world.took(f"stuffed-{port}", ANN)
        world.took(f"true-{port}", BOB)


def attack_01_smuggling_in(world):
    smuggle(world, SMTP, INBOUND)


def attack_02_smuggling_out(world):
    smuggle(world, SUBMISSION, OUTBOUND)


def attack_04_starttls_injection(world):
    injected = f"EHLO evil.test\r\nMAIL FROM:<{STRANGER}>\r\nRCPT TO:<{ANN}>\r\nDATA\r\n{fields('injected')}\r\n.\r\n"
    for port in (SMTP, SUBMISSION):
        for words in ("NOOP\r\n", "NOOP", injected):
            with world.client(port) as client:
                client.greeted()
                client.send("STARTTLS\r\n" + words)
                said = client.reply()
                if said.startswith("220"): # then nothing may be made of the text, not even in TLS
                    said = client.reply()
                lab.check(said == "" or said.startswith("554"), f"port {port}, {words[:10]!r} behind STARTTLS: {said!r}")
                lab.check(client.reply() == "", "and the connection goes on")
        with world.client(port) as client: # behind the reply: no handshake
            client.greeted()
            client.expect("220", "STARTTLS")
            client.send(injected)
            said = b""
            with contextlib.suppress(ConnectionError):
                while piece := client.socket.recv(4000):
                    said += piece
            lab.check(b"250" not in said and b"354" not in said, f"clear text instead of a handshake: {said}")
    with world.client() as client: # what was said before TLS is forgotten
        client.greeted()
        client.expect("250", f"MAIL FROM:<{STRANGER}>")
        client.expect("503", "STARTTLS")
        client.expect("250", "RSET")
        client.start_tls()
        client.expect("503", f"RCPT TO:<{ANN}>")
        client.expect("503", "STARTTLS")


def attack_06_auth_where_it_may_not_be(world):
    with world.client(SUBMISSION) as client:
        lab.check("AUTH" not in client.greeted(), "AUTH is offered in the clear")
        client.expect(("530", "538"), client.plain())
        client.expect("530", f"MAIL FROM:<{ANN}>")
        lab.check("AUTH" in client.start_tls(), "AUTH is not offered in TLS")
        client.expect("530", f"MAIL FROM:<{ANN}>")
        client.expect("235", client.plain())
        client.expect("503", client.plain())
        client.expect("250", f"MAIL FROM:<{ANN}>")
        client.expect("503", client.plain(BOB))
        client.expect("250", f"RCPT TO:<{BOB}>")
    with world.client(SUBMISSION) as client: # no log-in counts that was cut by a cancel
        client.greeted()
        client.start_tls()
        client.expect("334", "AUTH PLAIN")
        client.expect("501", "*")
        client.expect("530", f"MAIL FROM:<{ANN}>")
    with world.client() as client:
        lab.check("AUTH" not in client.greeted(), "AUTH is offered on port 25")
        client.expect(("502", "503"), client.plain())
        lab.check("AUTH" not in client.start_tls(), "AUTH is offered on port 25 in TLS")
        client.expect(("502", "503"), client.plain())
        client.expect("250", "NOOP")


def timed(what, limit_s, do):
    begun = time.monotonic()
    do()
    spent = time.monotonic() - begun
    print(f"   {what}: {spent * 1000:.0f} ms", flush=True)
    lab.check(spent < limit_s, f"{what} took {spent:.1f} s")


def attack_11_long_lines(world):
    with world.client() as client:
        client.ready()
        for size, codes in ((998, "250"), (60_000, "250"), (100_000, "550"), (1 << 20, "550"), (32 << 20, "550")):
            token = f"line-{size}"
            timed(f"a line of {size} bytes", LINEAR_S,
                  lambda: client.message(codes, f"{fields(token)}\r\n" + "x" * size))
            if codes == "250":
                world.took(token, ANN)
            client.expect("250", "NOOP")
        client.expect("500", "NOOP " + "x" * 600)
        client.expect("500", f"MAIL FROM:<{'x' * 5000}@client.test>")
        client.expect("250", "NOOP")
        with contextlib.suppress(OSError):
            client.send("x" * (32 << 20)) # without end
        lab.check(client.reply()[:3] in ("500", ""), "a command without end")
        lab.check(client.reply() == "", "and the connection goes on")


def attack_12_long_headers(world):
    cases = [("100,000 fields", "554", "X-A: b\r\n" * 100_000), ("10,000 Received", "554", "Received: by x\r\n" * 10_000),
             ("100,000 addresses", "552", "To: " + ",\r\n ".join([", ".join(["u@far.test"] * 100)] * 1000) + "\r\n"),
             ("a field of 10 MB", ("550", "552"), "X-A: " + "x" * (10 << 20) + "\r\n"),
             ("a field of 10 MB, folded", ("552", "554"), "X-A: b\r\n" + (" " + "x" * 900 + "\r\n") * 11_000),
             ("60,000 brackets", ("250", "55"), f"To: {'(' * 60_000}\r\n")]
    with world.client() as client:
        client.ready()
        for what, codes, more in cases:
            said = []
            timed(what, LINEAR_S,
                  lambda: said.append(client.message(codes, fields(what, more=more) + "\r\nbody")))
            if said[0].startswith("250"):
                world.took(what, ANN)
            client.expect("250", "NOOP")


def attack_15_harvest(world):
    """A thousand names that nobody has, as fast as they can be said."""
    replies, connections = [], 0
    begun = time.monotonic()
    while sum(code == "550" for code in replies) < 1000:
        with world.client() as client:
            connections += 1
            client.ready().expect("250", f"MAIL FROM:<{STRANGER}>")
            client.send("".join(f"RCPT TO:<name{len(replies) + n}@example.test>\r\n" for n in range(50)))
            said = [client.reply()[:3] for _ in range(50)]
            at = said.index("421") if "421" in said else 50
            lab.check(set(said[:at]) == {"550"} and set(said[at + 1:]) <= {""} and at <= 20, f"unknown users: {said}")
            replies += said[:at]
    print(f"   {connections} connections, {time.monotonic() - begun:.1f} s", flush=True)
    with world.client() as client: # some of many are wrong
        client.ready().expect("250", f"MAIL FROM:<{STRANGER}>")
        for number in range(10):
            client.expect("550", f"RCPT TO:<name{number}@example.test>")
        client.expect("250", f"RCPT TO:<{ANN}>")
        client.expect("354", "DATA")
        client.send(fields("found"))
        client.expect("250", "\r\n.")
        world.took("found", ANN)


def attack_17_backscatter(world):
    refuse = "MIME-Version: 1.0\r\n" + "".join(
        f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(300))
    world.deliver("full", FUL)
    world.cli("account", "quota", FUL, "--messages", "1")
    for over, code in (("later", "452"), ("for-good", "552")):
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
    with world.client() as client: # one of two, in one transaction
        client.ready().expect("250", f"MAIL FROM:<{VICTIM}>")
        client.expect("250", f"RCPT TO:<{ANN}>")
        client.expect("550", "RCPT TO:<nobody@example.test>")
        client.expect("552", f"RCPT TO:<{FUL}>")
        client.expect("354", "DATA")
        client.send(fields("one of three", VICTIM))
        client.expect("250", "\r\n.")
        world.took("one of three", ANN)


def attack_18_loops(world):
    world.cli("forward", "set", ANN, BOB, "--keep")
    world.cli("forward", "set", BOB, ANN, "--keep")
    for user in (ANN, BOB):
        token = f"loop-{user}"
        with world.client() as client:
            client.ready().message("250", lab.message(token, STRANGER, user), recipients=[user])
        world.took(token, ANN, BOB) # each keeps one
    world.cli("forward", "clear", ANN)
    world.cli("forward", "clear", BOB)
    with world.client() as client:
        client.ready()
        client.message("250", fields("50 hosts", more="Received: by host.test\r\n" * 50))
        client.message("554", fields("51 hosts", more="Received: by host.test\r\n" * 51))
        client.expect("250", "NOOP")
        world.took("50 hosts", ANN)


def talk_into_the_clear(world, version, tail):
    """TLS ends in the middle of a chunk, and clear text follows it."""
    context = insecure()
    context.minimum_version = context.maximum_version = version
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    with world.client() as client:
        client.greeted()
        client.expect("220", "STARTTLS")

        def pump(do):
            while True:
                try:
                    return do()
                except ssl.SSLWantReadError:
                    client.send(outgoing.read())
                    incoming.write(client.socket.recv(16384))
                finally:
                    client.send(outgoing.read())
        pump(tls.do_handshake)
        for line in ("EHLO client.test", f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{ANN}>"):
            tls.write(line.encode() + b"\r\n")
            said = pump(lambda: tls.read(4000))
            lab.check(said.startswith(b"250"), f"{line}: {said}")
        text = fields("cut off").encode()
        tls.write(f"BDAT {len(text) + 5000} LAST\r\n".encode() + text)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap() # close_notify
        client.send(outgoing.read() + tail)
        with contextlib.suppress(ConnectionError):
            client.send(tail)
        said = b""
        with contextlib.suppress(ConnectionError):
            while piece := client.socket.recv(4000):
                said += piece
        lab.check(b"250 " not in said and b"221" not in said, f"clear text behind TLS was answered: {said}")


def attack_20_tls_ends_in_a_chunk(world):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for tail in (b"", b"\n", b"x" * 5000 + b"\r\nNOOP\r\nQUIT\r\n", b"\x17\x03\x03\xff\xff" + b"x" * 20000):
            for _ in range(3):
                talk_into_the_clear(world, version, tail)


def attack_25_many_and_slow_connections(world):
    network = f"127.0.{world.cluster.network}"
    with contextlib.ExitStack() as stack:
        said = [stack.enter_context(world.client(source=f"{network}.210")).reply()[:3]
                for _ in range(CONNECTIONS_MAX + 10)]
        lab.check(said == ["220"] * CONNECTIONS_MAX + ["421"] * 10, f"connections of one address: {said}")
        world.deliver("other address", source=f"{network}.211")
    lab.wait_for("room for the address", lambda: world.deliver("same address", source=f"{network}.210") is None, 10)
    stopping = threading.Event()
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(world.client(source=f"{network}.{212 + number % 2}")) for number in range(30)]
        for client in slow[:15]:
            client.ready().envelope(STRANGER, ANN)
        for client in slow[15:]:
            client.greeted()

        def trickle():
            for letter in f"NOOP {'x' * 100}".encode():
                for client in slow:
                    client.send(bytes([letter]))
                if stopping.wait(1):
                    return
        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        begun = time.monotonic()
        count, slowest = 0, 0.0
        while time.monotonic() < begun + 4:
            before = time.monotonic()
            world.deliver(f"beside slow {count}", source=f"{network}.214")
            slowest = max(slowest, time.monotonic() - before)
            count += 1
        stopping.set()
        thread.join(10)
        print(f"   {count} messages beside 30 slow clients, the slowest {slowest * 1000:.0f} ms", flush=True)
        lab.check(slowest < 3, f"a message waited {slowest:.1f} s beside slow clients")
        slow[15].expect("250", "") # the slow ones were not cut


FOREIGN = [VICTIM, "victim%far.test@example.test", "far.test!victim@example.test", "far.test!victim",
           '"victim@far.test"@example.test', '"victim%far.test"@example.test', "victim@[127.0.0.1]", "victim@[192.0.2.1]",
           "victim@[IPv6:2001:db8::1]", "@example.test:victim@far.test", "@example.test,@far.test:victim@far.test",
           "victim@far.test@example.test", "victim@example.test.far.test", "victim@far.test.", "victim@n1.test",
           "victim%far.test", "victim@example.test@far.test", "victim@localhost"]
LOOKED_UP = [VICTIM, "victim%far.test@example.test", "victim@[127.0.0.1]", "victim@n1.test"] # not refused by their looks
SENDERS = [STRANGER, ANN, "", "postmaster@example.test"]


def relay(world, node, codes, recipients=FOREIGN, **options):
    for sender in SENDERS:
        with world.client(node=node, **options) as client:
            client.greeted()
            client.expect("250", f"MAIL FROM:<{sender}>")
            for recipient in recipients:
                client.expect(codes, f"RCPT TO:<{recipient}>")
            client.expect(("503", "554"), "DATA")


def attack_27_relay(world):
    network = f"127.0.{world.cluster.network}"
    for node in world.cluster.nodes:
        relay(world, node, "55")
        relay(world, node, "55", FOREIGN[:4], source=f"{network}.{node.number}")
        with world.client(SUBMISSION, node) as client:
            client.greeted()
            client.start_tls()
            client.expect("530", f"MAIL FROM:<{ANN}>")
            client.expect(("503", "530"), f"RCPT TO:<{VICTIM}>")
    with world.client(source=f"{network}.200", peer="192.0.2.77") as client:
        client.greeted()
        client.expect(("250", "45"), f"MAIL FROM:<{ANN}>")
        for recipient in FOREIGN:
            client.expect(("45", "5"), f"RCPT TO:<{recipient}>")
    with world.client() as client: # a header of a proxy from whom none is taken
        lab.check(client.reply().startswith("220"), "greeting")
        client.expect("50", f"PROXY TCP4 127.0.0.1 {world.node.ip} 40000 25")


def attack_28_whose_from(world):
    world.cli("alias", "add", "info@example.test", EVE)
    cases = [("another's", f"From: <{BOB}>\r\n", "550"), ("none", "", "554"),
             ("two fields", f"From: <{ANN}>\r\nFrom: <{BOB}>\r\n", "55"),
             ("twice the same", f"From: <{ANN}>\r\nFrom: <{ANN}>\r\n", "554"),
             ("two addresses", f"From: <{ANN}>, <{BOB}>\r\n", "55"),
             ("two with a Sender", f"From: <{ANN}>, <{BOB}>\r\nSender: <{ANN}>\r\n", "550"),
             ("a group", f"From: all: {BOB};\r\n", "55"), ("empty", "From: \r\n", "554"),
             ("display name, bare", f"From: {BOB} <{ANN}>\r\n", "55"),
             ("folded", f"From:\r\n {BOB}\r\n", "550"), ("space", f"From : <{BOB}>\r\n", "55"),
             ("comment", f"From: ({ANN}) {BOB}\r\n", "550"), ("foreign", f"From: <{VICTIM}>\r\n", "550"),
             ("alias without right", "From: <info@example.test>\r\n", "550"),
             ("quoted local part", "From: <\"ann@example.test\"@far.test>\r\n", "55")]
    with world.client(SUBMISSION) as client:
        client.ready(SUBMISSION)
        for name, text, codes in cases:
            try:
                client.message(codes, f"{text}To: <{BOB}>\r\nSubject: from {name}\r\n", ANN, [BOB])
            except lab.Failed as problem:
                raise lab.Failed(f"From, {name}: {problem}") from problem
        client.expect("553", f"MAIL FROM:<{BOB}>")
        client.expect("553", "MAIL FROM:<info@example.test>")
        client.expect("553", f"MAIL FROM:<{VICTIM}>")
        client.message("250", fields("own", ANN), ANN, [BOB])
        world.cli("account", "rights", ANN, "--add", "info@example.test")
        lab.wait_for("the right to count", lambda: client.message(
            "250", fields("by right", "info@example.test"), "info@example.test", [BOB]) is not None, 10)
        world.took("own", BOB)
        world.took("by right", BOB)
    world.cli("account", "rights", ANN, "--remove", "info@example.test")
    world.cli("alias", "remove", "info@example.test", "--yes")


def attack_29_forged_verdicts(world):
    name = f"{world.node.name}.test"
    forged = [f"Authentication-Results: {name}; dkim=pass", f"authentication-RESULTS: (x) {name.upper()} 1; spf=pass",
              f"Authentication-Results:\r\n\t\"{name}\";\r\n dmarc=pass", f"Authentication-Results : {name}; dmarc=pass",
              "Received-SPF: pass", "X-Spam-Status: No", "X-Spam-Flag: NO", "x-spam-anything: 1", "X-Postraft-Verdict: good",
              "X-Virus-Scanned: clean", f"Return-Path: <{BOB}>"]
    kept = ["Authentication-Results: mx.far.test; dkim=pass", "X-Mailer: ours", "Received: by far.test; long ago"]
    with world.client() as client:
        client.ready().message("250", "\r\n".join([*forged, *kept, ""]) + fields("forged") + "\r\nReceived-SPF: in the text")
        world.took("forged", ANN)
    imap = world.node.imap(ANN)
    imap.select("INBOX", readonly=True)
    uid = imap.search(None, "SUBJECT", '"forged"')[1][0].split()[-1].decode()
    text = imap.fetch(uid, "(BODY.PEEK[])")[1][0][1].decode()
    imap.logout()
    header, _, body = text.partition("\r\n\r\n")
    for line in kept:
        lab.check(f"\r\n{line}\r\n" in header, f"{line} is gone from {header}")
    lab.check(body.startswith("Received-SPF: in the text"), f"the text was changed: {body!r}")
    header = header.lower()
    for word in ("received-spf", "x-spam", "x-postraft", "x-virus", "dmarc=pass", "spf=pass", name + "; dkim=pass", BOB):
        lab.check(word not in header, f"{word} came through: {header}")
    lab.check(header.count("return-path:") <= 1 and f"<{STRANGER}>" in header, f"Return-Path: {header}")


def attack_27_relay_without_majority(world):
    """While the directory cannot decide, too: later, or never, but not 250."""
    gone = world.cluster.nodes[1:]
    for node in gone:
        node.kill_tree()
    with contextlib.ExitStack() as stack: # all at once: each look-up takes its time
        clients = []
        for sender in SENDERS:
            for recipient in LOOKED_UP:
                clients.append((stack.enter_context(world.client()), recipient))
                clients[-1][0].ready().expect("250", f"MAIL FROM:<{sender}>")
                clients[-1][0].send(f"RCPT TO:<{recipient}>\r\n")
        for client, recipient in clients:
            said = client.reply()
            lab.check(said.startswith(("4", "5")), f"RCPT of {recipient} without a majority: {said!r}")
            client.expect(("503", "554"), "DATA")
    with world.client() as client:
        client.ready().expect("250", f"MAIL FROM:<{STRANGER}>")
        said = client.say(f"RCPT TO:<{ANN}>")
        if said.startswith("250"): # it may be known; it cannot be kept
            client.expect("354", "DATA")
            client.send(fields("no majority"))
            said = client.say("\r\n.")
        lab.check(said.startswith("4"), f"for an account, without a majority: {said!r}")
        print(f"   for an account: {said.strip()}", flush=True)
    for node in gone:
        node.start()
    world.cluster.wait_healthy(60)
    lab.wait_for("mail to flow again", lambda: world.deliver("again") is None, 30)


def test():
    attacks = [(name, do) for name, do in sorted(globals().items())
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
            print(f"ok {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        for node in cluster.nodes:
            text = (node.folder / "log").read_text(errors="replace")
            lab.check(not any(word in text for word in ("AddressSanitizer", "runtime error", "LeakSanitizer")),
                      "a sanitizer spoke")
    return f"{len(attacks)} attacks"


lab.main(test)
