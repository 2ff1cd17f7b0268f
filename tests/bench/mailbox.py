# SPDX-License-Identifier: GPL-2.0-or-later
"""How the time of single operations grows with the messages of a mailbox, on a cluster of one node. The client waits
for each answer, one connection, nothing else under way: what is measured is latency, the client's own included."""
import random
import socket
import ssl
import statistics
import subprocess
import time

import lab

SIZES = (1_000, 10_000, 100_000, 1_000_000)


class Connection:
    """IMAP over TLS with as little Python as there can be between the command and its answer."""

    def __init__(self, node, user, password):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        raw = socket.create_connection((node.ip, 2993))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw)
        self.socket.recv(65536)
        self.number = 0
        self.do(f'LOGIN "{user}" "{password}"')

    def do(self, command):
        """The answer and the milliseconds it took."""
        self.number += 1
        tag = b"t%d " % self.number
        start = time.perf_counter()
        self.socket.sendall(tag + command.encode() + b"\r\n")
        data = b""
        while True:
            data += self.socket.recv(262144)
            at = data.rfind(b"\r\n" + tag) + 2 if not data.startswith(tag) else 0
            if data.endswith(b"\r\n") and data[at:].startswith(tag):
                break
        elapsed = (time.perf_counter() - start) * 1000
        lab.check(data[at + len(tag):].startswith(b"OK"), f"{command}: {data[at:]}")
        return data, elapsed

    def close(self):
        self.socket.close()


def figures(times):
    times.sort()
    return {"p50_ms": round(statistics.median(times), 3), "p95_ms": round(times[len(times) * 95 // 100], 3)}


class Box:
    """One mailbox under test, and what was measured."""

    def __init__(self, node, user, password, count):
        self.user, self.count = user, count
        self.reader, self.writer = Connection(node, user, password), Connection(node, user, password)
        self.writer.do("SELECT INBOX")
        self.target = 1
        self.times = {"select": [], "status": [], "fetch_50": [], "store": [], "deliver": []}

    def round(self, number, smtp):
        _, elapsed = self.reader.do("SELECT INBOX")
        self.times["select"].append(elapsed)
        data, elapsed = self.reader.do(f"FETCH {self.count - 49}:{self.count} (FLAGS ENVELOPE)")
        lab.check(data.count(b" FETCH (") == 50, "50 messages")
        self.times["fetch_50"].append(elapsed)
        self.reader.do("CLOSE")
        _, elapsed = self.reader.do("STATUS INBOX (MESSAGES UNSEEN UIDNEXT SIZE)")
        self.times["status"].append(elapsed)
        if number % 2 == 0:
            self.target = random.randint(1, self.count)
        _, elapsed = self.writer.do(f"STORE {self.target} {'+-'[number % 2]}FLAGS (\\Flagged)")
        self.times["store"].append(elapsed)
        text = lab.message(f"bench{number}", recipient=self.user, size=2000)
        start = time.perf_counter()
        refused = smtp.sendmail("sender@client.test", [self.user], text)
        self.times["deliver"].append((time.perf_counter() - start) * 1000)
        lab.check(not refused, f"{refused}")
        self.writer.do("NOOP")

    def close(self):
        self.reader.close()
        self.writer.close()


def fill(cluster, node, users, counts):
    """Returns the seconds that filling took, a mailbox."""
    accounts = [node.cli("account", "show", user) for user in users]
    node.stop(60)
    seconds = []
    for account, count in zip(accounts, counts):
        start = time.monotonic()
        subprocess.run([str(cluster.bin / "bench-mailbox-fill"), str(node.folder / "data"), str(account["group"]),
                        str(account["id"]), str(count)], check=True)
        seconds.append(round(time.monotonic() - start, 1))
    node.start()
    cluster.wait_healthy()
    for user, count in zip(users, counts):
        shown = node.cli("account", "show", user)["messages"]
        lab.check(shown == count, f"{shown} messages, not {count}")
    return seconds


def rows(options, note):
    """A row an operation and size; `ratio` is to the smallest mailbox. The mailboxes take turns in each round, so that
    what else the machine does falls on all of them."""
    found = []
    with lab.Cluster(1, network=33) as cluster:
        node = cluster.node(1)
        users = cluster.add_accounts([f"box{count}" for count in options.mailboxes])
        filled = fill(cluster, node, users, options.mailboxes)
        boxes = [Box(node, user, cluster.password, count) for user, count in zip(users, options.mailboxes)]
        with node.smtp() as smtp:
            for number in range(options.rounds):
                for box in boxes:
                    box.round(number, smtp)
        for operation in boxes[0].times:
            base = statistics.median(boxes[0].times[operation])
            for box in boxes:
                row = {"operation": operation, "messages": box.count, **figures(box.times[operation])}
                row["ratio"] = round(row["p50_ms"] / base, 2)
                found.append(row)
                note(row)
        for box, seconds in zip(boxes, filled):
            note({"operation": "fill", "messages": box.count, "seconds": seconds})
            box.close()
    return found
