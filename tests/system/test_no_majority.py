#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two of three nodes are dead: a delivery gets 451 after a bounded wait, a log-in is told that the server is not
available; when one of them is back, mail goes on.

What was refused lies in the log of a leader that lost its majority: whether it counts is decided when a majority is
back, so it may be there then, once at most. With a majority alive this cannot be (test_leader_killed.py)."""
import imaplib
import time

import lab

BOUND_S = 40


def delivery(node, user, token):
    with node.smtp(90) as smtp:
        smtp.ehlo()
        smtp.mail("sender@client.test")
        lab.check(smtp.rcpt(user)[0] == 250, "the recipient is known without a majority")
        start = time.monotonic()
        code, text = smtp.data(lab.message(token, recipient=user))
        lab.check(smtp.noop()[0] == 250, "the next command still works")
        return code, text, time.monotonic() - start


def test():
    with lab.Cluster(3, network=24) as cluster:
        user = cluster.add_accounts(["ann"])[0]
        node = cluster.node(1)
        lab.check(delivery(node, user, "before")[0] == 250, "delivery with all nodes")
        cluster.node(2).kill_tree()
        cluster.node(3).kill_tree()
        code, text, seconds = delivery(node, user, "refused")
        lab.check(code == 451, f"without a majority: {code} {text}")
        lab.check(seconds < BOUND_S, f"the answer took {seconds:.1f} s")
        try:
            node.imap(user, 60)
            raise lab.Failed("a log-in succeeded without a majority")
        except imaplib.IMAP4.error as problem:
            lab.check("UNAVAILABLE" in str(problem), f"the log-in said {problem}")
        cluster.node(2).start()
        lab.wait_for("delivery to work again", lambda: delivery(node, user, "after")[0] == 250, 60)
        tokens = [token for _, token in lab.mailbox_tokens(node, user)]
        lab.check(tokens[0] == "before" and "after" in tokens, f"the mailbox holds {tokens}")
        lab.check(tokens.count("refused") <= 1, f"a refused message is there twice: {tokens}")
        return f"451 after {seconds:.1f} s"


lab.main(test)
