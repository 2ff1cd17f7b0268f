#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What all accounts of a domain, or a tenant, hold together, though they lie in several groups: under many deliveries and
APPENDs at a time the limit is never passed, and nearly all of it can be used; also when leaders die and accounts move. What
an expunge frees can be used at once, a limit can be raised, lowered and taken away, and what the lists show is the sum."""

import threading
import time

import lab
from imap_client import Imap, Lost

GROUPS = 4
USERS = 8
SIZE = 10_000
LIMIT = 3_000_000
DOMAIN = "example.test"


def held(node, users):
    """(messages, bytes) of each account, as its own group tells it: only what has come in can be in the sum."""
    shown = [node.cli("account", "show", user) for user in users]
    return sum(each["messages"] for each in shown), sum(each["size"] for each in shown)


def domain(node, name=DOMAIN):
    return node.cli("domain", "show", name)


def listed(node, kind="domain", name=DOMAIN):
    return next(row for row in node.cli(kind, "list")[kind + "s"] if row["name"] == name)


class Appender(threading.Thread):
    """Appends to one account until it is stopped; what was refused for a full domain is counted."""

    def __init__(self, cluster, node, user, size):
        super().__init__(daemon=True)
        self.cluster, self.node, self.user, self.size = cluster, node, user, size
        self.stopping = threading.Event()
        self.done, self.full, self.later, self.others = 0, 0, 0, []

    def run(self):
        client = None
        while not self.stopping.is_set():
            try:
                client = client or Imap(self.node.ip, self.user, self.cluster.password, timeout=60)
                answer = client.command('APPEND "Sent"', lab.message(f"append-{self.done}", size=self.size))
                if answer.status == "OK":
                    self.done += 1
                elif b"[OVERQUOTA]" in answer.text:
                    self.full += 1
                elif b"[UNAVAILABLE]" in answer.text or b"[INUSE]" in answer.text:
                    self.later += 1
                else:
                    self.others.append(answer.text)
            except (Lost, OSError):
                client = None
                self.stopping.wait(0.2)
        if client is not None:
            client.close()

    def finish(self):
        self.stopping.set()
        self.join(90)
        lab.check(not self.is_alive() and not self.others, f"{self.user}: {self.others[:3]}")


class Deliverer(threading.Thread):
    """Delivers to one account after the other until it is stopped."""

    def __init__(self, node, users, size, number):
        super().__init__(daemon=True)
        self.node, self.users, self.size, self.number = node, users, size, number
        self.stopping = threading.Event()
        self.done, self.full, self.later, self.others = 0, 0, 0, []
        self.slowest = 0.0

    def run(self):
        connection = None
        count = self.number
        while not self.stopping.is_set():
            count += 1
            user = self.users[count % len(self.users)]
            try:
                connection = connection or self.node.smtp()
                begun = time.monotonic()
                connection.ehlo_or_helo_if_needed()
                connection.mail("sender@client.test")
                code, text = connection.rcpt(user)
                if code == 250:
                    code, text = connection.data(lab.message(f"d{self.number}-{count}", recipient=user, size=self.size))
                else:
                    connection.rset()
                self.count(code, text)
                if code == 250:
                    self.slowest = max(self.slowest, time.monotonic() - begun)
            except Exception:  # the node is down, or its store
                connection = None
                self.stopping.wait(0.2)

    def count(self, code, text):
        if code == 250:
            self.done += 1
        elif code in (452, 552) and b".2.2" in text:
            self.full += 1
        elif code in (451, 421):
            self.later += 1
        else:
            self.others.append((code, text))

    def finish(self):
        self.stopping.set()
        self.join(90)
        lab.check(not self.is_alive() and not self.others, f"deliveries: {self.others[:3]}")


class Watcher(threading.Thread):
    """Looks at the sum all the time."""

    def __init__(self, node, users, limit):
        super().__init__(daemon=True)
        self.node, self.users, self.limit = node, users, limit
        self.stopping = threading.Event()
        self.looks, self.most, self.problem = 0, 0, None

    def run(self):
        while not self.stopping.is_set():
            try:
                size = held(self.node, self.users)[1]
            except lab.Failed:
                continue
            self.looks += 1
            self.most = max(self.most, size)

    def finish(self):
        self.stopping.set()
        self.join(60)
        lab.check(self.most <= self.limit, f"{self.most} bytes were held, {self.limit} are the limit")


def work(cluster, users, size=SIZE):
    workers = [Deliverer(node, users, size, 1000 * number) for number, node in enumerate(cluster.nodes + cluster.nodes)]
    workers += [Appender(cluster, cluster.nodes[number % 3], user, size) for number, user in enumerate(users[:3])]
    for worker in workers:
        worker.start()
    return workers


def full(cluster, users, limit, size=SIZE):
    """Until nothing goes in any more: what is left is less than a message. Then who held back has given back."""
    return lab.wait_for("a full domain", lambda: limit - held(cluster.node(1), users)[1] < 2 * size, 60, 0.2)


def expunge(node, user, count, box="INBOX"):
    client = node.imap(user)
    client.select(box)
    client.store(f"1:{count}", "+FLAGS", r"(\Deleted)")
    client.expunge()
    client.logout()


def deliver(node, user, size=SIZE):
    """The code of one delivery's end."""
    with node.smtp() as smtp:
        smtp.ehlo()
        smtp.mail("sender@client.test")
        code, text = smtp.rcpt(user)
        if code == 250:
            code, text = smtp.data(lab.message("one", recipient=user, size=size))
        return code, text


