#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where outgoing mail goes, as a name server that the test plays says: several MX hosts of which the first are dead, hosts of
the same rank, no MX, null MX, no such domain, no address, private targets, a silent name server; static routes beside it;
DNS switched off; and what may not stand in relay { }."""
import re
import socket
import struct
import subprocess
import threading

import lab
import relay_lab
from relay_lab import Client, queue, wait_notices
from sink import Sink

TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 15: "MX", 28: "AAAA"}
MORE = '\ndns {{ servers = {{ "127.0.0.1:{port}" }} trust_anchor = "" timeout_ms = 1000 }}\n'
FAULTS = {
    'relay { retry = { "soon" } }': "retry",
    'relay { retry = { "5m", "1m" } delay = { "2h", "1h" } }': "delay",
    'relay { routes = { "nothing" } }': "routes",
    'relay { routes = { "a.test=[127.0.0.1" } }': "routes",
    'relay { routes = { "a.test=[127.0.0.1]:99999" } }': "routes",
    'relay { addresses = { "not an address" } }': "addresses",
    'relay { networks = { "127.0.0.0/99" } }': "networks",
    'relay { expire_s = 0 }': "expire_s",
    'relay { port = 0 }': "port",
    'relay { colour = "blue" }': "colour",
}


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


class NameServer:
    """Says what its rows say; NXDOMAIN for other names, SERVFAIL for those in `broken`, nothing for those in `silent`."""

    def __init__(self):
        self.rows, self.broken, self.silent, self.asked = {}, set(), set(), []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def add(self, name, kind, *values):
        self.rows.setdefault(name, {}).setdefault(kind, []).extend(values)

    @staticmethod
    def rdata(kind, value):
        if kind == "A":
            return socket.inet_aton(value)
        if kind == "AAAA":
            return socket.inet_pton(socket.AF_INET6, value)
        if kind == "MX":
            return struct.pack(">H", value[0]) + wire_name(value[1])
        return wire_name(value)

    def answer(self, question):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode().lower())
            at += question[at] + 1
        number, = struct.unpack_from(">H", question, at + 1)
        name, kind = ".".join(labels), TYPES.get(number)
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        row = self.rows.get(name, {})
        used = "CNAME" if "CNAME" in row else kind
        values = row.get(used, [])
        known = row or any(other.endswith("." + name) for other in self.rows)
        code = 2 if name in self.broken else 0 if known else 3
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", {v: k for k, v in TYPES.items()}[used], 1, 1, len(data)) + data
                           for data in (self.rdata(used, value) for value in values)) if not code else b""
        return (question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(values) if not code else 0, 0, 0) +
                question[12:at + 5] + records)

    def serve(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            if said := self.answer(question):
                self.socket.sendto(said, peer)


def zones(names, ip):
    """Hosts that answer are 20 and 21; at 30 and 31 nobody listens."""
    for k in (20, 21, 30, 31):
        names.add(f"mx{k}.hosts.example", "A", ip(k))
    names.add("ranks.example", "MX", (5, "mx30.hosts.example"), (10, "mx31.hosts.example"), (20, "mx20.hosts.example"))
    names.add("equal.example", "MX", (10, "mx20.hosts.example"), (10, "mx21.hosts.example"))
    names.add("gone-host.example", "MX", (5, "none.hosts.example"), (10, "mx20.hosts.example"))
    names.add("broken-host.example", "MX", (5, "broken.hosts.example"), (10, "mx20.hosts.example"))
    names.broken |= {"broken.hosts.example", "broken.example"}
    names.silent.add("silent.example")
    names.add("bare.example", "A", ip(20))
    names.add("other-name.example", "CNAME", "ranks.example")
    names.add("null.example", "MX", (0, ""))
    names.add("empty.example", "NS", "ns.example")
    names.add("private.example", "MX", (10, "private.hosts.example"))
    names.add("private.hosts.example", "A", "10.1.2.3", "192.168.1.1")
    names.add("mapped.example", "AAAA", "::ffff:10.0.0.1", "fe80::1")
    names.add("half.example", "MX", (10, "private.hosts.example"), (20, "mx20.hosts.example"))
    names.add("loop.example", "MX", (10, "n1.test"))
    names.add("n1.test", "A", ip(20))


ARRIVE = ("ranks.example", "equal.example", "gone-host.example", "broken-host.example", "bare.example",
          "other-name.example", "half.example", "s22.test")
FAIL = {"null.example": "5.1.10", "nowhere.example": "5.1.2", "empty.example": "5.4.4", "private.example": "5.4.4",
        "mapped.example": "5.4.4", "loop.example": "5.4.6"}
WAIT = {"broken.example": "4.4.3", "silent.example": "4.4.3"}


def looked_up(cluster, user):
    """One message to all domains: each copy arrives once, one notice for all that cannot, the rest waits."""
    node = cluster.node(1)
    with Sink(cluster.ip(20), relay_lab.PORT) as one, Sink(cluster.ip(21), relay_lab.PORT) as two, \
            cluster.sink(22) as three:
        client = Client(node, user)
        client.send([f"x@{domain}" for domain in (*ARRIVE, *FAIL, *WAIT)], token="many")
        lab.wait_for("all copies", lambda: sum(len(s.messages) for s in (one, two, three)) >= len(ARRIVE))
        got = sorted(r for s in (one, two, three) for m in s.messages for r in m.recipients)
        lab.check(got == sorted(f"x@{domain}" for domain in ARRIVE), f"{got}")
        lab.wait_for("those that wait", lambda: {w["domain"]: w["attempts"] > 0 for w in queue(
            node, "--from", user)[0]["destinations"]} == {domain: True for domain in WAIT}, 20, 0.2)
        for recipient in queue(node, "--from", user)[0]["recipients"]:
            if recipient["state"] == "waiting":
                lab.check(recipient["status"] == WAIT[recipient["address"][2:]], f"{recipient}")
        notice = wait_notices(node, user)[0]
        said = {block["Final-Recipient"].split("@")[1]: block["Status"] for block in notice.recipients}
        lab.check(said == FAIL, f"{said}")
        log = "\n".join(relay_lab.log_lines(node, "mail was sent"))
        lab.check(re.search(r'to=x@ranks.example remote="mx20.hosts.example', log), "by the third host")
        for row in queue(node):
            node.cli("queue", "drop", row["id"], "--yes")


def without_dns():
    """Static routes work; the rest waits, and says why. An address literal needs no DNS either."""
    with relay_lab.Cluster(1, 35, more="\ndns { enabled = false }\n") as cluster:
        user, = cluster.open(["ann"])
        node = cluster.node(1)
        with cluster.sink(20) as sink:
            client = Client(node, user)
            client.send(["x@s20.test", "x@far.example", "x@[127.0.0.9]"])
            lab.wait_for("the one with a route", lambda: sink.messages)
            lab.wait_for("the other one to be tried", lambda: [
                d for r in queue(node) for d in r["destinations"] if d["domain"] == "far.example" and d["attempts"]])
            far = next(r for r in queue(node)[0]["recipients"] if r["address"] == "x@far.example")
            lab.check(far["state"] == "waiting" and far["status"].startswith("4."), f"{far}")
            lab.check(not relay_lab.log_lines(node, "child ended", "postraft-relay"), "the relay died")


def wrong_configurations(cluster):
    """Refused before anything is started, and the word that is wrong is named."""
    node = cluster.node(1)
    good = re.sub(r"(?m)^relay \{.*$", "", node.config.read_text())
    for fault, word in FAULTS.items():
        path = node.folder / "wrong.conf"
        path.write_text(good + "\n" + fault + "\n")
        run = subprocess.run([str(node.bin / "postraftd"), "--check", "--config", str(path)], capture_output=True, text=True,
                             timeout=20)
        lab.check(run.returncode not in (0, -6, -11) and word in run.stdout + run.stderr,
                  f"{fault}: {run.returncode} {run.stdout}{run.stderr}")


def test():
    names = NameServer()
    failures = []

    def other():
        try:
            without_dns()
            print("ok without_dns", flush=True)
        except BaseException as problem:    # pylint: disable=broad-except
            failures.append(f"without_dns: {problem!r}")
            print(failures[-1], flush=True)
    thread = threading.Thread(target=other)
    thread.start()
    with relay_lab.Cluster(1, 34, relay=f'retry = {{ "2s" }} port = {relay_lab.PORT} networks = {{ "127.0.0.0/8" }}',
                           more=MORE.format(port=names.port)) as cluster:
        zones(names, cluster.ip)
        ann, = cluster.open(["ann"])
        wrong_configurations(cluster)
        print("ok wrong_configurations", flush=True)
        looked_up(cluster, ann)
        print("ok looked_up", flush=True)
    thread.join()
    lab.check(not failures, "\n".join(failures))
    return f"{len(names.asked)} questions"


lab.main(test)
