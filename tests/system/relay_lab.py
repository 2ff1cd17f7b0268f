# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of outgoing mail share: a cluster with submission, whose mail for sK.test goes to a sink on 127.0.N.K."""
import asyncio
import contextlib
import email
import email.policy
import imaplib
import signal
import smtplib
import ssl
import threading

import lab
from sink import Sink

PORT = 2526
EXTRA = """
listen "submission" {{ address = {{ "{ip}:2587" }} }}
"""
RELAY = 'relay {{ routes = {{ {routes} }} {more} }}'
HOSTS = range(20, 64)


class Node(lab.Node):
    def prepare(self):
        network = self.cluster.network
        routes = ", ".join(f'"s{k}.test=[127.0.{network}.{k}]:{PORT}"' for k in HOSTS)
        relay = RELAY.format(routes=", ".join(filter(None, (routes, self.cluster.routes))), more=self.cluster.relay)
        self.cluster.extra = EXTRA.format(ip=self.ip) + relay + self.cluster.more
        super().prepare()


class Cluster(lab.Cluster):
    """`relay`: more of the section; `routes`: more of its routes; `more`: other sections."""
    node_class = Node

    def __init__(self, count, network, relay='retry = { "2s", "3s" }', routes="", more="", **options):
        self.relay, self.routes, self.more = relay, routes, more
        super().__init__(count, network, **options)

    def __exit__(self, kind, value, trace):
        """Whoever is still there ends in order; sanitizers have nothing to say, also not at the end."""
        try:
            if kind is None:
                self.stop_all()
        except BaseException:
            kind = lab.Failed
            raise
        finally:
            super().__exit__(kind, value, trace)

    def stop_all(self):
        running = [node for node in self.nodes if node.running()]
        for node in running:
            node.process.send_signal(signal.SIGTERM)
        for node in running:
            status = node.process.wait(40)
            lab.check(status == 0, f"{node.name} ended with {status}")
        for node in self.nodes:
            for word in ("Sanitizer", "runtime error", "check failed", "signal=6", "signal=11"):
                found = log_lines(node, word)
                lab.check(not found, f"{node.name}: {found[:3]}")

    def show_logs(self):
        """Log-ins and the like are of no interest here."""
        for node in self.nodes:
            print(f"---- log of {node.name}, its end ----")
            print("\n".join([line for line in log_lines(node) if "event=login" not in line][-80:]))

    def ip(self, k):
        return f"127.0.{self.network}.{k}"

    def sink(self, k, **options):
        return Sink(self.ip(k), PORT, name=f"mx.s{k}.test", **options)

    def open(self, names):
        """Accounts, and the door out."""
        users = self.add_accounts(names)
        self.node(1).cli("setting", "set", "mail.outbound", "on")
        self.node(1).cli("setting", "set", "sending.class", "custom", "--tenant", "example")
        for name in ("sending.hour", "sending.day", "sending.tenant_hour", "sending.tenant_day"):
            with contextlib.suppress(lab.Failed):
                self.node(1).cli("setting", "set", name, "0", "--tenant", "example")
        client = Client(self.node(1), users[0])
        lab.wait_for("mail for other hosts to be taken", lambda: client.takes("probe@s20.test"), 30)
        client.close()
        return users


class Gate:
    """Answers of a sink: at one stage nothing is said before open() says what."""

    def __init__(self, stage):
        self.stage = stage
        self.waiting = 0
        self.opened = threading.Event()
        self.reply = None

    def __call__(self, _talk, stage, _words):
        return self.wait() if stage == self.stage and not self.opened.is_set() else None

    async def wait(self):
        self.waiting += 1
        while not self.opened.is_set():
            await asyncio.sleep(0.02)
        return self.reply

    def open(self, reply=None):
        self.reply = reply
        self.opened.set()


