/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "imap/protocol/write.h"
#include "imap/session/internal.h"

/*
 * LIST and LSUB (RFC 3501 section 6.3.8, RFC 5258, RFC 3348, RFC 6154, RFC 5819). The store
 * gives all mailboxes of the account; here they become a tree in which missing parents have a
 * node too, and each pattern is matched against each node.
 */
struct node {
    struct bytes name;
    const Pr__MailboxInfo *info; /* NULL: only a parent */
    struct node *parent;
    bool has_children; /* some mailbox below it exists */
    bool is_chosen;    /* by the selection options */
    bool has_chosen;   /* some node below it is */
};

struct tree {
    struct node *nodes; /* parents in front of their children */
    size_t count;
};

/* As strcmp, but '/' is lower than all else: so all that lies below a mailbox follows it. */
static int compare_names(const char *one, const char *other)
{
    while (*one == *other && *one != '\0') {
        one++;
        other++;
    }
    int a = *one == '/' ? 1 : *one == '\0' ? 0 : (unsigned char)*one + 1;
    int b = *other == '/' ? 1 : *other == '\0' ? 0 : (unsigned char)*other + 1;
    return a - b;
}

static int compare(const void *a, const void *b)
{
    const Pr__MailboxInfo *const *one = a;
    const Pr__MailboxInfo *const *other = b;

    return compare_names((*one)->name, (*other)->name);
}

static bool is_below(struct bytes name, struct bytes parent)
{
    return name.len > parent.len && name.at[parent.len] == '/' &&
           bytes_equal(bytes_from(name.at, parent.len), parent);
}

static struct node *add_node(struct tree *tree, struct bytes name, const Pr__MailboxInfo *info,
                             struct node *parent)
{
    struct node *node = &tree->nodes[tree->count++];

    *node = (struct node){.name = name, .info = info, .parent = parent};
    return node;
}

/* One mailbox, and its parents as far as they are not there. `last` is the node before it. */
static struct node *add_mailbox(struct tree *tree, const Pr__MailboxInfo *info,
                                struct node *last)
{
    struct bytes name = bytes_of(info->name);
    struct node *parent = last;

    while (parent != NULL && !is_below(name, parent->name))
        parent = parent->parent;
    for (size_t at = parent != NULL ? parent->name.len + 1 : 0; at < name.len; at++)
        if (name.at[at] == '/')
            parent = add_node(tree, bytes_from(name.at, at), NULL, parent);
    return add_node(tree, name, info, parent);
}

static bool exists(const struct node *node)
{
    return node->info != NULL && node->info->exists;
}

static bool is_chosen(const struct imap_list *list, const struct node *node)
{
    if (list->select & IMAP_LIST_SUBSCRIBED && (node->info == NULL || !node->info->subscribed))
        return false;
    if (list->select & IMAP_LIST_SPECIAL_USE &&
        (!exists(node) || node->info->special_use < SPECIAL_DRAFTS))
        return false;
    return list->select & IMAP_LIST_SUBSCRIBED || exists(node) || node->has_children;
}

static void build(struct imap_session *session, const struct imap_list *list,
                  const Pr__MailboxListAnswer *answer, struct tree *tree)
{
    size_t count = answer->n_mailboxes;
    const Pr__MailboxInfo **sorted = imap_alloc(session, count * sizeof(sorted[0]));
    struct node *last = NULL;
    size_t room = count;

    for (size_t i = 0; i < count; i++) {
        sorted[i] = answer->mailboxes[i];
        for (const char *at = sorted[i]->name; *at != '\0'; at++)
            room += *at == '/';
    }
    qsort(sorted, count, sizeof(sorted[0]), compare);
    tree->nodes = imap_alloc(session, room * sizeof(tree->nodes[0]));
    for (size_t i = 0; i < count; i++)
        last = add_mailbox(tree, sorted[i], last);
    for (size_t i = tree->count; i-- > 0;) {
        struct node *node = &tree->nodes[i];
        node->is_chosen = is_chosen(list, node);
        if (node->parent == NULL)
            continue;
        node->parent->has_children |= exists(node) || node->has_children;
        node->parent->has_chosen |= node->is_chosen || node->has_chosen;
    }
}

static void write_attribute(struct imap_session *session, bool *first, const char *name)
{
    imap_say(session, "%s%s", *first ? "" : " ", name);
    *first = false;
}

