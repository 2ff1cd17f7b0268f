/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mail for other hosts that is not sent yet: when it is tried, and what was said last. */
#include "admin/cli/queue.h"

#include <stdio.h>

#include "admin/cli/output.h"
#include "node/base/check.h"
#include "storage/schema/request_id.h"

static const struct output_column columns[] = {
    {"id", "MESSAGE", OUTPUT_TEXT},     {"from", "FROM", OUTPUT_ADDRESS},
    {"first_to", "TO", OUTPUT_ADDRESS}, {"recipients_count", "OF", OUTPUT_NUMBER},
    {"size", "SIZE", OUTPUT_BYTES},     {"time_ms", "ACCEPTED", OUTPUT_TIME},
    {"state", "STATE", OUTPUT_TEXT},    {"attempts", "TRIED", OUTPUT_NUMBER},
    {"next_ms", "NEXT", OUTPUT_TIME},   {"status", "STATUS", OUTPUT_TEXT},
};

static const struct output_column show_columns[] = {
    {"id", "message", OUTPUT_TEXT},
    {"from", "from", OUTPUT_ADDRESS},
    {"account_id", "account", OUTPUT_NUMBER},
    {"size", "size", OUTPUT_BYTES},
    {"class", "class", OUTPUT_TEXT},
    {"time_ms", "accepted", OUTPUT_TIME},
    {"next_ms", "next attempt", OUTPUT_TIME},
    {"state", "state", OUTPUT_TEXT},
    {"held_reason", "held because", OUTPUT_TEXT},
    {"notice_ms", "notice to the sender", OUTPUT_TIME},
    {"trace", "trace id", OUTPUT_TEXT},
    {"envid", "envelope id", OUTPUT_TEXT},
};

static const struct output_column destination_columns[] = {
    {"domain", "DESTINATION", OUTPUT_ADDRESS},  {"waiting", "WAITING", OUTPUT_NUMBER},
    {"attempts", "TRIED", OUTPUT_NUMBER},       {"next_ms", "NEXT ATTEMPT", OUTPUT_TIME},
    {"node_id", "SENT BY NODE", OUTPUT_NUMBER},
};

static const struct output_column recipient_columns[] = {
    {"address", "RECIPIENT", OUTPUT_ADDRESS},  {"state", "STATE", OUTPUT_TEXT},
    {"attempts", "TRIED", OUTPUT_NUMBER},      {"tried_ms", "LAST", OUTPUT_TIME},
    {"status", "STATUS", OUTPUT_TEXT},         {"remote", "BY", OUTPUT_TEXT},
    {"last_reply", "LAST REPLY", OUTPUT_TEXT},
};

static json_t *json_of_recipients(const Pr__QueueRecord *record)
{
    static const char *const states[] = {"waiting", "delivered", "failed", "relayed"};
    json_t *rows = json_array();

    for (size_t i = 0; i < record->n_recipients; i++) {
        const Pr__QueueRecipient *recipient = record->recipients[i];
        unsigned state = (unsigned)recipient->state;
        json_t *row = json_object();
        output_add_address(row, "address", recipient->address);
        output_add(row, "state",
                   json_string(state < OUTPUT_COUNT(states) ? states[state] : "unknown"));
        output_add(row, "attempts", json_integer(recipient->attempts));
        if (recipient->tried_ms != 0)
            output_add(row, "tried_ms", json_integer((json_int_t)recipient->tried_ms));
        output_add(row, "status", json_of_text(recipient->status));
        output_add(row, "remote", json_of_text(recipient->remote));
        output_add(row, "last_reply", json_of_text(recipient->last_reply));
        output_add(row, "notice_owed", json_boolean(recipient->tell));
        if (recipient->null_sender || recipient->sender[0] != '\0')
            output_add(row, "sender", json_of_text(recipient->sender));
        CHECK(json_array_append_new(rows, row) == 0);
    }
    return rows;
}

static size_t waiting_of(const Pr__QueueRecord *record, uint32_t destination)
{
    size_t count = 0;

    for (size_t i = 0; i < record->n_recipients; i++)
        count += record->recipients[i]->destination == destination &&
                 record->recipients[i]->state == PR__QUEUE_RECIPIENT__STATE__WAITING;
    return count;
}

