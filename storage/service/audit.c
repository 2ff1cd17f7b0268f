/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/audit.h"

#include "node/base/log.h"
#include "storage/service/operator.h"

enum { OBJECT_SIZE_MAX = 400, DEPTH_MAX = 3 };

/* The fields of requests that say what a call is about: those that are not here are not told.
 */
static const char *const told[] = {
    "cluster_name", "node_name", "node",       "by",      "group",   "count",
    "name",         "tenant",    "domain",     "address", "entries", "net",
    "nets",         "domains",   "scope_name", "setting", "change",  "ids",
    "id",           "action",    "to",         "lost",
};

static bool is_told(const char *name)
{
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
        if (strcmp(told[i], name) == 0)
            return true;
    return false;
}

static void tell_message(const ProtobufCMessage *message, unsigned depth,
                         struct buffer *object);

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_UINT64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    default:
        return sizeof(uint32_t);
    }
}

static void tell_value(const ProtobufCFieldDescriptor *field, const uint8_t *at, unsigned depth,
                       struct buffer *object)
{
    const char *space = buffer_len(object) > 0 ? " " : "";
    const ProtobufCMessage *message;
    const ProtobufCEnumValue *value;
    const char *text;
    uint64_t large = 0;
    uint32_t number = 0;

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        memcpy(&text, at, sizeof(text));
        if (text != NULL && *text != '\0')
            buffer_printf(object, "%s%.*s", space, OBJECT_SIZE_MAX, text);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        memcpy(&large, at, sizeof(large));
        if (large != 0)
            buffer_printf(object, "%s%s=%llu", space, field->name, (unsigned long long)large);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        memcpy(&number, at, sizeof(number));
        if (number != 0)
            buffer_printf(object, "%s%s=%u", space, field->name, (unsigned)number);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        memcpy(&number, at, sizeof(number));
        value = protobuf_c_enum_descriptor_get_value(field->descriptor, (int)number);
        buffer_printf(object, "%s%s", space, value != NULL ? value->name : "?");
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        memcpy(&message, at, sizeof(message));
        if (message != NULL && depth < DEPTH_MAX)
            tell_message(message, depth + 1, object);
        break;
    default:
        break;
    }
}

/* Of many the first ones, and how many there are. */
static void tell_many(const ProtobufCFieldDescriptor *field, const uint8_t *base,
                      unsigned depth, struct buffer *object)
{
    const uint8_t *values;
    size_t count;
    size_t i = 0;

    memcpy(&count, base + field->quantifier_offset, sizeof(count));
    memcpy(&values, base + field->offset, sizeof(values));
    for (; i < count && buffer_len(object) < OBJECT_SIZE_MAX; i++)
        tell_value(field, values + i * size_of(field), depth, object);
    if (i < count)
        buffer_printf(object, " and %zu more", count - i);
}

static void tell_message(const ProtobufCMessage *message, unsigned depth, struct buffer *object)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    const uint8_t *base = (const uint8_t *)message;

    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (!is_told(field->name) || buffer_len(object) >= OBJECT_SIZE_MAX)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            tell_many(field, base, depth, object);
        else
            tell_value(field, base + field->offset, depth, object);
    }
}

/* The message of the call that the request is; all of them are pointers in one union. */
static const ProtobufCMessage *call_message(const Pr__Request *request,
                                            const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessage *message;

    memcpy(&message, (const uint8_t *)request + field->offset, sizeof(message));
    return message;
}

void audit_reply(const struct service_call *call, enum err err, const char *text)
{
    const Pr__Request *request = call->request;
    struct buffer object = BUFFER_EMPTY;

    if (call->role != ROLE_OPERATOR || request == NULL || !operator_changes(request))
        return;
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
        &pr__request__descriptor, (unsigned)request->call_case);
    const ProtobufCMessage *message = call_message(request, field);
    if (call->audit_object != NULL)
        buffer_add(&object, bytes_of(call->audit_object));
    else if (message != NULL)
        tell_message(message, 0, &object);
    log_info(NULL, "operator",
             LOG_FIELDS(LOG_TEXT("call", field->name),
                        LOG_BYTES("object", buffer_bytes(&object)), LOG_U64("uid", call->uid),
                        LOG_TEXT("result", err_name(err)),
                        LOG_TEXT("text", text != NULL ? text : "")));
    buffer_fini(&object);
}

struct audited {
    struct service_call *call;
    void (*done)(struct service_call *call, const Pr__Outcome *outcome);
};

static void on_written(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct audited *audited = context;
    struct service_call *call = audited->call;

    (void)index;
    if (err == ERR_OK && outcome->err == ERR_OK && audited->done != NULL)
        audited->done(call, outcome);
    else
        call_outcome(call, err, outcome);
}

void audit_write_then(struct service_call *call, Pr__Command *command, const char *object,
                      void (*done)(struct service_call *call, const Pr__Outcome *outcome))
{
    struct audited *audited = arena_alloc(&call->call_arena, sizeof(*audited));

    *audited = (struct audited){call, done};
    call->audit_object = object;
    command->request_id = call->request->request_id;
    write_start(call->service, DIRECTORY_GROUP, command, call->deadline_ms, on_written,
                audited);
}

void audit_write(struct service_call *call, Pr__Command *command, const char *object)
{
    audit_write_then(call, command, object, NULL);
}
