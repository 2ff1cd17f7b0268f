#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How the code has to look, as a test: who may include whom, where foreign headers live, how large a file and a
function may grow, that each file names its licence, and that it is formatted. Prints each offence; exit 1 if any."""
import pathlib
import re
import shutil
import subprocess
import sys

# A folder may include itself and these. The longest matching folder counts.
USES = {
    "node/base": set(),
    "node/mail": {"node/base"},
    "node/firewall": {"node/base"},
    "node/runtime": {"node/base"},
    "node/supervisor": {"node/base", "node/runtime"},
    "raft": {"node/base", "node/runtime"},
    "storage/schema": {"node/base", "node/firewall"},
    "storage/client": {"node/base", "node/firewall", "node/mail", "node/runtime", "storage/schema"},
    "storage": {"node", "raft", "storage"},
    "smtp": {"node", "storage/schema", "storage/client"},
    "imap": {"node", "storage/schema", "storage/client"},
    "admin": {"node", "storage/schema", "storage/client"},
}
HOMES = {
    "uv.h": {"node/runtime"},
    "lmdb.h": {"storage/db", "raft"},
    "raft.h": {"raft"},
    "nng/": {"node/runtime", "raft"},
    "openssl/": {"node/runtime", "storage/auth"},
    "confuse.h": {"node/runtime"},
    "unbound.h": {"node/runtime"},
    "libloc/": {"node/runtime"},
    "zstd.h": {"storage/client", "storage/query"},
    "sodium.h": {"storage/auth", "storage/service", "storage/client", "storage/machine", "storage/query", "storage/transfer",
                 "node/mail", "smtp/policy", "smtp/relay"},
    "pcre2.h": {"smtp/egress"},
    "libpsl.h": {"smtp/policy", "storage/service"},
    "unicode/": {"storage/service"},
    "jansson.h": {"admin", "storage/auth"},
    "gsasl.h": {"storage/auth"},
    "zxcvbn.h": {"storage/auth"},
    "libsmartcols": {"admin"},
    "utf8proc.h": {"node/mail"},
    "idn2.h": {"node/mail"},
}
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 80
root = pathlib.Path(__file__).resolve().parent.parent


def inside(path, folder):
    return path == folder or path.startswith(folder + "/")


def layer(path):
    matches = [folder for folder in USES if inside(path, folder)]
    return max(matches, key=len) if matches else None


def check_includes(name, lines, bad):
    home = layer(name)
    for number, line in enumerate(lines, 1):
        local = re.match(r'#include "([\w/.-]+)"', line)
        system = re.match(r"#include <([\w./-]+)>", line)
        if local and home:
            generated = local[1].endswith(".pb-c.h")
            target = "storage/schema" if generated else str(pathlib.PurePosixPath(local[1]).parent)
            if not any(inside(target, folder) for folder in USES[home] | {home}):
                bad.append(f"{name}:{number}: {home}/ may not use {target}/")
        if system and home:
            for header, homes in HOMES.items():
                if system[1].startswith(header) and not any(inside(name, h) for h in homes):
                    bad.append(f"{name}:{number}: <{system[1]}> belongs to {', '.join(sorted(homes))}")


def check_sizes(name, lines, bad):
    if len(lines) > FILE_LINES_MAX:
        bad.append(f"{name}: {len(lines)} lines, more than {FILE_LINES_MAX}")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start > FUNCTION_LINES_MAX:
                bad.append(f"{name}:{start}: a function of {number - start} lines")
            start = None


def main():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, check=True,
                            capture_output=True, text=True).stdout.split()
    sources = [n for n in listed if n.endswith((".c", ".h")) and (root / n).exists()]
    scripts = [n for n in listed if n.endswith((".py", ".sh", ".proto")) and (root / n).exists()]
    bad = []
    for name in sources + scripts:
        lines = (root / name).read_text(errors="replace").splitlines()
        if not any("SPDX-License-Identifier: GPL-2.0-or-later" in line for line in lines[:3]):
            bad.append(f"{name}: no SPDX line")
        if name.endswith((".c", ".h")):
            check_includes(name, lines, bad)
            check_sizes(name, lines, bad)
    formatter = shutil.which("clang-format-14") or shutil.which("clang-format")
    if formatter:
        run = subprocess.run([formatter, "--dry-run", "-Werror", *sources], cwd=root, capture_output=True, text=True)
        for name in sorted({line.split(":")[0] for line in run.stderr.splitlines() if "error: code should" in line}):
            bad.append(f"{name}: not formatted (clang-format -i {name})")
    print("\n".join(bad))
    sys.exit(bool(bad))


main()
