/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_PROTOCOL_REPLY_H
#define SMTP_PROTOCOL_REPLY_H

#include "node/base/buffer.h"
#include "node/base/err.h"

/*
 * Every reply of one line: its name, the code (RFC 5321 section 4.2), the enhanced code
 * (RFC 3463; "" where RFC 2034 section 4 wants none), the text, and what it does.
 *
 * ERROR counts towards smtp_config.errors_max. CLOSE ends the connection after it. TRACED
 * carries the trace id of the message. BREACH: no client of good will comes to hear this.
 * Operating errors and tables of ours never show in a text.
 */
enum {
    SMTP_REPLY_ERROR = 1 << 0,
    SMTP_REPLY_CLOSE = 1 << 1,
    SMTP_REPLY_TRACED = 1 << 2,
    SMTP_REPLY_BREACH = 1 << 3,
};

#define SMTP_REPLIES(X)                                                                        \
    X(OK, 250, "2.0.0", "OK", 0)                                                               \
    X(SENDER_OK, 250, "2.1.0", "Sender OK", 0)                                                 \
    X(RCPT_OK, 250, "2.1.5", "Recipient OK", 0)                                                \
    X(BYE, 221, "2.0.0", "Bye", SMTP_REPLY_CLOSE)                                              \
    X(HELP, 214, "2.0.0", "See RFC 5321", 0)                                                   \
    X(VRFY, 252, "2.5.0", "Cannot verify, but will take mail and try to deliver it", 0)        \
    X(TLS_GO, 220, "2.0.0", "Ready to start TLS", 0)                                           \
    X(DATA_GO, 354, "", "End data with <CR><LF>.<CR><LF>", 0)                                  \
    X(CHUNK_OK, 250, "2.0.0", "Chunk OK", 0)                                                   \
    X(ACCEPTED, 250, "2.0.0", "OK", SMTP_REPLY_TRACED)                                         \
    /* of AUTH */                                                                              \
    X(AUTH_OK, 235, "2.7.0", "Authentication succeeded", 0)                                    \
    X(AUTH_FIRST, 530, "5.7.0", "Authentication required", SMTP_REPLY_ERROR)                   \
    X(TLS_FIRST, 530, "5.7.0", "Must issue a STARTTLS command first", SMTP_REPLY_ERROR)        \
    X(AUTH_ACTIVE, 503, "5.5.1", "Authenticated already", SMTP_REPLY_ERROR)                    \
    X(AUTH_MECHANISM, 504, "5.5.4", "Mechanism is not offered", SMTP_REPLY_ERROR)              \
    X(AUTH_SYNTAX, 501, "5.5.2", "Response is malformed", SMTP_REPLY_ERROR)                    \
    X(AUTH_LINE, 500, "5.5.6", "Response is too long", SMTP_REPLY_ERROR)                       \
    X(AUTH_CANCELLED, 501, "5.7.0", "Authentication was cancelled", SMTP_REPLY_ERROR)          \
    X(AUTH_REFUSED, 535, "5.7.8", "Authentication credentials invalid", SMTP_REPLY_ERROR)      \
    X(AUTH_LATER, 454, "4.7.0", "Cannot authenticate now, try again", 0)                       \
    X(AUTH_WEAK, 534, "5.7.9", "Mechanism is too weak", SMTP_REPLY_ERROR)                      \
    X(AUTH_NEEDS_TLS, 538, "5.7.11", "Encryption is required first", SMTP_REPLY_ERROR)         \
    X(AUTH_TRANSITION, 432, "4.7.12", "A password transition is needed", 0)                    \
    X(AUTH_TOO_MANY, 421, "4.7.0", "Too many failed authentications", SMTP_REPLY_CLOSE)        \
    /* of commands */                                                                          \
    X(LINE_TOO_LONG, 500, "5.5.2", "Line is too long", SMTP_REPLY_ERROR)                       \
    X(LINE_ENDLESS, 500, "5.5.2", "Line is too long", SMTP_REPLY_CLOSE | SMTP_REPLY_BREACH)    \
    X(LINE_BARE, 500, "5.5.2", "Lines end with CR LF, which occur nowhere else",               \
      SMTP_REPLY_CLOSE | SMTP_REPLY_BREACH)                                                    \
    X(LINE_CONTROL, 500, "5.5.2", "Control characters are not allowed", SMTP_REPLY_ERROR)      \
    X(UNKNOWN, 500, "5.5.2", "Unknown command", SMTP_REPLY_ERROR)                              \
    X(NOT_OFFERED, 502, "5.5.1", "Command is not offered here", SMTP_REPLY_ERROR)              \
    X(NOT_SMTP, 502, "5.5.2", "This is a mail server", SMTP_REPLY_CLOSE | SMTP_REPLY_BREACH)   \
    X(CHUNK_SYNTAX, 501, "5.5.4", "Syntax: BDAT size [LAST]",                                  \
      SMTP_REPLY_CLOSE | SMTP_REPLY_BREACH)                                                    \
    X(CHUNK_FAILED, 503, "5.5.1", "The message has failed, send RSET", 0)                      \
    X(CHUNKS_ONLY, 503, "5.5.1", "BDAT has begun a message", SMTP_REPLY_ERROR)                 \
    X(BINARY_DATA, 503, "5.5.1", "A binary message needs BDAT", SMTP_REPLY_ERROR)              \
    X(SYNC, 554, "5.5.0", "Wait for the reply before you go on (RFC 2920)",                    \
      SMTP_REPLY_CLOSE | SMTP_REPLY_BREACH)                                                    \
    X(DATA_SYNC, 554, "5.5.0", "Wait for 354 before you send a message", SMTP_REPLY_CLOSE)     \
    X(EARLY, 554, "5.5.0", "Wait for the greeting before you speak",                           \
      SMTP_REPLY_CLOSE | SMTP_REPLY_BREACH)                                                    \
    X(HELO_FIRST, 503, "5.5.1", "Send EHLO first", SMTP_REPLY_ERROR)                           \
    X(LHLO_FIRST, 503, "5.5.1", "Send LHLO first", SMTP_REPLY_ERROR)                           \
    X(MAIL_FIRST, 503, "5.5.1", "Send MAIL first", SMTP_REPLY_ERROR)                           \
    X(RCPT_FIRST, 503, "5.5.1", "Send RCPT first", SMTP_REPLY_ERROR)                           \
    X(NO_VALID_RCPT, 554, "5.5.1", "No valid recipients", SMTP_REPLY_ERROR)                    \
    X(IN_TRANSACTION, 503, "5.5.1", "Not within a mail transaction", SMTP_REPLY_ERROR)         \
    X(TLS_ACTIVE, 503, "5.5.1", "TLS is active already", SMTP_REPLY_ERROR)                     \
    X(NO_ARGUMENTS, 501, "5.5.4", "No arguments are allowed", SMTP_REPLY_ERROR)                \
    X(HELO_SYNTAX, 501, "5.5.4", "Give one domain or address literal", SMTP_REPLY_ERROR)       \
    X(VRFY_SYNTAX, 501, "5.5.4", "Give a name", SMTP_REPLY_ERROR)                              \
    X(MAIL_SYNTAX, 501, "5.5.4", "Syntax: MAIL FROM:<address>", SMTP_REPLY_ERROR)              \
    X(RCPT_SYNTAX, 501, "5.5.4", "Syntax: RCPT TO:<address>", SMTP_REPLY_ERROR)                \
    X(SENDER_SYNTAX, 553, "5.1.7", "Sender address is malformed", SMTP_REPLY_ERROR)            \
    X(ADDRESS_SYNTAX, 553, "5.1.3", "Recipient address is malformed", SMTP_REPLY_ERROR)        \
    X(UTF8_NEEDED, 553, "5.6.7", "Address needs SMTPUTF8", SMTP_REPLY_ERROR)                   \
    X(PARAMETER_SYNTAX, 501, "5.5.4", "Parameter is malformed", SMTP_REPLY_ERROR)              \
    X(PARAMETER_UNKNOWN, 555, "5.5.4", "Parameter is not known", SMTP_REPLY_ERROR)             \
    X(HOLD_TOO_LONG, 501, "5.5.4", "Message cannot be held so long", SMTP_REPLY_ERROR)         \
    X(MAILS_MAX, 421, "4.7.0", "Too many messages, connect again", SMTP_REPLY_CLOSE)           \
    X(XCLIENT_DENIED, 550, "5.7.0", "XCLIENT is not for you", SMTP_REPLY_ERROR)                \
    X(XCLIENT_SYNTAX, 501, "5.5.4", "Attribute is malformed", SMTP_REPLY_ERROR)                \
    X(SIZE_DECLARED, 552, "5.3.4", "Message is larger than SIZE allows", SMTP_REPLY_ERROR)     \
    X(RCPT_UNKNOWN, 550, "5.1.1", "No such user here", SMTP_REPLY_ERROR)                       \
    X(RCPT_FOREIGN, 550, "5.7.1", "Relaying denied", SMTP_REPLY_ERROR)                         \
    X(RCPT_LATER, 451, "4.4.3", "Recipient cannot be looked up now", 0)                        \
    X(RCPT_FULL, 452, "4.2.2", "Mailbox is full, try again later", 0)                          \
    X(RCPT_FULL_NOW, 552, "5.2.2", "Mailbox is full", SMTP_REPLY_ERROR)                        \
    X(RCPT_ONE, 452, "4.5.3", "A message from <> is for one recipient", 0)                     \
    X(RCPT_TOO_MANY, 452, "4.5.3", "Too many recipients", 0)                                   \
    /* of messages */                                                                          \
    X(BODY_BARE_LF, 550, "5.6.0", "Message has a bare LF; lines end with CR LF",               \
      SMTP_REPLY_ERROR | SMTP_REPLY_TRACED)                                                    \
    X(BODY_BARE_CR, 550, "5.6.0", "Message has a bare CR; lines end with CR LF",               \
      SMTP_REPLY_ERROR | SMTP_REPLY_TRACED)                                                    \
    X(BODY_NUL, 550, "5.6.0", "Message has a NUL byte", SMTP_REPLY_ERROR | SMTP_REPLY_TRACED)  \
    X(BODY_LINE, 550, "5.6.0", "Message has a line that is too long",                          \
      SMTP_REPLY_ERROR | SMTP_REPLY_TRACED)                                                    \
    X(BODY_SIZE, 552, "5.3.4", "Message is larger than SIZE allows",                           \
      SMTP_REPLY_ERROR | SMTP_REPLY_TRACED)                                                    \
    X(HEADER_SIZE, 552, "5.3.4", "Message header is too large",                                \
      SMTP_REPLY_ERROR | SMTP_REPLY_TRACED)                                                    \
    X(HEADER_LINES, 554, "5.6.0", "Message header has too many lines",                         \
      SMTP_REPLY_ERROR | SMTP_REPLY_TRACED)                                                    \
    X(LOOP, 554, "5.4.6", "Message has passed too many hosts: a mail loop",                    \
      SMTP_REPLY_ERROR | SMTP_REPLY_TRACED)                                                    \
    X(STORE_UNREACHED, 451, "4.3.2", "Cannot promise to keep the message now, try again",      \
      SMTP_REPLY_TRACED)                                                                       \
    X(STORE_FULL, 452, "4.3.1", "No room for the message now, try again", SMTP_REPLY_TRACED)   \
    X(MAILBOX_FULL, 452, "4.2.2", "Mailbox of a recipient is full, try again",                 \
      SMTP_REPLY_TRACED)                                                                       \
    X(STORE_FAILED, 451, "4.3.0", "Message was not taken, try again", SMTP_REPLY_TRACED)       \
    X(TAKEN_BACK, 451, "4.3.0", "Message was taken back", 0) /* said to nobody */              \
    /* that end the connection */                                                              \
    X(TIMED_OUT, 421, "4.4.2", "Waited too long", SMTP_REPLY_CLOSE)                            \
    X(GOING_DOWN, 421, "4.3.2", "Service is going down, try again", SMTP_REPLY_CLOSE)          \
    X(ERRORS, 421, "4.7.0", "Too many errors", SMTP_REPLY_CLOSE | SMTP_REPLY_BREACH)

