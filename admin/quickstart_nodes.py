# SPDX-License-Identifier: GPL-2.0-or-later
"""The nodes of a quickstart cluster: folders, configuration, processes. Used by quickstart_cluster.py."""
import contextlib
import hashlib
import json
import os
import pathlib
import pwd
import shlex
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASE = ROOT / "build" / "quickstart"
SOCKET_PATH_MAX = 107
PORTS = {"smtp": 2525, "submission": 2587, "submissions": 2465, "imap": 2143, "imaps": 2993, "raft": 7101, "rpc": 7102,
         "join": 7103}
CONFIG = """\
# Made by admin/quickstart.
folder = "{folder}/data"
run = "{run}"
hostname = "node{number}.{domain}"
cluster {{ raft = "{ip}:7101" rpc = "{ip}:7102" join = "{ip}:7103" }}
listen "smtp" {{ address = {{ "{ip}:2525" }} }}
listen "submission" {{ address = {{ "{ip}:2587" }} }}
listen "submissions" {{ address = {{ "{ip}:2465" }} }}
listen "imap" {{ address = {{ "{ip}:2143" }} }}
listen "imaps" {{ address = {{ "{ip}:2993" }} }}
{users}"""


class Problem(Exception):
    """What the user is told; the program ends."""


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def children(pid):
    found = []
    with contextlib.suppress(OSError):
        for child in map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            found += [child] + children(child)
    return found


def wait_for(condition, seconds, pause=0.1):
    """Until condition() is true; false when it never was."""
    end = time.monotonic() + seconds
    while True:
        if condition():
            return True
        if time.monotonic() > end:
            return False
        time.sleep(pause)


def child_user():
    """Who the programs run as: nobody, when that user can get at the files; else whoever runs this."""
    if os.getuid() != 0:
        return ""
    nobody = pwd.getpwnam("nobody").pw_name
    for folder in [BASE.parent, *BASE.parent.parents]:
        if folder.exists() and not folder.stat().st_mode & 0o001:
            print(f"note: {folder} is closed to other users, so all programs run as root")
            return ""
    return nobody


class Node:
    def __init__(self, number, build, domain):
        self.number = number
        self.name = f"node{number}"
        self.ip = f"127.0.1.{number}"
        self.data_center = f"dc{(number - 1) % 3 + 1}"
        self.folder = BASE / self.name
        self.config = self.folder / "postraft.conf"
        self.log = self.folder / "log"
        self.bin = (ROOT / build / "bin").resolve()
        self.domain = domain
        self.run = self.folder / "run"
        if len(str(self.run / "store-operator.sock")) > SOCKET_PATH_MAX:
            short = hashlib.sha256(str(BASE).encode()).hexdigest()[:8]
            self.run = pathlib.Path(f"/tmp/postraft-{short}") / self.name

    def prepare(self, user):
        self.folder.mkdir(parents=True)
        users = f'users {{ store = "{user}" smtp = "{user}" imap = "{user}" relay = "{user}" }}\n' if user else ""
        self.config.write_text(CONFIG.format(folder=self.folder, run=self.run, number=self.number,
                                             domain=self.domain, ip=self.ip, users=users))

    def check_ports(self):
        for name, port in PORTS.items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((self.ip, port))
                except OSError as problem:
                    raise Problem(f"{self.ip}:{port} ({name}) cannot be used: {problem.strerror}") from None

    def pid(self):
        """The supervisor's process id; None when it does not run."""
        try:
            pid = int((self.run / "postraftd.pid").read_text())
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self.config).encode() in words and alive(pid) else None

    def start(self):
        if self.pid():
            return
        self.check_ports()
        with open(self.log, "ab") as log:
            process = subprocess.Popen([str(self.bin / "postraftd"), "--config", str(self.config)], cwd="/",
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

        def ready():
            if process.poll() is not None:
                raise Problem(f"{self.name} ended at once; see {self.log}")
            return self.pid() and self.answers()
        if not wait_for(ready, 30):
            raise Problem(f"{self.name} does not answer; see {self.log}")

    def answers(self):
        with contextlib.suppress(Problem):
            return self.call("cluster", "status") is not None
        return False

    def tree(self):
        pid = self.pid()
        return [pid] + children(pid) if pid else []

    def kill(self):
        """All processes at once, with -9: stopped first, so that nothing is started meanwhile."""
        pids = self.tree()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids + [p for known in pids for p in children(known) if p not in pids]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        if not wait_for(lambda: not any(alive(pid) for pid in pids), 10):
            raise Problem(f"some processes of {self.name} do not end: {pids}")
        return pids

    def command(self, *words):
        return [str(self.bin / "postraft"), "--run", str(self.run), *words]

    def call(self, *words, text=None, seconds=130):
        """`postraft ... --json` on this node; what it answered."""
        try:
            run = subprocess.run(self.command(*words, "--json"), input=text, capture_output=True, text=True,
                                 timeout=seconds, check=False)
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise Problem(f"{self.name}: postraft {' '.join(words[:2])}: {problem}") from None
        if run.returncode != 0:
            reason = (run.stderr.strip() or run.stdout.strip()).removeprefix("postraft: ")
            raise Problem(f"{self.name}: postraft {' '.join(words[:2])}: {reason} (log: {self.log})")
        return json.loads(run.stdout)

    def environment(self):
        at = {"SMTP": PORTS["smtp"], "SUBMIT": PORTS["submission"], "SUBMITS": PORTS["submissions"],
              "IMAP": PORTS["imap"], "IMAPS": PORTS["imaps"]}
        lines = [f"PR_{name}_{self.number}={self.ip}:{port}" for name, port in at.items()]
        return lines + [f"PR_PIDS_{self.number}={self.pid() or ''}"]


def stop_all(nodes):
    """Cleanly; what has not ended after a while is killed. Returns how many ran."""
    running = [node for node in nodes if node.pid()]
    pids = {node: node.tree() for node in running}
    for node in running:
        os.kill(node.pid(), signal.SIGTERM)
    for node in running:
        if not wait_for(lambda: not any(alive(pid) for pid in pids[node]), 40):
            print(f"{node.name} did not stop by itself and is killed; see {node.log}")
            node.kill()
    return len(running)


def quoted(value):
    return shlex.quote(str(value))
