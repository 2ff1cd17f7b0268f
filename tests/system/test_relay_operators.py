#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What operators see of mail on its way out, and do to it: waiting, held, released, tried again, dropped, also while it is
being sent."""
import subprocess
import time

import lab
import relay_lab
from relay_lab import Gate, log_lines, queue, send, wait_gone, wait_notices


def only(node, user):
    rows = queue(node, "--from", user)
    lab.check(len(rows) == 1, f"{len(rows)} messages of {user}")
    return rows[0]


def shown(node, row_id):
    run = subprocess.run([str(node.bin / "postraft"), "--run", str(node.folder / "run"), "queue", "show", row_id],
                         capture_output=True, text=True, timeout=60)
    lab.check(run.returncode == 0, run.stderr)
    return run.stdout


def waiting(node, sink, user):
    sink.answers = lambda talk, stage, words: "451 4.3.0 no room here" if stage == "rcpt" else None
    send(node, user, "x@s20.test", token="waiting")
    row = lab.wait_for("the attempt", lambda: next((r for r in queue(node, "--from", user) if r["attempts"] == 1), None))
    lab.check((row["state"], row["status"], row["last_reply"]) == ("waits", "4.3.0", "451 4.3.0 no room here"), f"{row}")
    lab.check(30000 < row["next_ms"] - time.time() * 1000 < 80000, f"next attempt: {row}")
    one = row["destinations"][0]
    lab.check((one["domain"], one["waiting"], one["attempts"]) == ("s20.test", 1, 1) and "node_id" not in one, f"{one}")
    recipient = row["recipients"][0]
    lab.check("127.0." in recipient["remote"] and recipient["tried_ms"] > 0, f"{recipient}")
    text = shown(node, row["id"])
    for words in ("s20.test", "451 4.3.0 no room here", "4.3.0", "waits", recipient["remote"]):
        lab.check(words in text, f"{words} in {text}")
    sink.answers = None
    node.cli("queue", "retry", row["id"])
    lab.wait_for("it to arrive", lambda: sink.messages, 10)
    wait_gone(node, user)


def held(node, sink, user):
    """Held while it waits: it does not leave, also when it is due and when it is to be tried; then it is released."""
    sink.answers = lambda talk, stage, words: "451 4.3.0 no room here" if stage == "rcpt" else None
    send(node, user, "x@s20.test", token="held")
    row = lab.wait_for("the attempt", lambda: next((r for r in queue(node, "--from", user) if r["attempts"] == 1), None))
    sink.answers = None
    node.cli("queue", "hold", row["id"], "--reason", "asked the customer")
    node.cli("queue", "retry", row["id"])
    tried = len(sink.lines)
    send(node, user, "y@s20.test", token="behind it")
    lab.wait_for("the other one", lambda: [m for m in sink.messages if m.header("Subject") == "behind it"])
    row = only(node, user)
    lab.check((row["state"], row["held_reason"]) == ("held", "asked the customer") and "next_ms" not in row, f"{row}")
    lab.check("asked the customer" in shown(node, row["id"]), "the reason is not shown")
    lab.check(not any("x@s20" in line for line in sink.lines[tried:]), f"it left: {sink.lines[tried:]}")
    node.cli("queue", "release", row["id"])
    lab.wait_for("the released one", lambda: [m for m in sink.messages if m.header("Subject") == "held"], 10)
    wait_gone(node, user)


def sending(node, sink, user):
    gate = Gate("final")
    sink.answers = gate
    send(node, user, "x@s20.test", token="sending")
    lab.wait_for("the end of it", lambda: gate.waiting)
    row = only(node, user)
    lab.check(row["state"] == "sending" and row["destinations"][0]["node_id"] == 1, f"{row}")
    lab.check("sending" in shown(node, row["id"]), "not shown as being sent")
    return gate, row["id"]


def dropped_while_sent(node, sink, user):
    """It arrives, since its end was out; nobody hears of it, and nothing is left."""
    gate, row = sending(node, sink, user)
    node.cli("queue", "drop", row, "--yes")
    lab.check(not queue(node, "--from", user), "it is still there")
    gate.open()
    lab.wait_for("it to arrive", lambda: [m for m in sink.messages if m.header("Subject") == "sending"])
    sink.messages.clear()
    gate, row = sending(node, sink, user)
    node.cli("queue", "drop", row, "--yes")
    gate.open("550 5.7.1 no")
    lab.wait_for("the refusal", lambda: log_lines(node, "cannot be delivered", "5.7.1"))
    lab.check(not queue(node, "--from", user) and not sink.messages, "it is back")
    send(node, user, "y@s20.test", token="after")
    lab.wait_for("the next one", lambda: [m for m in sink.messages if m.header("Subject") == "after"])
    wait_notices(node, user, 0)


def held_while_sent(node, sink, user):
    """A refusal for now leaves it held; taken it is gone."""
    sink.messages.clear()
    gate, row = sending(node, sink, user)
    node.cli("queue", "hold", row)
    gate.open("451 4.3.0 not now")
    lab.wait_for("the answer", lambda: only(node, user)["status"] == "4.3.0")
    found = only(node, user)
    lab.check(found["state"] == "held", f"{found}")
    sink.answers = None
    node.cli("queue", "release", row)
    node.cli("queue", "retry", row)
    lab.wait_for("it to arrive", lambda: [m for m in sink.messages if m.header("Subject") == "sending"], 10)
    wait_gone(node, user)
    gate, row = sending(node, sink, user)
    node.cli("queue", "hold", row)
    gate.open()
    wait_gone(node, user)


def test():
    with relay_lab.Cluster(1, 32, relay='retry = { "60s" }') as cluster:
        parts = (waiting, held, dropped_while_sent, held_while_sent)
        users = cluster.open([part.__name__.replace("_", "-") for part in parts])
        with cluster.sink(20) as sink:
            for part, user in zip(parts, users):
                part(cluster.node(1), sink, user)
                sink.messages.clear()
                print(f"ok {part.__name__}", flush=True)
    return f"{len(parts)} parts"


lab.main(test)
