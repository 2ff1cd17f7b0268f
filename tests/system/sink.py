# SPDX-License-Identifier: GPL-2.0-or-later
"""A receiving host for tests of outgoing mail: an SMTP server that keeps what it gets and answers as it is told.

    with Sink("127.0.40.9", 2526) as sink:
        sink.answers = lambda talk, stage, words: "451 4.7.1 later" if stage == "rcpt" else None
        ...
        sink.messages        # Message, in the order of their final dots

A stage is connect, ehlo, helo, starttls, mail, rcpt, data, final (the dot or the last chunk), rset, quit. An answer is None
for the usual one, a reply, or CUT to close the connection without a word; it may be a coroutine.
"""
import asyncio
import dataclasses
import inspect
import re
import threading
import time

CUT = object()


@dataclasses.dataclass
class Message:
    """What one transaction brought; `taken` when it was answered with 250."""
    sender: str
    sender_words: str
    recipients: list
    recipient_words: list
    tls: bool
    peer: str
    hello: str
    data: bytes = b""
    taken: bool = False
    at: float = 0.0

    def header(self, name):
        found = re.search(rb"(?im)^" + name.encode() + rb":[ \t]*((?:.*\r\n)(?:[ \t].*\r\n)*)", self.data)
        return found.group(1).decode("utf-8", "replace").strip() if found else None


class Talk:
    """One connection."""

    def __init__(self, sink, reader, writer):
        self.sink = sink
        self.reader = reader
        self.writer = writer
        self.peer = writer.get_extra_info("peername")[0]
        self.tls = False
        self.hello = ""
        self.message = None
        self.count = 0 # messages taken

    async def say(self, text):
        self.writer.write(text.encode() + b"\r\n")
        await self.writer.drain()

    async def answer(self, stage, words, usual):
        """Returns whether the answer was a good one; raises ConnectionError to cut."""
        reply = self.sink.answers(self, stage, words) if self.sink.answers is not None else None
        if inspect.isawaitable(reply):
            reply = await reply
        if reply is CUT:
            raise ConnectionError("as told")
        reply = usual if reply is None else reply
        await self.say(reply)
        return reply[0] in "23"

    def extensions(self):
        lines = [self.sink.name] + [word for word in self.sink.extensions if word != "STARTTLS"]
        if "STARTTLS" in self.sink.extensions and not self.tls:
            lines.append("STARTTLS")
        return "\r\n".join(f"250{'-' if line is not lines[-1] else ' '}{line}" for line in lines)

    async def run(self):
        if not await self.answer("connect", "", f"220 {self.sink.name} ESMTP"):
            return
        while True:
            line = await self.reader.readline()
            if not line:
                return
            words = line.decode("utf-8", "replace").rstrip("\r\n")
            self.sink.lines.append(words)
            verb = words.split(" ")[0].upper()
            if verb == "QUIT":
                await self.answer("quit", words, "221 2.0.0 bye")
                return
            handler = getattr(self, "do_" + verb.lower(), None)
            if handler is None:
                await self.say("500 5.5.1 what?")
            else:
                await handler(words)

    async def do_ehlo(self, words):
        self.hello = words[5:]
        await self.answer("ehlo", words, self.extensions())

    async def do_helo(self, words):
        self.hello = words[5:]
        await self.answer("helo", words, f"250 {self.sink.name}")

    async def do_starttls(self, words):
        if self.sink.tls is None:
            await self.say("502 5.5.1 no TLS")
        elif await self.answer("starttls", words, "220 2.0.0 go ahead"):
            await self.writer.start_tls(self.sink.tls)
            self.tls = True

    async def do_noop(self, _words):
        await self.say("250 2.0.0 well")

    async def do_rset(self, words):
        self.message = None
        await self.answer("rset", words, "250 2.0.0 forgotten")

    async def do_mail(self, words):
        found = re.match(r"(?i)MAIL FROM:<(.*?)>(.*)$", words)
        if await self.answer("mail", words, "250 2.1.0 good"):
            self.message = Message(found.group(1), found.group(2).strip(), [], [], self.tls, self.peer, self.hello)

    async def do_rcpt(self, words):
        found = re.match(r"(?i)RCPT TO:<(.*?)>(.*)$", words)
        if self.message is None:
            await self.say("503 5.5.1 MAIL first")
        elif await self.answer("rcpt", words, "250 2.1.5 good"):
            self.message.recipients.append(found.group(1))
            self.message.recipient_words.append(found.group(2).strip())

    async def do_data(self, words):
        if self.message is None or not self.message.recipients:
            await self.say("554 5.5.1 no recipients")
            return
        if not await self.answer("data", words, "354 go on"):
            return
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionError("ended in the message")
            lines.append(line[1:] if line.startswith(b".") else line)
        self.message.data = b"".join(lines)
        await self.finish(words)

    async def do_bdat(self, words):
        size, last = int(words.split()[1]), words.upper().endswith("LAST")
        data = await self.reader.readexactly(size)
        if self.message is None or not self.message.recipients:
            await self.say("503 5.5.1 no recipients")
            return
        self.message.data += data
        if last:
            await self.finish(words)
        else:
            await self.say(f"250 2.0.0 {size} bytes")

    async def finish(self, words):
        message, self.message = self.message, None
        message.at = time.monotonic()
        self.sink.seen.append(message)
        message.taken = await self.answer("final", words, "250 2.0.0 taken")
        if message.taken:
            self.count += 1
            self.sink.messages.append(message)


class Sink:
    """Serves in a thread of its own from start (or `with`) to stop."""

    def __init__(self, ip, port=2526, name="sink.test", tls=None):
        self.ip, self.port, self.name, self.tls = ip, port, name, tls
        self.extensions = ["PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES",
                           "CHUNKING"] + (["STARTTLS"] if tls else [])
        self.answers = None
        self.messages = [] # taken
        self.seen = []     # complete, whatever was answered
        self.lines = []    # commands
        self.connections = 0
        self.open = 0
        self.loop = None
        self.thread = None

    async def accept(self, reader, writer):
        self.connections += 1
        self.open += 1
        talk = Talk(self, reader, writer)
        try:
            await talk.run()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, OSError, ValueError):
            pass
        finally:
            self.open -= 1
            writer.transport.abort() if talk.message else writer.close()

    def serve(self, ready):
        self.loop = asyncio.new_event_loop()

        async def listen():
            return await asyncio.start_server(self.accept, self.ip, self.port, limit=1 << 20, backlog=1000)

        self.server = self.loop.run_until_complete(listen())
        ready.set()
        self.loop.run_forever()
        self.server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def start(self):
        ready = threading.Event()
        self.thread = threading.Thread(target=self.serve, args=(ready,), daemon=True)
        self.thread.start()
        if not ready.wait(10):
            raise OSError(f"nothing listens on {self.ip}:{self.port}")
        return self

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
