/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

#define GREETED IMAP_IN(IMAP_STATE_GREETED)
#define LOGGED_IN IMAP_IN(IMAP_STATE_LOGGED_IN)
#define SELECTED IMAP_IN(IMAP_STATE_SELECTED)
#define INSIDE (LOGGED_IN | SELECTED)
#define ANY (GREETED | LOGGED_IN | SELECTED)

static const struct imap_command commands[] = {
    {BYTES_INIT("CAPABILITY"), ANY, 0, imap_parse_nothing, imap_run_capability},
    {BYTES_INIT("NOOP"), ANY, 0, imap_parse_nothing, imap_run_noop},
    {BYTES_INIT("LOGOUT"), ANY, IMAP_NO_UPDATES, imap_parse_nothing, imap_run_logout},
    {BYTES_INIT("ID"), ANY, 0, imap_parse_id, imap_run_id},
    {BYTES_INIT("STARTTLS"), GREETED, 0, imap_parse_nothing, imap_run_starttls},
    {BYTES_INIT("LOGIN"), GREETED, 0, imap_parse_login, imap_run_login},
    {BYTES_INIT("AUTHENTICATE"), GREETED, 0, imap_parse_authenticate, imap_run_authenticate},
    {BYTES_INIT("ENABLE"), INSIDE, 0, imap_parse_enable, imap_run_enable},
    {BYTES_INIT("NAMESPACE"), INSIDE, 0, imap_parse_nothing, imap_run_namespace},
    {BYTES_INIT("SELECT"), INSIDE, IMAP_NO_UPDATES, imap_parse_select, imap_run_select},
    {BYTES_INIT("EXAMINE"), INSIDE, IMAP_NO_UPDATES, imap_parse_select, imap_run_examine},
    {BYTES_INIT("CREATE"), INSIDE, 0, imap_parse_create, imap_run_create},
    {BYTES_INIT("DELETE"), INSIDE, 0, imap_parse_mailbox, imap_run_delete},
    {BYTES_INIT("RENAME"), INSIDE, 0, imap_parse_rename, imap_run_rename},
    {BYTES_INIT("SUBSCRIBE"), INSIDE, 0, imap_parse_mailbox, imap_run_subscribe},
    {BYTES_INIT("UNSUBSCRIBE"), INSIDE, 0, imap_parse_mailbox, imap_run_unsubscribe},
    {BYTES_INIT("LIST"), INSIDE, 0, imap_parse_list, imap_run_list},
    {BYTES_INIT("LSUB"), INSIDE, 0, imap_parse_lsub, imap_run_list},
    {BYTES_INIT("STATUS"), INSIDE, 0, imap_parse_status, imap_run_status},
    {BYTES_INIT("GETQUOTA"), INSIDE, 0, imap_parse_quota_root, imap_run_get_quota},
    {BYTES_INIT("GETQUOTAROOT"), INSIDE, 0, imap_parse_quota_mailbox, imap_run_get_quota},
    {BYTES_INIT("IDLE"), INSIDE, 0, imap_parse_nothing, imap_run_idle},
    {BYTES_INIT("CHECK"), SELECTED, 0, imap_parse_nothing, imap_run_noop},
    {BYTES_INIT("CLOSE"), SELECTED, IMAP_NO_UPDATES, imap_parse_nothing, imap_run_close},
    {BYTES_INIT("UNSELECT"), SELECTED, IMAP_NO_UPDATES, imap_parse_nothing, imap_run_unselect},
    {BYTES_INIT("EXPUNGE"), SELECTED, IMAP_CHANGES, imap_parse_nothing, imap_run_expunge},
    {BYTES_INIT("EXPUNGE"), SELECTED, IMAP_ONLY_UID | IMAP_CHANGES, imap_parse_sequence,
     imap_run_uid_expunge},
    {BYTES_INIT("SEARCH"), SELECTED, IMAP_HAS_UID | IMAP_KEEP_NUMBERS, imap_parse_search,
     imap_run_search},
    {BYTES_INIT("FETCH"), SELECTED, IMAP_HAS_UID | IMAP_KEEP_NUMBERS, imap_parse_fetch,
     imap_run_fetch},
    {BYTES_INIT("STORE"), SELECTED, IMAP_HAS_UID | IMAP_KEEP_NUMBERS | IMAP_CHANGES,
     imap_parse_store, imap_run_store},
    {BYTES_INIT("COPY"), SELECTED, IMAP_HAS_UID, imap_parse_copy, imap_run_copy},
    {BYTES_INIT("MOVE"), SELECTED, IMAP_HAS_UID | IMAP_CHANGES, imap_parse_copy, imap_run_move},
    {BYTES_INIT("APPEND"), INSIDE, 0, imap_parse_append, imap_run_append},
};

const struct imap_command *imap_command_find(struct bytes name, bool by_uid)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct imap_command *command = &commands[i];
        bool has_uid = command->flags & (IMAP_HAS_UID | IMAP_ONLY_UID);
        bool has_plain = !(command->flags & IMAP_ONLY_UID);
        if ((by_uid ? has_uid : has_plain) && bytes_equal_nocase(name, command->name))
            return command;
    }
    return NULL;
}
