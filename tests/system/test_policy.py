#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Policy before content on port 25, with name servers that the test plays: listed clients, greylist, new domains of
senders and in From, names that look like others, lists of domains, settings of a domain, dry run, lists that list the world, a resolver
that nobody answers, and a node that has none; and the list of passwords that were stolen elsewhere."""
import hashlib
import pathlib
import shutil
import smtplib
import socket
import struct
import tempfile
import threading
import time

import lab

TYPES = {"A": 1, "NS": 2, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
EXTRA = """
dns {{ servers = {{ "127.0.0.1:{port}" }} trust_anchor = "" timeout_ms = 1000 }}
xclient {{ networks = {{ "127.0.0.0/8" }} }}
passwords {{ breached = "{list}" }}
"""
NO_DNS = """
dns { enabled = false }
xclient { networks = { "127.0.0.0/8" } }
"""


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


class NameServer:
    """Says what its rows say, over UDP; NXDOMAIN for other names. Silent on demand."""

    def __init__(self):
        self.rows = {}
        self.silent = False
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def add(self, name, kind, *values):
        self.rows.setdefault(name, {}).setdefault(kind, []).extend(values)

    def add_host(self, name, address):
        self.add(name, "A", address)
        self.add(".".join(reversed(address.split("."))) + ".in-addr.arpa", "PTR", name)

    def rdata(self, kind, value):
        if kind == "A":
            return socket.inet_aton(value)
        if kind == "MX":
            return struct.pack(">H", 10) + wire_name(value)
        if kind == "TXT":
            return bytes([len(value)]) + value.encode()
        if kind == "SOA":
            return wire_name(value) * 2 + struct.pack(">5I", 1, 3600, 600, 86400, 60)
        return wire_name(value)

    def answer(self, question):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode().lower())
            at += question[at] + 1
        number, = struct.unpack_from(">H", question, at + 1)
        kind = next((k for k, n in TYPES.items() if n == number), None)
        name = ".".join(labels)
        self.asked.append(name)
        known = self.rows.get(name)
        wild = self.rows.get("*." + name.split(".", 4)[4]) if known is None and name.count(".") >= 4 else None
        values = (known or wild or {}).get(kind, [])
        exists = known is not None or wild is not None or any(row.endswith("." + name) for row in self.rows)
        records = b""
        for value in values:
            data = self.rdata(kind, value)
            records += b"\xc0\x0c" + struct.pack(">HHIH", number, 1, 1, len(data)) + data
        return (question[:2] + struct.pack(">HHHHH", 0x8180 | (0 if exists else 3), 1, len(values), 0, 0) +
                question[12:at + 5] + records)

    def serve(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            if not self.silent:
                self.socket.sendto(self.answer(question), peer)


def attempt(node, client, sender, recipient, helo="mail.known.example", token=None):
    """(code, text) of the recipient, as the client; with a token a message is sent if it may be."""
    with smtplib.SMTP(node.ip, 2525, local_hostname="proxy.test", timeout=60) as smtp:
        smtp.ehlo()
        code, text = smtp.docmd("XCLIENT", f"ADDR={client}")
        lab.check(code == 220, f"XCLIENT: {code} {text}")
        smtp.ehlo(helo)
        code, text = smtp.mail(sender)
        lab.check(code == 250, f"MAIL: {code} {text}")
        code, text = smtp.rcpt(recipient)
        if code == 250 and token:
            lab.check(smtp.data(lab.message(token, sender, recipient))[0] == 250, "DATA")
        return code, text.decode()


def expect(node, want, words, *args, **options):
    code, text = attempt(node, *args, **options)
    lab.check(code == want and words in text, f"{args}: {code} {text}, not {want} with {words!r}")


def until(what, node, want, words, *args, seconds=30):
    def is_so():
        code, text = attempt(node, *args)
        return code == want and words in text
    lab.wait_for(what, is_so, seconds, 0.3)


def good_domain(names, domain):
    names.add(domain, "SOA", domain)
    names.add(domain, "NS", "ns." + domain)
    names.add(domain, "MX", "mx." + domain)
    names.add(domain, "TXT", "v=spf1 -all")
    names.add("mx." + domain, "A", "203.0.113.50")


def zones(names):
    names.add("5.113.0.203.bl.lists.example", "A", "127.0.0.2")
    names.add("*.dead.lists.example", "A", "127.0.0.2")
    for number in (7, 8, 9, 10):
        names.add_host(f"mx{number}.known.example", f"203.0.113.{number}")
    names.add_host("mail.known.example", "203.0.113.100")
    for domain in ("fresh.example", "nullmx.example", "bare.example"):
        names.add(domain, "SOA", domain)
        names.add(domain, "NS", "ns." + domain)
        names.add(domain, "MX", "" if domain.startswith("nullmx") else "mx." + domain)
        names.add(domain, "A", "203.0.113.50")
        names.add("mx." + domain, "A", "203.0.113.50")
    names.add("fresh.example", "TXT", "v=spf1 -all")


def listed(node, user):
    until("the settings", node, 550, "listed by bl.lists.example", "203.0.113.5", "a@known.example", user)
    expect(node, 550, "5.7.1", "203.0.113.5", "a@known.example", user)
    expect(node, 250, "", "203.0.113.5", "a@known.example", "postmaster@example.test")
    expect(node, 250, "", "203.0.113.7", "a@known.example", user, token="good") # and dead.lists.example does not count
    log = (node.folder / "log").read_text()
    lab.check("policy refuses" in log and "listed by bl.lists.example" in log, "the log says why")
    lab.check("a list of DNS is not to be believed" in log and "dead.lists.example" in log, "the log names the dead list")


def grey(node, user):
    expect(node, 450, "Greylisted", "203.0.113.6", "a@known.example", user)
    until("the second time", node, 250, "", "203.0.113.66", "a@known.example", user) # of the same net
    expect(node, 250, "", "203.0.113.6", "a@known.example", user, token="grey")
    node.cli("setting", "set", "policy.grey_score", "50", "--domain", "example.test")
    until("the domain's setting", node, 250, "", "203.0.114.6", "a@known.example", user)
    node.cli("setting", "unset", "policy.grey_score", "--domain", "example.test")
    until("the cluster's setting", node, 450, "Greylisted", "203.0.115.6", "a@known.example", user)


def new_domains(node, user):
    expect(node, 450, "New sending domain", "203.0.113.8", "a@fresh.example", user)
    until("the check", node, 250, "", "203.0.113.8", "a@fresh.example", user)
    expect(node, 250, "", "203.0.113.10", "b@sub.fresh.example", user, token="fresh")
    expect(node, 450, "New sending domain", "203.0.113.8", "a@nullmx.example", user)
    until("the check", node, 550, "5.7.27", "203.0.113.8", "a@nullmx.example", user)
    expect(node, 450, "New sending domain", "203.0.113.8", "a@nowhere.example", user)
    until("the check", node, 550, "does not exist", "203.0.113.8", "a@nowhere.example", user)
    expect(node, 250, "", "203.0.113.8", "", user)


def look_alikes(node, names, user):
    """Names made to be taken for others; lists of domains; what a domain of ours makes of it."""
    for domain in ("vvestbank.example", "exarnple.example", "listed.example", "deaf.example"):
        good_domain(names, domain)
    names.add("listed.example.dbl.lists.example", "A", "127.0.1.2")
    names.add("deaf.example.deaf.lists.example", "A", "127.0.0.2")
    names.add("invalid.deaf.lists.example", "A", "127.0.0.2")
    node.cli("setting", "set", "newdomain.protected", "westbank.example")
    node.cli("setting", "set", "newdomain.zones", "dbl.lists.example=20:127.0.1.2 deaf.lists.example=20")
    for domain, other in (("vvestbank.example", "westbank.example"), ("exarnple.example", "example.test")):
        expect(node, 450, "New sending domain", "203.0.117.8", f"a@{domain}", user)
        until("a look-alike is suspect", node, 450, "Greylisted", "203.0.117.8", f"a@{domain}", user)
        until("the second time", node, 250, "", "203.0.117.8", f"a@{domain}", user)
        row, = node.cli("sender", "list", domain)["sender_domains"]
        lab.check(row["verdict"] == "suspect" and f"looks like {other}" in row["reason"], f"{row}")
    node.cli("setting", "set", "judge.domain_similar.weight", "10", "--domain", "example.test")
    until("the domain's weight", node, 550, "looks like westbank.example", "203.0.117.8", "a@vvestbank.example", user)
    node.cli("setting", "unset", "judge.domain_similar.weight", "--domain", "example.test")
    node.cli("sender", "set", "vvestbank.example", "good")
    expect(node, 450, "New sending domain", "203.0.117.8", "a@listed.example", user)
    until("a listed domain", node, 550, "listed by dbl.lists.example", "203.0.117.8", "a@listed.example", user)
    expect(node, 450, "New sending domain", "203.0.117.8", "a@deaf.example", user)
    until("a list of everybody does not count", node, 250, "", "203.0.117.8", "a@deaf.example", user)


def from_header(node, names, user):
    """The domain in From is looked at when the message is there; whose it is in the envelope does not help."""
    def send(token, header_from, *recipients, client="203.0.113.10"):
        with smtplib.SMTP(node.ip, 2525, local_hostname="proxy.test", timeout=60) as smtp:
            smtp.ehlo()
            smtp.docmd("XCLIENT", f"ADDR={client}")
            smtp.ehlo("mail.known.example")
            smtp.mail("a@known.example")
            for recipient in recipients or [user]:
                code, text = smtp.rcpt(recipient)
                lab.check(code == 250, f"RCPT: {code} {text}")
            code, text = smtp.data(lab.message(token, header_from, user))
            return f"{code} {text.decode()}"

    def wanted(words, *args):
        lab.wait_for(words, lambda: words in send(*args), 30, 0.3)

    good_domain(names, "letters.example")
    answer = send("from", "a@letters.example")
    lab.check("450" in answer and "New domain in From, being checked" in answer, answer)
    wanted("250", "from", "a@news.letters.example")
    lab.check("250" in send("from2", "a@known.example"), "the envelope's own domain")
    lab.check("250" in send("from3", "a@example.test"), "a domain of ours is never new")
    lab.check("450" in send("no", "a@void.example"), "a domain that is not there")
    wanted("550", "no", "a@void.example")
    answer = send("no", "a@void.example")
    lab.check("Domain in From is refused: domain does not exist" in answer, answer)
    lab.check("250" in send("from4", "a@void.example", user, "postmaster@example.test"), "postmaster gets all of it")
    node.cli("setting", "set", "newdomain.from", "off", "--domain", "example.test")
    wanted("250", "from5", "a@void.example")
    node.cli("setting", "unset", "newdomain.from", "--domain", "example.test")
    wanted("550", "from6", "a@void.example")


def stolen_passwords(node, path):
    """Refused from the moment on that the file is there, under the sandbox too."""
    password = "lantern orbit gravel tuesday"
    node.cli("account", "add", "first@example.test", text=password + "\n")
    fresh = path.with_suffix(".new")
    fresh.write_text(hashlib.sha1(password.encode()).hexdigest().upper() + ":3\n")
    fresh.chmod(0o644)
    fresh.rename(path)
    try:
        node.cli("account", "add", "second@example.test", text=password + "\n")
        raise lab.Failed("a stolen password was taken")
    except lab.Failed as refusal:
        lab.check("stolen elsewhere" in str(refusal), f"{refusal}")
    node.cli("account", "add", "second@example.test", text="copper meadow bicycle thunder\n")


def without_dns():
    """A node in a network without name servers: nothing is asked, and nobody suffers for it."""
    with lab.Cluster(1, network=68, extra=NO_DNS) as cluster:
        node = cluster.node(1)
        user, = cluster.add_accounts(["ann"])
        node.cli("setting", "set", "dnsbl.zones", "bl.lists.example=20")
        expect(node, 250, "", "203.0.113.5", "a@nowhere.example", user, token="dark")
        node.cli("setting", "set", "policy.grey_score", "0")
        until("the greylist needs no names", node, 450, "Greylisted", "203.0.119.5", "a@nowhere.example", user)
        lab.check("(not asked)" in (node.folder / "log").read_text(), "the log says what is not known")


def dry_run(node, user):
    node.cli("setting", "set", "policy.dry_run", "on", "--domain", "example.test")
    until("dry run", node, 250, "", "203.0.113.5", "a@known.example", user)
    lab.check("policy would refuse" in (node.folder / "log").read_text(), "the log says what would be done")
    node.cli("setting", "unset", "policy.dry_run", "--domain", "example.test")
    until("the end of dry run", node, 550, "", "203.0.113.5", "a@known.example", user)


def outage(node, names, user):
    names.silent = True
    begun = time.monotonic()
    expect(node, 250, "", "203.0.113.9", "a@known.example", user, token="outage")
    expect(node, 450, "New sending domain", "203.0.116.9", "a@later.example", user)
    node.cli("setting", "set", "newdomain.delay_max", "1s")
    until("mail of a domain that cannot be checked", node, 250, "", "203.0.116.9", "a@later.example", user)
    lab.check(time.monotonic() - begun < 90, "mail flows without name servers")
    names.silent = False


def raw(node, *lines):
    """A connection that says all of it at once, without waiting; the socket."""
    connection = socket.create_connection((node.ip, 2525), timeout=20)
    connection.recv(1000)
    connection.sendall("".join(line + "\r\n" for line in lines).encode())
    return connection


def impatient(node, names, user):
    """Who speaks before the greeting, and who leaves while name servers are asked."""
    with raw(node, "EHLO proxy.test") as connection:
        lab.wait_for("EHLO", lambda: b"250 " in connection.recv(4000))
        connection.sendall(b"XCLIENT ADDR=203.0.120.1\r\nEHLO early\r\n")
        answer = b""
        while chunk := connection.recv(4000):
            answer += chunk
        lab.check(answer.startswith(b"554 5.5.0"), f"an early talker hears {answer}")
    names.silent = True
    pid = node.child("postraft-smtp")
    for number in range(12):
        with socket.create_connection((node.ip, 2525), timeout=20) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream = connection.makefile("rb")

            def say(*lines):
                for line in lines:
                    connection.sendall(line.encode() + b"\r\n")
                    while stream.readline()[3:4] == b"-":
                        pass
            stream.readline()
            say("EHLO proxy.test")
            connection.sendall(f"XCLIENT ADDR=203.0.121.{number}\r\n".encode())
            if number % 3 == 0:
                continue # while it waits for the greeting
            stream.readline()
            say("EHLO nobody.example", "MAIL FROM:<a@leaver.example>")
            connection.sendall(f"RCPT TO:<{user}>\r\nRCPT TO:<postmaster@example.test>\r\n".encode())
            time.sleep(number / 50) # leaves at different times of the answers
    names.silent = False
    expect(node, 250, "", "203.0.113.7", "a@known.example", user)
    lab.check(node.child("postraft-smtp") == pid, "the program lives on")


def test():
    names = NameServer()
    zones(names)
    stolen = pathlib.Path(tempfile.mkdtemp(prefix="postraft-policy-"))
    stolen.chmod(0o755)
    with lab.Cluster(1, network=67, extra=EXTRA.format(port=names.port, list=stolen / "list")) as cluster:
        node = cluster.node(1)
        user, = cluster.add_accounts(["ann"])

        def setting(name, value):
            return lambda: node.cli("setting", "set", name, value) is not None or True
        for name, value in (("dnsbl.zones", "bl.lists.example=20 dead.lists.example=20"), ("policy.grey_score", "2"),
                            ("greylist.wait", "1s"), ("newdomain.exempt", "known.example")):
            lab.wait_for("settings", setting(name, value))
        with node.smtp() as smtp: # a client of this machine is not judged
            lab.check(not smtp.sendmail("a@unknown.example", [user], lab.message("local", recipient=user)), "local")
        lab.check(not names.asked, f"asked for a local client: {names.asked}")
        listed(node, user)
        grey(node, user)
        new_domains(node, user)
        look_alikes(node, names, user)
        from_header(node, names, user)
        stolen_passwords(node, stolen / "list")
        dry_run(node, user)
        impatient(node, names, user)
        outage(node, names, user)
        tokens = sorted(token for _, token in lab.mailbox_tokens(node, user))
        lab.check("no" not in tokens, f"{tokens}")
        tokens = sorted(set(token for token in tokens if not token.startswith("from")))
        lab.check(tokens == ["fresh", "good", "grey", "local", "outage"], f"{tokens}")
    shutil.rmtree(stolen)
    without_dns()


lab.main(test)
