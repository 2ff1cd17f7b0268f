# SPDX-License-Identifier: GPL-2.0-or-later
"""The judge: does a history of workload.py, with its final reads, keep what the product promises?

check() returns the violations, as text. The checks, by their numbers in the test plan:
   1 durability    what was promised is there, what was refused is not
   2 once          as many copies as were made, no more; a message for several users is with all or none
   3 UIDs          one message a UID for ever, ascending in the order of promises, UIDNEXT never falls
   4 UIDVALIDITY   another one only for a mailbox that was made anew, and then a larger one
   5 flags         a read shows a flag as some write left it that no later one had overwritten by then
   7 no return     a UID that was gone, by an answer or in a read, is in no later read on any node
   8 sessions      EXISTS, EXPUNGE and FETCH of one session fit together; what was promised is in the next SELECT
   9 counts        STATUS says what a read of the mailbox shows (quotas: not there to be asked yet)
  12 replicas      all nodes show the same; all hashes over the state are equal at the same index
  13 service       after the faults each node serves again; a node that is alone promises nothing
Not here: 6 (MODSEQ: CONDSTORE is not announced), 10 and 11 (queue and redirects are not there yet); 14, whether anything was
broken at all, is the campaign's to say.

Reads are of fresh SELECTs, so all of them have one order with the writes: an op that ended before another began is
before it. Everything is one pass over sorted rows, but for flags, where a message has few writes."""
import collections
import itertools

SERVICE_S = 30  # after the last fault is mended
WRITES = ("deliver", "append", "store", "copy", "move", "expunge", "create", "delete")
MAYBE = ("info", "later")


def check(history):
    """[text] of all violations. `history` is a list of rows."""
    rows = sorted(history, key=lambda row: row["t0"])
    look = Look(rows)
    found = []
    for each in (copies, whole, uids, uid_order, uid_validity, gone, promised_is_seen, flags, sessions, counts, replicas,
                 service, alone):
        found += [f"{each.__name__}: {text}" for text in itertools.islice(each(look), 20)]
    return found


class Look:
    """The rows by what they are, and where each message was seen."""

    def __init__(self, rows):
        self.rows = rows
        self.by_op = collections.defaultdict(list)
        for row in rows:
            self.by_op[row["op"]].append(row)
        self.reads = [row for row in self.by_op["read"] if row["result"] == "ok"]
        self.final = [row for row in self.reads if row.get("final")]
        self.boxes = collections.defaultdict(list)  # (user, uidvalidity): reads in order
        for read in self.reads:
            self.boxes[read["user"], read["uidvalidity"]].append(read)
        self.uid_of = {}    # (user, box, token): (uidvalidity, uid), of what reads showed
        for read in self.reads:
            for uid, token, _, _ in read["rows"]:
                if token:
                    self.uid_of.setdefault((read["user"], read["box"], token), (read["uidvalidity"], uid))
        self.made = list(self.find_made())

    def find_made(self):
        """(row, user, uidvalidity, uid, token) of each promised copy whose UID is known, and whose promise says that it is
        there. A message for several users is handed over to other groups after the promise."""
        for row in self.rows:
            if row["result"] != "ok":
                continue
            if row["op"] == "append" and row.get("uid"):
                yield row, row["user"], row["uidvalidity"], row["uid"], row["token"]
            elif row["op"] in ("copy", "move") and row.get("to_uid"):
                yield row, row["user"], row["to_uidvalidity"], row["to_uid"], row["token"]
            elif row["op"] == "deliver" and len(row["users"]) == 1:
                seen = self.uid_of.get((row["users"][0], "INBOX", row["token"]))
                if seen:
                    yield row, row["users"][0], *seen, row["token"]


def short(row):
    words = {key: value for key, value in row.items() if key not in ("rows", "client")}
    return f"{row['client']} {words}"


def apply(state, row):
    """The places of a token's copies (a sorted tuple of mailboxes) after an op that took effect; None: it cannot have."""
    places = list(state)
    op = row["op"]
    if op == "delete":
        return tuple(place for place in places if place != row["box"])
    if op == "deliver":
        places.append("INBOX")
    elif op == "append":
        places.append(row["box"])
    elif row["box"] not in places:
        return None
    else:
        if op in ("move", "expunge"):
            places.remove(row["box"])
        if op in ("copy", "move"):
            places.append(row["to"])
    return tuple(sorted(places))


