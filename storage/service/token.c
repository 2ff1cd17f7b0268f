/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/hex.h"
#include "storage/schema/entry.h"
#include "storage/service/cluster.h"
#include "storage/service/cluster_folder.h"
#include "storage/service/join.h"

#define TOKEN_PREFIX "PRJ1."
#define PIN_SIZE 32
#define TOKEN_SIZE_MAX 2048
#define TOKEN_ADDRESSES 4 /* that are put into a new one */

/* Cuts off what stands before the next dot. */
static struct bytes take_part(struct bytes *rest)
{
    size_t len = bytes_find(*rest, '.');
    struct bytes part = bytes_from(rest->at, len);

    *rest = bytes_skip(*rest, len + 1);
    return part;
}

bool join_token_parse(struct bytes text, struct arena *arena, struct join_token *token)
{
    struct bytes rest = bytes_trim(text);
    uint8_t pin[PIN_SIZE];

    *token = (struct join_token){.address_count = 0};
    if (rest.len > TOKEN_SIZE_MAX || memchr(rest.at, '\0', rest.len) != NULL ||
        !bytes_start_nocase(rest, BYTES(TOKEN_PREFIX)))
        return false;
    rest = bytes_skip(rest, strlen(TOKEN_PREFIX));
    if (!hex_decode(take_part(&rest), token->secret, JOIN_SECRET_SIZE) ||
        !hex_decode(take_part(&rest), pin, sizeof(pin)))
        return false;
    hex_encode(bytes_from(pin, sizeof(pin)), token->authority_pin);
    while (rest.len > 0 && token->address_count < JOIN_ADDRESSES_MAX) {
        size_t len = bytes_find(rest, ',');
        const char *address = arena_string(arena, bytes_from(rest.at, len));
        if (!cluster_address_valid(address))
            return false;
        token->addresses[token->address_count++] = address;
        rest = bytes_skip(rest, len + 1);
    }
    return token->address_count > 0 && rest.len == 0;
}

const char *join_token_format(const struct join_token *token, struct arena *arena)
{
    char secret[2 * JOIN_SECRET_SIZE + 1];

    hex_encode(bytes_from(token->secret, JOIN_SECRET_SIZE), secret);
    const char *text = arena_printf(arena, TOKEN_PREFIX "%s.%s.", secret, token->authority_pin);
    for (unsigned i = 0; i < token->address_count; i++)
        text = arena_printf(arena, "%s%s%s", text, i > 0 ? "," : "", token->addresses[i]);
    return text;
}

struct token_call {
    struct service_call *call;
    struct join_token token;
    uint64_t expires_ms;
};

static void token_added(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct token_call *made = context;
    struct service_call *call = made->call;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__ClusterTokenAnswer answer = PR__CLUSTER_TOKEN_ANSWER__INIT;

    (void)index;
    /* Nobody else draws the same secret: where it is there already this request went out twice,
     * when the directory's leader changed. */
    bool added = err == ERR_OK && (outcome->err == ERR_OK || outcome->err == ERR_EXISTS);
    if (!added) {
        call_outcome(call, err, outcome);
    } else {
        const char *text = join_token_format(&made->token, &call->call_arena);
        answer.token = arena_string(&call->call_arena, bytes_of(text));
        answer.expires_ms = made->expires_ms;
        reply.answer_case = PR__REPLY__ANSWER_CLUSTER_TOKEN;
        reply.cluster_token = &answer;
        call_reply(call, &reply);
    }
    sodium_memzero(made, sizeof(*made));
    free(made);
}

/* Whom the new node may ask: this one first. The strings are copied. */
static void token_addresses(const struct service *service, struct arena *arena,
                            struct join_token *token)
{
    uint64_t self = service_self(service);
    const struct service_node *node = service_node(service, self);

    if (node != NULL)
        token->addresses[token->address_count++] =
            arena_string(arena, bytes_of(node->join_address));
    for (unsigned i = 0; i < service->node_count && token->address_count < TOKEN_ADDRESSES;
         i++) {
        if (service->nodes[i]->id != self)
            token->addresses[token->address_count++] =
                arena_string(arena, bytes_of(service->nodes[i]->join_address));
    }
}

void cluster_token_call(struct service_call *call)
{
    struct service *service = call->service;
    uint32_t valid_s = call->request->cluster_token->valid_s;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__TokenAdd add = PR__TOKEN_ADD__INIT;
    uint8_t hash[32];

    if (valid_s > CLUSTER_TOKEN_VALID_S_MAX) {
        call_fail(call, ERR_INVALID, "a token is valid for at most 30 days");
        return;
    }
    struct token_call *made = calloc(1, sizeof(*made));
    CHECK(made != NULL);
    made->call = call;
    made->expires_ms = clock_wall_ms() +
                       1000 * (uint64_t)(valid_s > 0 ? valid_s : CLUSTER_TOKEN_VALID_S_DEFAULT);
    randombytes_buf(made->token.secret, JOIN_SECRET_SIZE);
    token_addresses(service, &call->call_arena, &made->token);
    CHECK(tls_fingerprint(bytes_of_field(service->identity->authority),
                          made->token.authority_pin) == ERR_OK);

    CHECK(crypto_generichash(hash, sizeof(hash), made->token.secret, JOIN_SECRET_SIZE, NULL,
                             0) == 0);
    add.token_hash = field_of_bytes(bytes_from(hash, sizeof(hash)));
    add.expires_ms = made->expires_ms;
    command.call_case = PR__COMMAND__CALL_TOKEN_ADD;
    command.token_add = &add;
    write_start(service, DIRECTORY_GROUP, &command, call->deadline_ms, token_added, made);
}
