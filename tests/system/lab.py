# SPDX-License-Identifier: GPL-2.0-or-later
"""Clusters of real processes on loopback addresses for the system tests: start, break, repair, ask, clean up.

A test ends only what it started, by pid. Everything lies in one temporary folder that goes away at the end; on a
failure the nodes' logs are printed first.
"""
import contextlib
import imaplib
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
network_claims = {} # the sockets that say so
BUILD = os.environ.get("POSTRAFT_BUILD", "release") # a folder below build/, or a path
CONFIG = """
folder = "{folder}/data"
run = "{folder}/run"
hostname = "{name}.test"
log {{ level = "info" json = false }}
cluster {{ raft = "{ip}:7101" rpc = "{ip}:7102" join = "{ip}:7103" }}
listen "smtp" {{ address = {{ "{ip}:2525" }} }}
listen "imap" {{ address = {{ "{ip}:2143" }} }}
listen "imaps" {{ address = {{ "{ip}:2993" }} }}
{users}
{extra}
"""


class Failed(Exception):
    """What a test expected did not happen."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def wait_for(what, condition, seconds=30.0, pause=0.05):
    """Calls condition() until it gives something true, and returns that."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
        except (OSError, subprocess.SubprocessError, imaplib.IMAP4.error, smtplib.SMTPException,
                ValueError, Failed) as problem:
            last = problem
        time.sleep(pause)
    raise Failed(f"waited {seconds} s for: {what}" + (f" ({last})" if last else ""))


def children(pid):
    """The pids below a process, deepest last. Empty when it is gone."""
    found = []
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return found
    for child in map(int, text.split()):
        found.append(child)
        found += children(child)
    return found


def process_name(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class Node:
    def __init__(self, cluster, number):
        self.cluster = cluster
        self.number = number
        self.name = f"n{number}"
        self.ip = f"127.0.{cluster.network}.{number}"
        self.folder = cluster.folder / self.name
        self.config = self.folder / "postraft.conf"
        self.bin = cluster.bin
        self.process = None

    def prepare(self):
        self.folder.mkdir()
        (self.folder / "data").mkdir()
        self.prepare_data()
        users = ""
        if os.getuid() == 0:
            shutil.chown(self.folder / "data", "nobody")
            users = 'users { store = "nobody" smtp = "nobody" imap = "nobody" }'
        self.config.write_text(CONFIG.format(folder=self.folder, name=self.name, ip=self.ip, users=users,
                                             extra=self.cluster.extra))

    def prepare_data(self):
        """A lab with disks of its own mounts one over the data folder here."""

    def environment(self):
        """Variables of the node's processes beyond this process's own."""
        return {}

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                self.cluster.prefix(self.number) + [str(self.bin / "postraftd"), "--config", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=os.environ | self.environment())

    def supervisor(self):
        """The pid of postraftd, also when a wrapper was put before it."""
        for pid in [self.process.pid] + children(self.process.pid):
            if process_name(pid) == "postraftd":
                return pid
        return None

    def child(self, name):
        pid = self.supervisor()
        return next((p for p in children(pid) if process_name(p) == name), None) if pid else None

    def kill_tree(self):
        """The whole node at once, with -9: stopped first, so that nothing is started meanwhile."""
        pids = [self.process.pid] + children(self.process.pid)
        for pid in pids:
            kill(pid, signal.SIGSTOP)
        for pid in set(pids + children(self.process.pid)):
            kill(pid)
        self.process.wait(10)
        wait_for("killed processes to be gone", lambda: not any(alive(p) for p in pids), 10)

    def stop(self, seconds=30):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def cli(self, *words, text=None):
        """`postraft ... --json` on this node; the parsed answer. Failed with its message when it is refused."""
        command = [str(self.bin / "postraft"), "--run", str(self.folder / "run"), *words, "--json"]
        run = subprocess.run(self.cluster.prefix(self.number) + command, input=text, capture_output=True,
                             text=True, timeout=120)
        if run.returncode != 0:
            raise Failed(f"postraft {' '.join(words)}: {run.stderr.strip() or run.stdout.strip()}")
        return json.loads(run.stdout) if run.stdout.strip() else None

    def smtp(self, timeout=40):
        return smtplib.SMTP(self.ip, 2525, local_hostname="client.test", timeout=timeout)

    def imap(self, user, timeout=40):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = imaplib.IMAP4_SSL(self.ip, 2993, ssl_context=context, timeout=timeout)
        client.login(user, self.cluster.password)
        return client


def free_network(first):
    """A third number for 127.0.N.x that nobody listens in, beginning with `first`, and no other test has taken."""
    for network in range(first, 255, 40):
        claim = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), socket.socket() as probe:
            claim.bind(f"\0postraft-lab-network-{network}")
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((f"127.0.{network}.1", 2525))
            network_claims[network] = claim
            return network
        claim.close()
    raise Failed("no free loopback network")


