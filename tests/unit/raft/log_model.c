/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/raft/log_model.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/check.h"

uint64_t model_random(struct model_random *random, uint64_t below)
{
    uint64_t x = random->state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (x ^ (x >> 31)) % below;
}

void model_data(uint64_t stamp, uint8_t *data, size_t len)
{
    uint64_t x = (stamp + 1) * UINT64_C(0x9E3779B97F4A7C15);

    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0)
            x = (x ^ (x >> 29)) * UINT64_C(0xBF58476D1CE4E5B9) + i;
        data[i] = (uint8_t)(x >> (i % 8 * 8));
    }
}

/* ---- writes ---- */

static uint32_t length(struct model_random *random)
{
    if (random->large_of > 0 && model_random(random, random->large_of) == 0)
        return (uint32_t)(60 * 1024 + model_random(random, 100 * 1024));
    switch (model_random(random, 8)) {
    case 0:
        return 0;
    case 1:
        return (uint32_t)model_random(random, 6000);
    default:
        return (uint32_t)model_random(random, 300);
    }
}

static void entries_plan(const struct model_group *group, struct model_random *random,
                         struct model_writes *writes, struct log_write *write)
{
    const struct log_state *state = &group->state;
    struct model_entry *planned = writes->planned[writes->count];
    struct entry *entries = writes->entries[writes->count];
    uint64_t first = group->exists && !state->dropped ? state->first_index : 1;
    uint64_t behind = group->exists && !state->dropped ? state->last_index + 1 : 1;
    uint64_t back = model_random(random, 3) == 0 ? model_random(random, 30) : 0;

    write->from = behind - first > back ? behind - back : first;
    write->count = 1 + (unsigned)model_random(random, MODEL_COUNT_MAX);
    write->entries = entries;
    for (unsigned i = 0; i < write->count; i++) {
        planned[i] = (struct model_entry){.term = 1 + random->stamps / 64,
                                          .stamp = random->stamps++,
                                          .len = length(random),
                                          .type = model_random(random, 12) == 0
                                                      ? ENTRY_CHANGE
                                                      : (uint8_t)(1 + random->stamps % 2)};
        uint8_t *data = malloc((size_t)planned[i].len + 1);
        CHECK(data != NULL);
        model_data(planned[i].stamp, data, planned[i].len);
        entries[i] = (struct entry){.term = planned[i].term,
                                    .type = planned[i].type,
                                    .data = bytes_from(data, planned[i].len)};
    }
}

static void trim_plan(const struct model_group *group, struct model_random *random,
                      struct model_writes *writes, struct log_write *write)
{
    uint8_t *members = writes->members[writes->count];
    size_t len = (size_t)model_random(random, model_random(random, 8) == 0 ? 700 : 40);

    if (write->reset)
        write->trim_before = model_random(random, 6) == 0
                                 ? ((uint64_t)1 << 61) + model_random(random, 1000)
                                 : 1 + model_random(random, group->state.last_index % 5000 + 9);
    else if (group->state.last_index > group->state.first_index) {
        uint64_t most = group->state.last_index;
        if (write->from != 0 && write->from < most)
            most = write->from;
        if (most <= group->state.first_index)
            return;
        write->trim_before =
            most - model_random(random, (most - group->state.first_index + 1) / 2 + 1);
        if (write->trim_before <= group->state.first_index)
            write->trim_before = group->state.first_index + 1;
    }
    if (write->trim_before == 0)
        return;
    model_data(random->stamps++, members, len);
    write->base_term = 1 + model_random(random, 100);
    write->base_members = bytes_from(members, len);
    write->base_members_index = model_random(random, 1000);
}

static void write_plan(const struct model_group *group, struct model_random *random,
                       struct model_writes *writes, struct log_write *write)
{
    unsigned what = (unsigned)model_random(random, 100);
    bool lives = group->exists && !group->state.dropped;

    write->create = !lives || model_random(random, 20) == 0;
    if (lives && what < 3) {
        *write = (struct log_write){.group = write->group,
                                    .drop = true,
                                    .promised_term = model_random(random, 100),
                                    .promised_index = model_random(random, 100)};
        return;
    }
    if (model_random(random, 4) == 0 || (what >= 85 && what < 92)) {
        write->set_term = true;
        write->term = model_random(random, 1000);
        write->vote = model_random(random, 9);
    }
    if (what < 8) {
        write->reset = true;
        trim_plan(group, random, writes, write);
    } else if (what < 85 && group->state.last_index + 1 - group->state.first_index <
                                MODEL_ENTRIES_MAX - MODEL_COUNT_MAX) {
        entries_plan(group, random, writes, write);
        if (lives && model_random(random, 6) == 0)
            trim_plan(group, random, writes, write);
    } else if (lives) {
        trim_plan(group, random, writes, write);
    }
    if (!write->create && !write->set_term && write->from == 0 && write->trim_before == 0)
        write->set_term = true;
}

