/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/buffer.h"
#include "storage/service/recover.h"

/* Text of our own or checked names: a quote or a backslash does not come in, but who knows. */
static void add_text(struct buffer *json, const char *text)
{
    buffer_add_byte(json, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            buffer_add_byte(json, '\\');
        buffer_add_byte(json, (uint8_t)*text < 0x20 ? ' ' : (uint8_t)*text);
    }
    buffer_add_byte(json, '"');
}

static void add_nodes(struct buffer *json, const struct recover_view *view)
{
    buffer_add_string(json, "  \"nodes\": [");
    for (size_t i = 0; i < view->node_count; i++) {
        const Pr__NodeRecord *node = view->nodes[i];
        buffer_printf(json, "%s\n    {\"id\": %llu, \"name\": ", i > 0 ? "," : "",
                      (unsigned long long)node->id);
        add_text(json, node->name);
        buffer_add_string(json, ", \"data_center\": ");
        add_text(json, node->data_center);
        buffer_printf(json, ", \"lost\": %s}",
                      recover_is_lost(view, node->id) ? "true" : "false");
    }
    buffer_add_string(json, "\n  ],\n");
}

static void add_group(struct buffer *json, const Pr__RecoverGroup *group)
{
    buffer_printf(json,
                  "    {\"group\": %u, \"accounts\": %llu, \"majority\": %s, "
                  "\"goes_on_from\": %llu, \"log_of\": %llu, \"text\": ",
                  (unsigned)group->group, (unsigned long long)group->accounts,
                  group->majority ? "true" : "false", (unsigned long long)group->best_node_id,
                  (unsigned long long)group->log_node_id);
    add_text(json, group->text);
    buffer_add_string(json, ", \"replicas\": [");
    for (size_t i = 0; i < group->n_replicas; i++) {
        const Pr__RecoverReplica *replica = group->replicas[i];
        buffer_printf(json,
                      "%s{\"node\": %llu, \"answers\": %s, \"witness\": %s, \"last_index\": "
                      "%llu, \"last_term\": %llu, \"commit_index\": %llu, \"applied_index\": "
                      "%llu}",
                      i > 0 ? ", " : "", (unsigned long long)replica->node_id,
                      replica->answers ? "true" : "false", replica->witness ? "true" : "false",
                      (unsigned long long)replica->last_index,
                      (unsigned long long)replica->last_term,
                      (unsigned long long)replica->commit_index,
                      (unsigned long long)replica->applied_index);
    }
    buffer_add_string(json, "]}");
}

static bool write_whole(int fd, struct bytes rest)
{
    while (rest.len > 0) {
        ssize_t put = write(fd, rest.at, rest.len);
        if (put <= 0)
            return false;
        rest = bytes_skip(rest, (size_t)put);
    }
    return true;
}

enum err recover_record(const char *folder, const struct recover_view *view, uint64_t epoch,
                        uint64_t time_ms, uint64_t by_node_id, Pr__RecoverGroup *const *groups,
                        size_t group_count, struct arena *arena, const char **path)
{
    struct buffer json = BUFFER_EMPTY;

    *path = arena_printf(arena, "%s/recovery-%llu.json", folder, (unsigned long long)time_ms);
    buffer_printf(
        &json, "{\n  \"recovery\": %llu,\n  \"time_ms\": %llu,\n  \"by_node\": %llu,\n",
        (unsigned long long)epoch, (unsigned long long)time_ms, (unsigned long long)by_node_id);
    add_nodes(&json, view);
    buffer_add_string(&json, "  \"groups\": [");
    for (size_t i = 0; i < group_count; i++) {
        buffer_add_string(&json, i > 0 ? ",\n" : "\n");
        add_group(&json, groups[i]);
    }
    buffer_add_string(&json, "\n  ]\n}\n");
    int fd = open(*path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                  S_IRUSR | S_IWUSR | S_IRGRP);
    bool good = fd >= 0 && write_whole(fd, buffer_bytes(&json)) && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    buffer_fini(&json);
    return good ? ERR_OK : ERR_IO;
}
