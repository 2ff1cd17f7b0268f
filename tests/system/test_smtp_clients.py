#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that people and hosts send mail with, against all doors: port 25, submission with STARTTLS and with TLS at
once, LMTP. What each sends has to arrive once and unchanged, and what must not be taken must not arrive. Under
AddressSanitizer. A door that is not served, and a program that is not here, are named and left out.

`test_smtp_clients.py WORD` runs only the cases whose name has WORD in it."""
import contextlib
import dataclasses
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile

import lab
import smtp_programs
from smtp_programs import curl, lmtp, msmtp, nodemailer, postfix, python, smtp_source, swaks

SERVER_NAME = "n1.test"
STRANGER = "sender@client.test"
DOORS = {"smtp": 2525, "submission": 2587, "submissions": 2465, "lmtp": 2424}
SERVED_S = 3
WRONG_MAX = 8             # then the others are not played
DOORS_CONFIG = """
listen "submission" {{ address = {{ "{ip}:2587" }} }}
listen "submissions" {{ address = {{ "{ip}:2465" }} }}
listen "lmtp" {{ address = {{ "{ip}:2424" }} }}
tls {{ certificate = "{folder}/certificate.pem" key = "{folder}/key.pem" }}
"""


@dataclasses.dataclass
class Case:
    name: str
    send: object                # of smtp_programs
    door: str = "smtp"
    tls: str = "no"
    user: bool = False          # logs in, and sends as the account
    mechanism: str = ""
    words: tuple = ()           # for the program, see there
    body: bytes = b""           # "": the usual one
    copies: int = 1             # of messages whose Subject has the token
    burst: int = 0              # and besides, whose Subject has TOKEN-burst
    with_: str = ""             # in Received: RFC 3848's word; "": by TLS and log-in
    refused: str = ""           # the program has to fail, and to say something like this; nothing arrives
    password: str = ""          # another than the account's


LINES = b"".join(b"%sline %d\r\n" % (b"." * (number % 4), number) for number in range(300))
LONG = LINES + b"x" * 5000 + b"\r\n.\r\n..\r\n" + b"<p>" * 15000 + b"\r\nend\r\n"
EIGHT_BIT = LINES + "Grüße aus Köln – 你好\r\n".encode()
LARGE = LINES * 1500


def plain_and_tls(name, send, **options):
    return [Case(f"{name}, {'in the clear' if tls == 'no' else 'STARTTLS'}", send, tls=tls, **options)
            for tls in ("no", "starttls")]


PORT_25 = [
    *plain_and_tls("swaks", swaks),
    *plain_and_tls("swaks --pipeline", swaks, words=("--pipeline",)),
    *plain_and_tls("swaks, long lines", swaks, body=LONG),
    Case("swaks, HELO", swaks, words=("--protocol", "SMTP"), with_="SMTP"),
    Case("swaks, TLS 1.2", swaks, tls="starttls", words=("--tls-protocol", "tlsv1_2")),
    Case("swaks, TLS 1.1", swaks, tls="starttls", words=("--tls-protocol", "tlsv1_1"), refused="TLS"),
    Case("swaks, other recipient", swaks, words=("--to", "nobody@example.test"), refused="550"),
    Case("swaks, no relaying", swaks, words=("--to", "somebody@elsewhere.test"), refused="550"),
    Case("swaks, AUTH on port 25", swaks, tls="starttls", user=True, refused="auth"),
    *plain_and_tls("curl", curl),
    *plain_and_tls("curl, large", curl, body=LARGE),
    *plain_and_tls("msmtp", msmtp),
    *plain_and_tls("smtplib", python),
    *plain_and_tls("smtplib, 8BITMIME", python, words=("BODY=8BITMIME",), body=EIGHT_BIT),
    *plain_and_tls("smtplib, large", python, body=LARGE),
    *plain_and_tls("nodemailer", nodemailer),
    *plain_and_tls("nodemailer, pool", nodemailer, words=(("pool", True),), body=LONG),
    Case("smtp-source", smtp_source, words=("-s", "4", "-m", "40", "-l", "3000"), copies=40, with_="SMTP"),
    Case("smtp-source, one connection", smtp_source, words=("-d", "-s", "1", "-m", "20", "-l", "60000"), copies=20,
         with_="SMTP"),
    Case("Postfix", postfix, words=(("burst", 40),), burst=40),
    Case("Postfix, TLS verified", postfix, tls="starttls", words=(("burst", 40),), burst=40),
    Case("Postfix, TLS verified, large", postfix, tls="starttls", body=LARGE),
]

LOCAL = [
    Case("LMTP, smtplib", lmtp, "lmtp", with_="LMTP"),
    Case("LMTP, smtp-source", smtp_source, "lmtp", words=("-L", "-s", "4", "-m", "40", "-l", "3000"), copies=40,
         with_="LMTP"),
]

# What a program can do, beyond taking what is offered first.
MECHANISMS = [
    (swaks, ("", "PLAIN", "LOGIN")),
    (curl, ("", "PLAIN", "LOGIN")),
    (msmtp, ("", "PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256")),
    (python, ("", "PLAIN", "LOGIN")),
    (nodemailer, ("", "PLAIN", "LOGIN")),
    (postfix, ("", "PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256")),
]


def log_ins():
    for door, tls in (("submission", "starttls"), ("submissions", "at once")):
        for send, mechanisms in MECHANISMS:
            for mechanism in mechanisms:
                yield Case(f"{door}: {send.__name__} {mechanism or 'as it likes'}", send, door, tls, user=True,
                           mechanism=mechanism)
            if send is not postfix:     # which tries again, for days
                yield Case(f"{door}: {send.__name__}, wrong password", send, door, tls, user=True, mechanism="PLAIN",
                           password="not the right one", refused="535|denied")
        yield Case(f"{door}: swaks, no log-in", swaks, door, tls, refused="530")
        yield Case(f"{door}: swaks, as somebody else", swaks, door, tls, user=True, refused="55[03] ",
                   words=("--from", "bea@example.test"))
        yield Case(f"{door}: swaks CRAM-MD5, which nobody offers", swaks, door, tls, user=True, mechanism="CRAM-MD5",
                   refused="auth")
        yield Case(f"{door}: swaks, long lines", swaks, door, tls, user=True, body=LONG)
        yield Case(f"{door}: curl, large", curl, door, tls, user=True, body=LARGE)
        yield Case(f"{door}: Postfix, burst", postfix, door, tls, user=True, words=(("burst", 40),), burst=40)
    yield Case("submission: swaks, AUTH in the clear", swaks, "submission", "no", user=True, refused="auth")
    yield Case("submission: smtplib, no TLS", python, "submission", "no", refused="530")


def make_certificates(folder, ip):
    """An authority, and what it says of the server."""
    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder)
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl("req", "-x509", *new_key, "-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=test authority",
            "-addext", "basicConstraints=critical,CA:TRUE")
    openssl("req", "-x509", *new_key, "-CA", "authority.pem", "-CAkey", "authority.key", "-keyout", "key.pem", "-out",
            "certificate.pem", "-subj", f"/CN={SERVER_NAME}", "-addext", f"subjectAltName=DNS:{SERVER_NAME},IP:{ip}",
            "-addext", "basicConstraints=critical,CA:FALSE")


def served(node, door):
    """Does anybody greet there? A port whose door is not built in is held by postraftd, and silent."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(socket.create_connection((node.ip, DOORS[door]), SERVED_S))
            if door == "submissions":
                client = stack.enter_context(context.wrap_socket(client))
            return client.recv(3) == b"220"
    except OSError:
        return False


