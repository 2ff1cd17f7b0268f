#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How much a tenant may send: two accounts of it, in two groups and by three nodes, send until they are held, to the last
recipient and not one more, also when leaders die; another tenant goes on. What lists and aliases lead to counts."""
import smtplib
import ssl
import threading

import lab

SUBMISSION = 'listen "submission" {{ address = {{ "{ip}:2587" }} }} processes {{ relay = 0 }}' # nothing leaves: the queue is looked at
HOUR = 40


class Node(lab.Node):
    def prepare(self):
        self.cluster.extra = SUBMISSION.format(ip=self.ip)
        super().prepare()


class Cluster(lab.Cluster):
    node_class = Node


class Refused(Exception):
    pass


class Client:
    """One log-in; a message at a time."""
    count = 0

    def __init__(self, cluster, node, user):
        self.user = user
        self.smtp = smtplib.SMTP(node.ip, 2587, local_hostname="client.test", timeout=60)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.smtp.starttls(context=context)
        self.smtp.login(user, cluster.password)

    def send(self, recipients):
        Client.count += 1
        try:
            self.smtp.sendmail(self.user, recipients, lab.message(f"m{Client.count}", self.user, recipients[0]))
        except smtplib.SMTPDataError as problem:
            text = problem.smtp_error.decode()
            lab.check("sent too much in this time, try again" in text, f"refused: {problem}")
            raise Refused(f"{problem.smtp_code} {text}") from problem

    def until_held(self, most=1000):
        """(accepted, why no more), a recipient at a time."""
        for number in range(most):
            try:
                self.send([f"user{number}@far.test"])
            except Refused as refused:
                return number, str(refused)
        raise lab.Failed(f"{most} messages, and no limit")


def rejected(client, recipients):
    try:
        client.send(recipients)
    except Refused as refused:
        return str(refused)
    raise lab.Failed(f"{recipients} were taken")


def sent(cluster, tenant="example"):
    shown = cluster.node(1).cli("sending", "show", tenant)
    lab.check(shown["complete"], f"all groups answer: {shown}")
    return shown


def in_two_groups(cluster, users):
    groups = {user: cluster.node(1).cli("account", "show", user)["group"] for user in users}
    first = users[0]
    return first, next(user for user in users if groups[user] != groups[first])


def held_together(cluster, one, two):
    results = []
    clients = [Client(cluster, cluster.node(2), one), Client(cluster, cluster.node(3), two)]
    threads = [threading.Thread(target=lambda c=client: results.append(c.until_held())) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    lab.check(len(results) == 2, "a client failed")
    accepted = sum(number for number, _ in results)
    lab.check(accepted == HOUR, f"accepted {results}")
    for _, why in results:
        lab.check(why.startswith("450 4.7.1 Your organization has"), why)
    shown = sent(cluster)
    lab.check((shown["hour"], shown["hour_max"], shown["day"]) == (HOUR, HOUR, HOUR), f"shown: {shown}")
    lab.check(len(shown["shares"]) == 2, f"from two groups: {shown}")


def a_move_frees_nothing(cluster, one, two):
    """What an account has sent counts for its tenant where it was sent from."""
    cli = cluster.node(1).cli
    group = cli("account", "show", two)["group"]
    cli("account", "move", one, "--group", str(group), "--no-wait")
    lab.wait_for("the move", lambda: cli("account", "show", one)["group"] == group)
    rejected(Client(cluster, cluster.node(1), one), ["moved@far.test"])
    shown = sent(cluster)
    lab.check(shown["hour"] == HOUR and len(shown["shares"]) == 2, f"shown: {shown}")


def another_goes_on(cluster, user):
    client = Client(cluster, cluster.node(1), user)
    for number in range(10):
        client.send([f"a{number}@far.test", f"b{number}@far.test"])
    shown = sent(cluster, "other")
    lab.check((shown["hour"], shown["hour_max"]) == (20, 2000), f"the other tenant: {shown}")


def what_lists_lead_to(cluster, user):
    """An alias counts as those it stands for, a list as one, and for the tenant all its members."""
    cli = cluster.node(1).cli
    cli("alias", "add", "team@other.test", *[f"team{n}@far.test" for n in range(6)])
    cli("list", "add", "news@other.test", "--owner", user)
    cli("list", "add-member", "news@other.test", *[f"news{n}@far.test" for n in range(30)])
    for name, value in (("class", "custom"), ("hour", "25"), ("day", "0")):
        cli("setting", "set", f"sending.{name}", value, "--account", user)
    client = Client(cluster, cluster.node(1), user)
    before = sent(cluster, "other")["hour"]
    lab.wait_for("the account's limit", lambda: "452 4.2.1 You have" in rejected(client, ["team@other.test"]), 20)
    lab.check(sent(cluster, "other")["hour"] == before, "refused, and counted")
    client.send(["news@other.test"])
    lab.check(sent(cluster, "other")["hour"] == before + 30, f"with a list: {sent(cluster, 'other')}")


def a_leader_dies(cluster, one, two):
    cli = cluster.node(1).cli
    cli("setting", "set", "sending.tenant_hour", str(HOUR + 10), "--tenant", "example")
    client = Client(cluster, cluster.node(1), one)
    lab.wait_for("the new limit", lambda: not is_held(client), 20)
    victim = cluster.leader_of(two)
    if victim.number == 1:
        victim = cluster.node(2)
    victim.kill_tree()
    other = next(node for node in cluster.nodes if node.running() and node.number != 1)
    accepted = 1 + Client(cluster, other, two).until_held()[0]
    accepted += Client(cluster, cluster.node(1), one).until_held()[0]
    lab.check(accepted == 10, f"accepted {accepted} more, without {victim.name}")
    lab.check(sent(cluster)["hour"] == HOUR + 10, f"shown: {sent(cluster)}")
    victim.start()
    cluster.wait_healthy()
    Client(cluster, victim, two).until_held(1)


def is_held(client):
    try:
        client.send(["again@far.test"])
    except Refused:
        return True
    return False


def test():
    with Cluster(3, network=38, groups=2) as cluster:
        users = cluster.add_accounts(["ann", "bob", "eve"])
        cli = cluster.node(1).cli
        cli("tenant", "add", "other")
        cli("domain", "add", "other.test", "--tenant", "other")
        cli("account", "add", "cid@other.test", text=cluster.password + "\n")
        one, two = in_two_groups(cluster, users)
        cli("setting", "set", "mail.outbound", "on")
        for name, value in (("tenant_hour", HOUR), ("class", "custom"), ("hour", 0), ("day", 0)):
            cli("setting", "set", f"sending.{name}", str(value), "--tenant", "example")
        probe = Client(cluster, cluster.node(1), "cid@other.test")
        lab.wait_for("mail for other hosts to be taken", lambda: not fails(probe), 30)
        cli("queue", "list")
        for part, arguments in ((held_together, (one, two)), (a_move_frees_nothing, (one, two)), (another_goes_on, ("cid@other.test",)),
                                (what_lists_lead_to, ("cid@other.test",)), (a_leader_dies, (one, two))):
            part(cluster, *arguments)
            print(f"ok {part.__name__}", flush=True)
        return f"{Client.count} messages"


def fails(client):
    """Nobody far away: an account of the other tenant's own is taken when the door is open."""
    code, _ = client.smtp.mail(client.user)
    lab.check(code == 250, "MAIL")
    code, _ = client.smtp.rcpt("somebody@far.test")
    client.smtp.rset()
    return code != 250


lab.main(test)
