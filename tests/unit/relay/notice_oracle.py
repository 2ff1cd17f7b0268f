#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Delivery status notifications as Python's email package reads them: notice_oracle.py TOOL [SEED]."""
import email
import email.parser
import email.policy
import email.utils
import quopri
import random
import re
import subprocess
import sys

NOW, ARRIVAL, TRIED, UNTIL, BY = 1795353600, 1795348800, 1795353000, 1795780800, 1795352400
ACTIONS = ["failed", "delayed", "relayed", "delivered", "expanded"]
NEEDS_8BIT, NEEDS_UTF8 = 1, 2
HEADER = (b"Received: from client.example by mx.here.example; Sun, 22 Nov 2026 12:00:00 +0000\r\n"
          b"From: Anna <anna@here.example>\r\nTo: bob@there.example\r\nSubject: Of\r\n ducks\r\n"
          b"Message-ID: <1@here.example>\r\n")
BODY = b"Hello Bob,\r\n\r\nducks.\r\n"
tool = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
seed = int(sys.argv[2]) if len(sys.argv) > 2 else 7
rng = random.Random(seed)


def check(is_right, what, *shown):
    if not is_right:
        sys.exit(f"seed {seed}: {what}\n" + "\n".join(repr(each) for each in shown))


def to_bytes(value):
    return value if isinstance(value, bytes) else str(value).encode()


def make(recipients, **notice):
    """The message, and what it needs."""
    fields = {"id": "1-abc", "hostname": "mx.here.example", "now": NOW, "arrival": ARRIVAL,
              "sender": "anna@here.example", "header": HEADER, "header_whole": 1} | notice
    lines = [f"{name} {to_bytes(value).hex()}" for name, value in fields.items()]
    for recipient in recipients:
        lines.append("recipient")
        lines += [f"{name} {to_bytes(value).hex()}" for name, value in recipient.items()]
    tool.stdin.write("\n".join(lines).encode() + b"\n\n")
    tool.stdin.flush()
    size, needs = map(int, tool.stdout.readline().split())
    raw = tool.stdout.read(size)
    check_lines(raw)
    return raw, needs


def check_lines(raw):
    check(raw.endswith(b"\r\n") and b"\0" not in raw, "no end, or NUL", raw)
    for line in raw[:-2].split(b"\r\n"):
        check(len(line) <= 998, "a line that is too long", line)
        check(b"\r" not in line and b"\n" not in line, "a CR or LF alone", line)


def parse(raw):
    message = email.message_from_bytes(raw, policy=email.policy.default)
    check(not message.defects, "defects", message.defects, raw)
    check(message.get_content_type() == "multipart/report", "type", raw)
    check(message.get_param("report-type") == "delivery-status", "report-type", raw)
    check(all(not part.defects for part in message.iter_parts()), "defects of parts", raw)
    return message


def parts_of(raw):
    """(type, encoding, decoded content) of each part, cut by hand: Python decodes no message/*."""
    message = parse(raw)
    boundary = b"--" + message.get_boundary().encode()
    head, *pieces = raw.split(b"\r\n" + boundary)
    check(pieces[-1] == b"--\r\n" and boundary not in head.split(b"\r\n\r\n", 1)[1], "boundary", raw)
    check(raw.count(boundary) == len(pieces), "the boundary inside a part", raw)
    found = []
    for piece in pieces[:-1]:
        header, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = email.parser.BytesHeaderParser(policy=email.policy.default).parsebytes(header)
        encoding = fields["Content-Transfer-Encoding"]
        if encoding == "quoted-printable":
            check(all(byte < 128 for byte in content), "8 bits in quoted-printable", content)
            check(all(len(line) <= 76 for line in content.split(b"\r\n")), "quoted lines", content)
            content = quopri.decodestring(content)
        elif encoding == "7bit":
            check(all(byte < 128 for byte in content), "8 bits in 7bit", content)
        else:
            check(encoding == "8bit" and message["Content-Transfer-Encoding"] == "8bit", "encoding", raw)
        found.append((fields.get_content_type(), encoding, content, fields))
    return found


