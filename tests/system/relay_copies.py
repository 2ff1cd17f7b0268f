# SPDX-License-Identifier: GPL-2.0-or-later
"""Many messages through a cluster to one sink, and how often each arrived: for the tests that break something meanwhile."""
import asyncio
import collections
import smtplib
import threading
import time

import lab
from relay_lab import Client

BEFORE_S = 2.0 # a copy whose 250 came so long before a process was killed may come again
BEHIND_S = 1.0 # and so long behind, since what was out then is still answered


def slow(seconds):
    """Answers of a sink: the usual ones, but for the final dot after so long."""
    async def wait():
        await asyncio.sleep(seconds)
    return lambda talk, stage, words: wait() if stage == "final" else None


class Senders:
    """Clients that submit messages with unique tokens; `accepted` those with 250, `unknown` those that broke before it."""

    def __init__(self, cluster, users, nodes, count, domains):
        self.cluster, self.count, self.domains = cluster, count, domains
        self.accepted, self.unknown = [], []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.client, args=(k, user, nodes, len(users)), daemon=True)
                        for k, user in enumerate(users)]
        for thread in self.threads:
            thread.start()

    def client(self, first, user, nodes, step):
        client = None
        for number in range(first, self.count, step):
            for attempt in range(100):
                token = f"m{number}-{attempt}"
                try:
                    if client is None:
                        client = Client(nodes[(first + attempt) % len(nodes)], user, timeout=20)
                    client.send(f"x@{self.domains[number % len(self.domains)]}", token=token)
                    self.accepted.append(token)
                    break
                except (OSError, smtplib.SMTPException, lab.Failed):
                    self.unknown.append(token)
                    client = None
                    time.sleep(0.2)

    def join(self, seconds=60):
        for thread in self.threads:
            thread.join(seconds)
            lab.check(not thread.is_alive(), "a client hangs")


def copies_of(sink):
    copies = collections.defaultdict(list)
    for message in sink.messages:
        copies[message.header("Subject")].append(message.at)
    return copies


def wait_all(senders, sink, seconds):
    def left():
        there = copies_of(sink)
        return [token for token in senders.accepted if token not in there]
    try:
        lab.wait_for("all messages", lambda: not left(), seconds, 0.3)
    except lab.Failed:
        raise lab.Failed(f"{len(left())} of {len(senders.accepted)} messages did not arrive: {left()[:5]}") from None


def check_doubles(senders, sink, kills):
    """Returns how many copies came more than once, and how long before a kill the earliest of them had come. Only of what
    was out when a process was killed."""
    doubles, longest = 0, 0.0
    for token, times in copies_of(sink).items():
        lab.check(token in senders.accepted or token in senders.unknown, f"{token} was never sent")
        doubles += len(times) - 1
        for at in sorted(times)[:-1]:
            longest = max([longest] + [min(kill - at for kill in kills if kill + BEHIND_S > at)] if any(
                kill + BEHIND_S > at for kill in kills) else [longest])
            lab.check(any(kill - BEFORE_S < at < kill + BEHIND_S for kill in kills),
                      f"{token} came {len(times)} times: {[f'{t - min(kills or [t]):.2f}' for t in sorted(times)]} s after the "
                      f"first kill; kills: {[f'{kill - min(kills):.2f}' for kill in kills]}")
    return doubles, longest