def outcomes(ops):
    """All that a token's places can be at the end. Each op is one owner's, one after the other."""
    states = {()}
    for row in ops:
        if row["result"] == "no":
            continue
        after = {apply(state, row) for state in states} - {None}
        states = after if row["result"] == "ok" else states | after
    return states


def copies(look):
    ops = collections.defaultdict(list)
    deletes = collections.defaultdict(list)
    for row in look.rows:
        if row["op"] == "deliver":
            for user in row["users"]:
                ops[user, row["token"]].append(row)
        elif row["op"] in ("append", "copy", "move", "expunge"):
            ops[row["user"], row["token"]].append(row)
        elif row["op"] == "delete":
            deletes[row["user"], row["box"]].append(row)
    there = collections.defaultdict(lambda: collections.defaultdict(list))
    for read in look.final:
        for _, token, _, _ in read["rows"]:
            there[read["node"]][read["user"], token].append(read["box"])
    nodes = sorted({read["node"] for read in look.final})
    for node, found in there.items():
        for key in found.keys() - ops.keys():
            yield f"NEVER SENT: node {node} has {key}"
    for key, rows in ops.items():
        user = key[0]
        touched = {row.get("to") or row.get("box") for row in rows}
        rows = rows + [row for box in touched for row in deletes.get((user, box), ())]
        possible = outcomes(sorted(rows, key=lambda row: row["t0"]))
        for node in nodes:
            places = tuple(sorted(there[node].get(key, [])))
            if places not in possible:
                yield (f"{verdict(places, possible, rows)}: {key} is in {list(places)} on node {node}, can be in "
                       f"{sorted(map(list, possible))}; " + " | ".join(short(row) for row in rows))


def verdict(places, possible, rows):
    if not possible:
        return "nothing fits"
    if len(places) < min(map(len, possible)):
        return "LOST"
    if len(places) > max(map(len, possible)):
        if any(row["op"] in ("expunge", "move", "delete") and row["result"] == "ok" for row in rows):
            return "DUPLICATED OR RESURRECTED"
        return "REFUSED BUT THERE" if all(row["result"] == "no" for row in rows) else "DUPLICATED"
    return "WRONG PLACE"


def whole(look):
    """A message for several users is with all of them or with none, whatever its sender was told."""
    touched = {(row["user"], row["token"]) for op in ("copy", "move", "expunge") for row in look.by_op[op]}
    there = {(read["user"], row[1]) for read in look.final for row in read["rows"]}
    for row in look.by_op["deliver"]:
        found = {(user, row["token"]) in there for user in row["users"] if (user, row["token"]) not in touched}
        if len(found) > 1 and look.final:
            yield f"HALF: {short(row)} is not with {[user for user in row['users'] if (user, row['token']) not in there]}"


def uids(look):
    """A UID is one message for ever; a read shows them ascending."""
    owner = {}
    sightings = [(user, validity, uid, token, row) for row, user, validity, uid, token in look.made]
    for read in look.reads:
        numbers = [row[0] for row in read["rows"]]
        if any(a >= b for a, b in itertools.pairwise(numbers)):
            yield f"UIDs do not ascend: {numbers} in {short(read)}"
        sightings += [(read["user"], read["uidvalidity"], row[0], row[1], read) for row in read["rows"] if row[1]]
    for user, validity, uid, token, row in sightings:
        first = owner.setdefault((user, validity, uid), (token, row))
        if first[0] != token:
            yield (f"UID {uid} ({user}, {validity}) is {first[0]} in {short(first[1])} and {token} in {short(row)}")
    for row in look.by_op["append"] + look.by_op["copy"] + look.by_op["move"]:
        if row["result"] == "ok" and not (row.get("uid") if row["op"] == "append" else row.get("to_uid")):
            yield f"OK without a UID: {short(row)}"


def uid_order(look):
    """What was promised before another began has the smaller UID; UIDNEXT never falls."""
    made = collections.defaultdict(list)
    for row, user, validity, uid, _ in look.made:
        made[user, validity].append((row["t0"], row["t1"], uid, row))
    for key, rows in made.items():
        yield from ascending(rows, key, "UID", strictly=True)
    for key, reads in look.boxes.items():
        yield from ascending([(read["t0"], read["t1"], read["uidnext"], read) for read in reads], key, "UIDNEXT")