class Client:
    """Logged in at the submission port."""

    def __init__(self, node, user, timeout=60):
        self.user = user
        self.smtp = smtplib.SMTP(node.ip, 2587, local_hostname="client.test", timeout=timeout)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.smtp.starttls(context=context)
        self.smtp.login(user, node.cluster.password)

    def takes(self, recipient):
        self.smtp.mail(self.user)
        code, _ = self.smtp.rcpt(recipient)
        self.smtp.rset()
        return code == 250

    def send(self, recipients, data=None, token="token", mail=(), rcpt=(), sender=None):
        """The reply's text. `recipients`: addresses, or (address, options)."""
        sender = self.user if sender is None else sender
        recipients = [recipients] if isinstance(recipients, str) else recipients
        self.expect(self.smtp.mail(sender, list(mail)), 250, "MAIL")
        for recipient in recipients:
            address, options = (recipient, rcpt) if isinstance(recipient, str) else recipient
            self.expect(self.smtp.rcpt(address, list(options)), 250, f"RCPT {address}")
        if data is None:
            data = lab.message(token, self.user, str(recipients[0]))
        code, text = self.smtp.data(data)
        self.expect((code, text), 250, "DATA")
        return text.decode()

    @staticmethod
    def expect(answer, code, what):
        lab.check(answer[0] == code, f"{what}: {answer}")

    def close(self):
        with contextlib.suppress(OSError, smtplib.SMTPException):
            self.smtp.quit()


def send(node, user, recipients, **options):
    client = Client(node, user)
    try:
        return client.send(recipients, **options)
    finally:
        client.close()


class Inbox:
    """A session that stays: messages of the INBOX, parsed."""

    def __init__(self, node, user):
        self.client = node.imap(user)
        self.client.select("INBOX", readonly=True)

    def messages(self):
        self.client.noop()
        if self.client.untagged_responses.get("EXISTS", [b"0"])[-1] == b"0":
            return []
        status, data = self.client.fetch("1:*", "(BODY.PEEK[])")
        lab.check(status == "OK", f"FETCH: {data}")
        return [email.message_from_bytes(part[1], policy=email.policy.default) for part in data
                if isinstance(part, tuple)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            self.client.logout()


class Notice:
    """A delivery status notification (RFC 3464), checked for its form."""

    def __init__(self, message):
        self.message = message
        lab.check(message.get_content_type() == "multipart/report", f"a notice is a {message.get_content_type()}")
        lab.check(message.get_param("report-type") == "delivery-status", f"report-type of {message['Content-Type']}")
        lab.check(message["Return-Path"] == "<>", f"a notice with a return path: {message['Return-Path']}")
        lab.check(message["Auto-Submitted"] is not None, "Auto-Submitted")
        lab.check(not message.defects, f"defects: {message.defects}")
        self.parts = list(message.iter_parts())
        lab.check(len(self.parts) == 3, f"{len(self.parts)} parts")
        lab.check(self.parts[0].get_content_type() == "text/plain", "the first part is for people")
        self.text = self.parts[0].get_content()
        lab.check(self.parts[1].get_content_type() in ("message/delivery-status", "message/global-delivery-status"),
                  f"the second part is a {self.parts[1].get_content_type()}")
        blocks = self.parts[1].get_payload()
        self.fields, self.recipients = blocks[0], blocks[1:]
        lab.check(self.fields["Reporting-MTA"] is not None, "Reporting-MTA")
        lab.check(len(self.recipients) > 0, "no recipients")
        for block in self.recipients:
            for name in ("Final-Recipient", "Action", "Status"):
                lab.check(block[name] is not None, f"{name} in {block}")
        self.original = self.parts[2]

    def of(self, address):
        found = [block for block in self.recipients if address in block["Final-Recipient"]]
        lab.check(len(found) == 1, f"{len(found)} blocks of {address} in {self.parts[1].as_string()}")
        return found[0]

    def actions(self):
        return {block["Final-Recipient"].split(";")[1].strip(): block["Action"] for block in self.recipients}


def wait_notices(node, user, count=1, seconds=30, pause=0.2):
    """So many, and not one more."""
    with Inbox(node, user) as box:
        def there():
            found = [m for m in box.messages() if m.get_content_type() == "multipart/report"]
            return found if len(found) >= count else None
        found = lab.wait_for(f"{count} notices of {user}", there, seconds, pause) if count else box.messages()
    lab.check(len(found) == count, f"{len(found)} notices of {user}, not {count}")
    return [Notice(message) for message in found]


def queue(node, *words):
    return node.cli("queue", "list", *words)["messages"]


def wait_gone(node, user, seconds=30):
    lab.wait_for(f"the queue to be without mail of {user}", lambda: not queue(node, "--from", user), seconds, 0.2)


def log_lines(node, *words):
    return [line for line in (node.folder / "log").read_text(errors="replace").splitlines()
            if all(word in line for word in words)]
