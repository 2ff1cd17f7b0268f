# SPDX-License-Identifier: GPL-2.0-or-later
"""A small IMAP client that hides nothing: each untagged response in the order it came, and the view of the selected
mailbox as its EXISTS and EXPUNGE tell it (the tests compare that view with what the server says it is)."""
import re
import select
import socket
import ssl

LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
FETCH = re.compile(rb"\* (\d+) FETCH \(")


class Lost(Exception):
    """The connection is gone, or silent for too long: what became of the command is not known."""


class Answer:
    def __init__(self, status, text, lines):
        self.status = status    # OK, NO, BAD
        self.text = text        # after the status
        self.lines = lines      # untagged, with their literals

    def number(self, pattern):
        """The number in a response code of the tagged line or an untagged one."""
        for line in [self.text] + self.lines:
            found = re.search(pattern, line)
            if found:
                return int(found.group(1))
        return None


def row_of(line):
    """(number, uid, token, flags, size) of a FETCH response; what it does not tell is None. None for other lines."""
    found = FETCH.match(line)
    if not found:
        return None

    def part(pattern):
        match = re.search(pattern, line, re.IGNORECASE)
        return match.group(1) if match else None

    uid, flags, size = part(rb"\bUID (\d+)"), part(rb"\bFLAGS \(([^)]*)\)"), part(rb"\bRFC822\.SIZE (\d+)")
    token = part(rb"\r\nSubject: ([^\r\n]*)\r\n")
    return (int(found.group(1)), int(uid) if uid else None, token.decode() if token else None,
            None if flags is None else sorted(flags.decode().split()), int(size) if size else None)


class Imap:
    def __init__(self, ip, user, password, timeout=15):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.view = None        # uids by number; None where it is not known yet
        self.wrong = []         # where a FETCH told another uid than the view
        self.count = 0
        plain = None
        try:
            plain = socket.create_connection((ip, 2993), timeout)
            self.socket = context.wrap_socket(plain)
            self.file = self.socket.makefile("rb")
            self.line()
            answer = self.command(f'LOGIN "{user}" "{password}"')
        except (OSError, Lost) as problem:
            if plain is not None:
                plain.close()
            raise Lost(str(problem)) from None
        if answer.status != "OK":
            self.close()
            raise Lost(f"LOGIN: {answer.text}")

    def close(self):
        for each in (self.file, self.socket):
            try:
                each.close()
            except OSError:
                pass

    def line(self):
        """One response, with its literals in it."""
        try:
            whole = b""
            while True:
                piece = self.file.readline()
                if not piece.endswith(b"\r\n"):
                    raise Lost("the connection ended")
                whole += piece
                literal = LITERAL.search(piece)
                if not literal:
                    break
                want = int(literal.group(1))
                text = self.file.read(want)
                if len(text) != want:
                    raise Lost("the connection ended in a literal")
                whole += text
        except (OSError, ValueError) as problem:
            raise Lost(str(problem)) from None
        if whole.startswith(b"* BYE"):
            raise Lost(whole.decode(errors="replace").strip())
        self.follow(whole)
        return whole

    def follow(self, line):
        """EXISTS and EXPUNGE move the view; a FETCH with a UID must fit it."""
        if self.view is None:
            return
        found = re.match(rb"\* (\d+) (EXISTS|EXPUNGE)\r\n", line)
        if found and found.group(2) == b"EXISTS":
            self.view += [None] * (int(found.group(1)) - len(self.view))
        elif found:
            number = int(found.group(1))
            if 1 <= number <= len(self.view):
                del self.view[number - 1]
            else:
                self.wrong.append([number, "EXPUNGE", len(self.view)])
        row = row_of(line)
        if row and row[1] is not None:
            number, uid = row[0], row[1]
            if not 1 <= number <= len(self.view) or self.view[number - 1] not in (None, uid):
                self.wrong.append([number, uid, self.view[number - 1] if number <= len(self.view) else None])
            else:
                self.view[number - 1] = uid

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as problem:
            raise Lost(str(problem)) from None

    def finish(self, tag):
        lines = []
        while True:
            line = self.line()
            if line.startswith(tag + b" "):
                status, text = line[len(tag) + 1:].rstrip().split(b" ", 1)
                return Answer(status.decode(), text, lines)
            lines.append(line)

    def command(self, words, literal=None):
        """One command; a literal, sent without waiting, is its last argument."""
        self.count += 1
        tag = b"a%d" % self.count
        data = tag + b" " + words.encode()
        if literal is not None:
            data += b" {%d+}\r\n" % len(literal) + literal
        self.send(data + b"\r\n")
        return self.finish(tag)

    def select(self, box):
        """Returns (answer, uidvalidity, uidnext, rows): a fresh look at all of a mailbox."""
        self.view, self.wrong = None, []
        answer = self.command(f'SELECT "{box}"')
        if answer.status == "OK":
            self.view = [None] * (answer.number(rb"\* (\d+) EXISTS") or 0)
        return answer, answer.number(rb"\[UIDVALIDITY (\d+)\]"), answer.number(rb"\[UIDNEXT (\d+)\]")

    def rows(self, tokens=True):
        """[[uid, token, flags, size]] of all messages, in their order; None when it was refused."""
        if not self.view:
            return []
        header = " BODY.PEEK[HEADER.FIELDS (SUBJECT)]" if tokens else ""
        answer = self.command(f"FETCH 1:* (UID FLAGS RFC822.SIZE{header})")
        if answer.status != "OK":
            return None
        # A line without all of it is news of another session's change.
        found = [row for row in map(row_of, answer.lines) if row and row[1] and row[4] is not None]
        return [list(row[1:]) for row in found]

    def idle(self, seconds):
        """Waits for news or so long; what was told is in the view afterwards."""
        self.count += 1
        tag = b"a%d" % self.count
        self.send(tag + b" IDLE\r\n")
        line = self.line()
        while not line.startswith(b"+"):
            if line.startswith(tag + b" "):
                return
            line = self.line()
        if not self.socket.pending():
            select.select([self.socket], [], [], seconds)
        self.send(b"DONE\r\n")
        self.finish(tag)
