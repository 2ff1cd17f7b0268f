#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real SMTP clients against the receiver: smtplib and, where it is installed, swaks; in the clear and with STARTTLS.
What was delivered must be what was sent, below the headers of the receiver. Argument: the fake_server program."""
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import time

TEXT = b"Subject: test\r\n\r\n" + b"".join(b"%sline %d\r\n" % (b"." * (i % 3), i) for i in range(5000))


class Server:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def end(self):
        """Deliveries as (trace id, body)."""
        out, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, self.process.returncode
        found = []
        while out:
            line, _, out = out.partition(b"\n")
            word, trace, size = line.split()
            assert word == b"delivery"
            found.append((trace.decode(), out[:int(size)]))
            out = out[int(size):]
        return found


def with_smtplib(server, tls):
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20, local_hostname="client.test") as client:
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            client.starttls(context=context)
            assert not client.ehlo_resp
            client.ehlo()
            assert "starttls" not in client.esmtp_features
        else:
            client.ehlo()
            assert "starttls" in client.esmtp_features
        assert client.esmtp_features["size"] == "50000000"
        refused = client.sendmail("x@a.test", ["y@here.test", "no@here.test", "a@else.test"], TEXT,
                                  mail_options=["BODY=8BITMIME"])
        assert refused["no@here.test"][0] == 550 and b"5.1.1" in refused["no@here.test"][1]
        assert refused["a@else.test"][0] == 550 and b"5.7.1" in refused["a@else.test"][1]
        assert client.mail("x@a.test", ["SIZE=50000001"])[0] == 552
        code, text = client.docmd("NOOP")
        assert code == 250, text


def injected_behind_starttls(server):
    """Bytes behind STARTTLS, in its segment or soon after, must never be obeyed."""
    for pause in (0, 0.001):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
            plain.recv(1000)
            plain.sendall(b"EHLO a\r\n")
            while b"250 " not in plain.recv(4000):
                pass
            plain.sendall(b"STARTTLS\r\n" + (b"" if pause else b"NOOP\r\nRSET\r\n"))
            if pause:
                time.sleep(pause)
                plain.sendall(b"NOOP\r\nRSET\r\n")
            seen = b""
            try:
                while True:
                    more = plain.recv(4000)
                    if not more:
                        break
                    seen += more
            except ConnectionResetError:
                pass
            assert b"250" not in seen, seen


def broken_tls(server):
    """The other end goes away in the middle of the handshake, or sends anything behind close_notify."""
    for cut in (1, 5, 60):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
            plain.recv(1000)
            plain.sendall(b"EHLO a\r\n")
            while b"250 " not in plain.recv(4000):
                pass
            plain.sendall(b"STARTTLS\r\n")
            plain.recv(1000)
            plain.sendall((b"\x16\x03\x01\x01\x00\x01" + b"\x00" * 200)[:cut])
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.starttls(context=context)
        client.ehlo()
        client.mail("x@a.test")
        client.rcpt("y@here.test")
        assert client.docmd("DATA")[0] == 354
        client.sock.sendall(b"half a message\r\n")
        raw = client.sock.unwrap()
        raw.sendall(b"x\r\n.\r\nNOOP\r\n")
        seen = b""
        try:
            seen = raw.recv(1000)
        except OSError:
            pass
        assert b"250" not in seen, seen
        client.sock = raw
        client.close()


def with_swaks(server, tls):
    run = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(server.port), "--from", "x@a.test",
                          "--to", "y@here.test", "--helo", "client.test", "--data", "-"] + (["--tls"] if tls else []),
                         input=TEXT.replace(b"\r\n", b"\n"), capture_output=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def main():
    server = Server(sys.argv[1])
    jobs = [(with_smtplib, False), (with_smtplib, True)]
    if shutil.which("swaks"):
        jobs.append((with_swaks, False))
        if subprocess.run(["perl", "-MNet::SSLeay", "-e", "1"], capture_output=True, check=False).returncode == 0:
            jobs.append((with_swaks, True))
    for client, tls in jobs:
        client(server, tls)
    injected_behind_starttls(server)
    broken_tls(server)
    deliveries = server.end()
    assert len(deliveries) == len(jobs), len(deliveries)
    for (_, tls), (trace, body) in zip(jobs, deliveries):
        head = body.decode("latin-1")
        want = (r"Return-Path: <x@a\.test>\r\nReceived: from client\.test \(\[127\.0\.0\.1\]\)\r\n"
                r"\tby mx\.test with (ESMTPS?) id " + trace + r"\r\n(\t\(TLSv1\.3 [A-Z0-9_]+\)\r\n)?"
                r"\tfor <y@here\.test>;\r\n\t[A-Z][a-z]{2}, [^\r]*\r\n")
        match = re.match(want, head)
        assert match, head[:400]
        assert (match[1] == "ESMTPS") == tls == bool(match[2]), head[:400]
        assert body[match.end():].rstrip() == TEXT.rstrip(), "the message was changed"
    print(f"{len(deliveries)} deliveries")


main()
