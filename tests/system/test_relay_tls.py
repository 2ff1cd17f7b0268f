#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""STARTTLS of outgoing mail: taken with a certificate that nobody vouches for; broken, refused or cut it goes on in the clear,
where nobody promised more; what stands behind the 220 in the clear is no reply."""
import ssl
import subprocess

import lab
import relay_lab
from relay_lab import send, wait_gone
from sink import CUT


def certificate(folder):
    """Self-signed, of another name, as many hosts have it."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=somebody.else"], cwd=folder, check=True,
                   capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def arrived(sink, tls):
    message = lab.wait_for(f"the message at {sink.name}", lambda: sink.messages, 20)[-1]
    lab.check(message.tls == tls, f"{'in the clear' if tls else 'with TLS'} at {sink.name}")
    return message


def taken(cluster, node, user, context):
    with cluster.sink(20, tls=context) as sink:
        send(node, user, "x@s20.test", token="tls")
        arrived(sink, True)
        hellos = [line for line in sink.lines if line.startswith("EHLO")]
        lab.check(len(hellos) == 2 and sink.connections == 1, f"EHLO again within TLS: {sink.lines}")
        lab.check([line.split()[0] for line in sink.lines[:3]] == ["EHLO", "STARTTLS", "EHLO"], f"{sink.lines}")


def old_tls(cluster, node, user, context):
    """Weak, and better than none."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(*context)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with cluster.sink(21, tls=old) as sink:
        send(node, user, "x@s21.test", token="tls12")
        arrived(sink, True)


def refused(cluster, node, user, context):
    for k, reply in ((22, "454 4.7.0 not now"), (23, "501 5.5.4 no")):
        with cluster.sink(k, tls=context) as sink:
            sink.answers = lambda talk, stage, words: reply if stage == "starttls" else None
            send(node, user, f"x@s{k}.test", token="refused")
            arrived(sink, False)


def broken(cluster, node, user, context):
    """No TLS behind the 220, an end in place of it, no cipher in common: in the clear on the next connection, and TLS
    is not asked for again."""
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    nobody.load_cert_chain(*context)
    nobody.maximum_version = ssl.TLSVersion.TLSv1_2
    nobody.set_ciphers("PSK")

    class Garbage:
        """In place of an ssl.SSLContext: what comes behind the 220 is no TLS."""

    def garbage(talk, stage, _words):
        if stage != "starttls":
            return None

        async def say():
            await talk.say("220 2.0.0 go ahead")
            await talk.reader.read(1)
            await talk.say("500 what is that?")
            return CUT
        return say()

    def end(talk, stage, _words):
        if stage != "starttls":
            return None

        async def say():
            await talk.say("220 2.0.0 go ahead")
            return CUT
        return say()
    for k, tls, answers in ((24, Garbage(), garbage), (25, Garbage(), end), (26, nobody, None)):
        with cluster.sink(k, tls=tls) as sink:
            sink.answers = answers
            send(node, user, f"x@s{k}.test", token="broken")
            arrived(sink, False)
            asked = sum(line == "STARTTLS" for line in sink.lines)
            sink.messages.clear()
            lab.wait_for("the connection to be closed", lambda: sink.open == 0, 15)
            send(node, user, f"y@s{k}.test", token="broken again")
            arrived(sink, False)
            lab.check(asked == 1 and sum(line == "STARTTLS" for line in sink.lines) == 1, f"{k}: {sink.lines}")
            lab.check(len(sink.seen) == 2, f"{k}: {len(sink.seen)} copies")


def injected(cluster, node, user, context):
    """Replies of an attacker behind the 220: the connection is over, and nothing was believed."""
    def more(talk, stage, _words):
        if stage != "starttls":
            return None

        async def say():
            talk.writer.write(b"220 2.0.0 go ahead\r\n250-evil.test\r\n250 SIZE 1\r\n250 2.1.0 ok\r\n")
            await talk.writer.drain()
            await talk.reader.read(1000)
            return CUT
        return say()
    with cluster.sink(27, tls=context) as sink:
        sink.answers = more
        send(node, user, "x@s27.test", token="injected")
        lab.wait_for("it to be put off", lambda: relay_lab.log_lines(node, "mail is put off", "x@s27.test"), 20)
        lab.check(not sink.seen and not any(line.startswith("MAIL") for line in sink.lines), f"{sink.lines}")
        sink.answers = None
        arrived(sink, True)


def test():
    with relay_lab.Cluster(1, 36) as cluster:
        user, = cluster.open(["ann"])
        node = cluster.node(1)
        context = certificate(cluster.folder)
        files = (cluster.folder / "cert.pem", cluster.folder / "key.pem")
        for part, given in ((taken, context), (old_tls, files), (refused, context), (broken, files), (injected, context)):
            part(cluster, node, user, given)
            print(f"ok {part.__name__}", flush=True)
        wait_gone(node, user)
    return "5 parts; DANE is tested in tests/unit/relay and tests/unit/node, there is no signed zone here"


lab.main(test)