/* Of one that is leased the due time is only when somebody else may look after it. */
static json_t *json_of_destinations(const Pr__QueueRecord *record)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < record->n_destinations; i++) {
        const Pr__QueueDestination *destination = record->destinations[i];
        json_t *row = json_object();
        output_add_address(row, "domain",
                           strcmp(destination->domain, "@") == 0 ? "this cluster"
                                                                 : destination->domain);
        output_add(row, "waiting",
                   json_integer((json_int_t)waiting_of(record, destination->number)));
        output_add(row, "attempts", json_integer(destination->attempts));
        if (destination->lease != 0)
            output_add(row, "node_id", json_integer((json_int_t)destination->node_id));
        else if (!record->held)
            output_add(row, "next_ms", json_integer((json_int_t)destination->due_ms));
        CHECK(json_array_append_new(rows, row) == 0);
    }
    return rows;
}

/* What is tried next, who was tried last, and what is going on. */
static void add_progress(json_t *made, const Pr__QueueRecord *record)
{
    const Pr__QueueRecipient *last = NULL;
    uint64_t next_ms = 0;
    uint32_t attempts = 0;
    bool sending = false;

    for (size_t i = 0; i < record->n_destinations; i++) {
        const Pr__QueueDestination *destination = record->destinations[i];
        sending = sending || destination->lease != 0;
        if (destination->lease == 0 && (next_ms == 0 || destination->due_ms < next_ms))
            next_ms = destination->due_ms;
    }
    for (size_t i = 0; i < record->n_recipients; i++) {
        const Pr__QueueRecipient *recipient = record->recipients[i];
        if (recipient->attempts > attempts)
            attempts = recipient->attempts;
        if (recipient->tried_ms != 0 && (last == NULL || recipient->tried_ms > last->tried_ms))
            last = recipient;
    }
    output_add(made, "attempts", json_integer(attempts));
    if (next_ms != 0 && !record->held)
        output_add(made, "next_ms", json_integer((json_int_t)next_ms));
    if (record->notice_ms != 0)
        output_add(made, "notice_ms", json_integer((json_int_t)record->notice_ms));
    output_add(made, "status", json_of_text(last != NULL ? last->status : ""));
    output_add(made, "last_reply", json_of_text(last != NULL ? last->last_reply : ""));
    output_add(made, "state",
               json_string(record->held                  ? "held"
                           : sending                     ? "sending"
                           : record->n_destinations == 0 ? "notice"
                                                         : "waits"));
}

/* What the reply to the message had behind id=. */
static void add_trace(json_t *made, const Pr__QueueRecord *record)
{
    char text[REQUEST_ID_TEXT_SIZE];
    struct request_id id;

    if (record->delivery_id.len != sizeof(id.bytes))
        return;
    memcpy(id.bytes, record->delivery_id.data, sizeof(id.bytes));
    request_id_format(&id, text);
    output_add(made, "trace", json_string(text));
}

static json_t *json_of_message(struct cli *cli, const Pr__QueueRecord *record, uint32_t group)
{
    json_t *made = json_object();
    const char *sender = record->envelope != NULL ? record->envelope->sender : "";

    output_add(made, "id",
               json_string(arena_printf(&cli->arena, "%u/%llu", group,
                                        (unsigned long long)record->id)));
    output_add_address(made, "from", sender[0] != '\0' ? sender : "<>");
    output_add(made, "account_id", json_integer((json_int_t)record->account_id));
    output_add(made, "size", json_integer((json_int_t)record->size));
    output_add(made, "time_ms", json_integer((json_int_t)record->time_ms));
    output_add(made, "due_ms", json_integer((json_int_t)record->due_ms));
    output_add(made, "held", json_boolean(record->held));
    output_add(made, "held_reason", json_of_text(record->held_reason));
    output_add(
        made, "class",
        json_string(record->class_ == PR__QUEUE_CLASS__QUEUE_BULK ? "bulk" : "personal"));
    add_progress(made, record);
    add_trace(made, record);
    if (record->envelope != NULL && record->envelope->envid[0] != '\0')
        output_add(made, "envid", json_of_text(record->envelope->envid));
    output_add(made, "recipients_count", json_integer((json_int_t)record->n_recipients));
    if (record->n_recipients > 0)
        output_add_address(made, "first_to", record->recipients[0]->address);
    output_add(made, "destinations", json_of_destinations(record));
    output_add(made, "recipients", json_of_recipients(record));
    return made;
}