def groups_of(raw):
    """The blocks of the second part: [{name: [values]}], unfolded."""
    content = parts_of(raw)[1][2]
    check(b"\r\n\r\n\r\n" not in content, "empty lines", content)
    groups = []
    for block in content.removesuffix(b"\r\n").split(b"\r\n\r\n"):
        fields = {}
        for line in re.sub(rb"\r\n([ \t])", rb"\1", block).removesuffix(b"\r\n").split(b"\r\n"):
            name, colon, value = line.partition(b": ")
            check(colon and re.fullmatch(rb"[A-Za-z-]+", name), "no field", line, raw)
            check(name not in fields, "a field twice", name, raw)
            fields[name.decode()] = value.decode()
        groups.append(fields)
    return groups


def date(seconds):
    return email.utils.format_datetime(email.utils.datetime.datetime.fromtimestamp(
        seconds, email.utils.datetime.timezone.utc))


def recipient(**more):
    return {"address": "bob@there.example", "action": 0, "status": "5.1.1",
            "remote": "mx.there.example [192.0.2.1]", "diagnostic": "550 5.1.1 No such user", "tried": TRIED} | more


def test_failed():
    raw, needs = make([recipient(orcpt="rfc822;Bob@there.example")], envid="QQ 314+15", by=BY, trace="0123abc",
                      postmaster="here.example")
    message = parse(raw)
    check(needs == 0 and message["From"] == "Mail Delivery System <MAILER-DAEMON@here.example>", "From", raw)
    check(message["To"] == "anna@here.example" and message["Auto-Submitted"] == "auto-replied", "To", raw)
    check(message["Date"].datetime.timestamp() == NOW and message["MIME-Version"] == "1.0", "Date", raw)
    check(message["Message-ID"] == "<1-abc@mx.here.example>", "Message-ID", raw)
    check(message["In-Reply-To"] == message["References"] == "<1@here.example>", "In-Reply-To", raw)
    check("could not be delivered" in message["Subject"], "Subject", raw)
    check(groups_of(raw) == [
        {"Original-Envelope-Id": "QQ 314+15", "Reporting-MTA": "dns; mx.here.example", "Arrival-Date": date(ARRIVAL),
         "Deliver-By-Date": date(BY)},
        {"Original-Recipient": "rfc822;Bob@there.example", "Final-Recipient": "rfc822; bob@there.example",
         "Action": "failed", "Status": "5.1.1", "Remote-MTA": "dns; mx.there.example",
         "Diagnostic-Code": "smtp; 550 5.1.1 No such user", "Last-Attempt-Date": date(TRIED)}], "groups", groups_of(raw))
    # As a mail program reads it.
    text, status, original = message.iter_parts()
    check([part.get_content_type() for part in (text, status, original)] ==
          ["text/plain", "message/delivery-status", "text/rfc822-headers"], "types", raw)
    words = text.get_content()
    for want in ("<bob@there.example>", "mx.there.example [192.0.2.1] said:", "550 5.1.1 No such user",
                 "not tried any further", "no such address", "postmaster@here.example", "0123abc", "mx.here.example"):
        check(want in " ".join(words.split()), f"the words without {want}", words)
    check([block["Action"] for block in status.get_payload()] == [None, "failed"], "blocks", raw)
    check(original.get_payload(decode=True) == HEADER, "header", original.get_payload())


