# SPDX-License-Identifier: GPL-2.0-or-later
"""Mail through a quickstart cluster and back, by curl. Used by quickstart_cluster.py."""
import email
import email.message
import email.policy
import hashlib
import os
import re
import subprocess
import tempfile

from quickstart_nodes import Problem, wait_for

ATTACHMENT_SIZE = 10 * 1024 * 1024


def curl(*words, secret=""):
    """`secret` are lines of a curl configuration: they do not show in the list of processes."""
    run = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "60", "--config", "-", *words],
                         input=secret.encode(), capture_output=True, check=False)
    if run.returncode != 0:
        raise Problem(f"curl {words[-1]}: {run.stderr.decode().strip()}")
    return run.stdout


def send(node, sender, recipients, message):
    with tempfile.NamedTemporaryFile() as file:
        file.write(message)
        file.flush()
        to = [word for recipient in recipients for word in ("--mail-rcpt", recipient)]
        curl("--mail-from", sender, *to, "--upload-file", file.name, f"smtp://{node.ip}:2525/client.test")


def imap(node, account, path, *words):
    user, password = account
    return curl("--insecure", *words, f"imaps://{node.ip}:2993/{path}", secret=f'user = "{user}:{password}"\n')


def count(node, account):
    answer = imap(node, account, "", "--request", "STATUS INBOX (MESSAGES)").decode()
    found = re.search(r"MESSAGES (\d+)", answer)
    if found is None:
        raise Problem(f"{node.name} gave no answer to STATUS: {answer!r}; see {node.log}")
    return int(found.group(1))


def fetch(node, account, number):
    """Message `number` of the INBOX, once it is there."""
    if not wait_for(lambda: count(node, account) >= number, 20, 0.2):
        raise Problem(f"message {number} of {account[0]} did not come to {node.name}; see {node.log}")
    return imap(node, account, f"INBOX;MAILINDEX={number}")


def compare(node, account, number, sent):
    received = fetch(node, account, number)
    if not received.endswith(sent):
        raise Problem(f"{account[0]} on {node.name}: message {number} is not what was sent "
                      f"({len(sent)} bytes sent, {len(received)} received); see {node.log}")
    return received


def digest(message):
    """SHA-256 of a message's attachment."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    return hashlib.sha256(next(parsed.iter_attachments()).get_content()).hexdigest()


def compose(subject, recipients, attachment=None):
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"] = "Quickstart <sender@client.test>"
    message["To"] = ", ".join(recipients)
    message["Subject"] = subject
    message["Message-ID"] = email.utils.make_msgid(domain="client.test")
    message["Date"] = email.utils.localtime()
    message.set_content(f"{subject}.\nA line of its own.\n.\nA dot stood alone above.\n")
    if attachment is not None:
        message.add_attachment(attachment, maintype="application", subtype="octet-stream", filename="random.bin")
    return message.as_bytes()


def prove(nodes, accounts, step):
    """A small message to all, a large one to the first; read from another node than the one it was sent to."""
    sender, addresses = "sender@client.test", [account[0] for account in accounts]
    before = {account: count(nodes[0], account) for account in accounts}
    near, other, last = nodes[0], nodes[1 % len(nodes)], nodes[-1]

    small = compose("A first message", addresses)
    send(near, sender, addresses, small)
    step(f"sent a message of {len(small)} bytes to {' and '.join(addresses)} by SMTP to {near.name}")
    for account in accounts:
        compare(other, account, before[account] + 1, small)
    step(f"read it back by IMAP from {other.name}, for both: the same bytes")

    large = compose("An attachment of 10 MB", addresses[:1], os.urandom(ATTACHMENT_SIZE))
    send(near, sender, addresses[:1], large)
    step(f"sent one with an attachment of {ATTACHMENT_SIZE} bytes to {addresses[0]} by SMTP to {near.name}")
    received = compare(last, accounts[0], before[accounts[0]] + 2, large)
    if digest(received) != digest(large):
        raise Problem(f"the attachment that {last.name} gave is another one; see {last.log}")
    step(f"read it back by IMAP from {last.name}: SHA-256 {digest(received)[:16]}..., the same")
