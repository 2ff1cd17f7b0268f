#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The firewall of a cluster: who guesses passwords at one node is banned on all, with his reason; a person who logged
in from there lately and mistypes is not; operators allow, deny and take back. Clients come through a proxy's header,
since the firewall does not watch this machine's own programs."""
import base64
import json
import socket
import ssl

import lab

EXTRA = """
listen "submissions" {{ address = {{ "{ip}:2465" }} }}
proxy {{ networks = {{ "127.0.0.0/8" }} }}
limits {{ auth_failures = 100 }}
"""
ROGUE = "192.0.2.66"
PERSON = "198.51.100.7"


class Node(lab.Node):
    def prepare(self):
        super().prepare()
        path = self.folder / "postraft.conf"
        path.write_text(path.read_text() + EXTRA.format(ip=self.ip))


class Cluster(lab.Cluster):
    node_class = Node


class Client:
    """A connection by way of a proxy that tells of `peer`."""

    def __init__(self, node, port, peer, tls):
        raw = socket.create_connection((node.ip, port), 20)
        raw.sendall(f"PROXY TCP4 {peer} {node.ip} 40000 {port}\r\n".encode())
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(raw) if tls else raw
        self.file = self.socket.makefile("rwb")

    def reply(self):
        lines = b""
        while True:
            line = self.file.readline()
            lines += line
            if line[3:4] != b"-":
                return lines.decode()

    def say(self, text):
        self.file.write(text.encode() + b"\r\n")
        self.file.flush()
        return self.reply()

    def close(self):
        self.socket.close()


def greeting(node, peer, port=2465):
    client = Client(node, port, peer, port == 2465)
    try:
        return client.reply()
    finally:
        client.close()


def log_in(node, peer, user, password):
    """The last reply: 235, 535, 421, or 554 instead of a greeting."""
    client = Client(node, 2465, peer, True)
    try:
        said = client.reply()
        if not said.startswith("220"):
            return said
        client.say("EHLO client.test")
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return client.say(f"AUTH PLAIN {secret}")
    finally:
        client.close()


def bans(node):
    return [entry["net"] for entry in node.cli("firewall", "list", "--bans")["entries"]]


def brute_force(cluster, users):
    first, second = cluster.node(1), cluster.node(2)
    lab.check(log_in(first, PERSON, users[0], cluster.password).startswith("235"), "a person logs in")
    for number in range(40):
        said = log_in(first, ROGUE, users[number % len(users)], f"guess number {number}")
        lab.check(not said.startswith("235"), f"a guess was right: {said}")
        if said.startswith(("554", "421")):
            break
    lab.wait_for("the cluster to ban who guesses", lambda: ROGUE in bans(second), 20)
    entry = [row for row in second.cli("firewall", "list", ROGUE)["entries"] if row["net"] == ROGUE][0]
    lab.check(entry["action"] == "ban" and entry["rule"] and entry["reason"] and entry["until_ms"],
              f"a ban with its reason: {json.dumps(entry)}")
    lab.wait_for("the other node to refuse him", lambda: greeting(second, ROGUE).startswith("554"), 10)
    said = greeting(second, ROGUE, 2525)
    lab.check(said.startswith("220"), f"a ban of log-ins leaves port 25 alone: {said}")
    lab.check("ban" in second.cli("firewall", "explain", ROGUE)["text"].lower(), "explain says it")


def forgetful(cluster, users):
    """A mail client that repeats one old password all day."""
    node = cluster.node(1)
    for _ in range(25):
        said = log_in(node, PERSON, users[0], "the password of last year")
        lab.check(said.startswith("535"), f"a wrong password is only wrong: {said}")
    lab.check(log_in(node, PERSON, users[0], cluster.password).startswith("235"), "the right one counts at once")
    lab.check(PERSON not in bans(node), "and he is not banned")


def by_hand(cluster):
    first, third = cluster.node(1), cluster.node(3)
    third.cli("firewall", "remove", ROGUE)
    lab.wait_for("the ban to be lifted everywhere", lambda: greeting(first, ROGUE).startswith("220"), 10)
    first.cli("firewall", "deny", "203.0.113.0/24", "--reason", "asked for it", "--during", "1h")
    lab.wait_for("a denied net to be refused", lambda: greeting(third, "203.0.113.9").startswith("554"), 10)
    lab.wait_for("on port 25 as well",
                 lambda: greeting(third, "203.0.113.9", 2525).startswith("554"), 10)
    third.cli("firewall", "allow", "203.0.113.9")
    lab.wait_for("an allowed address in it to be let in",
                 lambda: greeting(first, "203.0.113.9").startswith("220"), 10)
    rows = first.cli("firewall", "list")["entries"]
    lab.check({row["net"] for row in rows} >= {"203.0.113.0/24", "203.0.113.9"}, f"both are listed: {rows}")


def test():
    with Cluster(3, network=37) as cluster:
        users = cluster.add_accounts(["ann", "bea", "cid"])
        for rule in ("address-failures", "account-guesses", "address-guesses"):  # delays, and this node's own ban
            cluster.node(2).cli("setting", "set", f"firewall.{rule}", "off")
        forgetful(cluster, users)
        brute_force(cluster, users)
        by_hand(cluster)


lab.main(test)
