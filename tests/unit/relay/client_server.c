/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/base/check.h"
#include "unit/relay/client_server.h"

static void speak(struct lab *lab, const char *text)
{
    lab->said += strlen(text);
    buffer_add_string(&lab->to_client, text);
}

/* Says what a rule has for this command, or `reply`. Returns whether it was a positive one. */
static bool answer(struct lab *lab, const char *command, const char *reply)
{
    const struct lab_rule *rules = lab->setup->rules;

    for (unsigned i = 0; rules != NULL && rules[i].command != NULL; i++) {
        if (strncmp(command, rules[i].command, strlen(rules[i].command)) != 0)
            continue;
        unsigned hit = ++lab->rule_hits[i];
        if (rules[i].nth != 0 && rules[i].nth != hit)
            continue;
        reply = rules[i].reply;
        break;
    }
    if (strcmp(reply, LAB_LOST) == 0 || strcmp(reply, LAB_TIMEOUT) == 0) {
        lab->trouble = reply;
        return false;
    }
    speak(lab, reply);
    return reply[0] == '2' || reply[0] == '3';
}

void lab_server_greet(struct lab *lab)
{
    answer(lab, "greeting", "220 mx.test ESMTP\r\n");
}

static char *copy_line(struct bytes line)
{
    char *copy = strndup((const char *)line.at, line.len);

    CHECK(copy != NULL);
    return copy;
}

static struct lab_received *receiving(struct lab *lab)
{
    CHECK(lab->received_count < LAB_RECEIVED_MAX);
    return &lab->received[lab->received_count];
}

static void forget(struct lab *lab)
{
    struct lab_received *received = receiving(lab);

    free(received->mail);
    free(received->recipients);
    buffer_fini(&received->body);
    *received = (struct lab_received){.body = BUFFER_EMPTY};
    lab->mail_taken = false;
    lab->rcpt_taken = 0;
    lab->chunk_failed = false;
}

static void hello(struct lab *lab, const char *command)
{
    const char *extensions = lab->in_tls && lab->setup->extensions_tls != NULL
                                 ? lab->setup->extensions_tls
                                 : lab->setup->extensions;
    struct buffer reply = BUFFER_EMPTY;
    struct bytes rest = bytes_of(extensions);

    forget(lab);
    buffer_printf(&reply, "250%cmx.test\r\n", rest.len > 0 ? '-' : ' ');
    while (rest.len > 0) {
        struct bytes line = {rest.at, bytes_find(rest, '\n')};
        rest = bytes_skip(rest, line.len + 1);
        buffer_printf(&reply, "250%c%.*s\r\n", rest.len > 0 ? '-' : ' ', BYTES_ARG(line));
    }
    buffer_add_byte(&reply, '\0');
    answer(lab, command, (const char *)buffer_bytes(&reply).at);
    buffer_fini(&reply);
}

static void mail(struct lab *lab, const char *command)
{
    assert_false(lab->mail_taken);
    if (!answer(lab, command, "250 2.1.0 Sender OK\r\n"))
        return;
    lab->mail_taken = true;
    receiving(lab)->mail = copy_line(bytes_of(command));
    receiving(lab)->recipients = copy_line(BYTES(""));
}

static void rcpt(struct lab *lab, const char *command)
{
    struct lab_received *received = receiving(lab);
    char *all;

    if (!lab->mail_taken) {
        answer(lab, command, "503 5.5.1 MAIL first\r\n");
        return;
    }
    if (!answer(lab, command, "250 2.1.5 Recipient OK\r\n"))
        return;
    lab->rcpt_taken++;
    CHECK(asprintf(&all, "%s%s\n", received->recipients, command) > 0);
    free(received->recipients);
    received->recipients = all;
}

static void data(struct lab *lab, const char *command)
{
    bool fine = lab->rcpt_taken > 0;

    lab->in_data =
        answer(lab, command, fine ? "354 Go\r\n" : "554 5.5.1 No valid recipients\r\n");
}