static void write_attributes(struct imap_session *session, const struct imap_list *list,
                             const struct node *node)
{
    static const char *const uses[] = {
        [SPECIAL_DRAFTS] = "\\Drafts",   [SPECIAL_SENT] = "\\Sent",
        [SPECIAL_JUNK] = "\\Junk",       [SPECIAL_TRASH] = "\\Trash",
        [SPECIAL_ARCHIVE] = "\\Archive",
    };
    unsigned use = exists(node) ? node->info->special_use : 0;
    bool tells_subscribed = (list->select | list->returns) & IMAP_LIST_SUBSCRIBED;
    bool first = true;

    if (!exists(node) || (list->is_lsub && !node->is_chosen))
        write_attribute(session, &first, list->is_extended ? "\\NonExistent" : "\\Noselect");
    if (tells_subscribed && !list->is_lsub && node->info != NULL && node->info->subscribed)
        write_attribute(session, &first, "\\Subscribed");
    write_attribute(session, &first, node->has_children ? "\\HasChildren" : "\\HasNoChildren");
    if (use < sizeof(uses) / sizeof(uses[0]) && uses[use] != NULL)
        write_attribute(session, &first, uses[use]);
}

static void write_node(struct imap_session *session, const struct imap_list *list,
                       const struct node *node)
{
    imap_say(session, "* %s (", list->is_lsub ? "LSUB" : "LIST");
    write_attributes(session, list, node);
    imap_say(session, ") \"/\" ");
    imap_write_mailbox(&session->output, node->name);
    if (list->select & IMAP_LIST_RECURSIVEMATCH && node->has_chosen)
        imap_say(session, " (\"CHILDINFO\" (\"%s\"))",
                 list->select & IMAP_LIST_SUBSCRIBED ? "SUBSCRIBED" : "SPECIAL-USE");
    imap_say(session, "\r\n");
    if (list->returns & IMAP_LIST_STATUS && exists(node))
        imap_status_write(session, node->info, list->status_items);
}

/* LSUB shows a parent that is not subscribed where "%" hides the children that are (RFC 3501
 * section 6.3.9). */
static bool stands_for_children(const struct imap_list *list, struct bytes pattern,
                                const struct node *node)
{
    if (!node->has_chosen)
        return false;
    if (list->is_lsub)
        return pattern.len > 0 && pattern.at[pattern.len - 1] == '%';
    return list->select & IMAP_LIST_RECURSIVEMATCH;
}

static bool is_listed(const struct imap_list *list, const struct node *node)
{
    for (size_t i = 0; i < list->pattern_count; i++) {
        if (!node->is_chosen && !stands_for_children(list, list->patterns[i], node))
            continue;
        if (imap_pattern_matches(list->patterns[i], node->name))
            return true;
    }
    return false;
}

static void answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    const struct imap_list *list = &session->running->arguments.list;
    struct tree tree = {NULL, 0};

    if (err == ERR_OK && reply->answer_case != PR__REPLY__ANSWER_MAILBOX_LIST)
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        imap_finish_err(session, err);
        return;
    }
    build(session, list, reply->mailbox_list, &tree);
    for (size_t i = 0; i < tree.count; i++)
        if (is_listed(list, &tree.nodes[i]))
            write_node(session, list, &tree.nodes[i]);
    imap_finish_ok(session, "Done");
}

void imap_run_list(struct imap_session *session)
{
    const struct imap_list *list = &session->running->arguments.list;

    /* An empty pattern asks for the separator alone. */
    if (list->pattern_count == 1 && list->patterns[0].len == 0) {
        imap_say(session, "* %s (\\Noselect) \"/\" \"\"\r\n", list->is_lsub ? "LSUB" : "LIST");
        imap_finish_ok(session, "Done");
        return;
    }
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_MAILBOX_LIST);
    request->mailbox_list = imap_alloc(session, sizeof(*request->mailbox_list));
    pr__mailbox_list__init(request->mailbox_list);
    request->mailbox_list->with_status = list->returns & IMAP_LIST_STATUS;
    request->mailbox_list->with_deleted_size = list->status_items & IMAP_STATUS_DELETED_STORAGE;
    imap_session_call(session, request, false, answered);
}
