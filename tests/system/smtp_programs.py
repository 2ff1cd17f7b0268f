# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that send mail, driven for a test: swaks, curl, msmtp, smtplib, nodemailer, smtp-source and a whole Postfix.

Each is a function of a Sending, which says where to, how and as whom; it raises lab.Failed when the program says that
the mail was not taken, and Missing when the program is not here. What they have in common is in Sending, what is
special to one program goes through `words`, its own arguments."""
import contextlib
import dataclasses
import json
import pathlib
import shutil
import smtplib
import ssl
import subprocess

import lab
import lab_postfix

TIMEOUT_S = 60


class Missing(Exception):
    """The program is not here: why."""


@dataclasses.dataclass
class Sending:
    host: str
    port: int
    folder: pathlib.Path        # for files of the program
    trust: pathlib.Path         # PEM of the authority that the server's certificate comes from
    server_name: str            # that the certificate is for, besides the address
    sender: str
    recipient: str
    message: bytes              # lines end with CRLF
    token: str                  # its Subject
    tls: str = "no"             # "no", "starttls", "at once"
    user: str = ""
    password: str = ""
    mechanism: str = ""         # "" with a user: whatever the program takes first
    words: tuple = ()


def need(program):
    path = shutil.which(program)
    if path is None:
        raise Missing(f"{program} is not installed")
    return path


def run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=TIMEOUT_S, **options)
    text = (done.stdout + done.stderr).decode(errors="replace")
    lab.check(done.returncode == 0, f"{command[0]} ended with {done.returncode}: {text[-1500:]}")
    return text


def swaks(s):
    command = [need("swaks"), "--server", s.host, "--port", s.port, "--helo", "client.test", "--from", s.sender, "--to",
               s.recipient, "--data", "-", "--timeout", "30"]
    if s.tls != "no":
        if subprocess.run(["perl", "-MNet::SSLeay", "-e", "1"], capture_output=True).returncode:
            raise Missing("swaks has no TLS here (libnet-ssleay-perl)")
        command += ["--tls" if s.tls == "starttls" else "--tls-on-connect", "--tls-verify", "--tls-ca-path", s.trust]
    if s.user:
        command += ["--auth", *([s.mechanism] if s.mechanism else []), "--auth-user", s.user, "--auth-password", s.password]
    # It takes lines as a file has them.
    run([*command, *s.words], input=s.message.replace(b"\r\n", b"\n"))


def curl(s):
    path = s.folder / "curl.eml"
    path.write_bytes(s.message)
    scheme = "smtps" if s.tls == "at once" else "smtp"
    command = [need("curl"), "--silent", "--show-error", "--max-time", TIMEOUT_S, "--resolve",
               f"{s.server_name}:{s.port}:{s.host}", "--url", f"{scheme}://{s.server_name}:{s.port}/client.test",
               "--mail-from", s.sender, "--mail-rcpt", s.recipient, "--upload-file", path, "--cacert", s.trust]
    if s.tls == "starttls":
        command.append("--ssl-reqd")
    if s.user:
        command += ["--user", f"{s.user}:{s.password}"]
        if s.mechanism:
            command += ["--login-options", f"AUTH={s.mechanism}"]
    run([*command, *s.words])


def msmtp(s):
    lines = ["account default", f"host {s.host}", f"port {s.port}", f"from {s.sender}", "domain client.test",
             f"tls {'off' if s.tls == 'no' else 'on'}", f"tls_starttls {'off' if s.tls == 'at once' else 'on'}",
             f"tls_trust_file {s.trust}", f"tls_host_override {s.server_name}"]
    if s.user:
        lines += [f"auth {s.mechanism.lower() or 'on'}", f"user {s.user}", f'password "{s.password}"']
    path = s.folder / "msmtprc"
    path.touch(0o600)
    path.write_text("\n".join([*lines, *s.words]) + "\n")
    run([need("msmtp"), "--file", path, "--timeout=30", "--", s.recipient], input=s.message.replace(b"\r\n", b"\n"))


def python(s):
    """smtplib; `words` go into MAIL."""
    context = ssl.create_default_context(cafile=s.trust)
    if s.tls == "at once":
        client = smtplib.SMTP_SSL(s.host, s.port, local_hostname="client.test", timeout=TIMEOUT_S, context=context)
    else:
        client = smtplib.SMTP(s.host, s.port, local_hostname="client.test", timeout=TIMEOUT_S)
    try:
        with client:
            if s.tls == "starttls":
                client.starttls(context=context)
            if s.user and s.mechanism:
                client.ehlo()
                client.user, client.password = s.user, s.password
                client.auth(s.mechanism, getattr(client, f"auth_{s.mechanism.lower()}"))
            elif s.user:
                client.login(s.user, s.password)
            refused = client.sendmail(s.sender, [s.recipient], s.message, mail_options=s.words)
            lab.check(not refused, f"smtplib: refused: {refused}")
    except (smtplib.SMTPException, OSError) as problem:
        raise lab.Failed(f"smtplib: {problem}") from problem


def lmtp(s):
    with smtplib.LMTP(s.host, s.port, local_hostname="client.test") as client:
        lab.check(not client.sendmail(s.sender, [s.recipient], s.message), "LMTP: refused")


NODE_SCRIPT = """
const options = JSON.parse(process.argv[2]);
const transport = require('nodemailer').createTransport(options.transport);
let text = Buffer.alloc(0);
process.stdin.on('data', part => { text = Buffer.concat([text, part]); });
process.stdin.on('end', () => transport.sendMail({envelope: options.envelope, raw: text})
    .then(() => transport.close(), problem => { console.error(problem.message); process.exit(1); }));
