# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks on the conversation itself: where a message ends, what comes before and after TLS, what is too long or too many,
and clients that are in no hurry; see test_attacks.py."""
import contextlib
import ssl
import threading
import time

import lab
from hostile import (ALL_CONNECTIONS_MAX, ANN, BOB, CONNECTIONS_MAX, SMTP, STRANGER, SUBMISSION, VICTIM, fields, insecure, timed)

LINEAR_S = 10 # for what takes a second here
WAIT_S = 8    # for what nobody has to wait for

INBOUND = ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\n.\r", "\r.\n", "\r\n.\r", "\r\n\0.\r\n", "\r\n.\0\r\n"]
OUTBOUND = [*INBOUND, "\r\n.\r\r\n", "\r\r\n.\r\r\n"]


def smuggle(world, port, sequences, recipient):
    sender = ANN if port == SUBMISSION else STRANGER
    second = f"MAIL FROM:<{sender}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n{fields('smuggled', sender)}\r\nsecond"
    for number, end in enumerate(sequences):
        with world.client(port) as client:
            client.ready(port).envelope(sender, recipient)
            client.send(f"{fields(f'first-{number}', sender)}\r\nfirst{end}{second}")
            client.expect("550", "\r\n.")
            client.expect("250", "NOOP") # and nobody answers a command of the text before it
    with world.client(port) as client: # that two can be seen, and that a stuffed dot ends nothing
        client.ready(port).envelope(sender, ANN)
        client.send(f"{fields(f'stuffed-{port}', sender)}\r\nfirst\r\n..\r\n{second}\r\n.\r\n{second.split('DATA')[0]}DATA\r\n")
        codes = client.replies(4)
        lab.check(codes == ["250", "250", "250", "354"], f"two messages in one segment: {codes}")
        client.send(fields(f"true-{port}", sender))
        client.expect("250", "\r\n.")
        world.took(f"stuffed-{port}", ANN)
        world.took(f"true-{port}", BOB)


def attack_01_smuggling_in(world):
    smuggle(world, SMTP, INBOUND, ANN)


def attack_02_smuggling_out(world):
    """On its way to another host; what is refused is not in the queue, what is taken is."""
    smuggle(world, SUBMISSION, OUTBOUND, VICTIM)
    with world.client(SUBMISSION) as client:
        client.ready(SUBMISSION).message("250", fields("sent", ANN), ANN, [VICTIM])
    rows = world.cli("queue", "list")["messages"]
    lab.check([(row["from"], row["first_to"]) for row in rows] == [(ANN, VICTIM)], f"in the queue: {rows}")
    world.cli("queue", "drop", rows[0]["id"], "--yes")


def attack_04_starttls_injection(world):
    mail = f"MAIL FROM:<{STRANGER}>\r\nRCPT TO:<{ANN}>\r\nDATA\r\n{fields('injected')}\r\n.\r\n"
    for port in (SMTP, SUBMISSION):
        for words in ("NOOP\r\n", "NOOP", mail, "EHLO evil.test\r\n" + mail):
            with world.client(port) as client:
                client.greeted()
                client.send("STARTTLS\r\n" + words)
                said = client.rest() # one reply, and then the end
                lab.check(said.startswith((b"220 ", b"554 ")) and said.count(b"\r\n") == 1 and said.endswith(b"\r\n"),
                          f"port {port}, {words[:10]!r} behind STARTTLS: {said}")
        with world.client(port) as client: # behind the reply: no handshake
            client.greeted()
            client.expect("220", "STARTTLS")
            client.send("EHLO evil.test\r\n" + mail)
            said = client.rest()
            lab.check(b"250" not in said and b"354" not in said, f"clear text instead of a handshake: {said}")
    with world.client() as client:
        client.greeted()
        client.expect("250", f"MAIL FROM:<{STRANGER}>")
        client.expect("503", "STARTTLS")
        client.expect("250", f"RCPT TO:<{ANN}>") # it has ended nothing
    for port in (SMTP, SUBMISSION): # what was said before TLS is forgotten
        with world.client(port) as client:
            client.greeted()
            client.shake_hands()
            client.expect("503", f"MAIL FROM:<{STRANGER}>")
            client.expect(("502", "503"), client.plain())
            lab.check("STARTTLS" not in client.expect("250", "EHLO client.test"), "STARTTLS is offered in TLS")
            client.expect("503", f"RCPT TO:<{ANN}>")
            client.expect("503", "STARTTLS")


def attack_06_auth_where_it_may_not_be(world):
    ways = ["AUTH PLAIN", "AUTH LOGIN", "AUTH LOGIN YW5uQGV4YW1wbGUudGVzdA==", "AUTH SCRAM-SHA-256 biwsbj1hbm4scj1hYmM=",
            "AUTH SCRAM-SHA-1-PLUS", "AUTH OAUTHBEARER bixhPWFubg=="]
    with world.client(SUBMISSION) as client:
        lab.check("AUTH" not in client.greeted(), "AUTH is offered in the clear")
        for way in [client.plain(), *ways]:
            client.expect(("530", "538"), way)
        client.expect("530", f"MAIL FROM:<{ANN}>")
        lab.check("AUTH" in client.start_tls(), "AUTH is not offered in TLS")
        client.expect("530", f"MAIL FROM:<{ANN}>")
        client.expect("235", client.plain())
        client.expect("503", client.plain())
        client.expect("250", f"MAIL FROM:<{ANN}>")
        client.expect("503", client.plain(BOB))
        client.expect("250", "RSET")
        client.expect("553", f"MAIL FROM:<{BOB}>") # it is ann who is logged in
        client.message("250", fields("own", ANN), ANN, [BOB])
        world.took("own", BOB)
    with world.client(SUBMISSION) as client: # no log-in counts that was cut by a cancel
        client.greeted()
        client.start_tls()
        client.expect("334", "AUTH PLAIN")
        client.expect("501", "*")
        client.expect("530", f"MAIL FROM:<{ANN}>")
    with world.client() as client:
        lab.check("AUTH" not in client.greeted(), "AUTH is offered on port 25")
        for way in [client.plain(), *ways]:
            client.expect(("502", "503"), way)
        lab.check("AUTH" not in client.start_tls(), "AUTH is offered on port 25 in TLS")
        for way in [client.plain(), *ways]:
            client.expect(("502", "503"), way)
        client.expect("250", "NOOP")


def attack_11_long_lines(world):
    piece = "x" * (1 << 20)
    with world.client() as client:
        client.ready()
        for size, code in ((1000, "250"), (60_000, "250"), (100_000, "550"), (1 << 20, "550"), (100 << 20, "550")):
            token = f"line-{size}"

            def message(size=size, token=token, code=code):
                client.envelope(STRANGER, ANN)
                client.send(f"{fields(token)}\r\n")
                for _ in range(size >> 20):
                    client.send(piece)
                client.send("x" * (size & 0xFFFFF))
                client.expect(code, "\r\n.")
            timed(f"a line of {size} bytes", LINEAR_S, message)
            if code == "250":
                world.took(token, ANN)
                lab.check(world.text(ANN, token).endswith(f"\r\n\r\n{'x' * size}\r\n"), f"the line of {size} bytes was changed")
            client.expect("250", "NOOP")
        client.expect("500", "NOOP " + "x" * 600)
        client.expect("500", f"MAIL FROM:<{'x' * 5000}@client.test>")
        client.expect("250", "NOOP")
        with contextlib.suppress(OSError):
            for _ in range(100):
                client.send(piece) # without end
        lab.check(client.reply()[:3] in ("500", ""), "a command without end")
        lab.check(client.reply() == "", "and the connection goes on")


def addresses(count, a_line=100):
    return ",\r\n ".join([", ".join(["u@far.test"] * a_line)] * (count // a_line))


def attack_12_long_headers(world):
    cases = [("4,900 fields", "250", "X-A: b\r\n" * 4_900), ("100,000 fields", "554", "X-A: b\r\n" * 100_000),
             ("10,000 Received", "554", "Received: by x\r\n" * 10_000),
             ("20,000 addresses", "250", f"Cc: {addresses(20_000)}\r\n"),
             ("100,000 addresses", "552", f"Cc: {addresses(100_000)}\r\n"),
             ("a field of 10 MB", "550", "X-A: " + "x" * (10 << 20) + "\r\n"),
             ("a field of 10 MB, folded", "552", "X-A: b\r\n" + (" " + "x" * 900 + "\r\n") * 11_000),
             ("60,000 brackets", "250", f"Cc: {'(' * 60_000}\r\n"), ("60,000 groups", "250", f"Cc: {'g:' * 30_000}\r\n"),
             ("60,000 quotes", "250", "Cc: " + '"' * 60_001 + "\r\n")]
    with world.client() as client:
        client.ready()
        for what, code, more in cases:
            timed(what, LINEAR_S, lambda: client.message(code, fields(what, more=more) + "\r\nbody"))
            if code == "250":
                world.took(what, ANN)
            client.expect("250", "NOOP")
    with world.client(SUBMISSION) as client: # whose From has to be looked into
        client.ready(SUBMISSION)
        for count, code in ((90, "550"), (1500, "552"), (4000, "552")):
            what = f"{count} addresses in From"
            text = f"From: {addresses(count, 10)}, <{ANN}>\r\nSender: <{ANN}>\r\nSubject: {what}\r\n"
            timed(what, LINEAR_S, lambda: client.message(code, text, ANN, [BOB]))
    imap = world.node.imap(ANN)
    imap.select("INBOX", readonly=True)
    timed("reading them by IMAP", LINEAR_S, lambda: lab.check(
        imap.fetch("1:*", "(ENVELOPE BODYSTRUCTURE)")[0] == "OK", "ENVELOPE of what was taken"))
    imap.logout()


def attack_15_recipient_flood(world):
    with world.client() as client:
        client.ready().expect("250", f"MAIL FROM:<{STRANGER}>")
        codes = []
        for part in range(20):
            client.send("".join(f"RCPT TO:<ann+{part * 500 + n}@example.test>\r\n" for n in range(500)))
            codes += client.replies(500)
        lab.check(codes == ["250"] * 1000 + ["452"] * 9000, "10,000 recipients were not cut off behind 1,000")
        client.expect("354", "DATA")
        client.send(fields("for a thousand"))
        client.expect("250", "\r\n.")
        world.took("for a thousand", ANN) # and that once


def harvest(world, client, name, count):
    """The codes for names that nobody has."""
    client.expect("250", "EHLO client.test")
    client.expect("250", f"MAIL FROM:<{STRANGER}>")
    client.send("".join(f"RCPT TO:<{name}-{n}@example.test>\r\n" for n in range(count)))
    said = client.replies(count)
    at = said.index("421") if "421" in said else count
    lab.check(set(said[:at]) <= {"550"} and set(said[at + 1:]) <= {""} and at <= 20, f"unknown users: {said}")
    return said[:at]


def attack_15_harvest(world):
    """A thousand names that nobody has, as fast as they can be said."""
    found, connections = 0, 0
    while found < 1000:
        with world.client() as client:
            connections += 1
            lab.check(client.reply().startswith("220"), "greeting")
            found += len(harvest(world, client, f"name-{connections}", 50))
    with world.client() as client: # some of many are wrong
        client.ready().expect("250", f"MAIL FROM:<{STRANGER}>")
        for number in range(10):
            client.expect("550", f"RCPT TO:<name{number}@example.test>")
        client.expect("250", f"RCPT TO:<{ANN}>")
        client.expect("354", "DATA")
        client.send(fields("found"))
        client.expect("250", "\r\n.")
        world.took("found", ANN)


def attack_15_harvest_from_afar(world):
    """Who searches for mailboxes is kept out, everywhere, until an operator says otherwise; his neighbour is not."""
    peer, neighbour, found = "198.51.100.9", "198.51.100.10", 0
    other = world.cluster.node(2)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(world.cluster.proxied(peer)) for _ in range(4)] # they wait for greetings at once
        next_door = stack.enter_context(world.cluster.proxied(neighbour))
        for number, client in enumerate(clients):
            if client.reply().startswith("220"):
                client.send("EHLO client.test\r\n")
                if client.reply() == "": # he has been banned
                    continue
                client.send(f"MAIL FROM:<{STRANGER}>\r\n" + "".join(
                    f"RCPT TO:<afar-{number}-{n}@example.test>\r\n" for n in range(25)))
                found += client.replies(26).count("550")
        lab.check(next_door.reply().startswith("220"), "the neighbour is kept out, too")
    lab.check(20 <= found < 100, f"who searches for mailboxes heard of {found} that they do not exist")

    def greeted(node):
        with world.cluster.proxied(peer, node) as client:
            return client.reply()[:3]
    lab.check(greeted(world.node) == "554", "who searches for mailboxes goes on")
    lab.wait_for("the other nodes to keep him out", lambda: greeted(other) == "554", 20)
    entries = other.cli("firewall", "list", peer)["entries"]
    lab.check([row["rule"] for row in entries] == ["cluster-harvest"], f"who keeps him out: {entries}")
    other.cli("firewall", "remove", peer)
    lab.wait_for("the ban to be lifted", lambda: greeted(world.node) == "220", 20)


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
        said = client.rest()
        lab.check(b"250 " not in said and b"221" not in said, f"clear text behind TLS was answered in the clear: {said}")
        incoming.write(said)
        inside = b""
        with contextlib.suppress(ssl.SSLError):
            inside = tls.read(4000)
        lab.check(inside == b"", f"clear text behind TLS was answered in TLS: {inside}")


def attack_20_tls_ends_in_a_chunk(world):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for tail in (b"", b"\n", b"x" * 5000 + b"\r\nNOOP\r\nQUIT\r\n", b"\x17\x03\x03\xff\xff" + b"x" * 20000):
            for _ in range(3):
                talk_into_the_clear(world, version, tail)


def attack_25_many_connections(world):
    """Of one address; and of one customer with 2^64 addresses."""
    network = f"127.0.{world.cluster.network}"
    with contextlib.ExitStack() as stack:
        said = [stack.enter_context(world.client(source=f"{network}.210")).reply()[:3]
                for _ in range(CONNECTIONS_MAX + 10)]
        lab.check(said == ["220"] * CONNECTIONS_MAX + ["421"] * 10, f"connections of one address: {said}")
        clients = [stack.enter_context(world.cluster.proxied(f"2001:db8:25:1::{number:x}"))
                   for number in range(1, CONNECTIONS_MAX + 11)]
        clients.append(stack.enter_context(world.cluster.proxied("2001:db8:25:2::1")))
        said = [client.reply()[:3] for client in clients]
        lab.check(said == ["220"] * CONNECTIONS_MAX + ["421"] * 10 + ["220"], f"connections of one /64, and another: {said}")
        world.deliver("other address", source=f"{network}.211")
    lab.wait_for("room for the address", lambda: world.deliver("same address", source=f"{network}.210") is None, 10)


def attack_25_crowd(world):
    """Strangers from everywhere take all places but the last ones, which are for those who are known."""
    network = f"127.0.{world.cluster.network}"
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(world.cluster.proxied(f"203.0.{number}.25"))
                   for number in range(1, ALL_CONNECTIONS_MAX + 20)]
        said = [client.reply() for client in clients]
        turned_away = [line for line in said if not line.startswith("220")]
        lab.check(20 <= len(turned_away) <= 40 and all(line.startswith("421 4.3.2") for line in turned_away),
                  f"a crowd: {len(turned_away)} of {len(said)} turned away: {turned_away[:2]}")
        world.deliver("in a crowd", source=f"{network}.211")


def slow_ways(world):
    """A way to begin, and what then comes byte by byte."""
    hello = ssl.MemoryBIO()
    tls = insecure().wrap_bio(ssl.MemoryBIO(), hello)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()

    def silent(client):
        lab.check(client.reply().startswith("220"), "greeting")

    def logging_in(client):
        client.greeted()
        client.start_tls()
        client.expect("334", "AUTH PLAIN")

    def in_chunk(client):
        client.ready().expect("250", f"MAIL FROM:<{STRANGER}>")
        client.expect("250", f"RCPT TO:<{ANN}>")
        client.send("BDAT 1000 LAST\r\n")
    return [(SMTP, silent, b"EHLO client.test"), (SMTP, lambda client: client.greeted(), b"NOOP " + b"x" * 100),
            (SMTP, lambda client: client.ready().envelope(STRANGER, ANN), fields("slow").encode()),
            (SMTP, in_chunk, fields("slow").encode()), (SUBMISSION, logging_in, b"AGFubkBleGFtcGxlLnRlc3QA"),
            (SMTP, lambda client: (client.greeted(), client.expect("220", "STARTTLS")), hello.read())]


def attack_25_slow_connections(world):
    """A byte now and then, in whatever a client may be at; the others do not notice."""
    network = f"127.0.{world.cluster.network}"
    stopping = threading.Event()
    with contextlib.ExitStack() as stack:
        slow = []
        for number, (port, begin, text) in enumerate(slow_ways(world) * 5):
            client = stack.enter_context(world.client(port, source=f"{network}.{212 + number % 2}"))
            begin(client)
            slow.append((client, text))

        def trickle():
            for at in range(100):
                for client, text in slow:
                    client.send(text[at:at + 1])
                if stopping.wait(0.3):
                    return
        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        begun = time.monotonic()
        count, slowest = 0, 0.0
        while time.monotonic() < begun + 3:
            before = time.monotonic()
            world.deliver(f"beside slow {count}", source=f"{network}.214")
            slowest = max(slowest, time.monotonic() - before)
            count += 1
        stopping.set()
        thread.join(10)
        print(f"   {count} messages beside {len(slow)} slow clients, the slowest {slowest * 1000:.0f} ms", flush=True)
        lab.check(slowest < WAIT_S, f"a message waited {slowest:.1f} s beside slow clients")
        slow[1][0].expect("250", "") # the slow ones were not cut
