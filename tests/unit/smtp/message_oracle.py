#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""smtp/message against Python's email package: message_oracle.py TOOL [SEED]. Makes messages from a seed, has the tool
edit, count and convert them, and reads what comes out with a parser that knows nothing of ours."""
import email
import email.policy
import random
import struct
import subprocess
import sys

ROUNDS = 400
DROPPED = {"return-path", "received-spf", "x-spam-flag", "x-postraft-tenant"}
tool = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
seed = int(sys.argv[2]) if len(sys.argv) > 2 else 4
rng = random.Random(seed)


def ask(kind, message):
    tool.stdin.write(kind + struct.pack(">I", len(message)) + message)
    tool.stdin.flush()
    output, report = (tool.stdout.read(struct.unpack(">I", tool.stdout.read(4))[0]) for _ in range(2))
    lines = {}
    for line in report.decode("utf-8", "surrogateescape").splitlines():
        word, _, rest = line.partition(" ")
        lines.setdefault(word, []).append(rest)
    return output, lines


def check(is_right, what, message, *rest):
    if not is_right:
        sys.exit(f"seed {seed}: {what}\n{message!r}\n" + "\n".join(repr(each) for each in rest))


def fold(text):
    """Line breaks in front of some of the spaces."""
    return "".join("\r\n " if c == " " and rng.random() < 0.2 else c for c in text)


def address(found):
    local, plain = rng.choice([("anna", "anna"), ("a.b+c", "a.b+c"), ('"a b"', "a b"), ('"x@y"', "x@y"), ("o'neil", "o'neil"),
                               ('"q\\"r"', 'q"r')])
    domain = rng.choice(["a.example", "B.example", "xn--bcher-kva.example", "[192.0.2.1]"])
    found.append(f"{plain}@{domain}")
    spec = f"{local}@{domain}"
    return rng.choice([spec, f"<{spec}>", f"Some Body <{spec}>", f'"Body, S. (x) <y@z>" <{spec}>', f"{spec} (a (b) c)",
                       f"=?utf-8?q?=C3=A4?= <{spec}>"])


def addresses(found=None):
    listed = ", ".join(address([] if found is None else found) for _ in range(rng.randint(1, 3)))
    return f"Some friends: {listed};" if rng.random() < 0.15 else listed


def header_fields(senders):
    makers = {
        "From": lambda: addresses(senders), "To": addresses, "Bcc": addresses, "Resent-Bcc": addresses, "Reply-To": addresses,
        "Subject": lambda: rng.choice(["", "a b c", "=?utf-8?b?w6Q=?= x", "Bcc: no field"]),
        "Date": lambda: "Sat, 21 Nov 2026 21:09:30 +0100", "Message-ID": lambda: "<1@a.example>",
        "Return-Path": lambda: "<x@y>", "Received-SPF": lambda: "pass (all is well)", "X-Spam-Flag": lambda: "NO",
        "X-Postraft-Tenant": lambda: "1", "X-Spam": lambda: "1", "Received": lambda: "from x by y ; now",
        "Authentication-Results": lambda: rng.choice(["us.example; none", "(c) US.example 1; x=y", "mx.example; x=y",
                                                      '"us.example" ; none', "mx.us.example; none"]),
    }
    for _ in range(rng.randint(0, 12)):
        name = rng.choice(list(makers))
        yield rng.choice([name, name.lower(), name.upper()]), fold(makers[name]())


def is_ours(value):
    text = value.split(")", 1)[-1] if value.lstrip().startswith("(") else value
    return text.split(";")[0].replace('"', "").split()[0].lower() == "us.example"


def is_dropped(name, value, submission):
    name = name.lower()
    if name in DROPPED or (submission and name in ("bcc", "resent-bcc")):
        return True
    return name == "authentication-results" and is_ours(value)


def check_header(submission):
    senders = []
    fields = list(header_fields(senders))
    body = rng.choice([b"", b"Bcc: body\r\n", b"x\r\n\r\n\xff\r\n"])
    message = "".join(f"{name}: {value}\r\n" for name, value in fields).encode() + b"\r\n" + body
    output, report = ask(b"S" if submission else b"R", message)
    before = email.message_from_bytes(message, policy=email.policy.compat32)
    after = email.message_from_bytes(output, policy=email.policy.compat32)
    want = [(n, v) for n, v in before.items() if not is_dropped(n, v, submission)]
    if submission and "date" not in before:
        want.append(("Date", "Sun, 22 Nov 2026 08:00:00 +0000"))
    if submission and "message-id" not in before:
        want.append(("Message-ID", "<added@us.example>"))
    check(after.items() == want, "other fields", message, output, want)
    check(output.endswith(b"\r\n" + body), "another body", message, output)
    check(report.get("from", []) == senders, "other senders", message, report, senders)
    first = (before.get("subject") or "").replace("\r\n", "").strip()
    check(report["subject"] == [first], "another subject", message, report)


class Maker:
    """A MIME tree with the content of its leaves, in order."""

    def __init__(self):
        self.leaves = []
        self.parts = 0
        self.boundaries = 0

    def leaf(self):
        kind = rng.choice(["text/plain; charset=utf-8", "image/png", "application/octet-stream", "text/html"])
        encoding = rng.choice(["binary", "binary", "BINARY", "8bit", "7bit"])
        if encoding.lower() == "binary":
            content = rng.choice([rng.randbytes(rng.randint(0, 400)), b"lines\r\n\xc3\xa4\r\n", b"", b"\r\n", b"-", b"\r",
                                  b"--b1xx\r\n--b", rng.randbytes(70000), b"no line end", b"x\n" * 50])
        else:
            content = b"some text\r\n" * rng.randint(0, 3)
        self.leaves.append(content)
        return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + content

    def multipart(self, depth):
        self.boundaries += 1
        boundary = f"b{self.boundaries}x".encode()
        parts = [self.entity(depth + 1) for _ in range(rng.randint(1, 4))]
        head = b'Content-Type: multipart/mixed;\r\n boundary="' + boundary + b'"\r\n'
        encoding = rng.choice([b"", b"Content-Transfer-Encoding: binary\r\n"])
        return (head + encoding + b"\r\npreamble" + b"".join(b"\r\n--" + boundary + b"\r\n" + part for part in parts)
                + b"\r\n--" + boundary + b"--\r\n")

    def entity(self, depth=0):
        self.parts += 1
        choice = rng.random() if depth < 5 else 1
        if choice < 0.4:
            return self.multipart(depth)
        if choice < 0.5:
            return (b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\nSubject: inside\r\n"
                    + self.entity(depth + 1))
        return self.leaf()


def check_structure():
    maker = Maker()
    message = b"Subject: x\r\nMIME-Version: 1.0\r\n" + maker.entity()
    output, report = ask(b"M", message)
    check(report["parts"] == [str(maker.parts)] and report["faults"] == ["0"], "other parts", message, report)
    output, report = ask(b"B", message)
    parsed = email.message_from_bytes(output, policy=email.policy.compat32)
    leaves = [part.get_payload(decode=True) for part in parsed.walk() if not part.is_multipart()]
    check(len(leaves) == len(maker.leaves), "another number of leaves", message, output)
    for got, want in zip(leaves, maker.leaves):
        check(got == want, "another content", message, output, got, want)
    check(report["binary"] == ["0"] and b"\0" not in output, "binary is left", message, output)
    check(output.count(b"\n") == output.count(b"\r\n") == output.count(b"\r"), "ends of lines", message, output)
    for part in parsed.walk():
        check(part.get("content-transfer-encoding", "").lower() != "binary", "binary by name", message, output)


for number in range(ROUNDS):
    check_header(number % 2 == 0)
    check_structure()
tool.stdin.close()
sys.exit(tool.wait())