#define SMTP_REPLY_ENUM(name, code, enhanced, text, flags) SMTP_REPLY_##name,
enum smtp_reply { SMTP_REPLIES(SMTP_REPLY_ENUM) SMTP_REPLY_COUNT };
#undef SMTP_REPLY_ENUM

/* A refusal that the driver words itself. `code` is 400 to 599; 421 closes in any case.
 * `enhanced` is left out unless it is of the code's class. `text` is borrowed, and may hold
 * anything: what is no printable ASCII becomes "?", and it is cut at SMTP_REFUSAL_TEXT_MAX
 * bytes. */
struct smtp_refusal {
    unsigned code;
    const char *enhanced;
    const char *text;
    bool close;
};

/* Appends the line with its CRLF. `trace` may be empty. */
void smtp_refusal_write(const struct smtp_refusal *refusal, const char *trace,
                        struct buffer *output);

/* Appends the line with its CRLF. `trace` is shown by TRACED replies; it may be empty. */
void smtp_reply_write(enum smtp_reply reply, const char *trace, struct buffer *output);

unsigned smtp_reply_code(enum smtp_reply reply);
unsigned smtp_reply_flags(enum smtp_reply reply);

/* What the client hears when its message was handed to the store with this outcome. */
enum smtp_reply smtp_reply_of_commit(enum err result);

/* Likewise for a recipient: ERR_NOTFOUND is an unknown user, ERR_DENIED a domain that is not
 * ours, ERR_QUOTA a mailbox that is full at present, ERR_FULL one that is full for good. */
enum smtp_reply smtp_reply_of_lookup(enum err result);

#endif
