# SPDX-License-Identifier: GPL-2.0-or-later
"""People with mail clients: sessions that look, flag, file, throw away and wait (workload.py says what is written down)."""
from imap_client import Imap
from workload import FLAGS, TIMEOUT_S, Client, imap_result, mail, owner_of

SHARED = ("INBOX", "INBOX", "Archive", "Sent")
COPIES_MAX = 3  # of one message


class MailClient(Client):
    def __init__(self, load, name, number):
        super().__init__(load, name)
        self.number = number
        self.unsure = set()     # (user, token): left alone for good
        self.copies = {}        # (user, token): how many there are
        self.scratch = {}       # user: this client's own mailboxes, which come and go
        self.made = 0

    def session(self, node):
        user = self.random.choice(self.load.users)
        self.imap = Imap(node.ip, user, self.load.password, TIMEOUT_S)
        self.node, self.user = node, user
        self.gone = False
        try:
            for _ in range(self.random.randint(1, 3)):
                self.box = self.random.choice(SHARED + tuple(self.scratch.get(user, ())))
                if not self.look():
                    continue
                for _ in range(self.random.randint(2, 10)):
                    if self.load.stopping.wait(self.load.pause_s):
                        return
                    self.random.choice(self.ACTIONS)(self)
                    if self.gone:   # the selected mailbox was deleted
                        return
                self.compare()
        finally:
            self.imap.close()

    def owned(self, row):
        token = row[1]
        return token is not None and owner_of(token, self.load.imap_clients) == self.number and \
            (self.user, token) not in self.unsure

    def look(self):
        """SELECT and a look at everything."""
        with self.op(self.node, "read", user=self.user, box=self.box) as row:
            answer, row["uidvalidity"], row["uidnext"] = self.imap.select(self.box)
            self.uidvalidity = row["uidvalidity"]
            row["rows"] = self.imap.rows() if answer.status == "OK" else None
            row["result"] = "ok" if row["rows"] is not None else \
                imap_result(answer) if answer.status != "OK" else "later"
            self.rows = list(row["rows"] or [])
        return row["result"] == "ok"

    def pick(self, owned):
        rows = [row for row in self.rows if not owned or self.owned(row)]
        return self.random.choice(rows) if rows else None

    def on_message(self, op, token, **words):
        """Marks the token as unsure before anything is sent, and as sure when there was an answer."""
        self.unsure.add((self.user, token))
        return self.op(self.node, op, user=self.user, token=token, **words)

    def answered(self, row, answer):
        row["result"] = imap_result(answer)
        if row["result"] in ("ok", "no"):
            self.unsure.discard((self.user, row["token"]))
        return row["result"] == "ok"

    def append(self):
        token = self.token()
        flags = self.random.sample(FLAGS, self.random.randint(0, 2))
        with self.on_message("append", token, box=self.box, flags=flags) as row:
            answer = self.imap.command(f'APPEND "{self.box}" ({" ".join(flags)})',
                                       mail(token, self.user, self.random.choice((100, 3000, 60000)), self.random))
            if self.answered(row, answer):
                row["uidvalidity"] = answer.number(rb"\[APPENDUID (\d+) ")
                row["uid"] = answer.number(rb"\[APPENDUID \d+ (\d+)\]")

    def flag(self):
        message = self.pick(owned=False)
        if message is None:
            return
        flag, on = self.random.choice(FLAGS), self.random.random() < 0.6
        with self.op(self.node, "store", user=self.user, box=self.box, uidvalidity=self.uidvalidity, uid=message[0],
                     token=message[1], flag=flag, on=on) as row:
            row["result"] = imap_result(
                self.imap.command(f"UID STORE {message[0]} {'+' if on else '-'}FLAGS ({flag})"))

    def target(self):
        boxes = [box for box in ("Archive", "Sent", *self.scratch.get(self.user, ())) if box != self.box]
        return self.random.choice(boxes)

    def copy(self, op="copy"):
        message = self.pick(owned=True)
        if message is None:
            return
        key = (self.user, message[1])
        if op == "copy" and self.copies.get(key, 1) >= COPIES_MAX:
            return
        to = self.target()
        with self.on_message(op, message[1], box=self.box, uidvalidity=self.uidvalidity, uid=message[0], to=to) as row:
            answer = self.imap.command(f'UID {op.upper()} {message[0]} "{to}"')
            if self.answered(row, answer):
                code = rb"\[COPYUID (\d+) \d+ \d+\]", rb"\[COPYUID \d+ \d+ (\d+)\]"
                row["to_uidvalidity"], row["to_uid"] = answer.number(code[0]), answer.number(code[1])
        if row["result"] == "ok" and op == "copy":
            self.copies[key] = self.copies.get(key, 1) + 1
        if op == "move":
            self.rows.remove(message)

    def move(self):
        self.copy("move")

    def expunge(self):
        message = self.pick(owned=True)
        if message is None:
            return
        self.rows.remove(message)
        with self.on_message("expunge", message[1], box=self.box, uidvalidity=self.uidvalidity, uid=message[0]) as row:
            answer = self.imap.command(f"UID STORE {message[0]} +FLAGS.SILENT (\\Deleted)")
            if answer.status == "OK":
                answer = self.imap.command(f"UID EXPUNGE {message[0]}")
            self.answered(row, answer)
            if row["result"] == "no":
                row["result"] = "info"  # \Deleted may be set

    def create(self):
        own = self.scratch.setdefault(self.user, [])
        if len(own) >= 2:
            return
        # Sometimes under a name that was there before: it must not be taken for the same mailbox.
        self.made += self.random.random() < 0.7
        box = f"{self.load.prefix}-{self.name}-{self.made}"
        with self.op(self.node, "create", user=self.user, box=box) as row:
            row["result"] = imap_result(self.imap.command(f'CREATE "{box}"'))
        if row["result"] == "ok":
            own.append(box)

    def delete(self):
        own = self.scratch.get(self.user, [])
        if not own or self.random.random() < 0.5:
            return
        box = own.pop(self.random.randrange(len(own)))
        self.gone = box == self.box
        with self.op(self.node, "delete", user=self.user, box=box) as row:
            self.made += 1      # unless it is known to be gone, its name is not used again
            row["result"] = imap_result(self.imap.command(f'DELETE "{box}"'))
            self.made -= row["result"] == "ok"
    def noop(self):
        self.imap.command("NOOP")

    def idle(self):
        self.imap.idle(self.random.uniform(0.1, 1.0))

    def compare(self):
        """Does the view, as EXISTS and EXPUNGE built it, fit what the server shows?"""
        with self.op(self.node, "replay", user=self.user, box=self.box) as row:
            answer = self.imap.command("NOOP")
            if answer.status == "OK" and self.imap.view:
                answer = self.imap.command("FETCH 1:* (UID)")
            row["wrong"] = self.imap.wrong[:5]
            row["result"] = imap_result(answer)

    ACTIONS = [append, append, flag, flag, flag, flag, copy, move, expunge, expunge, create, delete, noop, idle]
