/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_CLIENT_BODY_WRITER_H
#define STORAGE_CLIENT_BODY_WRITER_H

#include "storage/client/client.h"

/*
 * A message on its way into the store: takes plain bytes, reads the summary off them
 * (node/mail/summary.h), cuts them into blocks, compresses each, and uploads them when there is
 * more than one. Memory is bounded: at most two blocks.
 */
struct body_writer;

/* Uploads go to the group of `account_id` (SMTP: the first recipient) or of `session`'s
 * account. */
struct body_writer *body_writer_new(struct store_client *client, uint64_t session,
                                    uint64_t account_id, unsigned deadline_ms);

/* Uploads go to this mail group: a message that has no recipient here and is no submission.
 * Before the first add(), for a writer without session and account. */
void body_writer_to_group(struct body_writer *writer, uint32_t group);

/* Aborts what was uploaded, unless the body has been used. Accepts NULL content. */
void body_writer_free(struct body_writer **writer);

/* Takes all of it. Not after finish(). */
void body_writer_add(struct body_writer *writer, struct bytes plain);

/* Blocks are waiting for the store: stop reading from the peer until `drained` is called. */
bool body_writer_full(const struct body_writer *writer);
void body_writer_on_drained(struct body_writer *writer, void (*drained)(void *context),
                            void *context);

/* Plain bytes so far. */
uint64_t body_writer_size(const struct body_writer *writer);

/*
 * Ends the body. `finished` is called once, later: with ERR_OK and a body to put into a Deliver
 * or Append (valid until the writer is freed), or with why an upload failed. After the Deliver
 * or Append has been answered with success, call body_writer_used(), so that freeing the writer
 * does not abort the upload.
 */
void body_writer_finish(struct body_writer *writer,
                        void (*finished)(void *context, enum err err, Pr__Body *body),
                        void *context);
void body_writer_used(struct body_writer *writer);

/* After finish(): what was read off the message. */
struct mail_summary;
const struct mail_summary *body_writer_summary(const struct body_writer *writer);

#endif
