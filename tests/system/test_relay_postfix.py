#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Postfix as the other side of outgoing mail: with STARTTLS it takes messages, refuses recipients that it does not have, tells of
deliveries itself (DSN), and sends back what goes to an alias that leads home: a round trip, each message once and unchanged."""
import re
import shutil
import subprocess

import lab
import lab_postfix
import relay_lab
from relay_lab import Client, Inbox, log_lines, wait_gone, wait_notices

BURST = 100


def start_postfix(cluster):
    folder = cluster.folder / "postfix"
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/CN=mx.s20.test"], check=True,
                   capture_output=True)
    return lab_postfix.Postfix(folder, cluster.ip(20), relay_lab.PORT, {
        "myhostname": "mx.s20.test", "mynetworks": "127.0.0.0/8", "relayhost": f"[{cluster.node(1).ip}]:2525",
        "disable_dns_lookups": "yes", "smtp_host_lookup": "native", "maximal_backoff_time": "5s",
        "minimal_backoff_time": "5s", "queue_run_delay": "5s", "smtpd_tls_security_level": "may",
        "smtpd_tls_cert_file": folder / "cert.pem", "smtpd_tls_key_file": folder / "key.pem", "smtpd_tls_loglevel": "1",
        "smtp_tls_security_level": "may", "virtual_alias_domains": "s20.test", "smtputf8_enable": "yes",
        "virtual_alias_maps": "inline:{{back@s20.test=bob@example.test},{keep@s20.test=keep@discard.test}}",
        "transport_maps": "inline:{{discard.test=discard:}}"})


def body_of(text):
    return text.split(b"\r\n\r\n", 1)[1]


def round_trip(cluster, postfix, data):
    node = cluster.node(1)
    client = Client(node, "ann@example.test")
    client.send("back@s20.test", data=data, mail=["BODY=8BITMIME"])
    imap = node.imap("bob@example.test")

    def there():
        imap.select("INBOX", readonly=True)
        return imap.search(None, "ALL")[1][0]
    lab.wait_for("it to come back", there, 30, 0.2)
    got = imap.fetch("1", "(BODY.PEEK[])")[1][0][1]
    lab.check(body_of(got) == body_of(data), f"changed on the way: {got[-300:]}")
    received = re.findall(rb"(?m)^Received: (?:.*\r\n)(?:[ \t].*\r\n)*", got)
    lab.check(len(received) == 3 and b"(Postfix) with ESMTPS" in received[1], f"{received}")
    lab.check(re.search(r"TLS connection established from .*TLSv1\.3", postfix.log()), "no TLS in Postfix's log")


def burst(cluster):
    """Of each one copy, on few connections."""
    node = cluster.node(1)
    client = Client(node, "ann@example.test")
    for number in range(BURST):
        client.send("back@s20.test", token=f"burst-{number}")
    lab.wait_for("all to come back", lambda: len(lab.mailbox_tokens(node, "bob@example.test")) > BURST, 40, 0.5)
    tokens = [token for _, token in lab.mailbox_tokens(node, "bob@example.test") if token.startswith("burst-")]
    lab.check(sorted(tokens) == sorted(f"burst-{number}" for number in range(BURST)), f"{len(tokens)} copies")
    wait_gone(node, "ann@example.test")


def unknown_and_told(cluster, postfix):
    """A recipient that Postfix does not have, and one of which Postfix itself tells."""
    node = cluster.node(1)
    client = Client(node, "ann@example.test")
    client.send("nobody@s20.test", token="nobody")
    block = wait_notices(node, "ann@example.test")[0].of("nobody@s20.test")
    lab.check((block["Action"], block["Status"]) == ("failed", "5.1.1") and "unknown in virtual" in block["Diagnostic-Code"],
              f"{block}")
    client.send("keep@s20.test", token="keep", mail=["ENVID=keep-1"], rcpt=["NOTIFY=SUCCESS"])
    lab.wait_for("Postfix to keep it", lambda: "relay=none, " in postfix.log() and "discard.test" in postfix.log())
    with Inbox(node, "ann@example.test") as box:
        told = lab.wait_for("Postfix's report", lambda: [m for m in box.messages() if "keep-1" in m.as_string()], 30, 0.3)
    lab.check(len(told) == 1 and "Postfix" in told[0].as_string(), f"{len(told)} reports")
    lab.check(not log_lines(node, "a notice was made", "keep"), "told by both")


def test():
    why = lab_postfix.missing()
    if why:
        return f"left out: {why}"
    with relay_lab.Cluster(1, 30) as cluster:
        cluster.open(["ann", "bob"])
        postfix = start_postfix(cluster)
        try:
            postfix.prepare()
            postfix.start()
            lines = b"".join(b"." * (n % 4) + b"line %d\r\n" % n for n in range(3000)) + "Grüße\r\n".encode()
            data = lab.message("trip", "ann@example.test", "back@s20.test") + lines
            round_trip(cluster, postfix, data)
            print("ok round_trip", flush=True)
            burst(cluster)
            print("ok burst", flush=True)
            unknown_and_told(cluster, postfix)
            print("ok unknown_and_told", flush=True)
        except BaseException:
            postfix.show_logs()
            raise
        finally:
            postfix.servers.end()
            shutil.rmtree(postfix.folder, ignore_errors=True)
    return f"{BURST + 3} messages"


lab.main(test)
