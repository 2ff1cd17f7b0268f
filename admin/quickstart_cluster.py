# SPDX-License-Identifier: GPL-2.0-or-later
"""What admin/quickstart does once Postraft is built. See admin/quickstart --help."""
import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time

import quickstart_mail
from quickstart_nodes import BASE, ROOT, Node, Problem, child_user, quoted, stop_all, wait_for

DOMAIN = "example.test"
TENANT = "example"
NODES_MAX = 7
USERS_MAX = 99999
NOTHING_TO_DO = 3
NOTHING_TO_BUILD = 4
begun = time.monotonic()


def step(text):
    print(f"[{time.monotonic() - begun:5.1f} s] {text}", flush=True)


class State:
    """What build/quickstart/state.json keeps: how many nodes there are, and who has which password."""

    def __init__(self):
        self.path = BASE / "state.json"
        self.nodes = 0
        self.accounts = []
        self.users = 0
        self.users_password = ""

    @property
    def exists(self):
        return self.path.exists()

    def load(self):
        self.__dict__.update(json.loads(self.path.read_text()))
        return self

    def save(self):
        kept = {key: value for key, value in self.__dict__.items() if key != "path"}
        write_secret(self.path, json.dumps(kept, indent=2) + "\n")


def write_secret(path, text):
    """0600 from the first byte on, and whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


def nodes_of(state, build):
    return [Node(number, build, DOMAIN) for number in range(1, state.nodes + 1)]


def write_environment(state, nodes):
    lines = ["# Made by admin/quickstart; for shells to source."]
    for node in nodes:
        lines += node.environment()
    for number, (user, password) in enumerate(state.accounts, 1):
        lines += [f"PR_USER_{number}={quoted(user)}", f"PR_PASS_{number}={quoted(password)}"]
    lines += [f"PR_NODES={len(nodes)}", f"PR_DOMAIN={DOMAIN}", f"PR_USERS={state.users}",
              f"PR_USERS_PASS={quoted(state.users_password)}"]
    alive = next((node for node in nodes if node.pid()), nodes[0])
    lines.append(f"PR_CTL={quoted(' '.join(map(quoted, alive.command())))}")
    write_secret(BASE / "env", "\n".join(lines) + "\n")


def wait_healthy(nodes, seconds=120):
    def healthy():
        with contextlib.suppress(Problem):
            return all(node.call("cluster", "status")["healthy"] for node in nodes)
        return False
    if not wait_for(healthy, seconds, 0.3):
        logs = " ".join(str(node.log) for node in nodes)
        raise Problem(f"the cluster does not become healthy; see {logs}")


def add_users(state, node, count):
    if count > state.users and not state.users_password:
        state.users_password = node.call("account", "add", f"user00001@{DOMAIN}", "--generate")["password"]
        state.users = 1
        state.save()
    lines = [f"user{number:05}@{DOMAIN}\t{state.users_password}\n" for number in range(state.users + 1, count + 1)]
    if lines:
        node.call("account", "add", "--file", "-", text="".join(lines), seconds=60 + count / 50)
        state.users = count
        state.save()
    step(f"there are {state.users} accounts user00001@{DOMAIN} to user{state.users:05}@{DOMAIN}")


def create(build, count, users):
    if BASE.exists():
        print("an earlier run did not come to its end; what it left is removed")
        wipe(build)
    state = State()
    state.nodes = count
    nodes = nodes_of(state, build)
    for node in nodes:
        node.check_ports()
    user = child_user()
    BASE.mkdir(parents=True)
    (BASE / "creating").write_text(str(count))
    for node in nodes:
        node.prepare(user)
        node.start()
    step(f"started {count} node{'s' if count > 1 else ''}, each a supervisor with its programs"
         + (f", as {user}" if user else ""))
    nodes[0].call("cluster", "init", "--name", "quickstart", "--node", nodes[0].name,
                  "--data-center", nodes[0].data_center)
    step(f"made a cluster on {nodes[0].name}, data center {nodes[0].data_center}")
    for node in nodes[1:]:
        token = nodes[0].call("cluster", "token")["token"]
        node.call("cluster", "join", token, "--node", node.name, "--data-center", node.data_center)
        step(f"{node.name} joined with a token, data center {node.data_center}")
    wait_healthy(nodes)
    step("the cluster is healthy: each group has its replicas and a leader")

    nodes[0].call("tenant", "add", TENANT)
    nodes[0].call("domain", "add", DOMAIN, "--tenant", TENANT)
    for name in ("alice", "bob"):
        made = nodes[0].call("account", "add", f"{name}@{DOMAIN}", "--generate")
        state.accounts.append((f"{name}@{DOMAIN}", made["password"]))
    step(f"added tenant {TENANT}, domain {DOMAIN}, accounts alice and bob")
    quickstart_mail.prove(nodes, [tuple(account) for account in state.accounts], step)
    if users:
        add_users(state, nodes[0], users)
    state.save()
    write_environment(state, nodes)
    (BASE / "creating").unlink()
    farewell(nodes)


def farewell(nodes):
    environment = (BASE / "env").relative_to(ROOT)
    where = nodes[0].ip + (f" to {nodes[-1].ip}" if len(nodes) > 1 else "")
    print(f"\nThe cluster is running on {where}. Addresses, accounts and passwords are in\n"
          f"{environment}; the log of node n is build/quickstart/node<n>/log. Try:\n\n"
          f"    . {environment}; $PR_CTL cluster status\n\n"
          "admin/quickstart --help shows how to kill, start and stop nodes.")


def resume(state, build, users):
    """All that ran before runs again."""
    nodes = nodes_of(state, build)
    down = [node for node in nodes if not node.pid()]
    for node in down:
        node.start()
    if down:
        step(f"started {', '.join(node.name for node in down)}")
        wait_healthy(nodes)
        step("the cluster is healthy")
    if users:
        add_users(state, nodes[0], users)
    write_environment(state, nodes)
    farewell(nodes)


def show_status(state, build):
    if not state.exists:
        print("there is no quickstart cluster; admin/quickstart makes one")
        return 1
    nodes = nodes_of(state, build)
    for node in nodes:
        pid = node.pid()
        print(f"{node.name}: {f'runs, supervisor {pid}' if pid else 'does not run'} (log: {node.log})")
    running = [node for node in nodes if node.pid()]
    if not running:
        return 1
    print(flush=True)
    words = running[0].command("cluster", "status")
    return os.spawnv(os.P_WAIT, words[0], words)


def wipe(build):
    if not BASE.exists():
        print("there is nothing to remove")
        return
    if not any((BASE / name).exists() for name in ("creating", "state.json", "env")):
        raise Problem(f"{BASE} was not made by quickstart; it is left alone")
    nodes = [Node(number, build, DOMAIN) for number in range(1, NODES_MAX + 1)]
    for node in nodes:
        node.kill()
        if node.run.parent != node.folder:
            shutil.rmtree(node.run, ignore_errors=True)
    shutil.rmtree(BASE)
    print("all nodes are stopped, and all of their data is removed")


def node_of(state, build, number):
    if not state.exists:
        raise Problem("there is no quickstart cluster; admin/quickstart makes one")
    if not 1 <= number <= state.nodes:
        raise Problem(f"there is no node {number}: they are 1 to {state.nodes}")
    return nodes_of(state, build)[number - 1]


def ask(state, build, options):
    """0: build and go on; NOTHING_TO_BUILD: go on; NOTHING_TO_DO: it runs, and that has been said."""
    if not state.exists:
        return 0
    if options.nodes not in (None, state.nodes):
        raise Problem(f"there is a cluster of {state.nodes} nodes; admin/quickstart --wipe removes it")
    nodes = nodes_of(state, build)
    down = [node for node in nodes if not node.pid()]
    if len(down) == len(nodes):
        return 0
    if (options.users or 0) > state.users:
        return NOTHING_TO_BUILD
    print(f"the cluster of {state.nodes} nodes is running already; nothing was changed")
    for node in down:
        print(f"{node.name} does not run: admin/quickstart --start {node.number} starts it")
    farewell(nodes)
    return NOTHING_TO_DO


def number_between(least, most):
    def read(text):
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most} is needed, not {text!r}")
        return int(text)
    return read


def read_options():
    parser = argparse.ArgumentParser(prog="admin/quickstart", add_help=False, allow_abbrev=False,
                                     usage="see admin/quickstart --help")
    parser.add_argument("--build", required=True)
    parser.add_argument("--ask", action="store_true")
    parser.add_argument("--nodes", type=number_between(1, NODES_MAX))
    parser.add_argument("--users", type=number_between(1, USERS_MAX))
    action = parser.add_mutually_exclusive_group()
    for name in ("--status", "--stop", "--wipe"):
        action.add_argument(name, action="store_true")
    for name in ("--kill", "--start"):
        action.add_argument(name, type=number_between(1, NODES_MAX))
    return parser.parse_args()


def act(options):
    state = State()
    build = options.build
    if state.exists:
        state.load()
    if options.ask:
        return ask(state, build, options)
    if options.status:
        return show_status(state, build)
    if options.wipe:
        wipe(build)
    elif options.stop:
        count = stop_all(nodes_of(state, build))
        print(f"stopped {count} nodes; admin/quickstart starts them again" if count else "no node was running")
    elif options.kill or options.start:
        node = node_of(state, build, options.kill or options.start)
        if options.kill:
            pids = node.kill()
            step(f"killed {node.name}: {len(pids)} processes" if pids else f"{node.name} was not running")
        else:
            running = node.pid()
            node.start()
            step(f"{node.name} runs already" if running else f"started {node.name}, supervisor {node.pid()}")
        write_environment(state, nodes_of(state, build))
    elif state.exists:
        resume(state, build, options.users)
    else:
        create(build, options.nodes or 3, options.users)
    return 0


def main():
    try:
        sys.exit(act(read_options()))
    except Problem as problem:
        print(f"quickstart: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


main()
