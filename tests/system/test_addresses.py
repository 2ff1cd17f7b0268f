#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses as operators make them, and what mail then does: aliases, lists, forwards, catch-alls, domains that stand for
others, sub-addresses, disabled accounts, postmaster@, letters beyond ASCII, settings, second passwords, one-time codes,
and the queue of what is for other hosts. One node, everything by `postraft` and by real SMTP and IMAP."""
import base64
import hashlib
import hmac
import imaplib
import smtplib
import ssl
import struct
import time

import lab

SUBMISSION = 'listen "submission" {{ address = {{ "{ip}:2587" }} }} processes {{ relay = 0 }}' # nothing leaves: the queue is looked at
STRANGER = "sender@client.test"
DOMAIN = "example.test"
BUECHER = "bücher.test"
BUECHER_ASCII = "xn--bcher-kva.test"


def at(name, domain=DOMAIN):
    return f"{name}@{domain}"


def insecure_context():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Door:
    """Mail from outside, one message a call; and where it has to turn up."""
    people = [at("ann"), at("bob"), at("eve")]

    def __init__(self, cluster):
        self.cluster, self.node, self.count = cluster, cluster.node(1), 0

    def send(self, recipient, sender=STRANGER, options=()):
        """The token of a message that was taken."""
        self.count += 1
        token = f"mail-{self.count:03}"
        with self.node.smtp() as client:
            client.sendmail(sender, [recipient], lab.message(token, sender, "list@client.test"), mail_options=options)
        return token

    def reaches(self, recipient, users, sender=STRANGER, options=()):
        """It is in the mailboxes of these users, once, and of no others."""
        token = self.send(recipient, sender, options)
        for user in users:
            lab.wait_for(f"mail for {recipient} to reach {user}", lambda user=user: self.copies(user, token) > 0, 15)
        for user in self.people:
            lab.check(self.copies(user, token) == (1 if user in users else 0),
                      f"mail for {recipient} is {self.copies(user, token)} times in {user}, not only in {users}")
        return token

    def copies(self, user, token):
        with self.node.imap(user) as client:
            client.select("INBOX", readonly=True)
            return len(client.search(None, "SUBJECT", f'"{token}"')[1][0].split())

    def refused(self, recipient, code, sender=STRANGER):
        try:
            self.send(recipient, sender)
        except smtplib.SMTPRecipientsRefused as problem:
            got = next(iter(problem.recipients.values()))
            lab.check(got[0] == code, f"mail for {recipient}: {got}, not {code}")
        else:
            raise lab.Failed(f"mail for {recipient} was taken")


def refused_cli(node, word, *words, text=None):
    try:
        node.cli(*words, text=text)
    except lab.Failed as problem:
        lab.check(word in str(problem), f"{words}: refused, but without \"{word}\": {problem}")
    else:
        raise lab.Failed(f"postraft {' '.join(words)} was not refused")


def aliases(door, cli):
    cli("alias", "add", at("info"), at("ann"), at("bob"))
    cli("alias", "add", at("help"), at("info"), at("eve"))
    door.reaches(at("info"), [at("ann"), at("bob")])
    door.reaches(at("HELP"), door.people)  # one within the other
    cli("alias", "change", at("info"), "--remove", at("bob"))
    door.reaches(at("info"), [at("ann")])
    cli("alias", "change", at("info"), "--disable")
    door.refused(at("info"), 550)
    cli("alias", "change", at("info"), "--enable")
    steps = cli("address", "explain", at("help"))
    lab.check(steps["result"] == "accepted" and len(steps["targets"]) == 2, f"explained as {steps}")
    lab.check([row["address"] for row in cli("alias", "list", DOMAIN)["aliases"]] == [at("help"), at("info")],
              "the aliases are not listed as they were made")
    refused_cli(door.node, "already", "alias", "add", at("ann"), at("bob"))
    cli("alias", "remove", at("help"), "--yes")
    door.refused(at("help"), 550)


def lists(door, cli):
    made = cli("list", "add", at("news"), "--owner", at("eve"), "--post", "members", "--description", "The news", "-",
               text=f"{at('ann')}\n{at('bob')}\n")
    lab.check(made["members"] == [at("ann"), at("bob")] and made["post"] == "members", f"made: {made}")
    door.refused(at("news"), 550)                                   # a stranger
    door.reaches(at("news"), [at("ann"), at("bob")], sender=at("ann"))
    door.reaches(at("news-owner"), [at("eve")])
    explained = cli("address", "explain", at("news"), "--from", STRANGER)
    lab.check(explained["result"] == "refused" and "may not write" in explained["text"], f"explained as {explained}")
    cli("list", "change", at("news"), "--post", "owner")
    door.refused(at("news"), 550, sender=at("ann"))
    cli("list", "change", at("news"), "--post", "anyone")
    cli("list", "remove-member", at("news"), at("bob"))
    token = door.reaches(at("news"), [at("ann")])
    head = header_of(door.node, at("ann"), token)
    lab.check("list-id: the news <news.example.test>" in head, f"no List-Id in {head}")


def header_of(node, user, token):
    client = node.imap(user)
    try:
        client.select("INBOX", readonly=True)
        _, data = client.search(None, "SUBJECT", f'"{token}"')
        _, data = client.fetch(data[0].split()[-1].decode(), "(BODY.PEEK[HEADER])")
        return data[0][1].decode(errors="replace").lower()
    finally:
        client.logout()


def forwards(door, cli):
    cli("forward", "set", at("ann"), at("bob"), "--keep")
    lab.check(cli("account", "show", at("ann"))["forward_to"] == [at("bob")], "the forward is not shown")
    door.reaches(at("ann"), [at("ann"), at("bob")])
    cli("forward", "set", at("ann"), at("bob"))
    door.reaches(at("ann"), [at("bob")])
    cli("forward", "clear", at("ann"))
    door.reaches(at("ann"), [at("ann")])


def domains(door, cli):
    door.reaches(at("ann+sub"), [at("ann")])
    door.refused(at("nobody"), 550)
    cli("domain", "route", DOMAIN, "--catch-all", at("bob"), "--separators", "-")
    door.reaches(at("nobody"), [at("bob")])
    door.reaches(at("ann-sub"), [at("ann")])
    door.reaches(at("ann+sub"), [at("bob")])                        # no separator any more
    cli("domain", "route", DOMAIN, "--none")
    cli("domain", "add", "other.test", "--tenant", "example")
    cli("domain", "route", "other.test", "--alias-of", DOMAIN)
    lab.check(cli("domain", "show", "other.test")["alias_of"] == DOMAIN, "the other domain is not shown")
    door.reaches(at("ann+x", "other.test"), [at("ann")])
    door.reaches(at("info", "other.test"), [at("ann")])
    door.reaches(at("postmaster"), [])                              # the cluster's own account has it
    cli("setting", "set", "mail.postmaster", at("eve"), "--domain", DOMAIN)
    lab.wait_for("the setting to count", lambda: door.reaches(at("postmaster"), [at("eve")]), 20)
    door.reaches(at("abuse", "other.test"), [at("eve")])


def disabled(door, cli):
    cli("account", "disable", at("bob"), "--receive")
    door.refused(at("bob"), 550)
    cli("setting", "set", "mail.disabled", "temporary", "--tenant", "example")
    door.refused(at("bob"), 450)
    lab.check(cli("account", "show", at("bob"))["barred_from"] == ["receive"], "the bar is not shown")
    cli("account", "disable", at("bob"))
    lab.check(log_in_fails(door.node, at("bob"), door.cluster.password), "a disabled account logs in")
    cli("account", "enable", at("bob"))
    door.reaches(at("bob"), [at("bob")])


def international(door, cli):
    cli("domain", "add", BUECHER, "--tenant", "example")
    cli("account", "add", at("Jörg", BUECHER), "--generate")
    shown = cli("account", "show", at("JÖRG", BUECHER))
    lab.check(shown["address"] == at("jörg", BUECHER_ASCII) and shown["address_unicode"] == at("jörg", BUECHER),
              f"shown as {shown['address']}")
    cli("alias", "add", at("grüße", BUECHER), at("ann"))
    cli("alias", "add", at("post", BUECHER), at("jörg", BUECHER))
    door.reaches(at("Grüße", BUECHER), [at("ann")], options=["SMTPUTF8"])
    door.reaches(at("Grüße", BUECHER_ASCII), [at("ann")], options=["SMTPUTF8"])
    door.send(at("post", BUECHER_ASCII))
    door.send(at("Jörg", BUECHER), options=["SMTPUTF8"])
    lab.wait_for("mail in a mailbox of letters beyond ASCII",
                 lambda: cli("account", "show", at("jörg", BUECHER))["messages"] == 2, 15)
    lab.check(cli("alias", "show", at("post", BUECHER))["targets_unicode"] == [at("jörg", BUECHER)],
              "the alias is not shown in letters")

def log_in_fails(node, user, password):
    client = imaplib.IMAP4_SSL(node.ip, 2993, ssl_context=insecure_context(), timeout=30)
    try:
        client.login(user, password)
        return False
    except imaplib.IMAP4.error:
        return True
    finally:
        client.shutdown()


def code_of(secret, step):
    digest = hmac.new(base64.b32decode(secret + "=" * (-len(secret) % 8)), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7fffffff) % 1000000:06}"


def secrets(door, cli):
    node, password = door.node, door.cluster.password
    made = cli("account", "app-password", "add", at("ann"), "phone", "--for", "imap")
    lab.check(not log_in_fails(node, at("ann"), made["password"]), "the app password does not log in")
    listed = cli("account", "app-password", "list", at("ann"))["app_passwords"]
    lab.check([(row["name"], row["for"]) for row in listed] == [("phone", ["imap"])], f"listed: {listed}")
    lab.check(made["password"] not in str(cli("account", "show", at("ann"))), "the app password is shown again")
    key = cli("account", "totp", "on", at("ann"))
    lab.check(key["uri"].startswith("otpauth://totp/"), f"the URI is {key['uri']}")
    lab.check(log_in_fails(node, at("ann"), password), "the password alone logs in")
    lab.check(log_in_fails(node, at("ann"), password + "000000"), "a wrong code logs in")
    code = code_of(key["secret"], int(time.time()) // 30)
    lab.check(not log_in_fails(node, at("ann"), password + code), "password and code do not log in")
    lab.check(log_in_fails(node, at("ann"), password + code), "a code logs in twice")
    lab.check(not log_in_fails(node, at("ann"), made["password"]), "the app password does not log in any more")
    lab.check(cli("account", "show", at("ann"))["totp"], "one-time codes are not shown")
    cli("account", "totp", "off", at("ann"))
    lab.check(not log_in_fails(node, at("ann"), password), "the password does not log in")
    cli("account", "app-password", "remove", at("ann"), "phone", "--yes")
    lab.check(log_in_fails(node, at("ann"), made["password"]), "a removed app password logs in")


def passwords(node, cli):
    refused_cli(node, "too short", "account", "add", at("new"), text="12345678\n")
    refused_cli(node, "easy to guess", "account", "add", at("new"), text="password1234567\n")
    cli("account", "add", at("new"), "--weak", text="12345678\n")
    refused_cli(node, "--weak", "account", "password", at("new"), text="87654321\n")
    cli("setting", "set", "password.length", "8", "--tenant", "example")
    cli("account", "password", at("new"), text="vEk-9rTw\n")


def submit(door, sender, recipient):
    with smtplib.SMTP(door.node.ip, 2587, local_hostname="client.test", timeout=40) as client:
        client.starttls(context=insecure_context())
        client.login(sender, door.cluster.password)
        client.sendmail(sender, [recipient], lab.message("out", sender, recipient))


def queue(door, cli):
    far = "somebody@far.test"
    try:
        submit(door, at("ann"), far)
    except smtplib.SMTPRecipientsRefused as problem:
        lab.check(problem.recipients[far][0] == 550, f"refused: {problem.recipients}")
    else:
        raise lab.Failed("mail left the cluster that must not")
    cli("setting", "set", "mail.outbound", "on", "--tenant", "example")
    lab.check(cli("setting", "list", "--tenant", "example")["settings"][-1]["name"] != "", "no settings")
    lab.wait_for("mail for another host to be taken", lambda: submit(door, at("ann"), far) is None, 20)
    submit(door, at("eve"), "x@elsewhere.test")
    rows = cli("queue", "list")["messages"]
    lab.check({(row["from"], row["first_to"]) for row in rows}
              == {(at("ann"), far), (at("eve"), "x@elsewhere.test")}, f"in the queue: {rows}")
    row = cli("queue", "list", "--to", "far.test")["messages"]
    lab.check(len(row) == 1 and cli("queue", "list", "--from", at("ann"))["messages"] == row, "the filters differ")
    name = row[0]["id"]
    lab.check(cli("queue", "hold", name, "--reason", "asked")["changed"] == 1, "it is not held")
    shown = cli("queue", "show", name)
    lab.check(shown["state"] == "held" and shown["held_reason"] == "asked"
              and shown["recipients"][0]["address"] == far, f"shown: {shown}")
    lab.check(cli("queue", "release", name)["changed"] == 1, "it is not released")
    lab.check(cli("queue", "retry", name)["named"] == 1, "it is not retried")
    lab.check(cli("queue", "drop", name, "--yes")["changed"] == 1, "it is not dropped")
    lab.check(len(cli("queue", "list")["messages"]) == 1, "it is there all the same")
    refused_cli(door.node, "no message", "queue", "show", name)


def test():
    cluster = lab.Cluster(1, network=34)
    cluster.extra = SUBMISSION.replace("{{", "{").replace("}}", "}").replace("{ip}", cluster.node(1).ip)
    with cluster:
        cluster.add_accounts(["ann", "bob", "eve"])
        door = Door(cluster)
        for part in (aliases, lists, forwards, domains, disabled, international, secrets, queue):
            part(door, cluster.node(1).cli)
            print(f"ok {part.__name__}", flush=True)
        passwords(cluster.node(1), cluster.node(1).cli)
        lab.check(cluster.node(1).stop(60) == 0, "the node stops cleanly")
        text = (cluster.node(1).folder / "log").read_text(errors="replace")
        lab.check(not any(word in text for word in ("AddressSanitizer", "runtime error", "LeakSanitizer")),
                  "a sanitizer spoke")
        return f"{door.count} messages"


lab.main(test)