def test_delayed():
    raw, _ = make([recipient(action=1, status="4.4.1", remote="", diagnostic="connection timed out", until=UNTIL)])
    group = groups_of(raw)[1]
    check(group["Action"] == "delayed" and group["Status"] == "4.4.1" and "Remote-MTA" not in group, "group", group)
    check(group["Will-Retry-Until"] == date(UNTIL), "until", group)
    check(group["Diagnostic-Code"] == "x-postraft; connection timed out", "own words", group)
    words = " ".join(parse(raw).get_body().get_content().split())
    for want in ("no failure", "need not send it again", "It will be tried until " + date(UNTIL), "No host was reached"):
        check(want in words, f"the words without {want}", words)
    check("delayed" in parse(raw)["Subject"], "Subject", raw)
    # What looks like a reply is none when nobody was reached.
    raw, _ = make([recipient(remote="", diagnostic="450 hosts were tried")])
    check(groups_of(raw)[1]["Diagnostic-Code"] == "x-postraft; 450 hosts were tried", "own words", raw)
    # Will-Retry-Until is of delays alone, and nothing is said of what is not known.
    raw, _ = make([recipient(until=UNTIL, tried=0, remote="", diagnostic="")], arrival=0)
    check(groups_of(raw) == [{"Reporting-MTA": "dns; mx.here.example"},
                             {"Final-Recipient": "rfc822; bob@there.example", "Action": "failed", "Status": "5.1.1"}],
          "what is not known", groups_of(raw))


def test_actions_and_status():
    for action, name in enumerate(ACTIONS):
        for status in ("5.1.1", "4.4.7", "2.1.5", "", "5.1", "5.01.1", "5.1.1000", "5.1.1 x", "x", "3.0.0", "5.1.1\r\nX: y"):
            fine = status in {"failed": ("5.1.1", "4.4.7"), "delayed": ("4.4.7",)}.get(name, ("2.1.5",))
            unknown = {"failed": "5.0.0", "delayed": "4.0.0"}.get(name, "2.0.0")
            raw, _ = make([recipient(action=action, status=status)])
            group = groups_of(raw)[1]
            check(group["Action"] == name, "action", group)
            check(group["Status"] == (status if fine else unknown), f"status of {name} {status}", group)


def test_orcpt():
    for orcpt, want in (("rfc822;a@b", "rfc822;a@b"), ("x400;/C=us;x", "x400;/C=us;x"), ("a@b", "unknown;a@b"),
                        ("rfc 822;a@b", "unknown;rfc 822;a@b"), (";a@b", "unknown;;a@b"), ("(c)x;a@b", "unknown;(c)x;a@b")):
        raw, _ = make([recipient(orcpt=orcpt)])
        check(groups_of(raw)[1]["Original-Recipient"] == want, "orcpt", orcpt, groups_of(raw)[1])


def test_reply_of_several_lines():
    reply = "550-5.7.1 Your mail was refused.\r\n550-5.7.1 See https://there.example/" + "x" * 1200 + "\r\n550 5.7.1 Bye"
    raw, _ = make([recipient(diagnostic=reply)])
    got = groups_of(raw)[1]["Diagnostic-Code"]
    check(got.replace(" ", "") == ("smtp;" + reply).replace("\r\n", "").replace(" ", ""), "reply", got)
    words = parse(raw).get_body().get_content()
    check("\n      550-5.7.1 Your mail was refused.\r\n" in words and "\n      550 5.7.1 Bye\r\n" in words, "lines", words)
    raw, _ = make([recipient(diagnostic="550 " + "no " * 5000)])
    check(groups_of(raw)[1]["Diagnostic-Code"].endswith("[...]"), "a long reply", raw)


def test_many():
    people = [recipient(address=f"user{i}@there.example", action=i % 5, orcpt=f"rfc822;u{i}@x.example" if i % 3 else "",
                        status=["5.1.1", "4.2.1", "2.1.5", "2.1.5", "2.1.5"][i % 5],
                        diagnostic=f"550 5.1.1 <user{i}@there.example> unknown, and that is all that can be said of them")
              for i in range(100)]
    raw, _ = make(people)
    groups = groups_of(raw)[1:]
    check([group["Final-Recipient"] for group in groups] == [f"rfc822; user{i}@there.example" for i in range(100)],
          "who", groups)
    check([group["Action"] for group in groups] == [ACTIONS[i % 5] for i in range(100)], "actions", groups)
    check([group.get("Original-Recipient") for group in groups] ==
          [f"rfc822;u{i}@x.example" if i % 3 else None for i in range(100)], "originals", groups)
    words = parse(raw).get_body().get_content()
    check([line.strip() for line in words.splitlines() if line.startswith("  <")] ==
          [f"<user{i}@there.example>" for action in range(5) for i in range(action, 100, 5)], "words", words)


