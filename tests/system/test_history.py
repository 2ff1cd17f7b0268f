#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The judge judged: a history that is right passes, and each planted wrong is found by the check that is there for it."""
import copy
import sys

import history
import lab

USER = "a@example.test"
VALIDITY = 7


def row(op, t0, t1, result="ok", node=1, **words):
    return {"op": op, "t0": t0, "t1": t1, "client": "c", "node": node, "result": result, "user": USER, **words}


def read(t0, rows, uidnext, node=1, box="INBOX", validity=VALIDITY, **words):
    return row("read", t0, t0 + 0.5, node=node, box=box, uidvalidity=validity, uidnext=uidnext,
               rows=[[uid, token, sorted(flags), 100] for uid, token, flags in rows], **words)


def status(t0, read_row):
    rows = read_row["rows"]
    return row("status", t0, t0 + 0.5, node=read_row["node"], box=read_row["box"], messages=len(rows),
               unseen=sum("\\Seen" not in found[2] for found in rows), uidnext=read_row["uidnext"],
               uidvalidity=read_row["uidvalidity"], size=100 * len(rows))


def deliver(token, t0, t1, result="ok", users=(USER,), node=1):
    return row("deliver", t0, t1, result, node=node, token=token, users=list(users))


def append(token, t0, t1, uid, flags=()):
    return row("append", t0, t1, token=token, box="INBOX", uidvalidity=VALIDITY, uid=uid, flags=list(flags))


def right():
    """A history in which nothing is wrong: mail comes, is flagged, copied, moved, thrown away, refused, and left unknown."""
    inbox = [(1, "one", {"\\Seen"}), (2, "two", set()), (5, "five", set())]
    archive = [(1, "two", set()), (2, "four", set())]
    rows = [
        deliver("one", 0, 1), deliver("two", 2, 3), append("three", 4, 5, 3, ["\\Flagged"]), append("four", 6, 7, 4),
        read(8, [(1, "one", set()), (2, "two", set()), (3, "three", {"\\Flagged"}), (4, "four", set())], 5),
        row("store", 10, 11, box="INBOX", uidvalidity=VALIDITY, uid=1, token="one", flag="\\Seen", on=True),
        row("expunge", 12, 13, box="INBOX", uidvalidity=VALIDITY, uid=3, token="three"),
        row("copy", 14, 15, box="INBOX", uidvalidity=VALIDITY, uid=2, token="two", to="Archive", to_uidvalidity=8, to_uid=1),
        row("move", 16, 17, box="INBOX", uidvalidity=VALIDITY, uid=4, token="four", to="Archive", to_uidvalidity=8, to_uid=2),
        row("create", 18, 19, box="mine"),
        row("append", 20, 21, token="six", box="mine", uidvalidity=20, uid=1, flags=[]),
        row("delete", 22, 23, box="mine"),
        row("create", 24, 25, box="mine"), read(25.1, [], 1, box="mine", validity=21),
        row("delete", 26, 27, box="mine"),
        deliver("refused", 28, 29, "no"), deliver("lost", 30, 31, "info"), deliver("five", 32, 33, "info"),
        deliver("later", 34, 35, "later"), deliver("both", 35.1, 35.2, "info", (USER, "b@example.test")),
        row("replay", 36, 37, box="INBOX", wrong=[]),
        row("fault", 40, 50, kind="isolate", node=1), deliver("seven", 41, 49, "info"),
        row("probe", 60, 61, node=1, seconds=2.0),
        row("digests", 62, 63, groups={"1": [[10, "aa"], [10, "aa"]]}),
    ]
    for node in (1, 2):
        for box, validity, found, uidnext in (("INBOX", VALIDITY, inbox, 6), ("Archive", 8, archive, 3)):
            last = read(70, found, uidnext, node, box, validity, final=True, )
            rows += [last, status(71, last)]
    return rows


def of(rows, op, **words):
    return next(each for each in rows if each["op"] == op and all(each.get(key) == value for key, value in words.items()))


def finals(rows, box="INBOX"):
    return [each for each in rows if each.get("final") and each["box"] == box]


def change_final(rows, change, box="INBOX"):
    """Changes what all nodes show at the end, and their STATUS with it."""
    for last in finals(rows, box):
        change(last)
        at = next(i for i, each in enumerate(rows) if each["op"] == "status" and each["node"] == last["node"]
                  and each["box"] == box)
        rows[at] = status(71, last)


def without(token):
    def change(last):
        last["rows"] = [each for each in last["rows"] if each[1] != token]
    return change


def having(uid, token, flags=()):
    def change(last):
        last["rows"] = sorted(last["rows"] + [[uid, token, list(flags), 100]])
        last["uidnext"] = max(last["uidnext"], uid + 1)
    return change