class Cluster:
    """with Cluster(3, network=21) as cluster: ... gives a healthy one. Each test has a network of its own."""
    node_class = Node

    def __init__(self, count, network, build=BUILD, extra="", groups=None):
        self.count = count
        self.groups = groups
        self.network = free_network(network) if network else 0
        self.bin = ROOT / "build" / build / "bin"
        self.extra = extra
        self.password = "correct horse battery"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postraft-", dir=os.environ.get("POSTRAFT_LAB_WAN")))
        self.folder.chmod(0o755)
        self.nodes = [self.node_class(self, n + 1) for n in range(count)]

    def prefix(self, _number):
        """Words before each command of a node; a lab with network namespaces puts itself here."""
        return []

    def node(self, number):
        return self.nodes[number - 1]

    def __enter__(self):
        try:
            self.create()
        except BaseException:
            self.end(failed=True)
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.end(failed=kind is not None)
        if claim := network_claims.pop(self.network, None):
            claim.close()

    def create(self):
        for node in self.nodes:
            node.prepare()
            node.start()
        first = self.nodes[0]
        wait_for("the first node to answer", lambda: first.cli("cluster", "status") is not None, 60)
        first.cli("cluster", "init", "--name", "test", "--node", "n1", "--data-center", "dc1",
                  *(["--groups", str(self.groups)] if self.groups else []))
        for node in self.nodes[1:]:
            wait_for(f"{node.name} to answer", lambda: node.cli("cluster", "status") is not None, 60)
            token = first.cli("cluster", "token")["token"]
            node.cli("cluster", "join", token, "--node", node.name, "--data-center",
                     f"dc{(node.number - 1) % 3 + 1}")
        self.wait_healthy(90)

    def wait_healthy(self, seconds=60):
        for node in self.nodes:
            wait_for(f"{node.name} to see a healthy cluster",
                     lambda: node.cli("cluster", "status")["healthy"], seconds, 0.2)

    def add_accounts(self, names, domain="example.test"):
        node = self.nodes[0]
        node.cli("tenant", "add", "example")
        node.cli("domain", "add", domain, "--tenant", "example")
        lines = "".join(f"{name}@{domain}\t{self.password}\n" for name in names)
        path = self.folder / "accounts"
        path.write_text(lines)
        node.cli("account", "add", "--file", str(path))
        return [f"{name}@{domain}" for name in names]

    def leader_of(self, account):
        """The node that leads the group an account lives in."""
        for node in self.nodes:
            with contextlib.suppress(Failed, subprocess.SubprocessError):
                group = node.cli("account", "show", account)["group"]
                for status in node.cli("group", "list")["groups"]:
                    if status["group"] == group and status["leader"]:
                        return self.node(status["leader"])
        raise Failed(f"nobody leads the group of {account}")

    def show_logs(self):
        for node in self.nodes:
            print(f"---- log of {node.name}, its end ----")
            with contextlib.suppress(OSError):
                print("\n".join((node.folder / "log").read_text(errors="replace").splitlines()[-60:]))

    def end(self, failed=False):
        if failed:
            self.show_logs()
        for node in self.nodes:
            if node.running():
                node.kill_tree()
        shutil.rmtree(self.folder, ignore_errors=True)


