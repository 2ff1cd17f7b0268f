/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_PROTOCOL_ARGUMENTS_H
#define IMAP_PROTOCOL_ARGUMENTS_H

#include "imap/protocol/fetch_items.h"
#include "imap/protocol/flags.h"
#include "imap/protocol/list_arguments.h"
#include "imap/protocol/search_keys.h"
#include "imap/protocol/sequence.h"
#include "node/mail/date.h"

/*
 * The arguments of each command, parsed. A parse function is given the cursor behind the
 * command's name, takes all that is there, and says in the cursor why it could not. Everything
 * lives in the command's text and the cursor's arena.
 */
struct imap_arguments {
    union {
        struct {
            struct bytes user;
            struct bytes password;
        } login;
        struct {
            struct bytes mechanism;
            bool has_initial;
            struct bytes initial; /* base64, or "=" */
        } authenticate;
        struct {
            struct bytes name; /* UTF-8, as are all names of mailboxes */
            unsigned special_use;
        } mailbox;
        struct {
            struct bytes from;
            struct bytes to;
        } rename;
        struct {
            struct bytes name;
            unsigned items;
        } status;
        struct imap_list list;
        struct {
            struct bytes name; /* a quota root, or UTF-8: a mailbox */
            bool of_mailbox;
        } quota;
        struct {
            struct imap_sequence sequence;
            struct imap_fetch_items items;
        } fetch;
        struct {
            struct imap_sequence sequence;
            enum { IMAP_STORE_SET, IMAP_STORE_ADD, IMAP_STORE_REMOVE } mode;
            bool silent;
            struct imap_flags flags;
        } store;
        struct {
            struct imap_sequence sequence;
            struct bytes name;
        } copy;
        struct imap_search search;
        struct imap_sequence sequence;
        struct {
            struct bytes name;
            struct imap_flags flags;
            bool has_date;
            struct mail_date date;
        } append;
        struct {
            size_t pairs;
        } id;
    };
};

typedef bool imap_parse(struct imap_cursor *cursor, struct imap_arguments *arguments);

imap_parse imap_parse_nothing;
imap_parse imap_parse_login;
imap_parse imap_parse_authenticate;
imap_parse imap_parse_enable;
imap_parse imap_parse_id;
imap_parse imap_parse_mailbox;
imap_parse imap_parse_select; /* a mailbox, and parameters, of which there are none yet */
imap_parse imap_parse_create;
imap_parse imap_parse_rename;
imap_parse imap_parse_status;
imap_parse imap_parse_quota_root;
imap_parse imap_parse_quota_mailbox;
imap_parse imap_parse_list;
imap_parse imap_parse_lsub;
imap_parse imap_parse_fetch;
imap_parse imap_parse_store;
imap_parse imap_parse_copy;
imap_parse imap_parse_search;
imap_parse imap_parse_sequence;
/* Up to the message's literal, which must be the last thing that is there. */
imap_parse imap_parse_append;

#endif
