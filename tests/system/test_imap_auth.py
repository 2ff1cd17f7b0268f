#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Logging in by IMAP: every mechanism with the right and with a wrong secret, by imaplib (with both kinds of channel
binding that it can have), curl, mbsync and gsasl; app passwords, one-time codes, tokens; and the firewall: who guesses is
turned away at the door with a clear word, by submission as well, until somebody lifts the ban. A program that is not
here is named and left out."""
import base64
import concurrent.futures
import hashlib
import hmac
import imaplib
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import time

import lab

PROXY = "127.0.0.66"            # tells of its clients; programs on 127.0.0.1 are not watched
ROGUE, PERSON = "192.0.2.66", "198.51.100.7"
DOORS = f"""
listen "submissions" {{{{ address = {{{{ "{{ip}}:2465" }}}} }}}}
proxy {{{{ networks = {{{{ "{PROXY}/32" }}}} }}}}
limits {{{{ auth_failures = 100 }}}}
"""
MECHANISMS = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN", "LOGIN"]
ISSUER, AUDIENCE = "https://issuer.test", "mail"
TIMEOUT_S = 60


class Node(lab.Node):
    def prepare(self):
        super().prepare()
        self.config.write_text(self.config.read_text() + DOORS.format(ip=self.ip))


class Cluster(lab.Cluster):
    node_class = Node


class Refused(Exception):
    """The server has said NO, or a program says that it did."""


def insecure():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


# ---- imaplib, with exchanges of our own ----

def exclusive_or(one, other):
    return bytes(a ^ b for a, b in zip(one, other))


def scram(mechanism, user, password, certificate):
    """Answers one challenge after the other; the server has to prove that it knows the password, too."""
    digest = "sha256" if "256" in mechanism else "sha1"
    plus = mechanism.endswith("-PLUS")
    header = b"p=tls-server-end-point,," if plus else b"n,,"
    binding = hashlib.sha256(certificate).digest() if plus else b""
    nonce = base64.b64encode(os.urandom(18))
    bare = b"n=" + user.encode() + b",r=" + nonce
    challenge = yield header + bare
    said = dict(part.split(b"=", 1) for part in challenge.split(b","))
    lab.check(said[b"r"].startswith(nonce), "the server's nonce begins with ours")
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(said[b"s"]), int(said[b"i"]))
    final = b"c=" + base64.b64encode(header + binding) + b",r=" + said[b"r"]
    text = b",".join((bare, challenge, final))
    client = hmac.digest(salted, b"Client Key", digest)
    proof = exclusive_or(client, hmac.digest(hashlib.new(digest, client).digest(), text, digest))
    last = yield final + b",p=" + base64.b64encode(proof)
    server = hmac.digest(hmac.digest(salted, b"Server Key", digest), text, digest)
    lab.check(last == b"v=" + base64.b64encode(server), f"the server proves itself: {last}")
    yield b""


def messages(mechanism, user, password, certificate):
    if mechanism == "PLAIN":
        yield f"\0{user}\0{password}".encode()
    elif mechanism == "LOGIN":
        yield user.encode()
        yield password.encode()
    elif mechanism == "OAUTHBEARER":
        challenge = yield f"n,a={user},\1auth=Bearer {password}\1\1".encode()
        lab.check(json.loads(challenge)["status"], f"the reason is told: {challenge}")
        yield b"\1"
    else:
        yield from scram(mechanism, user, password, certificate)


def python(node, mechanism, user, password):
    client = imaplib.IMAP4_SSL(node.ip, 2993, ssl_context=insecure(), timeout=TIMEOUT_S)
    exchange = messages(mechanism, user, password, client.sock.getpeercert(True))
    begun = False

    def answer(challenge):
        nonlocal begun
        if begun:
            return exchange.send(bytes(challenge))
        begun = True
        return next(exchange)
    try:
        lab.check("AUTH=" + mechanism in client.capabilities, f"{mechanism} is offered: {client.capabilities}")
        if mechanism == "":
            client.login(user, password)
        else:
            client.authenticate(mechanism, answer)
        client.select("INBOX")
    except imaplib.IMAP4.error as error:
        raise Refused(str(error)) from None
    finally:
        client.shutdown()


# ---- programs ----

def run(*command, refused, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=TIMEOUT_S, **options)
    text = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode != 0:
        lab.check(re.search(refused, text), f"{command[0]} ended with {done.returncode}: {text[-1500:]}")
        raise Refused(text)
    return text


def curl(node, mechanism, user, password, *words):
    secret = ("--user", f"{user}:{password}")
    if mechanism == "OAUTHBEARER":
        secret = ("--user", user, "--oauth2-bearer", password)
    run("curl", "--silent", "--show-error", "--insecure", *secret, "--login-options", f"AUTH={mechanism}", *words,
        f"imaps://{node.ip}:2993/INBOX?ALL", refused="Login denied|authentication", env={"HOME": "/"})


def curl_at_once(node, mechanism, user, password):
    curl(node, mechanism, user, password, "--sasl-ir")


def curl_starttls(node, mechanism, user, password):
    run("curl", "--silent", "--show-error", "--insecure", "--ssl-reqd", "--user", f"{user}:{password}", "--login-options",
        f"AUTH={mechanism}", f"imap://{node.ip}:2143/INBOX?ALL", refused="Login denied|authentication", env={"HOME": "/"})


def mbsync(node, mechanism, user, password):
    folder = node.folder / f"mbsync-{mechanism}-{hashlib.sha1(password.encode()).hexdigest()[:8]}"
    (folder / "mail").mkdir(parents=True)
    certificate = folder / "certificate.pem"
    certificate.write_text(ssl.get_server_certificate((node.ip, 2993)))
    (folder / "config").write_text(f"""
