# SPDX-License-Identifier: GPL-2.0-or-later
"""Postfix handing its mail to Dovecot by LMTP, to compare with: own folders, own addresses on loopback, own
configuration, as a host would run them that has nothing else to do.

Nothing of the machine's own Postfix or Dovecot is read, started or touched; their system users (postfix, postdrop,
dovecot, dovenull) come with the packages and are used, so it needs root. What is durable: Postfix writes each message
to its queue file with fsync before 250; Dovecot (mail_fsync = optimized, its default) flushes each delivery before it
answers Postfix."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import lab
import processes

DAEMONS = pathlib.Path("/usr/lib/postfix/sbin")
DOVECOT = pathlib.Path("/usr/sbin/dovecot")
STORES = ("maildir", "mdbox")

MAIN_CF = """
compatibility_level = 3.6
maillog_file = {folder}/log/postfix
maillog_file_prefixes = {folder}/log
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
myhostname = peer.test
mydomain = peer.test
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.255.255.254/32
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_domains = example.test
virtual_mailbox_maps = texthash:{folder}/etc/users
virtual_transport = lmtp:unix:private/dovecot-lmtp
message_size_limit = 52428800
biff = no
notify_classes =
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_loglevel = 0
# As many at once as are measured, and no brakes: 100 clients, all from one address.
default_process_limit = {processes}
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
lmtp_destination_concurrency_limit = {deliveries}
initial_destination_concurrency = {deliveries}
"""

MASTER_CF = """
{address}:2525 inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - {deliveries} lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

DOVECOT_CONF = """
instance_name = bench
base_dir = {folder}/dovecot-run
state_dir = {folder}/dovecot-state
log_path = {folder}/log/dovecot
protocols = lmtp
ssl = no
mail_location = {location}
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
postmaster_address = postmaster@example.test
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%n
}}
service lmtp {{
  process_min_avail = {deliveries}
  process_limit = {deliveries}
  unix_listener {folder}/spool/private/dovecot-lmtp {{
    mode = 0600
    user = postfix
    group = postfix
  }}
}}
# One peer, which is ours.
service anvil {{
  client_limit = 2000
}}
"""

# The same for Dovecot 2.4, which names its settings anew.
DOVECOT_24_CONF = """
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
instance_name = bench
base_dir = {folder}/dovecot-run
state_dir = {folder}/dovecot-state
log_path = {folder}/log/dovecot
protocols {{
  lmtp = yes
}}
ssl = no
mail_driver = {store}
mail_home = {folder}/mail/%{{user | username}}
mail_path = ~/{store}
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
postmaster_address = postmaster@example.test
passdb static {{
  fields {{
    nopassword = yes
  }}
}}
userdb static {{
  fields {{
    uid = nobody
    gid = nogroup
    home = {folder}/mail/%{{user | username}}
  }}
}}
service lmtp {{
  process_min_avail = {deliveries}
  process_limit = {deliveries}
  unix_listener {folder}/spool/private/dovecot-lmtp {{
    mode = 0600
    user = postfix
    group = postfix
  }}
}}
"""


def missing():
    """Why it cannot be started here, or None."""
    if os.getuid() != 0:
        return "Postfix and Dovecot have to be started by root"
    if not (DAEMONS / "master").exists() or not (DAEMONS / "lmtp").exists():
        return "Postfix is not installed (admin/install-packages all)"
    if not DOVECOT.exists() or not pathlib.Path("/usr/lib/dovecot/lmtp").exists():
        return "dovecot-lmtpd is not installed (admin/install-packages all)"
    return None


def versions():
    def first_line(*words):
        return subprocess.run(words, capture_output=True, text=True).stdout.strip()
    postfix = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "postfix"], capture_output=True, text=True)
    return {"postfix": postfix.stdout.strip(), "dovecot": first_line(str(DOVECOT), "--version").split(" ")[0]}