void model_writes_make(const struct model *model, struct model_random *random,
                       struct model_writes *writes)
{
    unsigned count = 1 + (unsigned)model_random(random, MODEL_WRITES_MAX);
    unsigned group = (unsigned)model_random(random, MODEL_GROUPS);

    writes->count = 0;
    while (writes->count < count) {
        struct log_write *write = &writes->writes[writes->count];
        group = (group + 1 + (unsigned)model_random(random, 2)) % MODEL_GROUPS;
        *write = (struct log_write){.group = group * 7 + 1}; /* each comes once in a write */
        write_plan(&model->groups[group], random, writes, write);
        writes->count++;
    }
}

void model_writes_free(struct model_writes *writes)
{
    for (unsigned i = 0; i < writes->count; i++)
        for (unsigned j = 0; writes->writes[i].from != 0 && j < writes->writes[i].count; j++)
            free((void *)(uintptr_t)writes->entries[i][j].data.at);
    writes->count = 0;
}

static void trim_apply(struct model_group *group, const struct log_write *write)
{
    struct log_state *state = &group->state;

    if (write->reset) {
        state->last_index = write->trim_before - 1;
    } else {
        uint64_t gone = write->trim_before - state->first_index;
        memmove(group->entries, group->entries + gone,
                (state->last_index + 1 - write->trim_before) * sizeof(group->entries[0]));
    }
    state->first_index = write->trim_before;
    state->base_term = write->base_term;
    state->base_members_index = write->base_members_index;
    state->base_members.len = write->base_members.len;
    if (write->base_members.len > 0)
        memcpy(group->members, write->base_members.at, write->base_members.len);
}

static void write_apply(struct model_group *group, const struct log_write *write,
                        const struct model_entry *planned)
{
    struct log_state *state = &group->state;

    if (!group->exists)
        *state = (struct log_state){.group = write->group, .first_index = 1};
    group->exists = true;
    state->dropped = write->drop;
    if (write->drop) {
        *state = (struct log_state){.group = write->group,
                                    .term = state->term,
                                    .vote = state->vote,
                                    .first_index = 1,
                                    .dropped = true,
                                    .promised_term = write->promised_term,
                                    .promised_index = write->promised_index};
        return;
    }
    if (write->set_term) {
        state->term = write->term;
        state->vote = write->vote;
    }
    if (write->from != 0) {
        CHECK(write->from - state->first_index + write->count <= MODEL_ENTRIES_MAX);
        memcpy(group->entries + (write->from - state->first_index), planned,
               write->count * sizeof(*planned));
        state->last_index = write->from + write->count - 1;
    }
    if (write->trim_before != 0)
        trim_apply(group, write);
}

void model_apply(struct model *model, const struct model_writes *writes)
{
    for (unsigned i = 0; i < writes->count; i++)
        write_apply(&model->groups[(writes->writes[i].group - 1) / 7], &writes->writes[i],
                    writes->planned[i]);
}

/* ---- waiting ---- */

void log_waiter_written(void *context, enum err err)
{
    struct log_waiter *waiter = context;

    pthread_mutex_lock(&waiter->lock);
    waiter->written++;
    waiter->err = err;
    pthread_cond_signal(&waiter->done);
    pthread_mutex_unlock(&waiter->lock);
}

enum err log_waiter_write(struct log_waiter *waiter, struct entry_log *log,
                          const struct log_write *writes, unsigned count)
{
    pthread_mutex_lock(&waiter->lock);
    unsigned before = waiter->written;
    pthread_mutex_unlock(&waiter->lock);
    log->ops->write(log, writes, count);
    pthread_mutex_lock(&waiter->lock);
    while (waiter->written == before)
        pthread_cond_wait(&waiter->done, &waiter->lock);
    enum err err = waiter->err;
    pthread_mutex_unlock(&waiter->lock);
    return err;
}

/* ---- folders ---- */

static void file_copy(const char *from, const char *to)
{
    static uint8_t bytes[64 * 1024];
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    size_t got;

    CHECK(in != NULL && out != NULL);
    while ((got = fread(bytes, 1, sizeof(bytes), in)) > 0)
        CHECK(fwrite(bytes, 1, got, out) == got);
    fclose(in);
    CHECK(fclose(out) == 0);
}

static void folder_each(const char *folder, const char *to)
{
    DIR *dir = opendir(folder);
    const struct dirent *file;

    if (dir == NULL)
        return;
    while ((file = readdir(dir)) != NULL) {
        char path[400];
        char copy[400];
        if (file->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%.100s/%.250s", folder, file->d_name);
        if (to == NULL) {
            CHECK(unlink(path) == 0);
            continue;
        }
        snprintf(copy, sizeof(copy), "%.100s/%.250s", to, file->d_name);
        file_copy(path, copy);
    }
    closedir(dir);
}

void folder_remove(const char *folder)
{
    folder_each(folder, NULL);
    rmdir(folder);
}

void folder_copy(const char *from, const char *to)
{
    folder_remove(to);
    CHECK(mkdir(to, 0700) == 0);
    folder_each(from, to);
}
