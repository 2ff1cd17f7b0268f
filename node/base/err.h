/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_BASE_ERR_H
#define NODE_BASE_ERR_H

/*
 * Operating errors: things that go wrong in a correct program. A broken
 * invariant is not an err, it aborts (see check.h). A refusal in a protocol is
 * not an err either, it is a reply.
 *
 * The numbers travel in RPC replies and lie in log entries' results: add at the end only.
 */
#define ERR_LIST(X)                                                                            \
    X(OK, "success")                                                                           \
    X(NOTFOUND, "no such object")                                                              \
    X(EXISTS, "object already exists")                                                         \
    X(FULL, "storage is full")                                                                 \
    X(TOOBIG, "limit exceeded")                                                                \
    X(MALFORMED, "data is malformed")                                                          \
    X(NOTLEADER, "not the leader of this group")                                               \
    X(IO, "input/output error")                                                                \
    X(TIMEOUT, "no answer in time")                                                            \
    X(UNKNOWN, "the outcome is not known")                                                     \
    X(UNAVAILABLE, "no majority or no leader can be reached")                                  \
    X(BUSY, "too much work under way")                                                         \
    X(DENIED, "not allowed")                                                                   \
    X(CANCELLED, "cancelled before it took effect")                                            \
    X(CLOSED, "closed")                                                                        \
    X(INVALID, "not valid here")                                                               \
    X(UNSUPPORTED, "not supported")                                                            \
    X(NOSESSION, "no such session")                                                            \
    X(CONFLICT, "changed by somebody else in the meantime")                                    \
    X(QUOTA, "no room left in a quota")                                                        \
    X(MOVED, "the account is, or is about to be, in another group")                            \
    X(GRANT, "the group's part of a domain's or tenant's limit is used up")                    \
    X(LIMIT, "more than may be sent in this time")

#define ERR_ENUM(name, text) ERR_##name,
enum err { ERR_LIST(ERR_ENUM) ERR_COUNT };
#undef ERR_ENUM

#define MUST_CHECK __attribute__((warn_unused_result))

/* A short constant text, for logs and operators. Never shown to a mail client. */
const char *err_text(enum err err);

/* The name ("NOTFOUND"), for logs and JSON. */
const char *err_name(enum err err);

#endif
