#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the README promises of its two commands. admin/quickstart makes a cluster, which takes mail by SMTP and shows it
over IMAP, with what build/quickstart/env says; wrong words change nothing; nodes are killed and started; all is stopped,
goes on where it was, and is removed. tests/run tells what it would run. It runs in namespaces of its own, over a layer of
memory on build/, so that a quickstart cluster of this machine is neither seen nor touched."""

import imaplib
import os
import pathlib
import smtplib
import ssl
import subprocess
import sys
import time

import lab

BASE = lab.ROOT / "build/quickstart"
LAYER = pathlib.Path("/mnt")


def enter():
    """Runs this script again in namespaces of its own; whatever it leaves running dies with them."""
    if os.environ.get("POSTRAFT_LAB_QUICKSTART"):
        return
    if os.getuid() != 0:
        print("skipped: namespaces need root")
        sys.exit(0)
    os.environ["POSTRAFT_LAB_QUICKSTART"] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                          sys.executable, *sys.argv])


def call(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True)


def prepare():
    call("ip", "link", "set", "lo", "up")
    call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(LAYER))
    for name in ("upper", "work"):
        (LAYER / name).mkdir()
    build = lab.ROOT / "build"
    done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                           f"lowerdir={build},upperdir={LAYER}/upper,workdir={LAYER}/work", str(build)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        print(f"skipped: no overlay on {build}: {done.stderr.strip()}")
        sys.exit(0)
    if BASE.exists():
        call("rm", "-rf", str(BASE))  # in the layer only


def quickstart(*words, status=0, seconds=900):
    done = subprocess.run([str(lab.ROOT / "admin/quickstart"), *words], cwd="/", capture_output=True, text=True,
                          timeout=seconds, env=dict(os.environ, PR_BUILD=f"build/{lab.BUILD}"))
    lab.check(done.returncode == status,
              f"quickstart {' '.join(words)}: status {done.returncode}, not {status}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout + done.stderr


def programs():
    """Processes of Postraft; here, only those of quickstart can be there."""
    names = [lab.process_name(int(entry.name)) for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()]
    return [name for name in names if name and name.startswith("postraft")]


def environment():
    """What a shell has after sourcing build/quickstart/env."""
    text = subprocess.run(["bash", "-c", f". {BASE}/env; for name in ${{!PR_*}}; do echo \"$name=${{!name}}\"; done"],
                          check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def control(variables, *words):
    return subprocess.run([*variables["PR_CTL"].split(), *words], capture_output=True, text=True, timeout=60)


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def send(variables, number, subject):
    with smtplib.SMTP(*address(variables[f"PR_SMTP_{number}"]), timeout=30) as client:
        client.sendmail("me@client.test", [variables["PR_USER_1"]],
                        f"From: me@client.test\r\nTo: {variables['PR_USER_1']}\r\nSubject: {subject}\r\n\r\nIt works.\r\n")


def any_certificate():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def submit(variables, number, subject):
    user, password = variables["PR_USER_1"], variables["PR_PASS_1"]
    with smtplib.SMTP(*address(variables[f"PR_SUBMIT_{number}"]), timeout=30) as client:
        client.starttls(context=any_certificate())
        client.login(user, password)
        client.sendmail(user, [user], f"From: {user}\r\nTo: {user}\r\nSubject: {subject}\r\n\r\nIt works.\r\n")


def subjects(variables, number):
    context = any_certificate()
    with imaplib.IMAP4_SSL(*address(variables[f"PR_IMAPS_{number}"]), ssl_context=context, timeout=30) as client:
        client.login(variables["PR_USER_1"], variables["PR_PASS_1"])
        client.select("INBOX")
        _, found = client.fetch("1:*", "(BODY[HEADER.FIELDS (SUBJECT)])")
        return [part[1].decode().split(":", 1)[1].strip() for part in found if isinstance(part, tuple)]


def wrong_words_change_nothing():
    lab.check("usage" in quickstart("--colour", status=2), "a wrong option was not explained")
    lab.check("1 to 7" in quickstart("--nodes", "8", status=2), "a wrong number was not explained")
    lab.check("there is no quickstart cluster" in quickstart("--status", status=1), "--status without a cluster")
    lab.check("there is no quickstart cluster" in quickstart("--kill", "1", status=1), "--kill without a cluster")
    lab.check("no node was running" in quickstart("--stop"), "--stop without a cluster")
    lab.check("nothing to remove" in quickstart("--wipe"), "--wipe without a cluster")
    lab.check("--wipe" in quickstart("--help"), "--help does not name --wipe")
    lab.check(not BASE.exists() and not programs(), "wrong words left something behind")


def mail_goes_in_and_out(variables):
    send(variables, 1, "in by one")
    send(variables, 2, "in by two")
    submit(variables, 3, "submitted to three")
    sent = {"in by one", "in by two", "submitted to three"}
    for number in (1, 2, 3):
        lab.wait_for("the mail", lambda: sent <= set(subjects(variables, number)), 30)


def cluster_says(variables):
    told = control(variables, "cluster", "status")
    lab.check(told.returncode == 0 and "is healthy" in told.stdout, f"cluster status: {told.stdout}{told.stderr}")
    wrong = control(variables, "clutser", "status")
    lab.check(wrong.returncode == 2 and "clutser" in wrong.stderr and not wrong.stdout,
              f"a wrong command was not refused: {wrong}")
    refused = control(variables, "account", "add", "dora@nowhere.test", "--generate")
    lab.check(refused.returncode == 1 and "nowhere.test" in refused.stderr, f"an unknown domain was not refused: {refused}")


def test():
    rings = call(str(lab.ROOT / "tests/run"), "--list").stdout.split()
    lab.check({"tidy", "unit", "sim", "fuzz", "system"} <= set(rings), f"tests/run --list: {rings}")
    wrong_words_change_nothing()
    begun = time.monotonic()
    told = quickstart()
    took = time.monotonic() - begun
    for words in ("started 3 nodes", "joined with a token, data center dc3", "the cluster is healthy", "by SMTP to node1",
                  "read it back by IMAP from node3: SHA-256"):
        lab.check(words in told, f"quickstart did not say \"{words}\": {told}")
    variables = environment()
    cluster_says(variables)
    mail_goes_in_and_out(variables)
    lab.check("running already" in quickstart(), "the second call did not leave the cluster alone")
    lab.check("1 to 3" in quickstart("--kill", "5", status=1), "a node that there is not was killed")

    lab.check("killed node1" in quickstart("--kill", "1"), "node1 was not killed")
    lab.wait_for("mail by another node", lambda: send(variables, 2, "one is dead") or True, 30, 0.5)
    lab.wait_for("it to be there", lambda: "one is dead" in subjects(variables, 3), 30)
    lab.check("started node1" in quickstart("--start", "1"), "node1 was not started")
    lab.wait_for("node1 to have it", lambda: "one is dead" in subjects(variables, 1), 60, 0.5)

    before = sorted(subjects(variables, 2))
    lab.check("stopped 3 nodes" in quickstart("--stop"), "not all nodes were stopped")
    lab.check(not programs(), f"still there after --stop: {programs()}")
    lab.check("does not run" in quickstart("--status", status=1), "--status after --stop")
    lab.check("the cluster is healthy" in quickstart(), "the cluster did not come back")
    lab.check(sorted(subjects(environment(), 2)) == before, "the mail is not what it was before --stop")
    lab.check("removed" in quickstart("--wipe"), "--wipe said nothing")
    lab.check(not BASE.exists() and not programs(), f"still there after --wipe: {programs()}")
    return f"a cluster in {took:.0f} s, {len(before)} messages"


enter()
prepare()
lab.main(test)