class Peer:
    """with Peer(names, pair) as peer: ... gives both servers, which take mail for NAME@example.test."""

    def __init__(self, names, pair, store="maildir", network=33, deliveries=40, connections=100):
        self.names = names
        self.pair = pair
        self.store = store
        self.deliveries = deliveries
        self.connections = connections
        self.address = f"127.0.{lab.free_network(network)}.1"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postraft-peer-"))
        self.running = []
        self.sent = 0
        self.log_at = 0

    def __enter__(self):
        try:
            self.write_files()
            self.start()
        except BaseException:
            self.show_logs()
            self.end()
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.end()

    def write_files(self):
        self.folder.chmod(0o755)
        for name in ("etc", "etc/postfix", "log", "spool", "data", "mail", "dovecot-run", "dovecot-state"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        shutil.chown(self.folder / "mail", "nobody")
        values = {"folder": self.folder, "address": self.address, "daemons": DAEMONS, "store": self.store,
                  "certificate": self.pair[0], "key": self.pair[1], "deliveries": self.deliveries,
                  "processes": self.connections + 2 * self.deliveries + 50,
                  "location": f"{self.store}:~/{self.store}"}
        etc = self.folder / "etc"
        (etc / "postfix/main.cf").write_text(MAIN_CF.format(**values))
        (etc / "postfix/master.cf").write_text(MASTER_CF.format(**values))
        (etc / "users").write_text("".join(f"{name}@example.test x\n" for name in self.names))
        new = not versions()["dovecot"].startswith("2.3")
        (etc / "dovecot.conf").write_text((DOVECOT_24_CONF if new else DOVECOT_CONF).format(**values))

    def spawn(self, *words):
        """A server in the foreground, first in a process namespace of its own: whatever it starts ends with it, and
        it ends should this program be killed."""
        with open(self.folder / "log/start", "ab") as log:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--pid", "--fork",
                                        "--kill-child", "--", *map(str, words)],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.running.append(process)
        return process

    def start(self):
        config = str(self.folder / "etc/postfix")
        subprocess.run(["postfix", "-c", config, "check"], check=True, capture_output=True)
        dovecot = self.spawn(DOVECOT, "-F", "-c", self.folder / "etc/dovecot.conf")
        lab.wait_for("Dovecot's socket", (self.folder / "spool/private/dovecot-lmtp").is_socket, 20)
        master = self.spawn(DAEMONS / "master", "-c", config, "-i")
        lab.wait_for("Postfix's banner", self.banner, 20)
        for process in (dovecot, master):
            lab.check(process.poll() is None, "a server of the comparison ended at once")

    def banner(self):
        with socket.create_connection((self.address, 2525), 5) as client:
            return client.recv(100).startswith(b"220 ")

    def pids(self):
        return [process.pid for process in self.running]

    def delivered(self):
        """How many messages Dovecot has said to have, as Postfix writes down; it costs next to nothing to ask."""
        with open(self.folder / "log/postfix", "rb") as log:
            log.seek(self.log_at)
            text = log.read()
        text = text[:text.rfind(b"\n") + 1]
        self.log_at += len(text)
        self.sent += len(re.findall(rb"postfix/lmtp\[.* status=sent ", text))
        return self.sent

    def queued(self):
        return sum(len(files) for name in ("maildrop", "incoming", "active", "deferred")
                   for _, _, files in os.walk(self.folder / "spool" / name))

    def stored(self):
        """Messages in all mailboxes, counted where they lie."""
        if self.store == "maildir":
            return sum(len(os.listdir(folder)) for name in ("new", "cur")
                       for folder in self.folder.glob(f"mail/*/maildir/{name}"))
        config = str(self.folder / "etc/dovecot.conf")
        return sum(int(subprocess.run(["doveadm", "-c", config, "-f", "tab", "mailbox", "status", "-u",
                                       f"{name}@example.test", "messages", "INBOX"],
                                      capture_output=True, text=True, check=True).stdout.split()[-1])
                   for name in self.names)

    def empty(self):
        """Between cases: what lies in mailboxes is of no use any more."""
        for folder in self.folder.glob("mail/*/maildir/*"):
            if folder.name in ("new", "cur"):
                for entry in os.scandir(folder):
                    os.unlink(entry)

    def show_logs(self):
        for name in ("start", "postfix", "dovecot"):
            with contextlib.suppress(OSError):
                print(f"---- log/{name}, its end ----")
                print("\n".join((self.folder / "log" / name).read_text(errors="replace").splitlines()[-30:]))

    def end(self):
        firsts = [pid for process in self.running for pid in lab.children(process.pid)[:1]]
        for pid in reversed(firsts):
            lab.kill(pid, signal.SIGTERM)
        for process in self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        for pid in firsts:
            lab.kill(pid)
        for process in self.running:
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
