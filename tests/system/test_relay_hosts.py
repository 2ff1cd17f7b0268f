#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Outgoing mail against hosts that mean harm or are broken: greetings and replies without end, a megabyte in a line, bytes one
by one, answers before the questions, connections reset at each byte. Memory stays bounded, and the next message leaves."""
import contextlib
import socket
import struct
import sys
import threading
import time

import lab
import relay_lab
from relay_lab import PORT, queue, send

MEMORY_MAX = 30 << 20   # more than before
GOOD = [b"220 bad.test ESMTP\r\n", b"250-bad.test\r\n250-PIPELINING\r\n250 DSN\r\n", b"250 mail\r\n", b"250 rcpt\r\n",
        b"354 go\r\n", b"250 taken\r\n"]


class Host:
    """Listens, and gives each connection to `act`, until the with block ends."""

    def __init__(self, ip, act):
        self.act = act
        self.count = 0
        self.ending = False
        self.socket = socket.create_server((ip, PORT), backlog=100)

    def serve(self):
        while not self.ending:
            with contextlib.suppress(OSError):
                talk, _ = self.socket.accept()
                self.count += 1
                threading.Thread(target=self.play, args=(talk,), daemon=True).start()

    def play(self, talk):
        with contextlib.suppress(OSError), talk:
            talk.settimeout(30)
            self.act(self, talk)

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ending = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def cut(talk):
    """RST rather than FIN."""
    talk.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    talk.close()


def pour(host, talk, first, line):
    talk.sendall(first)
    block = line * max(1, 65536 // len(line))
    while not host.ending:
        talk.sendall(block)


def endless_greeting(host, talk):
    pour(host, talk, b"", b"220-" + b"welcome " * 20 + b"\r\n")


def endless_line(host, talk):
    pour(host, talk, b"220 ", b"x" * 1024)


def endless_ehlo(host, talk):
    talk.sendall(GOOD[0])
    talk.recv(1000)
    pour(host, talk, b"", b"250-X" + b"Y" * 40 + b"\r\n")


def megabyte_reply(_host, talk):
    talk.sendall(GOOD[0])
    talk.recv(1000)
    talk.sendall(b"250 " + b"x" * (1 << 20) + b"\r\n")
    talk.recv(1000)


def answers_first(_host, talk):
    talk.sendall(b"".join(GOOD))
    while talk.recv(65536):
        pass


def not_smtp(_host, talk):
    talk.sendall(b"\0\xff\x80HTTP/1.1 200 OK\r\n\r\n" * 100)
    while talk.recv(65536):
        pass


def bytes_one_by_one(_host, talk):
    """Slow, and right."""
    def say(text):
        for byte in text:
            talk.sendall(bytes([byte]))
            time.sleep(0.002)
    say(GOOD[0])
    reader = talk.makefile("rb")
    for line in reader:
        verb = line[:4].upper()
        if verb == b"DATA":
            say(b"354 go\r\n")
            for text in reader:
                if text == b".\r\n":
                    break
            say(b"250 2.0.0 " + b"taken\r\n")
        elif verb == b"QUIT":
            say(b"221 bye\r\n")
            return
        else:
            say(b"250-bad.test\r\n250 SIZE\r\n" if verb == b"EHLO" else b"250 fine\r\n")


def memory(node):
    pid = node.child("postraft-relay")
    lab.check(pid is not None, "the relay is gone")
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return pid, int(file.read().split()[1]) * 4096


def attempted(node, k, count=1):
    return lambda: len(relay_lab.log_lines(node, "mail is put off", f"x@s{k}.test")) >= count


def hostile(cluster, user):
    """Each puts its message off; another host's message leaves meanwhile."""
    node = cluster.node(1)
    acts = (endless_greeting, endless_line, endless_ehlo, megabyte_reply, answers_first, not_smtp)
    pid, before = memory(node)
    with contextlib.ExitStack() as stack:
        for k, act in enumerate(acts, 21):
            stack.enter_context(Host(cluster.ip(k), act))
        good = stack.enter_context(cluster.sink(20))
        for k in range(21, 21 + len(acts)):
            send(node, user, f"x@s{k}.test")
        send(node, user, "x@s20.test", token="next")
        lab.wait_for("the next mail", lambda: good.messages, 10)
        most = 0
        for k, act in enumerate(acts, 21):
            lab.wait_for(f"{act.__name__} to be given up", attempted(node, k, 2), 30)
            most = max(most, memory(node)[1])
    lab.check(memory(node)[0] == pid, "the relay was started again")
    if "asan" not in str(node.bin):
        lab.check(most < before + MEMORY_MAX, f"{most >> 20} MB after {before >> 20} MB")
    return f"{before >> 20} to {most >> 20} MB"


def slow(cluster, user):
    node = cluster.node(1)
    with Host(cluster.ip(27), bytes_one_by_one):
        send(node, user, "x@s27.test", token="slow")
        lab.wait_for("it to be sent", lambda: relay_lab.log_lines(node, "mail was sent", "x@s27.test"), 20)


class Cutter:
    """Resets its first connection before the n-th byte that it would say; talks well on the next."""

    def __init__(self, limit):
        self.limit = limit
        self.taken = 0

    def __call__(self, _host, talk):
        left, self.limit = self.limit, 10000
        reader = talk.makefile("rb")
        for step, text in enumerate(GOOD):
            if step == 5:
                for line in reader:
                    if line == b".\r\n":
                        break
            elif step > 0 and not reader.readline():
                return
            talk.sendall(text[:left])
            if len(text) > left:
                time.sleep(0.01)
                cut(talk)
                return
            left -= len(text)
        self.taken += 1


def reset_at_each_byte(cluster, user):
    """A host for every third byte, one message to all; what was cut behind the final dot is tried again when told to."""
    node = cluster.node(1)
    cutters = {k: Cutter(limit) for k, limit in enumerate(range(0, len(b"".join(GOOD)), 3), 28)}
    lab.check(max(cutters) < max(relay_lab.HOSTS), f"{len(cutters)} hosts are too many")
    with contextlib.ExitStack() as stack:
        for k, cutter in cutters.items():
            stack.enter_context(Host(cluster.ip(k), cutter))
        send(node, user, [f"x@s{k}.test" for k in cutters], token="cut")

        def all_taken():
            for row in queue(node, "--from", user):
                if any(one.get("next_ms", 0) > time.time() * 1000 + 60000 for one in row["destinations"]):
                    node.cli("queue", "retry", row["id"])
            return all(cutter.taken for cutter in cutters.values())
        try:
            lab.wait_for("all of them", all_taken, 30, 0.5)
        except lab.Failed:
            print({k: cutter.limit for k, cutter in cutters.items() if not cutter.taken}, queue(node, "--from", user))
            raise
        relay_lab.wait_gone(node, user)
    lab.check(sum(cutter.taken for cutter in cutters.values()) == len(cutters), "somebody has it twice")
    return f"{len(cutters)} hosts"


def test():
    with relay_lab.Cluster(1, 33, relay='retry = { "1s" }') as cluster:
        parts = [part for part in (hostile, slow, reset_at_each_byte) if not sys.argv[1:] or part.__name__ in sys.argv]
        users = cluster.open([part.__name__.replace("_", "-") for part in parts])
        for part, user in zip(parts, users):
            said = part(cluster, user)
            print(f"ok {part.__name__} {said or ''}", flush=True)
    return f"{len(parts)} parts"


lab.main(test)
