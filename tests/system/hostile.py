# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster with what hostile clients may find, a client that sends bytes as they are given, and what must be so after each
attack; see test_attacks.py."""
import base64
import contextlib
import socket
import ssl

import lab

EXTRA = """
listen "submission" {{ address = {{ "{ip}:2587" }} }}
proxy {{ networks = {{ "127.0.{network}.200/32" }} }}
dns {{ servers = {{ "127.0.{network}.250:9" }} trust_anchor = "" timeout_ms = 500 }}
limits {{ connections_address = {connections} }}
"""
CONNECTIONS_MAX = 20
SMTP, SUBMISSION = 2525, 2587
ANN, BOB, EVE, FUL = USERS = [f"{name}@example.test" for name in ("ann", "bob", "eve", "ful")]
STRANGER = "sender@client.test"
VICTIM = "victim@far.test"


class Node(lab.Node):
    def prepare(self):
        super().prepare()
        self.config.write_text(self.config.read_text() + EXTRA.format(
            ip=self.ip, network=self.cluster.network, connections=CONNECTIONS_MAX))


class Cluster(lab.Cluster):
    node_class = Node


def insecure():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Client:
    """A connection that sends bytes as they are given. `peer`: by way of a proxy that tells of it."""

    def __init__(self, node, port=SMTP, source="127.0.0.1", peer=None):
        self.node = node
        self.socket = socket.create_connection((node.ip, port), 40, (source, 0))
        if peer:
            self.send(f"PROXY TCP4 {peer} {node.ip} 40000 {port}\r\n")
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

    def start_tls(self):
        self.expect("220", "STARTTLS")
        self.file.close()
        self.socket = insecure().wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")
        return self.expect("250", "EHLO client.test")

    def plain(self, user=ANN):
        return "AUTH PLAIN " + base64.b64encode(f"\0{user}\0{self.node.cluster.password}".encode()).decode()

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

    def settle(self, name):
        """What must be so after each attack."""
        lab.check(self.node.child("postraft-smtp") == self.smtp, "the SMTP process is another")
        self.deliver(f"after-{name}")
        for user, tokens in self.expected.items():
            found = sorted(token for _, token in lab.mailbox_tokens(self.node, user))
            lab.check(found == sorted(tokens), f"{user} has {set(found) ^ set(tokens) or found}, of {len(found)}")
        queue = self.cli("queue", "list")["messages"]
        lab.check(not queue, f"in the queue: {queue}")


def fields(token, sender=STRANGER, more=""):
    return f"{more}From: <{sender}>\r\nTo: <{ANN}>\r\nSubject: {token}\r\n"