const Pr__QueueListAnswer *queue_fetch_page(struct cli *cli, Pr__QueueList *ask)
{
    Pr__Request request = PR__REQUEST__INIT;

    request.call_case = PR__REQUEST__CALL_QUEUE_LIST;
    request.queue_list = ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_QUEUE_LIST ||
        reply->queue_list->n_messages != reply->queue_list->n_groups) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    cli_remark(reply);
    return reply->queue_list;
}

bool queue_read_filter(struct cli *cli, Pr__QueueList *ask)
{
    struct request_id *id = arena_alloc(&cli->arena, sizeof(*id));

    if (cli_has(cli, OPTION_ID)) {
        if (!request_id_parse(bytes_of(cli->options[OPTION_ID]), id)) {
            cli_fail(
                "\"%s\" is no id of a delivery: it has 26 digits and letters, as behind id= "
                "in the reply to a message",
                cli->options[OPTION_ID]);
            return false;
        }
        ask->delivery_id = (ProtobufCBinaryData){sizeof(id->bytes), id->bytes};
    }
    ask->sender = arena_string(&cli->arena, bytes_of(cli->options[OPTION_FROM]));
    ask->domain = arena_string(&cli->arena, bytes_of(cli->options[OPTION_TO]));
    return true;
}

enum cli_exit cli_queue_list(struct cli *cli)
{
    Pr__QueueList ask = PR__QUEUE_LIST__INIT;
    json_t *rows = json_array();
    bool more = true;

    if (!queue_read_filter(cli, &ask)) {
        json_decref(rows);
        return CLI_USAGE;
    }
    while (more) {
        const Pr__QueueListAnswer *answer = queue_fetch_page(cli, &ask);
        if (answer == NULL) {
            json_decref(rows);
            return CLI_FAILED;
        }
        for (size_t i = 0; i < answer->n_messages; i++)
            CHECK(json_array_append_new(
                      rows, json_of_message(cli, answer->messages[i], answer->groups[i])) == 0);
        ask.after_group = answer->after_group;
        ask.after_id = answer->after_id;
        more = answer->more;
    }
    return output_list(cli, cli_has(cli, OPTION_JSON) ? "messages" : "messages in the queue",
                       rows, columns, OUTPUT_COUNT(columns));
}

bool queue_read_id(const char *typed, uint32_t *group, uint64_t *id)
{
    struct bytes text = bytes_of(typed);
    size_t slash = bytes_find(text, '/');
    uint64_t number = 0;

    if (slash < text.len && bytes_to_u64(bytes_from(text.at, slash), &number) && number > 0 &&
        number <= UINT32_MAX && bytes_to_u64(bytes_skip(text, slash + 1), id) && *id > 0) {
        *group = (uint32_t)number;
        return true;
    }
    cli_fail("\"%s\" names no message: it is GROUP/ID, as `postraft queue list` shows it",
             typed);
    return false;
}

enum cli_exit cli_queue_show(struct cli *cli)
{
    Pr__QueueList ask = PR__QUEUE_LIST__INIT;
    uint32_t group = 0;

    if (!queue_read_id(cli->arguments[0], &group, &ask.id))
        return CLI_USAGE;
    ask.after_group = group;
    const Pr__QueueListAnswer *answer = queue_fetch_page(cli, &ask);
    if (answer == NULL)
        return CLI_FAILED;
    if (answer->n_messages == 0)
        return cli_fail("there is no message %s in the queue", cli->arguments[0]);
    json_t *made = json_of_message(cli, answer->messages[0], answer->groups[0]);
    json_incref(made);
    enum cli_exit status = output_record(cli, made, show_columns, OUTPUT_COUNT(show_columns));
    if (!cli_has(cli, OPTION_JSON)) {
        putchar('\n');
        output_table(json_object_get(made, "destinations"), destination_columns,
                     OUTPUT_COUNT(destination_columns));
        putchar('\n');
        output_table(json_object_get(made, "recipients"), recipient_columns,
                     OUTPUT_COUNT(recipient_columns));
    }
    json_decref(made);
    return status;
}
