#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What accounts may hold, and what can be brought back: quotas by SMTP and IMAP, expunged messages, deleted mailboxes,
removed accounts, and that all of it is freed when its time has come."""
import imaplib
import smtplib

import lab


def show(node, address):
    return node.cli("account", "show", address)


def deliver(node, users, token, size=0):
    with node.smtp() as smtp:
        return smtp.sendmail("sender@client.test", users, lab.message(token, recipient=users[0], size=size))


def tokens(node, user, mailbox="INBOX"):
    return sorted(token for _, token in lab.mailbox_tokens(node, user, mailbox))


def expunge_all(node, user, mailbox="INBOX"):
    client = node.imap(user)
    client.select(mailbox)
    client.store("1:*", "+FLAGS", r"(\Deleted)")
    client.expunge()
    client.logout()


def wait_for_format(cluster, user):
    """The mail groups of a new cluster learn its format some seconds after they have begun."""
    node = cluster.node(1)

    def kept():
        deliver(node, [user], "probe")
        expunge_all(node, user)
        return show(node, user)["expunged"] > 0
    lab.wait_for("the format of the user's group", kept)
    node.cli("account", "purge", user, "--yes")


def undelete(cluster, user):
    node, other = cluster.node(1), cluster.node(2)
    for token in ("one", "two"):
        deliver(node, [user], token)
    expunge_all(node, user)
    seen = show(node, user)
    lab.check((seen["messages"], seen["expunged"]) == (0, 2), f"after the expunge: {seen}")
    rows = other.cli("account", "undelete", user, "--list")["messages"]
    lab.check([row["mailbox"] for row in rows] == ["INBOX", "INBOX"], f"listed: {rows}")
    answer = other.cli("account", "undelete", user)
    lab.check(answer["restored"] == 2, f"brought back: {answer}")
    lab.wait_for("both messages", lambda: tokens(node, user) == ["one", "two"])

    client = node.imap(user)
    client.create("Work/Old")
    client.append("Work/Old", None, None, lab.message("three"))
    client.delete("Work/Old")
    client.logout()
    lab.wait_for("the mailbox's message among the expunged", lambda: show(node, user)["expunged"] == 1)
    node.cli("account", "undelete", user, "--mailbox", "Work/Old", "--since", "1h")
    lab.check(tokens(node, user, "Work/Old") == ["three"], "the mailbox is back")
    expunge_all(node, user, "Work/Old")
    node.cli("account", "undelete", user, "--to", "Rescued")
    lab.check(tokens(node, user, "Rescued") == ["three"], "into another mailbox")
    expunge_all(node, user, "Rescued")
    node.cli("account", "purge", user, "--yes")
    lab.check(show(node, user)["expunged"] == 0, "purged")


def quota(cluster, user, other):
    node = cluster.node(1)
    node.cli("account", "quota", user, "--bytes", "100k", "--messages", "10")
    used = show(node, user)["size"]
    lab.wait_for("the limit on the other node", lambda: show(cluster.node(2), user)["quota_bytes"] == 102400)
    client = cluster.node(2).imap(user)
    lab.check("QUOTA=RES-STORAGE" in client.capabilities or "QUOTA" in str(client.capability()), "capability")
    _, data = client.getquotaroot("INBOX")
    lab.check(b"STORAGE %d 100" % -(-used // 1024) in data[1][0] and b"MESSAGE 2 10" in data[1][0], f"GETQUOTA: {data}")
    status, data = client.append("INBOX", None, None, lab.message("big", size=101 * 1024))
    lab.check(status == "NO" and b"[OVERQUOTA]" in data[0], f"APPEND beyond the limit: {status} {data}")
    client.logout()

    with node.smtp() as smtp: # who has no room is refused, the other gets it
        smtp.ehlo()
        smtp.mail("sender@client.test", ["SIZE=103000"])
        code, text = smtp.rcpt(user)
        lab.check(code == 452 and b"4.2.2" in text, f"RCPT of a full mailbox: {code} {text}")
        lab.check(smtp.rcpt(other)[0] == 250, "RCPT of another")
        smtp.rset()
        smtp.mail("sender@client.test") # not announced: the delivery finds out
        smtp.rcpt(user)
        code, text = smtp.data(lab.message("unannounced", size=101 * 1024))
        lab.check(code == 452 and b"4.2.2" in text, f"DATA beyond the limit: {code} {text}")
        node.cli("cluster", "policy", "--over-quota", "for-good")
        smtp.mail("sender@client.test", ["SIZE=103000"])
        code, text = smtp.rcpt(user)
        lab.check(code == 552 and b"5.2.2" in text, f"RCPT, for good: {code} {text}")

    expunge_all(node, user)
    for number in range(10):
        deliver(node, [user], f"fill{number}")
    try:
        deliver(node, [user], "eleventh")
        lab.check(False, "the eleventh message was taken")
    except smtplib.SMTPRecipientsRefused as refused:
        lab.check(refused.recipients[user][0] == 552, f"{refused}")
    try:
        node.cli("account", "undelete", user)
        lab.check(False, "brought back beyond the limit")
    except lab.Failed:
        pass
    node.cli("account", "quota", user, "--inherit")
    node.cli("domain", "quota", "example.test", "--messages", "11")
    deliver(node, [user], "eleventh")
    lab.check(show(node, user)["quota_messages"] == 11, "the domain's limit")
    node.cli("domain", "quota", "example.test", "--inherit")
    answer = node.cli("account", "undelete", user)
    lab.check(answer["restored"] == 2, f"brought back without a limit: {answer}")


def removed_account(cluster, user):
    node = cluster.node(1)
    deliver(node, [user], "kept")
    lab.wait_for("the message", lambda: tokens(node, user) == ["kept"])
    node.cli("account", "remove", user, "--yes")
    try:
        node.imap(user)
        lab.check(False, "a removed account logs in")
    except (imaplib.IMAP4.error, OSError):
        pass
    node.cli("account", "restore", user)
    lab.wait_for("the mail of the restored account", lambda: tokens(node, user) == ["kept"])
    node.cli("account", "remove", user, "--yes")
    node.cli("account", "purge", user, "--yes")
    try:
        node.cli("account", "restore", user)
        lab.check(False, "a purged account comes back")
    except lab.Failed:
        pass


def freed_in_time(cluster, user):
    """With no days to keep mail, what was kept before goes in the background."""
    node = cluster.node(1)
    deliver(node, [user], "gone")
    expunge_all(node, user)
    lab.check(show(node, user)["expunged"] == 1, "kept")
    node.cli("cluster", "policy", "--undelete-days", "0")
    lab.wait_for("the purge", lambda: show(node, user)["expunged"] == 0, 60)
    deliver(node, [user], "gone too")
    expunge_all(node, user)
    lab.check(show(node, user)["expunged"] == 0, "nothing is kept any more")


def test():
    with lab.Cluster(2, network=61) as cluster:
        users = cluster.add_accounts(["ann", "bea", "cid", "dov"])
        for user in users:
            wait_for_format(cluster, user)
        undelete(cluster, users[0])
        quota(cluster, users[0], users[1])
        removed_account(cluster, users[2])
        freed_in_time(cluster, users[3])


lab.main(test)
