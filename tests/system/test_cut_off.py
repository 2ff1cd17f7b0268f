#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A node is cut off the network for 30 seconds while mail goes on, and joined again: it catches up and serves the same
mailbox. While it is alone it promises nothing."""
import lab
import lab_net

CUT_S = 30


def refused_in_the_minority(node, user):
    """SMTP to the lonely node from its own namespace: the answer is 451, in bounded time."""
    script = ("import smtplib,sys,time\n"
              "s=smtplib.SMTP(sys.argv[1],2525,timeout=60)\ns.ehlo()\nt=time.monotonic()\n"
              "s.mail('a@client.test');s.rcpt(sys.argv[2])\n"
              "print(s.data(b'Subject: lonely\\r\\n\\r\\nx\\r\\n')[0],round(time.monotonic()-t,1))\n")
    run = lab.subprocess.run([*node.cluster.prefix(node.number), lab.sys.executable, "-c", script, node.ip, user],
                             capture_output=True, text=True, timeout=120)
    return run.stdout.strip() or run.stderr.strip().splitlines()[-1]


def test():
    with lab_net.NetCluster(3) as cluster:
        users = cluster.add_accounts([f"user{n}" for n in range(4)])
        lonely = cluster.node(3)
        load = lab.Load(cluster, users, clients=8, nodes=cluster.nodes[:2]).start()
        lab.wait_for("100 messages", lambda: load.accepted() >= 100, 60)
        cluster.cut(lonely)
        at_cut = load.accepted()
        end = lab.time.monotonic() + CUT_S
        answer = refused_in_the_minority(lonely, users[0])
        lab.check(answer.startswith("451"), f"the lonely node said: {answer}")
        lab_net.pause(max(0, end - lab.time.monotonic()))
        lab.check(load.accepted() > at_cut + 100, "mail did not go on without the node")
        cluster.mend(lonely)
        load.stop()
        cluster.wait_healthy(60)
        want = {user: lab.mailbox_tokens(cluster.node(1), user) for user in users}
        counts = lab.check_history(load.history, want)
        for user in users:
            lab.wait_for(f"{user} on the node that was away",
                         lambda: lab.mailbox_tokens(lonely, user) == want[user], 30)
            lab.check("lonely" not in [token for _, token in want[user]], "a refused message appeared")
        return f"verdicts {counts}; alone it said: {answer} s; errors elsewhere: {load.errors}"


lab_net.enter()
lab.main(test)
