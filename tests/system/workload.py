# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that use a cluster while it is being broken, and write down what they did and what they were told.

A row of the history: t0, t1 (monotonic seconds), client, node, op, result, and what belongs to the op. Results:
  ok     it was promised
  no     it was refused for good (5xx, NO): it must have had no effect
  later  it was refused temporarily (4xx, NO [UNAVAILABLE]): without a majority it may still take effect
  info   the connection broke, or the answer was "not known": it may have happened

Each message has a unique token, in its subject. Copies, moves and removals of a message are made by one client only,
its owner, one after the other, so that for each token it can be told where its copies must be; the owner leaves a token alone
once it does not know what became of it. Flags and reads are anybody's."""
import base64
import itertools
import json
import random
import smtplib
import threading
import time
import zlib

import lab
from imap_client import Imap, Lost

FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "$Work")
TIMEOUT_S = 15


class History:
    def __init__(self):
        self.rows = []
        self.lock = threading.Lock()

    def add(self, row):
        with self.lock:
            self.rows.append(row)

    def count(self, op, result="ok"):
        with self.lock:
            return sum(row["op"] == op and row["result"] == result for row in self.rows)

    def write(self, path):
        with self.lock, open(path, "w") as file:
            for row in self.rows:
                file.write(json.dumps(row) + "\n")


class Op:
    """with Op(history, client, node, "store", ...) as row: ... row["result"] = "ok". Left by Lost, it is "info"."""

    def __init__(self, history, client, node, op, **words):
        self.history = history
        self.row = {"t0": 0.0, "t1": 0.0, "client": client, "node": node, "op": op, "result": "info", **words}

    def __enter__(self):
        self.row["t0"] = time.monotonic()
        return self.row

    def __exit__(self, kind, value, trace):
        self.row["t1"] = time.monotonic()
        if value is not None:
            self.row["why"] = str(value)[:200]
        self.history.add(self.row)


def mail(token, recipient, size, draw):
    """A message whose body does not become smaller on its way to disk."""
    text = base64.encodebytes(draw.randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    return lab.message(token, recipient=recipient) + text


def owner_of(token, clients):
    return zlib.crc32(token.encode()) % clients


def imap_result(answer):
    if answer.status == "OK":
        return "ok"
    if b"not known" in answer.text:
        return "info"
    return "later" if b"[UNAVAILABLE]" in answer.text else "no"


class Client(threading.Thread):
    def __init__(self, load, name):
        super().__init__(daemon=True)
        self.load = load
        self.name = name
        self.random = random.Random(f"{load.seed}/{name}")
        self.count = itertools.count(1)
        self.problem = None

    def token(self):
        return f"{self.load.prefix}.{self.name}.{next(self.count)}"

    def op(self, node, op, **words):
        return Op(self.load.history, self.name, node.number, op, **words)

    def run(self):
        while not self.load.stopping.is_set():
            try:
                self.session(self.random.choice(self.load.nodes))
            except (OSError, smtplib.SMTPException, Lost):
                self.load.stopping.wait(0.1)
            except Exception as problem:  # a bug of the test: it must not look like a quiet client
                self.problem = problem
                raise


class SmtpClient(Client):
    """Delivers messages to one to three users, often of several groups."""

    def session(self, node):
        connection = smtplib.SMTP(node.ip, 2525, local_hostname="client.test", timeout=TIMEOUT_S)
        try:
            connection.ehlo()
            for _ in range(self.random.randint(1, 20)):
                if self.load.stopping.wait(self.load.pause_s):
                    return
                self.deliver(node, connection)
        finally:
            connection.close()

    def deliver(self, node, connection):
        users = self.random.sample(self.load.users, self.random.choice((1, 1, 2, 3)))
        token = self.token()
        size = 1000000 if self.load.large.is_set() else self.random.choice((200, 2000, 2000, 20000, 100000))
        with self.op(node, "deliver", token=token, users=users) as row:
            row["result"] = "no"    # until the last dot is sent, nothing can have happened
            for answer in [connection.mail("sender@client.test")] + [connection.rcpt(user) for user in users] + \
                    [connection.docmd("DATA")]:
                if answer[0] not in (250, 354):
                    raise smtplib.SMTPResponseException(*answer)
            row["result"] = "info"
            connection.send(mail(token, users[0], size, self.random) + b".\r\n")
            answer = connection.getreply()
            row["result"] = {2: "ok", 4: "later", 5: "no"}.get(answer[0] // 100, "info")
            row["reply"] = f"{answer[0]} {answer[1].decode(errors='replace')}"[:100]
            if row["result"] != "ok":
                raise smtplib.SMTPResponseException(*answer)


class Load:
    """Starts and stops the clients; `history` is what they lived through."""

    def __init__(self, cluster, users, seed, smtp_clients=5, imap_clients=6, pause_s=0.05, prefix="t"):
        from mail_clients import MailClient
        self.nodes = cluster.nodes
        self.users = users
        self.password = cluster.password
        self.seed = seed
        self.prefix = prefix
        self.pause_s = pause_s
        self.history = History()
        self.stopping = threading.Event()
        self.large = threading.Event()  # set: messages that fill a disk
        cluster.load = self
        self.imap_clients = imap_clients
        self.clients = [SmtpClient(self, f"s{n}") for n in range(smtp_clients)] + \
                       [MailClient(self, f"m{n}", n) for n in range(imap_clients)]

    def start(self):
        for client in self.clients:
            client.start()
        return self

    def stop(self):
        self.stopping.set()
        for client in self.clients:
            client.join(120)
            lab.check(not client.is_alive(), f"client {client.name} hangs")
            lab.check(client.problem is None, f"client {client.name}: {client.problem!r}")


def final_reads(history, nodes, users, password):
    """All mailboxes of all users, read from each node, with what STATUS says of them."""
    for node in nodes:
        for user in users:
            client = lab.wait_for(f"log-in on {node.name}", lambda: opened(node, user, password), 30)
            try:
                boxes = [line.rstrip().rsplit(b" ", 1)[1].decode().strip('"')
                         for line in client.command('LIST "" "*"').lines if line.startswith(b"* LIST")]
                for box in sorted(boxes):
                    read_all(history, client, node, user, box)
            finally:
                client.close()


def opened(node, user, password):
    try:
        return Imap(node.ip, user, password, TIMEOUT_S)
    except Lost as problem:
        raise lab.Failed(str(problem)) from None


def read_all(history, client, node, user, box):
    with Op(history, "final", node.number, "read", user=user, box=box, final=True) as row:
        answer, row["uidvalidity"], row["uidnext"] = client.select(box)
        row["rows"] = client.rows() if answer.status == "OK" else None
        row["result"] = "ok" if row["rows"] is not None else imap_result(answer)
    answer = client.command(f'STATUS "{box}" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY SIZE)')
    with Op(history, "final", node.number, "status", user=user, box=box) as row:
        for name in ("MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY", "SIZE"):
            row[name.lower()] = answer.number(rf"\b{name} (\d+)".encode())
        row["result"] = imap_result(answer)
