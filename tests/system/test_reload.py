#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A certificate is renewed while clients are connected: SIGHUP to postraftd, and new connections to SMTP (STARTTLS) and
IMAP get the new one, while those that were there go on. A broken file changes nothing and is told of. The supervisor of
a node whose programs have users of their own keeps no more of root than starting and stopping them takes."""

import os
import pathlib
import shutil
import smtplib
import ssl
import subprocess
import tempfile

import lab

KILL_SETGID_SETUID = 0xe0


def make(folder, hostname):
    """A pair for that host; the key first, as certbot does not: the order of the two writes must not matter."""
    for name in ("key.pem", "chain.pem"):
        (folder / name).unlink(missing_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", f"/CN={hostname}", "-addext", f"subjectAltName=DNS:{hostname}",
                    "-keyout", str(folder / "key.pem"), "-out", str(folder / "chain.pem")], check=True, capture_output=True)
    os.chmod(folder / "key.pem", 0o600)


def trusting(folder):
    """A context that takes just the certificate that is there now, and checks the name."""
    return ssl.create_default_context(cafile=str(folder / "chain.pem"))


def imap_name(node):
    """Whom the certificate at the IMAP port names."""
    text = ssl.get_server_certificate((node.ip, 2993))
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(text)
        file.flush()
        shown = subprocess.run(["openssl", "x509", "-noout", "-subject", "-in", file.name], check=True, capture_output=True, text=True)
    return shown.stdout.split("CN")[1].strip(" =\n")


def smtp_takes(node, folder, hostname):
    """STARTTLS with full verification against that certificate."""
    class Client(smtplib.SMTP):
        def _get_socket(self, _host, port, timeout):
            return super()._get_socket(node.ip, port, timeout)
    with Client(hostname, 2525, timeout=20) as client:
        client.starttls(context=trusting(folder))
        client.ehlo()
    return True


def status(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1], 16)
    raise lab.Failed(f"no {name} of {pid}")


def logged(node, text):
    return (node.folder / "log").read_text(errors="replace").count(text)


def reload(node, folder, hostname):
    before = logged(node, "new connections get the new certificate")
    make(folder, hostname)
    node.process.send_signal(1)
    lab.wait_for("the programs to take it", lambda: logged(node, "new connections get the new certificate") >= before + 2, 20)
    lab.check(imap_name(node) == hostname, f"IMAP shows {imap_name(node)}, not {hostname}")
    smtp_takes(node, folder, hostname)


def test():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postraft-reload-"))
    try:
        make(folder, "one.test")
        extra = f'tls {{ certificate = "{folder}/chain.pem" key = "{folder}/key.pem" }}'
        with lab.Cluster(1, network=31, extra=extra) as cluster:
            node = cluster.node(1)
            user = cluster.add_accounts(["carol"])[0]
            lab.check(imap_name(node) == "one.test", "the configured certificate is not shown")
            smtp_takes(node, folder, "one.test")
            imap = node.imap(user)
            imap.select("INBOX")
            smtp = node.smtp()
            smtp.starttls(context=trusting_none())
            pids = sorted(lab.children(node.supervisor()))
            reload(node, folder, "two.test")
            reload(node, folder, "three.test")

            (folder / "chain.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n")
            node.process.send_signal(1)
            lab.wait_for("the error", lambda: logged(node, "CANNOT BE USED") == 1, 20)
            lab.check(imap_name(node) == "three.test", "a broken file took the certificate away")

            smtp.sendmail("me@client.test", [user], lab.message("over", recipient=user))
            smtp.quit()
            lab.wait_for("the mail in the old session", lambda: imap.noop() and imap.select("INBOX")[1] == [b"1"], 30)
            imap.logout()
            lab.check(sorted(lab.children(node.supervisor())) == pids, "programs were started anew")
            if os.getuid() == 0:
                for name in ("CapEff", "CapPrm", "CapBnd"):
                    lab.check(status(node.supervisor(), name) == KILL_SETGID_SETUID,
                              f"postraftd has {name} {status(node.supervisor(), name):x}")
                for pid in pids:
                    lab.check(status(pid, "CapEff") == 0, f"{lab.process_name(pid)} has capabilities")
            make(folder, "four.test")
            lab.kill(node.child("postraft-imap"))
            lab.wait_for("IMAP to be started again", lambda: imap_name(node) == "three.test", 30)
            reload(node, folder, "five.test")
            lab.check(node.stop() == 0, "the node did not stop cleanly")
            lab.check(not (node.folder / "run/postraftd.pid").exists(), "the process id is still there")
    finally:
        shutil.rmtree(folder)
    return "5 certificates"


def trusting_none():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


if shutil.which("openssl") is None:
    print("skipped: no openssl command")
else:
    lab.main(test)
