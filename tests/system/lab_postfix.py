# SPDX-License-Identifier: GPL-2.0-or-later
"""Postfix as the other side of a test: an instance with folders, addresses and configuration of its own. Nothing of
the machine's own Postfix is read, started or touched; only its system users (postfix, postdrop) are used, so it needs
root. Servers that run() starts live in process namespaces of their own and end with the test, however that ends."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import lab

DAEMONS = pathlib.Path("/usr/lib/postfix/sbin")
MAIN_CF = {
    "compatibility_level": "3.6",
    "command_directory": "/usr/sbin",
    "daemon_directory": DAEMONS,
    "mail_owner": "postfix",
    "setgid_group": "postdrop",
    "myhostname": "peer.test",
    "mydomain": "peer.test",
    "mydestination": "",
    "alias_maps": "",
    "local_recipient_maps": "",
    "inet_interfaces": "loopback-only",
    "inet_protocols": "ipv4",
    "message_size_limit": "52428800",
    "biff": "no",
    "notify_classes": "",
}
MASTER_CF = """
{address}:{port} inet n - n - - smtpd
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
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def missing():
    """Why Postfix cannot be started here, or None."""
    if os.getuid() != 0:
        return "Postfix has to be started by root"
    if not (DAEMONS / "master").exists():
        return "Postfix is not installed (admin/install-packages all)"
    return None


def free_port(address):
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


class Servers:
    """Programs that stay in the foreground, each the first of a process namespace: what it starts ends with it."""

    def __init__(self):
        self.running = []

    def spawn(self, log_path, *words):
        with open(log_path, "ab") as log:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--pid", "--fork",
                                        "--kill-child", "--", *map(str, words)],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.running.append(process)
        return process

    def pids(self):
        return [process.pid for process in self.running]

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


class Postfix:
    """Takes mail on address:port. `settings` are of main.cf, beyond those above. Writes its log to folder/log/postfix."""

    def __init__(self, folder, address, port, settings):
        self.folder = pathlib.Path(folder)
        self.address, self.port = address, port
        self.settings = settings
        self.servers = Servers()

    def prepare(self):
        for name in ("etc", "etc/postfix", "log", "spool", "data"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        shutil.chown(self.folder / "data", "postfix")
        everything = {**MAIN_CF, "queue_directory": self.folder / "spool", "data_directory": self.folder / "data",
                      "maillog_file": self.folder / "log/postfix", "maillog_file_prefixes": self.folder / "log",
                      **self.settings}
        etc = self.folder / "etc/postfix"
        (etc / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in everything.items()))
        (etc / "master.cf").write_text(MASTER_CF.format(address=self.address, port=self.port))
        # Makes the folders of the queue. What is wrong it tells nobody but a terminal or syslog.
        done = subprocess.run(["postfix", "-c", str(etc), "check"], capture_output=True, text=True)
        lab.check(done.returncode == 0, f"postfix check: {done.stdout}{done.stderr} (see postfix -c {etc} check)")

    def start(self):
        master = self.servers.spawn(self.folder / "log/start", DAEMONS / "master", "-c", self.folder / "etc/postfix", "-i")
        lab.wait_for("Postfix's banner", self.banner, 20)
        lab.check(master.poll() is None, "Postfix ended at once")

    def banner(self):
        with socket.create_connection((self.address, self.port), 5) as client:
            return client.recv(100).startswith(b"220 ")

    def log(self):
        return (self.folder / "log/postfix").read_text(errors="replace")

    def queued(self):
        return sum(len(files) for name in ("maildrop", "incoming", "active", "deferred")
                   for _, _, files in os.walk(self.folder / "spool" / name))

    def show_logs(self, *more):
        for name in ("start", "postfix", *more):
            with contextlib.suppress(OSError):
                print(f"---- log/{name}, its end ----")
                print("\n".join((self.folder / "log" / name).read_text(errors="replace").splitlines()[-30:]))

    def end(self):
        self.servers.end()
        shutil.rmtree(self.folder, ignore_errors=True)
