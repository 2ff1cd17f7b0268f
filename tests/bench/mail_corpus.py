# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that look like mail, for measuring compression: headers as servers write them (with signatures and ids that
no compressor can guess), bodies cut from texts and pages that lie on the machine, attachments that are compressed
already. The same seed gives the same messages from the same texts."""
import base64
import pathlib
import random
import re

WORDS = "report invoice meeting plan order contract holiday question update summary travel budget review server".split()


def sources(folders, suffixes, most=400):
    """Plain text of files of at least some size."""
    texts = []
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if path.is_file() and path.suffix in suffixes and 3000 < path.stat().st_size < 400_000:
                text = path.read_text(errors="ignore")
                if text.isascii():
                    texts.append(text)
            if len(texts) >= most:
                return texts
    return texts


def token(rng, length):
    return base64.b64encode(rng.randbytes(length)).decode()


def folded(text, width=72):
    return "\r\n\t".join(text[at:at + width] for at in range(0, len(text), width))


def header(rng, kind):
    name, host = rng.choice(WORDS) + str(rng.randrange(2000)), f"mx{rng.randrange(90)}.{rng.choice(WORDS)}{rng.randrange(300)}.example"
    date = f"{rng.choice(['Mon', 'Tue', 'Wed', 'Thu', 'Fri'])}, {rng.randrange(1, 29)} Nov 2026 {rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02} +0000"
    lines = [f"Return-Path: <{name}@{host}>"]
    for _ in range(rng.randrange(1, 5)):
        lines.append(f"Received: from {host} ({host} [192.0.2.{rng.randrange(255)}])\r\n\tby mx{rng.randrange(9)}.example.net (Postfix) "
                     f"with ESMTPS id {token(rng, 7)[:9]}\r\n\tfor <reader{rng.randrange(9000)}@example.net>; {date}")
    lines += [f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={host}; s=s{rng.randrange(99)};\r\n\t"
              f"h=from:to:subject:date:message-id:mime-version:content-type;\r\n\tbh={token(rng, 32)};\r\n\tb={folded(token(rng, 256))}",
              f"Date: {date}", f"From: {name.title()} <{name}@{host}>", f"To: <reader{rng.randrange(9000)}@example.net>",
              f"Message-ID: <{token(rng, 15).replace('/', '.')}@{host}>", f"Subject: {' '.join(rng.choices(WORDS, k=5))}",
              "MIME-Version: 1.0", kind]
    return "\r\n".join(lines) + "\r\n\r\n"


def cut(rng, texts, size):
    text = rng.choice(texts)
    at = rng.randrange(max(1, len(text) - size))
    return text[at:at + size].replace("\r", "").replace("\n", "\r\n")


def write(folder, kind, count, texts, pages, seed=1):
    rng = random.Random(f"{kind} {seed}")
    folder.mkdir(parents=True)
    halves = [(texts[half::2], pages[half::2]) for half in range(2)]
    for number in range(count):
        # A dictionary is trained on one half and tried on the other: they share no document.
        texts, pages = halves[number % 2]
        boundary = token(rng, 18).replace("/", "_")
        mixed = f'Content-Type: multipart/{"alternative" if kind == "html" else "mixed"}; boundary="{boundary}"'
        if kind == "text":
            message = header(rng, "Content-Type: text/plain; charset=utf-8")
            message += cut(rng, texts, max(300, 4096 - len(message)))
        elif kind == "html":
            page = cut(rng, pages, 18000)
            plain = re.sub(r"<[^>]*>", "", page)[:5000]
            message = header(rng, mixed) + f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{plain}\r\n"
            message += f"--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{page}\r\n--{boundary}--\r\n"
        else:
            message = header(rng, mixed) + f"--{boundary}\r\nContent-Type: text/plain\r\n\r\n{cut(rng, texts, 800)}\r\n"
            data = base64.encodebytes(rng.randbytes(rng.randrange(50_000, 400_000))).decode().replace("\n", "\r\n")
            message += f"--{boundary}\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n{data}--{boundary}--\r\n"
        (folder / f"{number:05}").write_bytes(message.encode())