def fill_up(cluster, users):
    """Many clients at once, up to the limit, while a leader of mail and then the directory's dies."""
    node = cluster.node(1)
    watcher = Watcher(node, users, LIMIT)
    watcher.start()
    workers = work(cluster, users)
    lab.wait_for("a part of the mail", lambda: held(node, users)[1] > LIMIT // 5, 60)
    victim = next(each for each in cluster.nodes[1:] if each is cluster.leader_of(users[0]) or each is cluster.nodes[2])
    victim.kill_tree()
    lab.wait_for("more mail", lambda: held(node, users)[1] > LIMIT // 2, 60)
    victim.start()
    cluster.wait_healthy(60)
    full(cluster, users, LIMIT)
    for worker in workers:
        worker.finish()
    watcher.finish()
    lab.check(sum(worker.full for worker in workers) > 0, "nothing was refused for the limit")
    refused = {type(worker).__name__ for worker in workers if worker.full}
    lab.check(refused == {"Deliverer", "Appender"}, f"both kinds are refused: {refused}")
    return workers, watcher


def shown(cluster, users, limit):
    """Lists on all nodes show the sum, and the parts are no more than the limit."""
    messages, size = held(cluster.node(1), users)
    for node in cluster.nodes:
        for row in (domain(node), listed(node)):
            lab.check((row["used_messages"], row["used_bytes"]) == (messages, size) and row["complete"],
                      f"{node.name} shows {row}; {messages} messages, {size} bytes are there")
            lab.check(row["total_bytes"] == limit, f"the limit is shown: {row}")
            lab.check(sum(share["used_bytes"] for share in row["shares"]) == size, f"the groups' shares: {row}")
        row = listed(node, "tenant", "example")
        lab.check(row["used_bytes"] == size and row["domains"] == 1, f"the tenant: {row}")
    lab.check(len(domain(cluster.node(1))["shares"]) == GROUPS, "the accounts are in all groups")


def expunged(cluster, users):
    """Room that is freed in one group can be used in another, without waiting for anything but that."""
    node = cluster.node(1)
    code, text = deliver(node, users[1])
    lab.check(code == 452 and b"4.2.2" in text, f"a full domain: {code} {text}")
    code, _ = deliver(node, users[1], 78 * 200_000)
    lab.check(code == 452, f"a large message: {code}")
    before = held(node, users)[1]
    expunge(node, users[0], 10)
    freed = before - held(node, users)[1]
    lab.check(freed > 5 * SIZE, f"{freed} bytes were freed")
    other = next(user for user in users if group_of(node, user) != group_of(node, users[0]))
    for _ in range(freed // (SIZE + 1000)):
        code, text = deliver(cluster.node(2), other)
        lab.check(code == 250, f"after an expunge: {code} {text}")
    lab.check(held(node, users)[1] <= LIMIT, "not more than the limit")
    lab.wait_for("the list", lambda: listed(node)["used_bytes"] == held(node, users)[1], 5)


def group_of(node, user):
    return node.cli("account", "show", user)["group"]


def moved(cluster, users):
    """An account with mail moves while others write, and neither group takes what goes along with it twice."""
    node = cluster.node(1)
    limit = LIMIT + 500_000
    node.cli("domain", "quota", DOMAIN, "--together", "--bytes", str(limit))
    watcher = Watcher(node, users, limit)
    watcher.start()
    workers = work(cluster, users[1:])
    for away in (group_of(node, users[0]) % GROUPS + 1, group_of(node, users[0])):
        node.cli("account", "move", users[0], "--group", str(away), "--no-wait")
        lab.wait_for("the move", lambda: "moves_to" not in node.cli("account", "show", users[0]), 60)
        lab.check(group_of(node, users[0]) == away, "the account has moved")
        lab.wait_for("deliveries to go on", progress(workers), 30)
    full(cluster, users, limit)
    for worker in workers:
        worker.finish()
    watcher.finish()
    lab.wait_for("the sum", lambda: listed(node)["used_bytes"] == held(node, users)[1], 10)
    return limit


def progress(workers):
    was = sum(worker.done + worker.full for worker in workers)
    return lambda: sum(worker.done + worker.full for worker in workers) > was + 10


def raised_and_lowered(cluster, users, limit):
    node = cluster.node(1)
    lab.check(deliver(node, users[2])[0] == 452, "full")
    node.cli("domain", "quota", DOMAIN, "--together", "--bytes", str(limit + 5 * SIZE))
    for _ in range(3):
        lab.check(deliver(node, users[2])[0] == 250, "a raised limit counts at once")
    node.cli("domain", "quota", DOMAIN, "--together", "--bytes", str(limit // 2))
    for user in users:
        code, text = deliver(node, user, 1)
        lab.check(code == 452, f"a lowered limit: {code} {text}")
    client = Imap(node.ip, users[3], cluster.password)
    answer = client.command('APPEND "Sent"', lab.message("no"))
    lab.check(answer.status == "NO" and b"[OVERQUOTA]" in answer.text, f"APPEND: {answer.text}")
    client.select("INBOX")
    answer = client.command('COPY 1 "Sent"')
    lab.check(answer.status == "NO" and b"[OVERQUOTA]" in answer.text, f"COPY: {answer.text}")
    answer = client.command('MOVE 1 "Sent"')
    lab.check(answer.status == "OK", f"a MOVE needs no room: {answer.text}")
    client.close()
    try:
        node.cli("account", "undelete", users[0])
        lab.check(False, "brought back beyond the limit")
    except lab.Failed as refused:
        lab.check("lacks" in str(refused) or "room" in str(refused), f"{refused}")
    node.cli("domain", "quota", DOMAIN, "--together", "--bytes", "none")
    lab.check("total_bytes" not in domain(node), "no limit")
    lab.wait_for("no limit", lambda: deliver(node, users[1])[0] == 250, 5)
    answer = node.cli("account", "undelete", users[0])
    lab.check(answer["restored"] > 0, f"brought back: {answer}")


def by_tenant(cluster, users):
    """Messages, of a tenant; and its second domain counts."""
    node = cluster.node(1)
    node.cli("domain", "add", "second.test", "--tenant", "example")
    node.cli("account", "add", "one@second.test", "--password-file", "-", text=cluster.password + "\n")
    held_now = listed(node, "tenant", "example")["used_messages"]
    node.cli("tenant", "quota", "example", "--together", "--messages", str(held_now + 6))
    lab.wait_for("all groups to have told what they hold", lambda: granted(node) >= held_now, 15)
    accepted = sum(deliver(cluster.node(1 + number % 3), user, 100)[0] == 250
                   for number, user in enumerate(["one@second.test", users[0], users[1]] * 4))
    lab.check(accepted == 6, f"{accepted} messages were accepted, 6 had room")
    row = listed(node, "tenant", "example")
    lab.check(row["used_messages"] == held_now + 6 == row["total_messages"], f"the tenant: {row}")
    lab.check(listed(node, name="second.test")["used_messages"] > 0, "the second domain")


def handed_over(cluster):
    """Accounts whose first mail came by a hand-over are counted, too, and so is what goes beyond a limit that way."""
    node = cluster.node(2)
    node.cli("tenant", "quota", "example", "--together", "--messages", "none")
    node.cli("domain", "add", "third.test", "--tenant", "example")
    users = [f"new{number}@third.test" for number in range(GROUPS)]
    for user in users:
        node.cli("account", "add", user, "--password-file", "-", text=cluster.password + "\n")
    lab.check(len({group_of(node, user) for user in users}) > 1, "the new accounts are in several groups")
    with node.smtp() as smtp:
        smtp.sendmail("sender@client.test", users, lab.message("for-all", recipient=users[0]))
    lab.wait_for("the hand-overs", lambda: held(node, users)[0] == GROUPS, 20)
    lab.wait_for("all to be counted", lambda: listed(node, name="third.test")["used_messages"] == GROUPS, 30, 0.2)
    lab.check(listed(node, name="third.test")["used_bytes"] == held(node, users)[1], "the sum of bytes")


def granted(node):
    shares = node.cli("tenant", "show", "example")["shares"]
    return sum(share.get("granted_messages", 0) for share in shares)


def test():
    with lab.Cluster(3, network=36, groups=GROUPS) as cluster:
        users = cluster.add_accounts([f"user{number}" for number in range(USERS)])
        cluster.node(1).cli("domain", "quota", DOMAIN, "--together", "--bytes", str(LIMIT))
        workers, watcher = fill_up(cluster, users)
        size = held(cluster.node(1), users)[1]
        shown(cluster, users, LIMIT)
        expunged(cluster, users)
        limit = moved(cluster, users)
        shown(cluster, users, limit)
        raised_and_lowered(cluster, users, limit)
        by_tenant(cluster, users)
        handed_over(cluster)
        done = sum(worker.done for worker in workers)
        slowest = max(worker.slowest for worker in workers if isinstance(worker, Deliverer))
        return (f"{done} accepted, {size} of {LIMIT} bytes held, never more than {watcher.most} in {watcher.looks} looks; "
                f"slowest delivery {slowest:.2f} s")


lab.main(test)