def test_original():
    # Nothing of it could be had.
    raw, _ = make([recipient()], header="")
    check(len(parts_of(raw)) == 2 and "In-Reply-To" not in parse(raw), "no header", raw)
    # RET=FULL of a failure: all of it. Of anything else, or of what cannot be carried, the header.
    full = {"ret": 1, "body": BODY, "body_whole": 1}
    for more, want in (({}, True), ({"ret": 2}, False), ({"ret": 0}, False), ({"body_whole": 0}, False),
                       ({"header_whole": 0}, False), ({"body": b"x" * 998 + b"\r\n"}, True),
                       ({"body": b"x" * 999 + b"\r\n"}, False), ({"body": b"a\nb\r\n"}, False),
                       ({"body": b"a\rb\r\n"}, False), ({"body": b"a\0b\r\n"}, False), ({"body": b"no end"}, True),
                       ({"body": b"ends with CR\r"}, False), ({"body": b""}, True),
                       ({"body": b"0123456789\r\n" * 4100}, True), ({"body": b"0123456789\r\n" * 4200}, False)):
        raw, needs = make([recipient()], **(full | more))
        kind, encoding, content, _ = parts_of(raw)[2]
        check(needs == 0 and kind == ("message/rfc822" if want else "text/rfc822-headers"), "type", more, kind)
        if want:
            body = (full | more)["body"]
            check(content.removesuffix(b"\r\n") == (HEADER + b"\r\n" + body).removesuffix(b"\r\n") and encoding == "7bit",
                  "all of it", content)
            check(list(parse(raw).iter_parts())[2].get_content()["Subject"] == "Of ducks", "parsed", raw)
    raw, _ = make([recipient(action=1, status="4.0.0")], **full)
    check(parts_of(raw)[2][0] == "text/rfc822-headers", "a delay with the whole message", raw)
    raw, needs = make([recipient()], **(full | {"body": "für Bob\r\n"}))
    check(needs == NEEDS_8BIT and parts_of(raw)[2][:2] == ("message/rfc822", "8bit"), "8 bits", raw)


def test_header():
    # 8-bit bytes, bare line ends, long lines and NUL come back as they were.
    for odd in (b"Subject: f\xfcr Bob\r\n", "Subject: für\r\n".encode(), b"X: " + b"y" * 3000 + b"\r\n", b"X: a\nb\r\n",
                b"X: a\rb\r\n", b"X: a\0b\r\n", b"X: y \r\n", b"X: =3D\t\r\n"):
        for utf8 in (0, 1):
            raw, needs = make([recipient()], header=odd + HEADER, utf8=utf8)
            kind, encoding, content, _ = parts_of(raw)[2]
            check(content == odd + HEADER, "header", odd, content)
            want = "message/global-headers" if utf8 and "ü".encode() in odd else "text/rfc822-headers"
            check(kind == want and needs == 0, "type", kind, odd, utf8)
    # The header ends at the first empty line; what was cut loses the field that was hit.
    for header, whole, want in ((HEADER + b"\r\nbody", 1, HEADER), (HEADER + b"X-Cut: abc\r\n de", 0, HEADER),
                                (HEADER + b"X-Whole: abc", 1, HEADER + b"X-Whole: abc\r\n"),
                                (b"X-One: " + b"a" * 70000, 1, (b"X-One: " + b"a" * 70000)[:64 * 1024] + b"\r\n")):
        raw, _ = make([recipient()], header=header, header_whole=whole)
        check(parts_of(raw)[2][2] == want, "cut", header[-80:], parts_of(raw)[2][2][-80:])
    big = b"".join(b"X-%d: %s\r\n" % (i, b"z" * 60) for i in range(2000))
    raw, _ = make([recipient()], header=big)
    content = parts_of(raw)[2][2]
    check(len(content) > 65000 and big.startswith(content) and content.endswith(b"\r\n"), "a huge header", len(content))
    # A Message-ID that is none is not answered to.
    for bad in (b"<a@b", b"a@b", b"<a b@c>", b"<a@b> <c@d>", b"<a\xfc@b>", b"<" + b"a" * 600 + b"@b>", b"<>", b"<<a@b>"):
        raw, _ = make([recipient()], header=b"Message-ID: " + bad + b"\r\n")
        check("In-Reply-To" not in parse(raw), "In-Reply-To", bad, raw)


