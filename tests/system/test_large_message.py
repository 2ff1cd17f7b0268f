#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A message of 150 MiB goes in by SMTP and by APPEND, and comes out as it went in; no process needs memory for more than a
few of its blocks. One byte more than the limit is refused at once, where the size is announced."""
import base64
import hashlib
import os
import pathlib
import socket
import ssl
import threading
import time

import lab

SIZE = 150 * 1024 * 1024
MIB = 1024 * 1024
# What a process may have on its heap beyond what it had before. The store keeps the newest entries of the log for its
# followers: raft/replicator.h, cache_bytes_max, 256 MiB for all messages together.
ROOM = {"postraft-smtp": 8 * MIB, "postraft-imap": 8 * MIB, "postraft-store": (256 + 32) * MIB}


class Memory:
    """The largest private memory of the node's processes, looked at all the time."""

    def __init__(self, node):
        self.pids = {name: node.child(name) for name in ROOM}
        self.before = {name: self.now(pid) for name, pid in self.pids.items()}
        self.most = dict(self.before)
        self.running = True
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    @staticmethod
    def now(pid):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise lab.Failed("no RssAnon")

    def look(self):
        while self.running:
            for name, pid in self.pids.items():
                self.most[name] = max(self.most[name], self.now(pid))
            time.sleep(0.01)

    def stop(self, what):
        self.running = False
        self.thread.join()
        grown = {name: self.most[name] - self.before[name] for name in ROOM}
        print(what, {name: f"{size // 1024} KiB more" for name, size in grown.items()}, flush=True)
        for name, size in grown.items():
            lab.check(size <= ROOM[name], f"{what}: {name} took {size} bytes more")


def pieces():
    """The message, some hundred KiB at a time: exactly SIZE bytes, that do not compress beyond their base64."""
    header = (b"From: <sender@client.test>\r\nTo: <ann@example.test>\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
              b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
    yield header
    left = SIZE - len(header)
    text = base64.encodebytes(PAYLOAD).replace(b"\n", b"\r\n")
    while left > 0:
        piece = text[:min(len(text), left)]
        if left == len(piece): # ends as a line does
            piece = piece[:-2] + b"\r\n"
        elif left - len(piece) < 2:
            piece = piece[:-78]
        yield piece
        left -= len(piece)


PAYLOAD = os.urandom(57 * 8000) # whole lines


def digest(parts):
    state, size = hashlib.sha256(), 0
    for part in parts:
        state.update(part)
        size += len(part)
    return size, state.hexdigest()


def expect(stream, code):
    line = stream.readline()
    while line[3:4] == b"-":
        line = stream.readline()
    lab.check(line.startswith(code), f"wanted {code}, got {line}")


def by_smtp(node, user):
    with socket.create_connection((node.ip, 2525), timeout=60) as connection:
        stream = connection.makefile("rb")
        expect(stream, b"220")
        connection.sendall(b"EHLO client.test\r\n")
        expect(stream, b"250")
        connection.sendall(b"MAIL FROM:<sender@client.test> SIZE=%d\r\n" % (SIZE + 1))
        expect(stream, b"552")
        connection.sendall(b"MAIL FROM:<sender@client.test> SIZE=%d\r\n" % SIZE)
        expect(stream, b"250")
        connection.sendall(b"RCPT TO:<%s>\r\n" % user.encode())
        expect(stream, b"250")
        connection.sendall(b"DATA\r\n")
        expect(stream, b"354")
        for piece in pieces():
            connection.sendall(piece)
        connection.sendall(b".\r\n")
        expect(stream, b"250")


class Imap:
    def __init__(self, node, user, password):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(socket.create_connection((node.ip, 2993), timeout=60))
        self.stream = self.socket.makefile("rb")
        self.stream.readline()
        self.do(b'LOGIN "%s" "%s"' % (user.encode(), password.encode()))

    def do(self, command):
        self.socket.sendall(b"x " + command + b"\r\n")
        return self.answer()

    def answer(self):
        lines = []
        while not (line := self.stream.readline()).startswith(b"x "):
            lab.check(line, "the connection ended")
            lines.append(line)
        return line, lines

    def append(self, size, parts):
        self.socket.sendall(b"x APPEND Archive {%d}\r\n" % size)
        line = self.stream.readline()
        if not line.startswith(b"+"):
            return line
        for part in parts:
            self.socket.sendall(part)
        self.socket.sendall(b"\r\n")
        return self.answer()[0]

    def body(self, mailbox):
        """Size and digest of the first message."""
        self.do(b"EXAMINE " + mailbox)
        self.socket.sendall(b"x FETCH 1 (BODY.PEEK[])\r\n")
        line = self.stream.readline()
        size = int(line[line.rindex(b"{") + 1:line.rindex(b"}")])

        def parts():
            left = size
            while left > 0:
                part = self.stream.read(min(left, 65536))
                lab.check(part, "the body ended too early")
                left -= len(part)
                yield part
        found = digest(parts())
        self.answer()
        return found


def test():
    want = digest(pieces())
    lab.check(want[0] == SIZE, f"the message has {want[0]} bytes")
    with lab.Cluster(1, network=62, extra="limits { message_bytes = %d }" % SIZE) as cluster:
        node = cluster.node(1)
        user = cluster.add_accounts(["ann"])[0]
        node.imap(user).logout() # what the first one costs is not the message's
        memory = Memory(node)
        by_smtp(node, user)
        memory.stop("SMTP")

        client = Imap(node, user, cluster.password)
        line, lines = client.do(b"CAPABILITY")
        lab.check(b"APPENDLIMIT=%d" % SIZE in lines[0], f"announced: {lines}")
        memory = Memory(node)
        line = client.append(SIZE, pieces())
        lab.check(line.startswith(b"x OK"), f"APPEND: {line}")
        memory.stop("APPEND")
        line = client.append(SIZE + 1, [])
        lab.check(b"NO [TOOBIG]" in line, f"APPEND of one byte more: {line}")

        memory = Memory(node)
        for mailbox in (b"INBOX", b"Archive"):
            found = client.body(mailbox)
            if mailbox == b"INBOX": # our own header is in front
                lab.check(found[0] > SIZE, f"{mailbox}: {found[0]} bytes")
            else:
                lab.check(found == want, f"{mailbox}: {found}, not {want}")
        memory.stop("FETCH")


lab.main(test)
