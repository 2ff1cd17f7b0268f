/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Landlock, by its system calls: the C library has none of it, and the header knows only what
 * the kernel of its release did. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/sandbox.h"

/* Rights that later versions added; a kernel must not be asked for one that it does not know.
 */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define RIGHTS_FIRST ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) /* all of version 1 */
#define RIGHTS_READ                                                                            \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE)
#define RIGHTS_WRITE                                                                           \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |                              \
     LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                           \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                            \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REFER |   \
     LANDLOCK_ACCESS_FS_TRUNCATE)
#define RIGHTS_OF_FILES                                                                        \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                            \
     LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_TRUNCATE)

/* What libraries read while a program runs: names of users and services, tables of character
 * sets and time zones, the number of processors. */
static const char *const readable[] = {"/etc", "/usr", "/lib", "/lib64", "/proc", "/sys"};

static uint64_t rights_known(int version)
{
    uint64_t rights = RIGHTS_FIRST;

    if (version >= 2)
        rights |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
    return rights;
}

static void allow(int rules, const char *path, uint64_t rights)
{
    struct stat status;
    int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return; /* what is not there needs no rule */
    CHECK(fstat(fd, &status) == 0);
    struct landlock_path_beneath_attr rule = {
        .allowed_access = S_ISDIR(status.st_mode) ? rights : rights & RIGHTS_OF_FILES,
        .parent_fd = fd,
    };
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        log_warn(NULL, "landlock rule failed", LOG_FIELDS(LOG_TEXT("path", path)));
    close(fd);
}

/* The folder of a file that another one may take the place of; not the whole disk. */
static void allow_beside(int rules, const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash != NULL ? (size_t)(slash - path) : 0;

    if (len == 0 || len >= sizeof(folder)) {
        allow(rules, path, LANDLOCK_ACCESS_FS_READ_FILE);
        return;
    }
    memcpy(folder, path, len);
    folder[len] = '\0';
    allow(rules, folder, LANDLOCK_ACCESS_FS_READ_FILE);
}

void sandbox_files(const struct config *config)
{
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) {
        log_warn(NULL, "the kernel has no landlock, files are not fenced off", NULL);
        return;
    }
    uint64_t known = rights_known((int)version);
    struct landlock_ruleset_attr attributes = {.handled_access_fs = known};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
    CHECK(rules >= 0);
    for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++)
        allow(rules, readable[i], RIGHTS_READ & known);
    allow(rules, "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
    allow(rules, "/dev/urandom", LANDLOCK_ACCESS_FS_READ_FILE);
    allow(rules, config->folder, RIGHTS_WRITE & known);
    allow(rules, config->run, RIGHTS_WRITE & known);
    /* Where the configuration says, which may be anywhere. */
    if (config->dns_trust_anchor[0] != '\0')
        allow(rules, config->dns_trust_anchor, LANDLOCK_ACCESS_FS_READ_FILE);
    if (config->network_map_file[0] != '\0')
        allow(rules, config->network_map_file, LANDLOCK_ACCESS_FS_READ_FILE);
    if (config->relay_authorities[0] != '\0')
        allow(rules, config->relay_authorities, LANDLOCK_ACCESS_FS_READ_FILE);
    if (config->passwords_breached[0] != '\0')
        allow_beside(rules, config->passwords_breached);
    if (syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        log_warn(NULL, "landlock failed, files are not fenced off",
                 LOG_FIELDS(LOG_I64("errno", errno)));
    close(rules);
}
