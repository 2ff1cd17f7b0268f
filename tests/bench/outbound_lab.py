# SPDX-License-Identifier: GPL-2.0-or-later
"""What `run outbound` sends from and to: clusters and Postfix that take mail for aliases of example.test, each of which
leads to a domain elsewhere, and hosts for those domains (bench-smtp-sink) on loopback addresses of their own.

HOSTS hosts take the mail of DOMAINS domains. Neither server is asked to look anything up: Postraft has routes, Postfix a
transport map, to the same addresses."""
import contextlib
import mmap
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

import lab
import lab_postfix
import processes

DOMAINS, HOSTS = 200, 50
FIRST_HOST = 101            # 127.0.N.101 and on
PROBE_HOST = 99             # of a domain of its own
PORT = 2526
COUNTS = struct.Struct("6Q")
SETTINGS = {
    # As Postfix comes, but for clients: all come from one address.
    "default": {"smtpd_client_connection_count_limit": 0},
    # Nothing that holds back in it: as many processes and connections to each host as are of use.
    "raised": {"smtpd_client_connection_count_limit": 0, "default_process_limit": 500, "in_flow_delay": 0,
               "initial_destination_concurrency": 20, "smtp_destination_concurrency_limit": 100,
               "qmgr_message_active_limit": 100000, "qmgr_message_recipient_limit": 100000},
}
CONFIG = """limits {{ connections_address = 20000 }}
processes {{ smtp = {smtp} relay = 1 }}
relay {{ routes = {{ {routes} }} {more} }}"""


def domain_of(n):
    return f"d{n}.h{n % HOSTS}.test"


def alias_of(n):
    return f"out{n}@example.test"


class Hosts:
    """The network that the hosts are in, and those that are there: start() and stop() as often as wanted."""

    def __init__(self, program, network):
        self.program = program
        self.network = lab.free_network(network)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postraft-sink-"))
        self.running = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in list(self.running):
            self.stop(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ip(self, number):
        return f"127.0.{self.network}.{number}"

    def addresses(self, name):
        numbers = [PROBE_HOST] if name == "probe" else range(FIRST_HOST, FIRST_HOST + HOSTS)
        return [f"{self.ip(number)}:{PORT}" for number in numbers]

    def start(self, name="hosts"):
        path = self.folder / name
        words = [word for address in self.addresses(name) for word in ("--listen", address)]
        process = subprocess.Popen([str(self.program), "--counts", str(path), *words], stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline().strip()
        if line != "ready":
            process.kill()
            process.wait()
            raise lab.Failed(f"the hosts do not start: {line}")
        with open(path, "r+b") as file:
            self.running[name] = (process, mmap.mmap(file.fileno(), 0))

    def stop(self, name="hosts"):
        process, counts = self.running.pop(name)
        process.kill()
        process.wait()
        process.stdout.close()
        counts.close()

    def pid(self, name="hosts"):
        return self.running[name][0].pid

    def counts(self, name="hosts"):
        rows = list(COUNTS.iter_unpack(self.running[name][1][:]))
        firsts = [row[4] for row in rows if row[4]]
        return {"messages": sum(row[0] for row in rows), "recipients": sum(row[1] for row in rows),
                "connections": sum(row[3] for row in rows), "first_s": min(firsts, default=0) / 1e6,
                "last_s": max(row[5] for row in rows) / 1e6}

    def messages(self, name="hosts"):
        return self.counts(name)["messages"]


class Postraft:
    """One cluster; what it takes for alias_of(N) leaves for domain_of(N)."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.nodes = len(cluster.nodes)
        self.name = f"postraft {self.nodes}"
        self.targets = [f"{node.ip}:2525" for node in cluster.nodes]

    def prepare(self):
        node = self.cluster.node(1)
        self.cluster.add_accounts(["ann"])
        node.cli("setting", "set", "mail.outbound", "on")
        node.cli("setting", "set", "sending.class", "custom", "--tenant", "example")
        for name in ("sending.hour", "sending.day", "sending.tenant_hour", "sending.tenant_day"):
            with contextlib.suppress(lab.Failed):
                node.cli("setting", "set", name, "0", "--tenant", "example")
        for n in range(DOMAINS):
            node.cli("alias", "add", alias_of(n), f"x@{domain_of(n)}")
        node.cli("alias", "add", "probe@example.test", "x@probe.test")

    def pids(self):
        return [node.process.pid for node in self.cluster.nodes]

    def cpu(self):
        """Seconds, by program."""
        found = {}
        for pid in processes.tree(self.pids()):
            name = lab.process_name(pid)
            found[name] = found.get(name, 0) + processes.own_cpu_seconds(pid)
        return found

    def queued(self):
        return len(self.cluster.node(1).cli("queue", "list")["messages"])


class Postfix(lab_postfix.Postfix):
    nodes = 0

    def __init__(self, kind, hosts, network):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="postraft-peer-"))
        super().__init__(folder, f"127.0.{lab.free_network(network)}.1", 2525, {
            "mynetworks": "127.0.0.0/8",
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "virtual_alias_domains": "example.test",
            "virtual_alias_maps": f"texthash:{folder}/etc/aliases",
            "transport_maps": f"texthash:{folder}/etc/transport",
            **SETTINGS[kind]})
        self.name = f"postfix {kind}"
        self.hosts = hosts
        self.targets = [f"{self.address}:{self.port}"]

    def __enter__(self):
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.show_logs()
            self.end()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.show_logs()
        self.end()

    def prepare(self):
        super().prepare()
        (self.folder / "etc/aliases").write_text("".join(f"{alias_of(n)} x@{domain_of(n)}\n" for n in range(DOMAINS)))
        (self.folder / "etc/transport").write_text("".join(
            f"{domain_of(n)} smtp:[{self.hosts.ip(FIRST_HOST + n % HOSTS)}]:{PORT}\n" for n in range(DOMAINS)))

    def pids(self):
        return self.servers.pids()

    def cpu(self):
        return {"postfix": processes.cpu_seconds(self.pids())}


def cluster(nodes, hosts, network, build, more=""):
    routes = ", ".join([f'".h{n}.test=[{hosts.ip(FIRST_HOST + n)}]:{PORT}"' for n in range(HOSTS)] +
                       [f'"probe.test=[{hosts.ip(PROBE_HOST)}]:{PORT}"'])
    return lab.Cluster(nodes, network=network, build=build,
                       extra=CONFIG.format(smtp=os.cpu_count(), routes=routes, more=more))