def with_flags(uid, flags):
    def change(last):
        for each in last["rows"]:
            if each[0] == uid:
                each[2] = list(flags)
    return change


WRONGS = {
    # name: (what is done to the right history, which check finds it)
    "mail lost": (lambda h: change_final(h, without("two")), "copies: LOST"),
    "mail lost on one node": (lambda h: without("two")(finals(h)[1]), "replicas"),
    "mail twice": (lambda h: change_final(h, having(6, "two")), "copies: DUPLICATED"),
    "refused mail is there": (lambda h: change_final(h, having(6, "refused")), "copies: REFUSED BUT THERE"),
    "mail that nobody sent": (lambda h: change_final(h, having(6, "stranger")), "copies: NEVER SENT"),
    "mail for two is with one": (lambda h: change_final(h, having(6, "both")), "whole: HALF"),
    "expunged mail comes back": (lambda h: change_final(h, having(3, "three", ["\\Flagged"])), "copies: DUPLICATED OR RES"),
    "expunged mail is read later": (lambda h: h.append(read(55, [(1, "one", {"\\Seen"}), (2, "two", set()), (3, "three",
                                    {"\\Flagged"})], 5)), "gone: RESURRECTED"),
    "moved mail stays": (lambda h: change_final(h, having(4, "four")), "copies: DUPLICATED"),
    "moved mail in neither": (lambda h: change_final(h, without("four"), "Archive"), "copies: LOST"),
    "mail of a deleted mailbox is back": (lambda h: change_final(h, having(6, "six")), "copies: DUPLICATED OR RES"),
    "a UID is another message": (lambda h: change_final(h, lambda last: last["rows"][1].__setitem__(1, "five")), "uids"),
    "an appended UID is not the one shown": (lambda h: of(h, "append", token="four").update(uid=3), "uids"),
    "APPENDUID is missing": (lambda h: of(h, "append", token="four").update(uid=None), "uids: OK without"),
    "UIDs do not ascend": (lambda h: change_final(h, lambda last: last["rows"].reverse()), "uids: UIDs do not"),
    "UIDs against the order of promises": (lambda h: (of(h, "deliver", token="two").update(t0=-3, t1=-2)), "uid_order: UID "),
    "UIDNEXT falls": (lambda h: change_final(h, lambda last: last.update(uidnext=4)), "uid_order: UIDNEXT"),
    "UIDVALIDITY changes": (lambda h: change_final(h, lambda last: last.update(uidvalidity=99)), "uid_validity: UIDVALIDITY of"),
    "UIDVALIDITY falls": (lambda h: of(h, "read", box="mine").update(uidvalidity=3), "uid_validity: UIDVALIDITY"),
    "a flag goes back": (lambda h: change_final(h, with_flags(1, [])), "flags"),
    "a flag that nobody set": (lambda h: change_final(h, with_flags(2, ["\\Answered"])), "flags"),
    "an appended flag is lost": (lambda h: with_flags(3, [])(of(h, "read", t0=8)), "flags"),
    "a read is stale": (lambda h: h.append(read(56, [(1, "one", {"\\Seen"}), (2, "two", set())], 4)), "promised_is_seen: STALE"),
    "a session is told wrong numbers": (lambda h: of(h, "replay").update(wrong=[[1, 2, 3]]), "sessions"),
    "STATUS counts wrongly": (lambda h: of(h, "status", box="INBOX").update(unseen=1), "counts"),
    "states differ": (lambda h: of(h, "digests").update(groups={"1": [[10, "aa"], [10, "ab"]]}), "replicas"),
    "a mailbox is missing on one node": (lambda h: h.remove(finals(h, "Archive")[1]), "replicas"),
    "no service afterwards": (lambda h: of(h, "probe").update(result="info", seconds=30.0), "service"),
    "late service": (lambda h: of(h, "probe").update(seconds=31.0), "service"),
    "promised while alone": (lambda h: (of(h, "deliver", token="seven").update(result="ok"),
                                        change_final(h, having(6, "seven"))), "alone: PROMISED ALONE"),
}


def test():
    found = history.check(right())
    lab.check(not found, f"the right history is found wrong: {found}")
    for name, (plant, want) in WRONGS.items():
        planted = copy.deepcopy(right())
        plant(planted)
        found = history.check(planted)
        lab.check(any(text.startswith(want) for text in found), f"{name}: not found by {want!r}, but: {found}")
    lab.check(history.ghosts(right()) == {}, "ghosts")
    planted = right()
    change_final(planted, having(6, "later"))
    lab.check(not history.check(planted) and list(history.ghosts(planted)) == ["later"], "a ghost is one, and no violation")
    return f"{len(WRONGS)} planted wrongs found"


if __name__ == "__main__":
    lab.main(test)
    sys.exit(0)