def test_international():
    who = recipient(address="jörg@bücher.example", orcpt="utf-8;jörg+x@bücher.example", diagnostic="550 5.1.1 kein jörg",
                    remote="mx.there.example [192.0.2.1]")
    header = "Subject: für\r\nMessage-ID: <1@here.example>\r\n".encode()
    # To an ASCII address nothing but 7 bits goes; with SMTPUTF8 on the way back all goes as it is.
    for sender, encoding, want_needs in (("anna@here.example", "quoted-printable", 0),
                                         ("ännchen@here.example", "8bit", NEEDS_8BIT | NEEDS_UTF8)):
        raw, needs = make([who], utf8=1, sender=sender, header=header)
        check(needs == want_needs and parse(raw)["To"] == sender, "needs", needs, raw)
        parts = parts_of(raw)
        check([part[0] for part in parts] == ["text/plain", "message/global-delivery-status", "message/global-headers"],
              "types", raw)
        check([part[1] for part in parts] == ["quoted-printable", encoding, encoding], "encodings", raw)
        group = groups_of(raw)[1]
        check(group["Final-Recipient"] == "utf-8; jörg@bücher.example", "final", group)
        check(group["Original-Recipient"] == "utf-8;jörg+x@bücher.example", "original", group)
        check(group["Diagnostic-Code"] == "smtp; 550 5.1.1 kein jörg", "diagnostic", group)
        check(parts[2][2] == header and "jörg@bücher.example" in parts[0][2].decode(), "parts", raw)
    raw, needs = make([who], utf8=1, header=header, ret=1, body="für\r\n", body_whole=1)
    check(needs == 0 and parts_of(raw)[2][:2] == ("message/global", "quoted-printable"), "message/global", raw)
    check(parts_of(raw)[2][2] == header + b"\r\n" + "für\r\n".encode(), "message/global", raw)
    # Where the original did not need SMTPUTF8, the forms of 7 bits (RFC 6533 section 3).
    raw, needs = make([who], header=header)
    group = groups_of(raw)[1]
    check(parts_of(raw)[1][:2] == ("message/delivery-status", "7bit") and needs == 0, "7 bits", raw)
    check(group["Final-Recipient"] == r"utf-8; j\x{F6}rg@b\x{FC}cher.example", "final", group)
    check(group["Original-Recipient"] == r"utf-8;j\x{F6}rg\x{2B}x@b\x{FC}cher.example", "original", group)
    check(group["Diagnostic-Code"] == "smtp; 550 5.1.1 kein j?rg", "diagnostic", group)
    # What is no UTF-8 is no address of that type.
    raw, _ = make([recipient(address=b"j\xf6rg@there.example")])
    check(groups_of(raw)[1]["Final-Recipient"] == "rfc822; j?rg@there.example", "no UTF-8", raw)
    # An original with SMTPUTF8 whose notice needs no more than ASCII.
    raw, needs = make([recipient(orcpt="utf-8;a+b@x.example")], utf8=1)
    check([part[0] for part in parts_of(raw)] == ["text/plain", "message/delivery-status", "text/rfc822-headers"] and
          groups_of(raw)[1]["Original-Recipient"] == r"utf-8;a\x{2B}b@x.example", "ASCII", raw)


