/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pwd.h>
#include <unistd.h>

#include "node/base/log.h"
#include "node/supervisor/supervisor.h"

bool identity_of(const char *user, struct identity *identity)
{
    *identity = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (user[0] == '\0')
        return true;
    const struct passwd *entry = getpwnam(user);
    if (entry == NULL) {
        log_error(NULL, "there is no such user", LOG_FIELDS(LOG_TEXT("user", user)));
        return false;
    }
    if (entry->pw_uid == geteuid())
        return true;
    if (geteuid() != 0) {
        log_error(NULL, "only root can start programs as somebody else",
                  LOG_FIELDS(LOG_TEXT("user", user)));
        return false;
    }
    *identity = (struct identity){true, entry->pw_uid, entry->pw_gid};
    return true;
}

bool users_known(const struct config *config)
{
    const char *const names[] = {config->user_store, config->user_smtp, config->user_imap,
                                 config->user_relay};
    struct identity identity;
    bool known = true;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        known = identity_of(names[i], &identity) && known;
    return known;
}