def ascending(rows, key, name, strictly=False):
    """rows: (t0, t1, value, row). Values do not fall between a row that ended before another began."""
    by_end = sorted(rows, key=lambda row: row[1])
    highest, at = None, 0
    for begun, _, value, row in sorted(rows, key=lambda row: row[0]):
        while at < len(by_end) and by_end[at][1] < begun:
            if highest is None or by_end[at][2] > highest[2]:
                highest = by_end[at]
            at += 1
        if highest and (value < highest[2] or (strictly and value == highest[2])):
            yield f"{name} of {key} is {value} in {short(row)} after {highest[2]} in {short(highest[3])}"


def uid_validity(look):
    seen = collections.defaultdict(list)
    for row in look.rows:
        if row["result"] == "ok" and row.get("uidvalidity") and "box" in row:
            seen[row["user"], row["box"]].append((row["t0"], row["t1"], row["uidvalidity"], row))
        if row["result"] == "ok" and row.get("to_uidvalidity"):
            seen[row["user"], row["to"]].append((row["t0"], row["t1"], row["to_uidvalidity"], row))
    creates = collections.defaultdict(list)
    for row in look.by_op["create"]:
        creates[row["user"], row["box"]].append(row)
    for key, rows in seen.items():
        yield from ascending(rows, key, "UIDVALIDITY")
        for before, after in itertools.pairwise(sorted(rows, key=lambda row: row[0])):
            made = any(row["t1"] > before[0] and row["t0"] < after[1] and row["result"] != "no" for row in creates[key])
            if before[2] != after[2] and not made:
                yield f"UIDVALIDITY of {key} went from {before[2]} to {after[2]}, and nobody made it anew: {short(after[3])}"


def gone(look):
    """When a UID was first known to be gone: by the answer to what removed it, or missing in a read."""
    since = collections.defaultdict(dict)

    def note(key, uid, time):
        since[key][uid] = min(time, since[key].get(uid, float("inf")))

    for row in look.by_op["expunge"] + look.by_op["move"]:
        if row["result"] == "ok":
            note((row["user"], row["uidvalidity"]), row["uid"], row["t1"])
    for key, reads in look.boxes.items():
        everything = {row[0] for read in reads for row in read["rows"]}
        for read in reads:
            for uid in everything - {row[0] for row in read["rows"]}:
                if uid < read["uidnext"]:
                    note(key, uid, read["t1"])
        for read in reads:
            for row in read["rows"]:
                if since[key].get(row[0], float("inf")) < read["t0"]:
                    yield f"RESURRECTED: UID {row[0]} ({key}, {row[1]}) was gone and is in {short(read)}"


def promised_is_seen(look):
    """A SELECT that began after a promise knows of it."""
    for key, reads in look.boxes.items():
        made = sorted((row["t1"], uid, row) for row, user, validity, uid, _ in look.made if (user, validity) == key)
        highest, at = (0, None), 0
        for read in reads:
            while at < len(made) and made[at][0] < read["t0"]:
                highest = max(highest, (made[at][1], at))
                at += 1
            if read["uidnext"] <= highest[0]:
                yield f"STALE: UIDNEXT {read['uidnext']} in {short(read)} after {short(made[highest[1]][2])}"


def flag_writes(look):
    """{(user, uidvalidity, uid): {flag: [(t0, t1, value)]}}; t1 is infinite when it is not known whether it was done."""
    writes = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in look.by_op["store"]:
        if row["result"] != "no":
            end = row["t1"] if row["result"] == "ok" else float("inf")
            writes[row["user"], row["uidvalidity"], row["uid"]][row["flag"]].append((row["t0"], end, row["on"]))
    return writes


def first_flags(look):
    """{(user, uidvalidity, uid): (t0, t1, flags)} of those that came in with known flags; None as flags: any."""
    first = {}
    sent = {}
    for row in look.by_op["deliver"]:
        for user in row["users"]:
            sent[user, "INBOX", row["token"]] = row
    for key, row in sent.items():
        seen = look.uid_of.get(key)
        if seen:
            first[key[0], *seen] = (row["t0"], row["t1"], frozenset())
    for row in look.by_op["append"]:
        if row["result"] == "ok" and row.get("uid"):
            first[row["user"], row["uidvalidity"], row["uid"]] = (row["t0"], row["t1"], frozenset(row["flags"]))
    return first


