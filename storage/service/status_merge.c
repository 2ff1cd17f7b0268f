/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/status.h"

/* Whether node `node_id` says of itself that it leads. */
static bool leads(const Pr__GroupStatus *words, uint64_t node_id)
{
    return strcmp(words->state, "leader") == 0 && words->leader == node_id;
}

struct pick {
    const Pr__GroupStatus *words;
    bool leads;
};

/* Prefers who leads, among those the higher term; else who has applied most. */
static bool better(const struct pick *a, const Pr__GroupStatus *words, bool is_leader)
{
    if (a->words == NULL)
        return true;
    if (a->leads != is_leader)
        return is_leader;
    if (is_leader)
        return words->term > a->words->term;
    return words->applied_index > a->words->applied_index;
}

static struct pick pick_words(uint32_t group, const struct status_answer *answers, size_t count)
{
    struct pick pick = {NULL, false};

    for (size_t i = 0; i < count; i++) {
        for (size_t g = 0; g < answers[i].group_count; g++) {
            const Pr__GroupStatus *words = answers[i].groups[g];
            if (words->group != group)
                continue;
            bool is_leader = leads(words, answers[i].node_id);
            if (better(&pick, words, is_leader))
                pick = (struct pick){words, is_leader};
        }
    }
    return pick;
}

/* What each node says of its own replica. */
static void merge_states(Pr__GroupStatus *merged, const struct status_answer *answers,
                         size_t count, struct arena *arena)
{
    size_t room = 0;

    for (size_t i = 0; i < count; i++)
        for (size_t g = 0; g < answers[i].group_count; g++)
            room += answers[i].groups[g]->n_states;
    merged->n_states = 0;
    merged->states = arena_alloc(arena, room * sizeof(*merged->states));
    for (size_t i = 0; i < count; i++) {
        for (size_t g = 0; g < answers[i].group_count; g++) {
            const Pr__GroupStatus *words = answers[i].groups[g];
            for (size_t s = 0; words->group == merged->group && s < words->n_states; s++)
                merged->states[merged->n_states++] = words->states[s];
        }
    }
}

void status_merge(Pr__GroupRecord **records, size_t record_count,
                  const struct status_answer *answers, size_t answer_count, struct arena *arena,
                  Pr__GroupStatus ***groups)
{
    *groups = arena_alloc(arena, record_count * sizeof(**groups));
    for (size_t i = 0; i < record_count; i++) {
        const Pr__GroupRecord *record = records[i];
        struct pick pick = pick_words(record->group, answers, answer_count);
        Pr__GroupStatus *merged = arena_alloc(arena, sizeof(*merged));
        const char *kind = record->group == DIRECTORY_GROUP ? "directory" : "mail";

        pr__group_status__init(merged);
        if (pick.words != NULL)
            *merged = *pick.words;
        if (!pick.leads)
            merged->leader = 0;
        merged->group = record->group;
        merged->kind = arena_string(arena, bytes_of(kind));
        merged->accounts = record->accounts;
        merged->preferred_leader = record->preferred_leader;
        merged->n_wanted = record->n_replicas;
        merged->wanted = record->replicas;
        merge_states(merged, answers, answer_count, arena);
        merged->version = record->version;
        merged->placed_version = record->placed_version;
        merged->n_planned = record->n_planned;
        merged->planned = record->planned;
        merged->leader_pinned = record->leader_pinned;
        merged->unborn = record->birth_node_id != 0 && record->placed_version == 0;
        (*groups)[i] = merged;
    }
}

static bool replica_healthy(const Pr__GroupStatus *group, const Pr__Replica *wanted)
{
    const char *role = wanted->standby ? "standby" : "voter";

    for (size_t i = 0; i < group->n_members; i++) {
        const Pr__GroupMember *member = group->members[i];
        if (member->node_id == wanted->node_id)
            return strcmp(member->role, role) == 0 &&
                   (member->node_id == group->leader ||
                    member->last_contact_ms <= STATUS_CONTACT_MS);
    }
    return false;
}

static bool states_whole(const Pr__GroupStatus *group)
{
    for (size_t i = 0; i < group->n_states; i++)
        if (strcmp(group->states[i]->state, "partial") == 0)
            return false;
    return true;
}

bool status_healthy(Pr__GroupStatus **groups, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (groups[i]->leader == 0 || groups[i]->n_wanted == 0 || !states_whole(groups[i]))
            return false;
        for (size_t r = 0; r < groups[i]->n_wanted; r++)
            if (!replica_healthy(groups[i], groups[i]->wanted[r]))
                return false;
    }
    return count > 0;
}
