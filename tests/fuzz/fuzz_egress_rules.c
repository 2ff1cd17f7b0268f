/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A rules file of any content: refused with a line and a reason, or good for classifying. */
#include "node/base/check.h"
#include "smtp/egress/classify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct classify_rules *rules;
    struct classify_error error;
    struct classify_verdict verdict;
    size_t lines = 1;

    if (size > 16 * 1024)
        return 0;
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    enum err err = classify_load(bytes_from(data, size), &rules, &error);
    if (err != ERR_OK) {
        CHECK(err == ERR_MALFORMED && rules == NULL);
        CHECK(error.line <= lines && error.reason[0] != '\0');
        return 0;
    }
    CHECK(classify_rule_count(rules) > 0);
    struct classify_reply reply = {.provider = BYTES("google"),
                                   .phase = CLASSIFY_AT_RCPT,
                                   .code = 550,
                                   .text = bytes_from(data, size),
                                   .source = BYTES("192.0.2.1")};
    classify(rules, &reply, &verdict);
    CHECK(classify_failures(rules) == 0);
    classify_free(&rules);
    return 0;
}