IMAPAccount here
Host {node.ip}
Port 2993
User {user}
Pass "{password}"
SSLType IMAPS
SSLVersions TLSv1.2 TLSv1.3
CertificateFile {certificate}
AuthMechs {mechanism}

IMAPStore far
Account here

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX

Channel all
Far :far:
Near :near:
Create Near
SyncState *
""")
    run("mbsync", "--config", folder / "config", "--all", refused="AUTHENTICATIONFAILED", env={"HOME": str(folder)})
    lab.check((folder / "mail/INBOX/cur").is_dir(), "mbsync has made its mailbox")


def gsasl(node, mechanism, user, password):
    text = run("gsasl", "--imap", f"--connect={node.ip}:2143", "--starttls", "--x509-ca-file=", f"--mechanism={mechanism}",
               f"--authentication-id={user}", f"--password={password}", f"--authorization-id={user}", "--application-data",
               "--verbose", *([] if mechanism.endswith("-PLUS") else ["--no-cb"]), refused="AUTHENTICATIONFAILED", input=b"")
    lab.check("OK [CAPABILITY" in text, f"gsasl is logged in: {text[-500:]}")


def programs():
    """What each can do, beyond taking what is offered first."""
    yield python, MECHANISMS
    knows_scram = shutil.which("curl") and "gsasl" in subprocess.run(["curl", "--version"], capture_output=True, text=True,
                                                                      check=True).stdout
    scrams = ["SCRAM-SHA-256", "SCRAM-SHA-1"] if knows_scram else []
    if not shutil.which("curl"):
        print("left out: curl")
    else:
        if not scrams:
            print("left out: curl's SCRAM, which it was not built with")
        yield curl, ["PLAIN", "LOGIN", *scrams]
        yield curl_at_once, ["PLAIN", "LOGIN", *scrams]
        yield curl_starttls, ["PLAIN"]
    if shutil.which("mbsync"):
        yield mbsync, ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1"]
    else:
        print("left out: mbsync")
    if shutil.which("gsasl"):
        yield gsasl, MECHANISMS
    else:
        print("left out: gsasl")


def fails(call, *arguments):
    try:
        call(*arguments)
    except Refused as refusal:
        return str(refusal) or "refused"
    return ""


def play(node, user, password):
    def one(case):
        program, mechanism = case
        name = f"{program.__name__} {mechanism}"
        try:
            said = fails(program, node, mechanism, user, password)
            lab.check(not said, f"{name} is refused: {said}")
            said = fails(program, node, mechanism, user, "not the right one")
            lab.check(said, f"{name} logs in with a wrong password")
            print(f"{name}: in with the right password, refused with a wrong one", flush=True)
        except Exception as error:
            raise lab.Failed(f"{name}: {error}") from error
    cases = [(program, mechanism) for program, mechanisms in programs() for mechanism in mechanisms]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(one, cases))


# ---- what the store says of secrets ----

def code_of(secret):
    step = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.digest(base64.b32decode(secret + "=" * (-len(secret) % 8)), step, "sha1")
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7fffffff) % 1000000:06}"


def secrets(node, user, password):
    app = node.cli("account", "app-password", "add", user, "phone", "--for", "imap")["password"]
    other = node.cli("account", "app-password", "add", user, "sender", "--for", "submission")["password"]
    for mechanism in ("PLAIN", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1"):
        lab.check(not fails(python, node, mechanism, user, app), f"an app password logs in by {mechanism}")
        lab.check(fails(python, node, mechanism, user, other), f"one for submission does not, by {mechanism}")
    key = node.cli("account", "totp", "on", user)["secret"]
    lab.check(fails(python, node, "PLAIN", user, password), "the password alone is not enough with one-time codes")
    lab.check(fails(python, node, "SCRAM-SHA-256", user, password), "nor is it by SCRAM")
    code = code_of(key)
    lab.check(not fails(python, node, "LOGIN", user, password + code), "password and code log in")
    lab.check(fails(python, node, "PLAIN", user, password + code), "a code counts once")
    lab.check(not fails(python, node, "SCRAM-SHA-256", user, app), "an app password needs no code")
    node.cli("account", "totp", "off", user)


def unpadded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def openssl(*words, data=None):
    return subprocess.run(["openssl", *map(str, words)], input=data, capture_output=True, check=True).stdout


def token_of(key, **claims):
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "iat": now - 600, "exp": now + 600, **claims}
    text = unpadded(b'{"alg":"RS256"}') + "." + unpadded(json.dumps(said).encode())
    return text + "." + unpadded(openssl("dgst", "-sha256", "-sign", key, data=text.encode()))


def tokens(node, user):
    client = imaplib.IMAP4_SSL(node.ip, 2993, ssl_context=insecure(), timeout=TIMEOUT_S)
    lab.check("AUTH=OAUTHBEARER" not in client.capabilities, "no tokens are offered without an issuer")
    client.shutdown()
    key = node.folder / "issuer.pem"
    openssl("genrsa", "-out", key, "2048")
    modulus = openssl("rsa", "-in", key, "-noout", "-modulus").decode().strip().split("=")[1]
    keys = json.dumps({"keys": [{"kty": "RSA", "n": unpadded(bytes.fromhex(modulus)), "e": "AQAB"}]})
    for name, value in (("audience", AUDIENCE), ("jwks", keys), ("issuer", ISSUER)):
        node.cli("setting", "set", f"oauth.{name}", value)

    def offered():
        seen = imaplib.IMAP4_SSL(node.ip, 2993, ssl_context=insecure(), timeout=TIMEOUT_S)
        seen.shutdown()
        return "AUTH=OAUTHBEARER" in seen.capabilities
    lab.wait_for("tokens to be offered", offered, 10)
    for program in (python, *([curl, curl_at_once] if shutil.which("curl") else [])):
        said = fails(program, node, "OAUTHBEARER", user, token_of(key, email=user))
        lab.check(not said, f"{program.__name__}: a token logs in: {said}")
        lab.check(fails(program, node, "OAUTHBEARER", user, token_of(key, email=user, aud="others")),
                  f"{program.__name__}: a token for others does not")
    said = fails(python, node, "OAUTHBEARER", user, token_of(key, email=user, exp=int(time.time()) - 300))
    lab.check("EXPIRED" in said, f"a token whose time is over is told from a wrong one: {said}")


# ---- the firewall ----

class Client:
    """By way of the proxy, which tells of `peer`."""

    def __init__(self, node, peer, port=2993):
        raw = socket.create_connection((node.ip, port), TIMEOUT_S, source_address=(PROXY, 0))
        raw.sendall(f"PROXY TCP4 {peer} {node.ip} 40000 {port}\r\n".encode())
        self.socket = insecure().wrap_socket(raw)
        self.file = self.socket.makefile("rwb")
        self.greeting = self.file.readline().decode()

    def say(self, text, tag="a"):
        """The tagged answer, or the BYE instead of it."""
        self.file.write(f"{tag} {text}\r\n".encode())
        self.file.flush()
        while True:
            line = self.file.readline().decode()
            if line.startswith((f"{tag} ", "* BYE")) or not line:
                return line

    def close(self):
        self.file.close()
        self.socket.close()


def greeting(node, peer, port=2993):
    client = Client(node, peer, port)
    client.close()
    return client.greeting


def log_in(node, peer, user, password):
    """What the log-in is answered with, or the BYE that came instead of a greeting."""
    client = Client(node, peer)
    try:
        if client.greeting.startswith("* BYE"):
            return client.greeting
        message = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return client.say(f"AUTHENTICATE PLAIN {message}")
    finally:
        client.close()


def bans(node):
    return [entry["net"] for entry in node.cli("firewall", "list", "--bans")["entries"]]


def guesser(node, users, password):
    lab.check(log_in(node, PERSON, users[0], password).startswith("a OK"), "a person logs in")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        said = list(pool.map(lambda number: log_in(node, ROGUE, users[number % len(users)], f"guess {number}"), range(36)))
    lab.check(not any(line.startswith("a OK") for line in said), f"no guess is right: {said}")
    lab.check(any("[CONTACTADMIN]" in line for line in said), f"the guesser is turned away: {said}")
    lab.check("* BYE [CONTACTADMIN]" in greeting(node, ROGUE), "and told so at the door")
    lab.wait_for("the cluster to ban who guesses", lambda: ROGUE in bans(node), 20)
    said = greeting(node, ROGUE, 2465)
    lab.check(said.startswith("554"), f"submission turns him away as well: {said}")
    text = node.cli("firewall", "explain", ROGUE)["text"]
    lab.check("ban" in text.lower() and "imap" in text, f"explain says so, and for which services: {text}")
    lab.check(greeting(node, PERSON).startswith("* OK"), "the person comes in")
    node.cli("firewall", "remove", ROGUE)
    lab.wait_for("the ban to be lifted", lambda: greeting(node, ROGUE).startswith("* OK"), 10)
    lab.check(log_in(node, ROGUE, users[1], password).startswith("a OK"), "who knows the password comes in then")


def by_hand(node, users, password):
    node.cli("firewall", "deny", "203.0.113.0/24", "--reason", "asked for it", "--during", "1h")
    lab.wait_for("a denied net to be refused", lambda: greeting(node, "203.0.113.9").startswith("* BYE ["), 10)
    node.cli("firewall", "allow", "203.0.113.9")
    lab.wait_for("an allowed address in it to be let in", lambda: greeting(node, "203.0.113.9").startswith("* OK"), 10)
    lab.check(log_in(node, "203.0.113.9", users[0], password).startswith("a OK"), "and to log in")
    lab.check(greeting(node, "203.0.113.10").startswith("* BYE ["), "others of the net stay outside")


def too_many_connections(node, users, password):
    """Of one account, which many addresses may share."""
    node.cli("setting", "set", "firewall.account-open", "3")
    clients = []

    def said_to_one_more():
        clients.append(Client(node, PERSON))
        return clients[-1].say(f'LOGIN "{users[2]}" "{password}"')
    lab.wait_for("an account to have enough connections",
                 lambda: said_to_one_more().startswith("a NO [LIMIT]"), 20)
    lab.check(clients[-1].file.readline().startswith(b"* BYE [LIMIT]"), "the connection ends")
    for client in clients[:-1]:
        client.close()
    lab.wait_for("connections that have ended not to count",
                 lambda: said_to_one_more().startswith("a OK"), 20, 0.3)
    for client in clients:
        client.close()
    node.cli("setting", "unset", "firewall.account-open")


def breaker(node):
    """Who speaks another protocol again and again waits, then is shut out."""
    node.cli("setting", "set", "firewall.address-error-flood", "30 per 1h")
    peer = "192.0.2.80"

    def once():
        client = Client(node, peer)
        if client.greeting.startswith("* OK"):
            client.file.write(b"GET / HTTP/1.1\r\nHost: mail\r\n\r\n" * 4)
            client.file.flush()
            client.file.read()
        client.close()
        return client.greeting.startswith("* BYE [CONTACTADMIN]")
    lab.wait_for("a breaker of the protocol to be shut out", once, 60)
    node.cli("setting", "unset", "firewall.address-error-flood")


def test():
    with Cluster(1, network=31) as cluster:
        node, password = cluster.node(1), cluster.password
        users = cluster.add_accounts(["ann", "bea", "cid"])
        lab.wait_for("a log-in", lambda: not fails(python, node, "PLAIN", users[0], password), 20)
        play(node, users[0], password)
        secrets(node, users[1], password)
        tokens(node, users[0])
        by_hand(node, users, password)
        too_many_connections(node, users, password)
        breaker(node)
        guesser(node, users, password)


lab.main(test)
