# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster with what hostile clients may find, a client that sends bytes as they are given, and what must be so after each
attack; see test_attacks.py."""
import base64
import contextlib
import os
import pathlib
import re
import socket
import ssl
import time

import lab

ATTACKED = os.environ.get("POSTRAFT_BUILD", "asan") # the first node, whom the most is done to, as a build that sees more
MEMORY_MB = 64 # by which its SMTP process may grow, whatever is sent

EXTRA = """
listen "submission" {{ address = {{ "{ip}:2587" }} }}
proxy {{ networks = {{ "127.0.{network}.200/32" }} }}
dns {{ servers = {{ "127.0.{network}.250:9" }} trust_anchor = "" timeout_ms = 500 }}
limits {{ connections_address = {connections} connections = {all_connections} }}
processes {{ relay = 0 }}
"""
CONNECTIONS_MAX, ALL_CONNECTIONS_MAX = 20, 100
SMTP, SUBMISSION = 2525, 2587
ANN, BOB, EVE, FUL = USERS = [f"{name}@example.test" for name in ("ann", "bob", "eve", "ful")]
STRANGER = "sender@client.test"
VICTIM = "victim@far.test"


class Node(lab.Node):
    def prepare(self):
        super().prepare()
        self.config.write_text(self.config.read_text() + EXTRA.format(
            ip=self.ip, network=self.cluster.network, connections=CONNECTIONS_MAX,
            all_connections=ALL_CONNECTIONS_MAX))

    def environment(self):
        return {"ASAN_OPTIONS": "quarantine_size_mb=4"} # else the memory of a build with ASan says nothing


class Cluster(lab.Cluster):
    node_class = Node

    def __init__(self, count, network):
        super().__init__(count, network)
        self.node(1).bin = lab.ROOT / "build" / ATTACKED / "bin"

    def secret(self, user):
        """What a client of AUTH PLAIN says."""
        return base64.b64encode(f"\0{user}\0{self.password}".encode()).decode()

    def proxied(self, peer, node=None, port=SMTP):
        """A connection by way of a proxy that tells of `peer`."""
        client = Client(node or self.node(1), port, f"127.0.{self.network}.200")
        family = 6 if ":" in peer else 4
        client.send(f"PROXY TCP{family} {peer} {'2001:db8::25' if family == 6 else client.node.ip} 40000 {port}\r\n")
        return client


def insecure():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Client:
    """A connection that sends bytes as they are given."""

    def __init__(self, node, port=SMTP, source="127.0.0.1"):
        self.node = node
        self.socket = socket.create_connection((node.ip, port), 40, (source, 0))
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, text):
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def reply(self):
        """A whole reply; "" once the connection is closed."""
        lines = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while line := self.file.readline():
                lines += line
                if line[3:4] != b"-":
                    break
        return lines.decode()

    def say(self, text):
        with contextlib.suppress(ConnectionError): # its reply can be there, or the end
            self.send(text + "\r\n")
        return self.reply()

    def expect(self, codes, text):
        """Says it, and gets a reply that begins with one of the codes ("5" is all of 5xx)."""
        said = self.say(text)
        lab.check(said.startswith(codes), f"{text[:80]!r} got {said!r}, not {codes}")
        return said

    def greeted(self):
        said = self.reply()
        lab.check(said.startswith("220"), f"greeted by {said!r}")
        return self.expect("250", "EHLO client.test")

    def replies(self, count):
        """The codes of so many replies; "" for those that no longer came."""
        return [self.reply()[:3] for _ in range(count)]

    def rest(self):
        """All that comes until the connection is closed."""
        said = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while piece := self.file.read1(16384):
                said += piece
        return said

    def shake_hands(self):
        self.expect("220", "STARTTLS")
        self.file.close()
        self.socket = insecure().wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")

    def start_tls(self):
        self.shake_hands()
        return self.expect("250", "EHLO client.test")

    def plain(self, user=ANN):
        return "AUTH PLAIN " + self.node.cluster.secret(user)

    def ready(self, port=SMTP):
        """Behind EHLO, on the submission port logged in."""
        self.greeted()
        if port == SUBMISSION:
            self.start_tls()
            self.expect("235", self.plain())
        return self

    def envelope(self, sender, *recipients):
        self.expect("250", f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            self.expect("250", f"RCPT TO:<{recipient}>")
        self.expect("354", "DATA")

    def message(self, codes, text, sender=STRANGER, recipients=(ANN,)):
        self.envelope(sender, *recipients)
        self.send(text)
        return self.expect(codes, "\r\n.")


class World:
    """The cluster, and what has to be in which mailbox."""

    def __init__(self, cluster):
        self.cluster, self.node, self.cli = cluster, cluster.node(1), cluster.node(1).cli
        self.expected = {user: [] for user in USERS}
        self.smtp = self.node.child("postraft-smtp")
        self.memory_mb = 0
        self.memory_mb = self.grown_mb()

    def grown_mb(self):
        """The most memory that the SMTP process had, beyond what it had at the beginning."""
        status = pathlib.Path(f"/proc/{self.smtp}/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+)", status).group(1)) // 1024 - self.memory_mb

    def took(self, token, *users):
        for user in users:
            self.expected[user].append(token)

    def client(self, port=SMTP, node=None, **options):
        return Client(node or self.node, port, **options)

    def deliver(self, token, user=BOB, sender=STRANGER, **options):
        with self.client(**options) as client:
            client.ready()
            client.message("250", lab.message(token, sender, user), sender, [user])
        self.took(token, user)

    def text(self, user, token):
        """The message, as it is in the mailbox."""
        imap = self.node.imap(user)
        imap.select("INBOX", readonly=True)
        uid = imap.search(None, "SUBJECT", f'"{token}"')[1][0].split()[-1].decode()
        text = imap.fetch(uid, "(BODY.PEEK[])")[1][0][1].decode()
        imap.logout()
        return text

    def settle(self, name):
        """What must be so after each attack."""
        lab.check(self.node.child("postraft-smtp") == self.smtp, "the SMTP process is another")
        lab.check(self.grown_mb() <= MEMORY_MB, f"the SMTP process grew by {self.grown_mb()} MB")
        self.deliver(f"after-{name}")
        for user, tokens in self.expected.items():
            found = sorted(token for _, token in lab.mailbox_tokens(self.node, user))
            lab.check(found == sorted(tokens), f"{user} has {set(found) ^ set(tokens) or found}, of {len(found)}")
        queue = self.cli("queue", "list")["messages"]
        lab.check(not queue, f"in the queue: {queue}")


def timed(what, limit_s, do):
    begun = time.monotonic()
    do()
    spent = time.monotonic() - begun
    print(f"   {what}: {spent * 1000:.0f} ms", flush=True)
    lab.check(spent < limit_s, f"{what} took {spent:.1f} s")


def fields(token, sender=STRANGER, more=""):
    return f"{more}From: <{sender}>\r\nTo: <{ANN}>\r\nSubject: {token}\r\n"