def message(token, sender="sender@client.test", recipient="", size=0):
    body = f"token {token}\r\n" + ("x" * 76 + "\r\n") * (size // 78)
    return (f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {token}\r\nMessage-ID: <{token}@client.test>\r\n"
            f"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\n{body}").encode()


class Load:
    """Clients that deliver messages with unique tokens until stopped; the history says what became of each.

    A row: token, recipients, node, begun, ended, verdict. "ok": 250; "no": 4xx or 5xx, or it broke before the data
    was complete; "unknown": it broke afterwards.
    """
    names = itertools.count(1)

    def __init__(self, cluster, recipients, clients=20, per_message=1, size=2000, nodes=None):
        self.cluster = cluster
        self.recipients = recipients
        self.per_message = per_message
        self.size = size
        self.nodes = nodes or cluster.nodes
        self.name = f"load{next(Load.names)}"
        self.history = []
        self.errors = {}
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.client, args=(n,), daemon=True) for n in range(clients)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def accepted(self):
        with self.lock:
            return sum(row["verdict"] == "ok" for row in self.history)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(90)
            check(not thread.is_alive(), "a client hangs")

    def client(self, number):
        connection = None
        count = 0
        while not self.stopping.is_set():
            node = self.nodes[(number + count) % len(self.nodes)]
            token = f"{self.name}-{number}-{count}"
            who = [self.recipients[(number + count + k * 3) % len(self.recipients)] for k in range(self.per_message)]
            count += 1
            row = {"token": token, "recipients": sorted(set(who)), "node": node.number, "begun": time.monotonic(),
                   "verdict": "no"}
            try:
                if connection is None or count % 20 == 0:
                    if connection is not None:
                        connection.close()
                    connection = node.smtp()
                    connection.ehlo()
                self.deliver(connection, token, row)
            except (OSError, smtplib.SMTPException) as problem:
                with self.lock:
                    key = re.sub(r"[0-9a-z]{26}", "ID", str(problem))[:120]
                    self.errors[key] = self.errors.get(key, 0) + 1
                if connection is not None:
                    connection.close()
                connection = None
                self.stopping.wait(0.05)
            row["ended"] = time.monotonic()
            with self.lock:
                self.history.append(row)
        if connection is not None:
            connection.close()

    def deliver(self, connection, token, row):
        def expect(answer, code):
            if answer[0] != code:
                raise smtplib.SMTPResponseException(*answer)

        expect(connection.mail("sender@client.test"), 250)
        for recipient in row["recipients"]:
            expect(connection.rcpt(recipient), 250)
        connection.putcmd("data")
        expect(connection.getreply(), 354)
        text = message(token, recipient=row["recipients"][0], size=self.size)
        row["verdict"] = "unknown" # from here on the end may have reached the server
        connection.send(text.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        answer = connection.getreply()
        row["verdict"] = "ok" if answer[0] == 250 else "no"
        row["reply"] = f"{answer[0]} {answer[1]!r}"
        expect(answer, 250)


def mailbox_tokens(node, user, mailbox="INBOX"):
    """[(uid, token)] in the order of the mailbox, by a fresh session."""
    client = node.imap(user)
    try:
        status, _ = client.select(mailbox, readonly=True)
        check(status == "OK", f"SELECT {mailbox} of {user} on {node.name}")
        status, data = client.fetch("1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        check(status == "OK", f"FETCH of {user} on {node.name}")
        found = []
        for part in data:
            if isinstance(part, tuple):
                uid = int(re.search(rb"UID (\d+)", part[0]).group(1))
                found.append((uid, part[1].split(b":", 1)[1].strip().decode()))
        return found
    finally:
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            client.logout()


def check_history(history, mailboxes):
    """The promises: `mailboxes` maps a user to [(uid, token)]. Returns how many rows there were of each verdict."""
    counts = {"ok": 0, "no": 0, "unknown": 0}
    copies = {}
    for user, rows in mailboxes.items():
        uids = [uid for uid, _ in rows]
        check(uids == sorted(set(uids)), f"UIDs of {user} do not ascend")
        for uid, token in rows:
            copies.setdefault((user, token), []).append(uid)
    expected = set()
    for row in history:
        counts[row["verdict"]] += 1
        for user in row["recipients"]:
            expected.add((user, row["token"]))
            there = len(copies.get((user, row["token"]), []))
            if row["verdict"] == "ok":
                check(there == 1, f"{row['token']} got 250 and is {there} times in {user}: {row}")
            elif row["verdict"] == "no":
                check(there == 0, f"{row['token']} was refused and is {there} times in {user}: {row}")
            else:
                check(there <= 1, f"{row['token']} (unknown) is {there} times in {user}: {row}")
    for key in copies:
        check(key in expected, f"{key[1]} in {key[0]} was never sent")
    check_uid_order(history, copies)
    return counts


def check_uid_order(history, copies):
    """Of two accepted deliveries to one mailbox, one ended before the other began: the later has the larger UID."""
    for user in {user for row in history for user in row["recipients"]}:
        rows = [(row["begun"], row["ended"], copies[(user, row["token"])][0]) for row in history
                if row["verdict"] == "ok" and len(row["recipients"]) == 1 and user in row["recipients"]]
        by_end = sorted(rows, key=lambda row: row[1])
        highest, at = 0, 0
        for begun, _, uid in sorted(rows):
            while at < len(by_end) and by_end[at][1] < begun:
                highest = max(highest, by_end[at][2])
                at += 1
            check(uid > highest, f"UID {uid} of {user} was given after {highest}")


def main(test):
    """Runs one test function: prints its result, exits with 0, or 1 with the reason."""
    start = time.monotonic()
    try:
        result = test()
    except Failed as problem:
        print(f"FAILED: {problem}")
        sys.exit(1)
    print(f"{result or 'ok'} ({time.monotonic() - start:.1f} s)")