"""


def install_nodemailer(folder):
    """Into a folder of the test; None when that does not work here."""
    if not shutil.which("npm") or not shutil.which("node"):
        return "npm and node are not installed"
    done = None
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(["npm", "install", "--prefix", str(folder), "--cache", str(folder / "cache"), "--no-audit",
                               "--no-fund", "--ignore-scripts", "nodemailer"], capture_output=True, text=True, timeout=120)
    if done is None or done.returncode:
        return f"npm does not install nodemailer: {'too slow' if done is None else done.stderr.strip()[-200:]}"
    return None


def nodemailer(s):
    """`words`: more options of the transport, as (name, value)."""
    home = s.folder / "node"
    if not home.exists():
        home.mkdir()
        (home / "missing").write_text(install_nodemailer(home) or "")
        (home / "send.js").write_text(NODE_SCRIPT)
    why = (home / "missing").read_text()
    if why:
        raise Missing(why)
    transport = {"host": s.host, "port": s.port, "name": "client.test", "secure": s.tls == "at once",
                 "requireTLS": s.tls == "starttls", "ignoreTLS": s.tls == "no",
                 "tls": {"ca": s.trust.read_text(), "servername": s.server_name}, **dict(s.words)}
    if s.user:
        transport["auth"] = {"user": s.user, "pass": s.password}
        if s.mechanism:
            transport["authMethod"] = s.mechanism
    options = {"transport": transport, "envelope": {"from": s.sender, "to": [s.recipient]}}
    run([need("node"), home / "send.js", json.dumps(options)], input=s.message, cwd=home)


def smtp_source(s):
    """Postfix's load generator, with messages of its own."""
    run([need("smtp-source"), "-f", s.sender, "-t", s.recipient, "-S", s.token, *s.words, f"inet:{s.host}:{s.port}"])


def postfix(s):
    """A Postfix that relays all that it gets to the server, over TLS to the very name that it expects; ends when its
    queue is empty. `words` are settings (name, value); ("burst", n): so many more messages at once."""
    why = lab_postfix.missing()
    if why:
        raise Missing(why)
    words = dict(s.words)
    burst = words.pop("burst", 0)
    folder = s.folder / f"postfix-{s.token}"
    folder.mkdir()
    settings = {"relayhost": f"[{s.host}]:{s.port}", "mynetworks": "127.0.0.0/8", "disable_dns_lookups": "yes",
                "smtp_tls_security_level": "none", "maximal_backoff_time": "5s", "minimal_backoff_time": "5s"}
    if s.tls != "no":
        settings |= {"smtp_tls_security_level": "secure", "smtp_tls_CAfile": s.trust, "smtp_tls_loglevel": "1",
                     "smtp_tls_secure_cert_match": s.server_name,
                     "smtp_tls_wrappermode": "yes" if s.tls == "at once" else "no"}
    if s.user:
        (folder / "passwords").write_text(f"[{s.host}]:{s.port} {s.user}:{s.password}\n")
        settings |= {"smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": f"texthash:{folder}/passwords",
                     "smtp_sasl_security_options": "noanonymous"}
        if s.mechanism:
            settings["smtp_sasl_mechanism_filter"] = s.mechanism.lower()
    relay = lab_postfix.Postfix(folder, s.host, lab_postfix.free_port(s.host), settings | words)
    try:
        relay.prepare()
        relay.start()
        with smtplib.SMTP(relay.address, relay.port, local_hostname="client.test", timeout=TIMEOUT_S) as client:
            client.sendmail(s.sender, [s.recipient], s.message)
        if burst:
            run([need("smtp-source"), "-s", "5", "-m", burst, "-l", "3000", "-f", s.sender, "-t", s.recipient, "-S",
                 f"{s.token}-burst", f"inet:{relay.address}:{relay.port}"])
        lab.wait_for("Postfix's queue to be empty", lambda: relay.queued() == 0, 30)
        log = relay.log()
        lab.check("status=bounced" not in log and "status=deferred" not in log, f"Postfix was refused: {log[-1500:]}")
        lab.check(log.count("status=sent") == 1 + burst, f"Postfix sent {log.count('status=sent')} of {1 + burst}")
        lab.check(s.tls == "no" or "Verified TLS connection established" in log, f"TLS was not verified: {log[-1500:]}")
    finally:
        relay.end()