class World:
    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, folder
        self.node = cluster.node(1)
        self.user = "ann@example.test"
        self.doors = {door for door in DOORS if served(self.node, door)}
        self.reader = self.node.imap(self.user)
        self.reader.select("INBOX", readonly=True)

    def found(self, word):
        """UIDs of messages whose Subject is the word."""
        self.reader.noop()
        _, data = self.reader.uid("SEARCH", None, "SUBJECT", f'"{word}"')
        uids = data[0].split() if data and data[0] else []
        return [uid for uid in uids if self.subject(uid) == word]

    def subject(self, uid):
        _, data = self.reader.uid("FETCH", uid, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return data[0][1].decode(errors="replace").split(":", 1)[1].strip()

    def text(self, uid):
        _, data = self.reader.uid("FETCH", uid, "(BODY.PEEK[])")
        return data[0][1]

    def sending(self, case, token):
        sender = self.user if case.user else STRANGER
        text = (f"From: <{sender}>\r\nTo: <{self.user}>\r\nSubject: {token}\r\nMessage-ID: <{token}@client.test>\r\n"
                f"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
                f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n").encode()
        return smtp_programs.Sending(
            host=self.node.ip, port=DOORS[case.door], folder=self.folder, trust=self.cluster.folder / "n1/authority.pem",
            server_name=SERVER_NAME, sender=sender, recipient=self.user, message=text + (case.body or LINES), token=token,
            tls=case.tls, user=self.user if case.user else "", mechanism=case.mechanism, words=case.words,
            password=(case.password or self.cluster.password) if case.user else "")

    def play(self, case, token):
        sending = self.sending(case, token)
        if case.refused:
            self.play_refused(case, sending)
            return
        case.send(sending)
        lab.wait_for(f"{token} to arrive", lambda: len(self.found(token)) >= case.copies, 10)
        uids = self.found(token)
        lab.check(len(uids) == case.copies, f"it is there {len(uids)} times, not {case.copies}")
        if case.burst:
            lab.wait_for(f"{token}-burst", lambda: len(self.found(f"{token}-burst")) >= case.burst, 10)
            lab.check(len(self.found(f"{token}-burst")) == case.burst, "messages of the burst are there twice")
        head, _, body = self.text(uids[0]).partition(b"\r\n\r\n")
        if case.copies == 1:
            want = case.body or LINES
            lab.check(body.rstrip() == want.rstrip(), f"the body was changed: {len(body)} bytes of {len(want)}")
        self.check_received(case, head.decode("latin-1"))

    def check_received(self, case, head):
        """The first Received is ours: with what, and over which TLS."""
        want = case.with_ or "ESMTP" + "S" * (case.tls != "no") + "A" * case.user
        match = re.search(r"^Received: from .*?\r\n\tby \S+ with (\w+) id", head, re.S | re.M)
        lab.check(match is not None and match[1] == want, f"Received does not say with {want}: {head[:500]}")

    def play_refused(self, case, sending):
        try:
            case.send(sending)
        except lab.Failed as problem:
            lab.check(re.search(case.refused, str(problem), re.I), f"refused, but without {case.refused}: {problem}")
        else:
            raise lab.Failed("it was not refused")
        lab.check(not self.found(sending.token), "refused, and there")


def play_all(world, cases):
    left_out, wrong = {}, []
    done = 0
    for number, case in enumerate(cases):
        token = f"client-{number}"
        if case.door not in world.doors:
            left_out.setdefault(f"{case.door} is not served", []).append(case.name)
            continue
        try:
            world.play(case, token)
        except smtp_programs.Missing as why:
            left_out.setdefault(str(why), []).append(case.name)
            continue
        except lab.Failed as problem:
            print(f"FAILED {case.name}: {problem}", flush=True)
            wrong.append(case.name)
            if len(wrong) == WRONG_MAX:
                break
            continue
        done += 1
        print(f"ok {case.name}", flush=True)
    for why, names in left_out.items():
        print(f"left out, {why}: {len(names)} cases ({names[0]}, ...)")
    lab.check(not wrong, f"{len(wrong)} cases: {'; '.join(wrong)}")
    return done


def test():
    cases = [case for case in [*PORT_25, *LOCAL, *log_ins()] if len(sys.argv) < 2 or sys.argv[1] in case.name]
    cluster = lab.Cluster(1, network=27, build=os.environ.get("POSTRAFT_BUILD", "asan"))
    node = cluster.node(1)
    cluster.extra = DOORS_CONFIG.format(ip=node.ip, folder=node.folder)
    prepare = node.prepare
    node.prepare = lambda: (prepare(), make_certificates(node.folder, node.ip))
    with cluster, contextlib.ExitStack() as stack:
        cluster.add_accounts(["ann", "bea"])
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postraft-clients-")))
        folder.chmod(0o755)
        done = play_all(World(cluster, folder), cases)
        lab.check(done > 0, "no case could be played")
        lab.check(node.stop(60) == 0, "the node stops cleanly")
        text = (node.folder / "log").read_text(errors="replace")
        lab.check("ERROR: AddressSanitizer" not in text and "runtime error" not in text and "LeakSanitizer" not in text,
                  "a sanitizer spoke")
    return f"{done} of {len(cases)} cases"


lab.main(test)