HOSTILE = ["550 no\r\nBcc: x@y.example", "550 \r\n\r\nFinal-Recipient: rfc822; evil@x.example", "\r\n.\r\n", "\n\nX: y", "\r", "\0",
           "550 --=_1-abc_00000000--", "\r\n--=_1-abc_00000000\r\nContent-Type: text/html\r\n\r\n<b>", ";", "a;b;c", " ", "\t",
           " " * 600, "x" * 4000, "é" * 2000, "\u2028\u202e\ufeff", "\x85\x1b[31m", "=?utf-8?q?=0D=0AX:_y?=", "<>", "(((", "\"",
           b"\xff\xfe\xc3", b"550 \xe9" + b"\xc3" * 3000, "rfc822;a@b\r\nAction: delivered", "550 " + "a " * 1500, "utf-8;\\\r\n+="]


def test_hostile():
    """No text of others gets out of its field: the names of the fields are ours, each recipient has one group."""
    names = {"Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date"}
    cases = [{name: text} for text in HOSTILE for name in ("address", "orcpt", "status", "remote", "diagnostic")]
    cases += [{name: rng.choice(HOSTILE) for name in ("address", "orcpt", "status", "remote", "diagnostic")} for _ in range(150)]
    for case in cases:
        for utf8 in (0, 1):
            envid, header = rng.choice([("", HEADER)] + [(text, to_bytes(text) + HEADER) for text in HOSTILE])
            raw, _ = make([recipient(), recipient(**case), recipient()], utf8=utf8, envid=envid, header=header)
            groups = groups_of(raw)
            check(len(groups) == 4 and set(groups[0]) <= {"Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"}, "groups", raw)
            for group in groups[1:]:
                check(set(group) <= names and group["Action"] == "failed", "group", case, group)
                check(re.fullmatch(r"[45]\.\d+\.\d+", group["Status"]), "status", group)
            check(set(parse(raw).keys()) <= {"From", "To", "Date", "Subject", "Message-ID", "In-Reply-To", "References",
                                             "Auto-Submitted", "MIME-Version", "Content-Type",
                                             "Content-Transfer-Encoding"}, "header", raw)
            check(len(parts_of(raw)) in (2, 3), "parts", raw)
    for text in HOSTILE:
        raw, _ = make([recipient()], sender=text)
        check(set(parse(raw).keys()) >= {"From", "To", "Date", "Subject"} and "Bcc" not in parse(raw), "sender", raw)


def test_boundary():
    """An original that holds the boundaries of this notice, as one who saw many of ours may make it."""
    body = b"".join(b"--=_1-abc_%08x\r\n" % i for i in range(500))
    raw, _ = make([recipient()], body=body, body_whole=1, ret=1)
    check(parse(raw).get_boundary() == "=_1-abc_%08x" % 500, "boundary", parse(raw).get_boundary())
    check(parts_of(raw)[2][2] == HEADER + b"\r\n" + body, "content", raw)
    body = body.replace(b"=_1-abc_00000007\r\n", b"=_1-abc_\r\n=_1-abc_g\r\n=_1-abc")
    raw, _ = make([recipient()], body=body, body_whole=1, ret=1)
    check(parse(raw).get_boundary() == "=_1-abc_00000007", "boundary", parse(raw).get_boundary())
    raw, _ = make([recipient()], sender="a=_1-abc_00000000@here.example")
    check(parse(raw).get_boundary() == "=_1-abc_00000001", "boundary", parse(raw).get_boundary())
    # A notice about a notice, with the same id.
    raw, _ = make([recipient()], body=raw, body_whole=1, ret=1)
    check(len(parts_of(raw)) == 3, "nested", raw)


def test_same():
    check(make([recipient()]) == make([recipient()]), "the same notice, other bytes")


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
        print(name, "passed")
