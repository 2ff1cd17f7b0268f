#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Mail goes in on one node and comes out on the others: small, large, to several accounts at once; flags, copies and
pushes cross nodes. Under AddressSanitizer."""
import hashlib
import os
import threading

import lab


def deliver_and_read(cluster, users):
    size = 10_000_000
    attachment = os.urandom(size // 2).hex().encode()
    lines = b"\r\n".join(attachment[at:at + 76] for at in range(0, len(attachment), 76))
    large = lab.message("large", recipient=users[0]) + lines + b"\r\n"
    with cluster.node(1).smtp() as smtp:
        refused = smtp.sendmail("sender@client.test", users, lab.message("small", recipient=users[0]))
        lab.check(not refused, f"refused: {refused}")
        smtp.sendmail("sender@client.test", [users[0]], large)
    for node in cluster.nodes:
        lab.wait_for("the large message", lambda: "large" in dict(map(reversed, lab.mailbox_tokens(node, users[0]))))
        client = node.imap(users[0])
        client.select("INBOX", readonly=True)
        _, found = client.search(None, "SUBJECT", "large")
        _, data = client.fetch(found[0].split()[0], "(BODY.PEEK[TEXT])")
        text = data[0][1]
        want = large.split(b"\r\n\r\n", 1)[1]
        lab.check(hashlib.sha256(text).digest() == hashlib.sha256(want).digest(),
                  f"the large body on {node.name}: {len(text)} bytes of {len(want)}")
        client.logout()
    for user in users:
        for node in cluster.nodes:
            lab.wait_for(f"the small message of {user} on {node.name}",
                         lambda: "small" in [token for _, token in lab.mailbox_tokens(node, user)])


def change_and_see(cluster, user):
    first, second = cluster.node(1).imap(user), cluster.node(2).imap(user)
    first.select("INBOX")
    second.select("INBOX")
    first.store("1", "+FLAGS", r"(\Flagged $Label)")
    lab.wait_for("the flag on the other node",
                 lambda: b"$Label" in (second.noop(), second.fetch("1", "(FLAGS)"))[1][1][0])
    status, _ = first.copy("1", "Archive")
    lab.check(status == "OK", "COPY")
    status, data = second.status("Archive", "(MESSAGES)")
    lab.check(b"MESSAGES 1" in data[0], f"STATUS on the other node: {data}")
    first.append("Drafts", r"(\Draft)", None, lab.message("draft"))
    lab.check([token for _, token in lab.mailbox_tokens(cluster.node(3), user, "Drafts")] == ["draft"], "APPEND")
    first.store("1", "+FLAGS", r"(\Deleted)")
    first.expunge()
    lab.wait_for("the expunge on the other node",
                 lambda: (second.noop(), second.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))[1]
                 and b"$Label" not in str(second.fetch("1:*", "(FLAGS)")[1]).encode())
    first.logout()
    second.logout()


def push_to_idle(cluster, user):
    """A delivery on node 1 wakes an IDLE on node 3."""
    client = cluster.node(3).imap(user)
    client.select("INBOX")
    client.send(b"i1 IDLE\r\n")
    lab.check(client.readline().startswith(b"+"), "IDLE is accepted")
    seen = []
    reader = threading.Thread(target=lambda: seen.append(client.readline()), daemon=True)
    reader.start()
    with cluster.node(1).smtp() as smtp:
        smtp.sendmail("sender@client.test", [user], lab.message("pushed", recipient=user))
    reader.join(10)
    lab.check(seen and b"EXISTS" in seen[0], f"IDLE said {seen}")
    client.send(b"DONE\r\n")
    client.shutdown()


def refusals(cluster, user):
    with cluster.node(2).smtp() as smtp:
        smtp.ehlo()
        smtp.mail("sender@client.test")
        lab.check(smtp.rcpt("nobody@example.test")[0] == 550, "unknown user")
        code, text = smtp.rcpt("somebody@elsewhere.test")
        lab.check(code == 550 and b"5.7.1" in text, "no relaying")
        lab.check(smtp.rcpt(user)[0] == 250, "the next command still works")


def test():
    with lab.Cluster(3, network=21, build="asan") as cluster:
        users = cluster.add_accounts(["ann", "bea", "cid", "dov", "eve"])
        deliver_and_read(cluster, users)
        change_and_see(cluster, users[0])
        push_to_idle(cluster, users[1])
        refusals(cluster, users[2])
        for node in cluster.nodes:
            lab.check(node.stop(60) == 0, f"{node.name} stops cleanly")
            text = (node.folder / "log").read_text(errors="replace")
            lab.check("ERROR: AddressSanitizer" not in text and "runtime error" not in text
                      and "LeakSanitizer" not in text, f"a sanitizer spoke on {node.name}")


lab.main(test)
