# SPDX-License-Identifier: GPL-2.0-or-later
"""Postfix handing its mail to Dovecot by LMTP, to compare with: own folders, own addresses on loopback, own
configuration, as a host would run them that has nothing else to do (system/lab_postfix.py tells how it is kept apart
from the machine's own).

What is durable: Postfix writes each message to its queue file with fsync before 250; Dovecot (mail_fsync = optimized,
its default) flushes each delivery before it answers Postfix."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import lab
import lab_postfix

DOVECOT = pathlib.Path("/usr/sbin/dovecot")

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
    if not DOVECOT.exists() or not pathlib.Path("/usr/lib/dovecot/lmtp").exists():
        return "dovecot-lmtpd is not installed (admin/install-packages all)"
    return lab_postfix.missing()


def versions():
    def first_line(*words):
        return subprocess.run(words, capture_output=True, text=True).stdout.strip()
    return {"postfix": first_line("dpkg-query", "-W", "-f", "${Version}", "postfix"),
            "dovecot": first_line(str(DOVECOT), "--version").split(" ")[0]}


class Peer(lab_postfix.Postfix):
    """with Peer(names, pair) as peer: ... gives both servers, which take mail for NAME@example.test. `pair`: the files of
    the certificate and its key. `connections`: so many come at once."""

    def __init__(self, names, pair, store="maildir", network=33, deliveries=40, connections=100):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="postraft-peer-"))
        super().__init__(folder, f"127.0.{lab.free_network(network)}.1", 2525, {
            "mynetworks": "127.255.255.254/32",
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "virtual_mailbox_domains": "example.test",
            "virtual_mailbox_maps": f"texthash:{folder}/etc/users",
            "virtual_transport": "lmtp:unix:private/dovecot-lmtp",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": pair[0],
            "smtpd_tls_key_file": pair[1],
            # As many at once as are measured, and no brakes: all come from one address.
            "default_process_limit": connections + 2 * deliveries + 50,
            "smtpd_client_connection_count_limit": 0,
            "in_flow_delay": 0,
            "lmtp_destination_concurrency_limit": deliveries,
            "initial_destination_concurrency": deliveries})
        self.names = names
        self.store = store
        self.deliveries = deliveries
        self.sent = 0
        self.log_at = 0

    def __enter__(self):
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.show_logs("dovecot")
            self.end()
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.end()

    def prepare(self):
        super().prepare()
        for name in ("mail", "dovecot-run", "dovecot-state"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "mail", "nobody")
        (self.folder / "etc/users").write_text("".join(f"{name}@example.test x\n" for name in self.names))
        old = versions()["dovecot"].startswith("2.3")
        (self.folder / "etc/dovecot.conf").write_text((DOVECOT_CONF if old else DOVECOT_24_CONF).format(
            folder=self.folder, store=self.store, deliveries=self.deliveries, location=f"{self.store}:~/{self.store}"))

    def start(self):
        dovecot = self.servers.spawn(self.folder / "log/start", DOVECOT, "-F", "-c", self.folder / "etc/dovecot.conf")
        lab.wait_for("Dovecot's socket", (self.folder / "spool/private/dovecot-lmtp").is_socket, 20)
        super().start()
        lab.check(dovecot.poll() is None, "Dovecot ended at once")

    def pids(self):
        return self.servers.pids()

    def delivered(self):
        """How many messages Dovecot has said to have, as Postfix writes down; it costs next to nothing to ask."""
        with open(self.folder / "log/postfix", "rb") as log:
            log.seek(self.log_at)
            text = log.read()
        text = text[:text.rfind(b"\n") + 1]
        self.log_at += len(text)
        self.sent += len(re.findall(rb"postfix/lmtp\[.* status=sent ", text))
        return self.sent

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