def flags(look):
    from workload import FLAGS
    writes, first = flag_writes(look), first_flags(look)
    for read in look.reads:
        for uid, _, shown, _ in read["rows"]:
            key = (read["user"], read["uidvalidity"], uid)
            begin = first.get(key)
            if shown is None or begin is None:
                continue
            for flag in FLAGS:
                value = flag in shown
                known = [(begin[0], begin[1], flag in begin[2])] + (writes[key].get(flag, []) if key in writes else [])
                if not may_be_read(value, known, read):
                    yield f"{flag} of UID {uid} is {value} in {short(read)}; writes: {known}"


def may_be_read(value, writes, read):
    """Some write of this value began before the read ended, and no other one lies wholly between it and the read."""
    for begun, ended, wrote in writes:
        if wrote == value and begun < read["t1"] and not any(
                ended < other[0] and other[1] < read["t0"] for other in writes):
            return True
    return False


def sessions(look):
    for row in look.by_op["replay"]:
        if row.get("wrong"):
            yield f"number, UID told, UID known: {row['wrong']} in {short(row)}"


def counts(look):
    reads = {(read["node"], read["user"], read["box"]): read for read in look.final}
    for row in look.by_op["status"]:
        read = reads.get((row["node"], row["user"], row["box"]))
        if read is None or row["result"] != "ok":
            yield f"a final look was not possible: {short(row)}"
            continue
        want = {"messages": len(read["rows"]), "uidnext": read["uidnext"], "uidvalidity": read["uidvalidity"],
                "unseen": sum("\\Seen" not in found[2] for found in read["rows"]),
                "size": sum(found[3] for found in read["rows"])}
        for name, value in want.items():
            if row[name] != value:
                yield f"STATUS says {name} {row[name]}, the mailbox {value}: {short(row)}"


def replicas(look):
    shown = collections.defaultdict(dict)
    for read in look.by_op["read"]:
        if read.get("final"):
            shown[read["user"], read["box"]][read["node"]] = (
                read["result"], read["uidvalidity"], read["uidnext"], read.get("rows"))
    nodes = {node for views in shown.values() for node in views}
    for key, views in shown.items():
        if set(views) != nodes:
            yield f"{key} is on nodes {sorted(views)} only"
        first = min(views)
        for node, view in views.items():
            if view != views[first]:
                different = next((pair for pair in zip(view[3] or [], views[first][3] or []) if pair[0] != pair[1]), "")
                yield f"{key} differs on nodes {first} and {node}: {views[first][:3]} and {view[:3]} {different}"
    for row in look.by_op["digests"]:
        for group, values in row["groups"].items():
            if len(set(map(tuple, values))) != 1:
                yield f"group {group} has other states on other nodes (index, hash): {values}"


def service(look):
    for row in look.by_op["probe"]:
        if row["result"] != "ok" or row["seconds"] > SERVICE_S:
            yield f"node {row['node']} serves {row['seconds']:.1f} s after the last fault: {short(row)}"


def alone(look):
    """Windows in which a node could reach no other: what began and ended inside must not have been promised."""
    windows = collections.defaultdict(list)
    for row in look.by_op["fault"]:
        if row["kind"] == "isolate":
            windows[row["node"]].append((row["t0"], row["t1"]))
    for row in look.rows:
        if row["op"] in WRITES and row["result"] == "ok" and any(
                begun <= row["t0"] and row["t1"] <= ended for begun, ended in windows.get(row["node"], ())):
            yield f"PROMISED ALONE: {short(row)}"


def ghosts(history):
    """Deliveries that were refused temporarily and are there all the same: {token: users}. Allowed only without a majority,
    and a client that tries again makes a second copy."""
    found = collections.defaultdict(set)
    late = {row["token"]: row for row in history if row["op"] == "deliver" and row["result"] == "later"}
    for read in history:
        if read["op"] == "read" and read.get("final") and read["result"] == "ok":
            for _, token, _, _ in read["rows"]:
                if token in late:
                    found[token].add(read["user"])
    return found
