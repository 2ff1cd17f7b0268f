/* SPDX-License-Identifier: GPL-2.0-or-later */
/* capabilities(7): what is left of root once everything has begun. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "node/base/log.h"
#include "node/supervisor/supervisor.h"

#define BIT(capability) (1ULL << (capability))

/* To start programs as their users, and to stop them. */
static const uint64_t for_users = BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_KILL);
/* Programs that run as root may have their files where only root comes to. */
static const uint64_t for_root =
    BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER);

static bool failed(const char *what)
{
    log_error(NULL, "cannot give up what root may do",
              LOG_FIELDS(LOG_TEXT("what", what), LOG_TEXT("reason", strerror(errno))));
    return false;
}

/* Nothing that is started from here on gets more, whoever it runs as. */
static bool bound(uint64_t kept)
{
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
         capability++)
        if (capability >= 64 || !(kept & BIT(capability)))
            if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
                return false;
    return true;
}

bool capabilities_drop(const struct supervisor *supervisor)
{
    unsigned users = children_with_users(supervisor);
    uint64_t kept =
        (users > 0 ? for_users : 0) | (users < supervisor->children_count ? for_root : 0);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];

    if (syscall(SYS_capget, &header, sets) != 0)
        return failed("look");
    uint64_t permitted = (uint64_t)sets[1].permitted << 32 | sets[0].permitted;
    if (permitted & BIT(CAP_SETPCAP) && !bound(kept))
        return failed("bounding set");
    kept &= permitted;
    for (unsigned i = 0; i < 2; i++) {
        sets[i].effective = sets[i].permitted = (uint32_t)(kept >> 32 * i);
        sets[i].inheritable = 0; /* the ambient ones go with these */
    }
    if (syscall(SYS_capset, &header, sets) != 0)
        return failed("sets");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return failed("privileges of programs");
    return true;
}