static void end_message(struct lab *lab, const char *command)
{
    bool fine = !lab->chunk_failed && lab->rcpt_taken > 0;

    if (answer(lab, command,
               fine ? "250 2.0.0 Taken\r\n" : "503 5.5.1 The message has failed\r\n"))
        lab->received_count++;
    forget(lab);
}

static void bdat(struct lab *lab, const char *command)
{
    char *rest;

    lab->chunk_left = strtoull(command + 5, &rest, 10);
    lab->chunk_last = strcmp(rest, " LAST") == 0;
    assert_true(lab->chunk_last || *rest == '\0');
    assert_true(lab->mail_taken);
}

static void end_chunk(struct lab *lab)
{
    if (lab->chunk_last)
        end_message(lab, "LAST");
    else if (!answer(lab, "BDAT",
                     lab->chunk_failed ? "503 5.5.1 Failed\r\n" : "250 2.0.0 Chunk OK\r\n"))
        lab->chunk_failed = true;
}

static const struct {
    const char *verb;
    void (*run)(struct lab *lab, const char *command);
} verbs[] = {
    {"EHLO ", hello},    {"HELO ", hello}, {"MAIL FROM:<", mail},
    {"RCPT TO:<", rcpt}, {"DATA", data},   {"BDAT ", bdat},
};

static void run(struct lab *lab, const char *command)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strncmp(command, verbs[i].verb, strlen(verbs[i].verb)) == 0) {
            verbs[i].run(lab, command);
            return;
        }
    if (strcmp(command, "RSET") == 0) {
        forget(lab);
        answer(lab, command, "250 2.0.0 Reset\r\n");
    } else if (strcmp(command, "STARTTLS") == 0) {
        answer(lab, command, "220 2.0.0 Go\r\n");
    } else {
        assert_string_equal(command, "QUIT");
        answer(lab, command, "221 2.0.0 Bye\r\n");
    }
}

/* A line of a message with its CR LF. */
static void take_data_line(struct lab *lab, struct bytes line)
{
    if (bytes_equal(line, BYTES(".\r\n"))) {
        lab->in_data = false;
        end_message(lab, ".");
        return;
    }
    if (line.at[0] == '.')
        line = bytes_skip(line, 1);
    buffer_add(&receiving(lab)->body, line);
}

/* Up to its CR LF, which alone ends a line; none for what is not complete. */
static struct bytes find_line(struct bytes text)
{
    for (size_t at = 0; at + 1 < text.len; at++) {
        if (text.at[at] == '\r' && text.at[at + 1] == '\n')
            return bytes_from(text.at, at + 2);
    }
    return bytes_from(text.at, 0);
}

static bool take(struct lab *lab)
{
    struct bytes input = buffer_bytes(&lab->to_server);

    if (lab->chunk_left > 0) {
        size_t len = input.len < lab->chunk_left ? input.len : (size_t)lab->chunk_left;
        buffer_add(&receiving(lab)->body, bytes_from(input.at, len));
        buffer_drop(&lab->to_server, len);
        lab->chunk_left -= len;
        if (lab->chunk_left == 0)
            end_chunk(lab);
        return len > 0;
    }
    struct bytes line = find_line(input);
    if (line.len == 0)
        return false;
    if (lab->in_data) {
        take_data_line(lab, line);
    } else {
        char *command = copy_line(bytes_from(line.at, line.len - 2));
        assert_true(strcspn(command, "\r\n") == line.len - 2);
        run(lab, command);
        free(command);
        if (strncmp((const char *)line.at, "BDAT 0", 6) == 0)
            end_chunk(lab);
    }
    buffer_drop(&lab->to_server, line.len);
    return true;
}

void lab_server_turn(struct lab *lab)
{
    while (lab->trouble == NULL && take(lab))
        continue;
}
