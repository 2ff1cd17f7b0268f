/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_FORMAT_H
#define STORAGE_SCHEMA_FORMAT_H

/*
 * The cluster's format: which commands, rows and messages its nodes may use. A release knows
 * all formats up to FORMAT_NEWEST. Each group's record says which one it has; it is raised by a
 * command in the group's own log (FormatRaise), when an operator has finished an upgrade and
 * every node knows the new format. Before that, a release behaves, to the byte, as the one
 * before it did: nodes of both work side by side, and the older release can be put back.
 *
 * What a release adds to the log or to the tables is therefore used only when the group's
 * format allows it; a command above the group's format is answered as by a release that does
 * not know it.
 */
enum {
    FORMAT_FIRST = 1, /* SMTP, IMAP, directory: the first release that kept mail */
    FORMAT_DEPTH =
        2, /* quotas, recoverable mail, state transfer, witnesses, moves of accounts */
    FORMAT_SCOPES = 3,    /* limits of domains and tenants, clusters of more than 16 nodes */
    FORMAT_ADDRESSES = 4, /* aliases, lists, forwards, settings, the queue, credentials */
    FORMAT_NEWEST = FORMAT_ADDRESSES,
};

#endif
