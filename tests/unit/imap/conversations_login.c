/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/imap/conversations.h"

/* Of a client whose nonce is "cccccccccccccccc"; see fake_auth.c for the other side. */
#define SCRAM_FIRST "biwsbj1hbm5AZXhhbXBsZS5vcmcscj1jY2NjY2NjY2NjY2NjY2Nj"
#define SCRAM_CHALLENGE                                                                        \
    "cj1jY2NjY2NjY2NjY2NjY2NjQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBLHM9QUFBQUFBQUFBQUFBQUFBQUFBQUFB" \
    "QT09LGk9NDA5Ng=="
#define SCRAM_256_FINAL                                                                        \
    "Yz1iaXdzLHI9Y2NjY2NjY2NjY2NjY2NjY0FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQSxwPVRYdFBJaVdkYWlsTjBK" \
    "T0tMQUREZDBpeXp3L0ZVVVRuUFhtRE1OOC9zLzg9"
#define SCRAM_256_WRONG                                                                        \
    "Yz1iaXdzLHI9Y2NjY2NjY2NjY2NjY2NjY0FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQSxwPXhMLzA1MnphSFpublB3" \
    "OFlaWVFHNXZ3azNpRjNDTzAvb2xadnZvdDFuM0k9"
#define SCRAM_256_PROOF "dj1KZnU3U2ZRWGNqclQyRzg0RVRXczR6QXRnRnJkMS9LbUw5dDNYdk1UeXdZPQ=="
#define SCRAM_1_FINAL                                                                          \
    "Yz1iaXdzLHI9Y2NjY2NjY2NjY2NjY2NjY0FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQSxwPTBpUk81bWxWZDlHcDRw" \
    "c2JSQ0xINzVqNjltOD0="
#define SCRAM_1_PROOF "dj1keEVjT05MRFRoV1U1dVlmODdVTmF5dnFQVnc9"
#define PLUS_256_FIRST                                                                         \
    "cD10bHMtZXhwb3J0ZXIsLG49YW5uQGV4YW1wbGUub3JnLHI9Y2NjY2NjY2NjY2NjY2NjYw=="
#define PLUS_256_FINAL                                                                         \
    "Yz1jRDEwYkhNdFpYaHdiM0owWlhJc0xHVmxaV1ZsWldWbFpXVmxaV1ZsWldWbFpXVmxaV1ZsWldWbFpXVmxaV1Zs" \
    "LHI9Y2NjY2NjY2NjY2NjY2NjY0FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQSxwPWU3VC95dTcrMGdwL1lBMm10d1Y2" \
    "a09vMi81bVpWc3BGbWo2NENReExicW89"
#define PLUS_256_PROOF "dj1OeXNmb1FYd1UxOEJGQ2l3SkRYR21URzd2VG9UM1pZdmo2UmlHVEpPNDYwPQ=="
/* The same of another TLS connection: somebody is in between. */
#define PLUS_256_ELSEWHERE                                                                     \
    "Yz1jRDEwYkhNdFpYaHdiM0owWlhJc0xHWm1abVptWm1abVptWm1abVptWm1abVptWm1abVptWm1abVptWm1abVpt" \
    "LHI9Y2NjY2NjY2NjY2NjY2NjY0FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQSxwPVk2S2tFdyt5VU1INlFPa0x4ekxh" \
    "NWlnZFFGTUt1eXR3Q1JsUDZ0ZmVKOHM9"
#define PLUS_1_FIRST                                                                           \
    "cD10bHMtc2VydmVyLWVuZC1wb2ludCwsbj1hbm5AZXhhbXBsZS5vcmcscj1jY2NjY2NjY2NjY2NjY2Nj"
#define PLUS_1_FINAL                                                                           \
    "Yz1jRDEwYkhNdGMyVnlkbVZ5TFdWdVpDMXdiMmx1ZEN3c1JVVkZSVVZGUlVWRlJVVkZSVVZGUlVWRlJVVkZSVVZG" \
    "UlVWRlJVVkZSVVU9LHI9Y2NjY2NjY2NjY2NjY2NjY0FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQSxwPXEvT3Ywcmlv" \
    "dzdUVjhYTVNEclJMeHg2Q1BmOD0="
#define PLUS_1_PROOF "dj02QzBmNFgyOWJTbFVvaVA2K2NqZTNzVllaRk09"

/* Of the issuer "i" for the audience "a", until 1790000100 and until 1780000000. */
#define TOKEN                                                                                  \
    "biwsAWF1dGg9QmVhcmVyIGV5SmhiR2NpT2lKRlpFUlRRU0o5LmV5SnBjM01pT2lKcElpd2lZWFZrSWpvaVlTSXNJ" \
    "bVY0Y0NJNk1UYzVNREF3TURFd01Dd2laVzFoYVd3aU9pSmhibTVBWlhoaGJYQnNaUzV2Y21jaWZRLmFoZ04yVFZ6" \
    "cEx4NWc3eGl4Q0ZpYnNQRXR0YnRJTTFxTllMcWZVVUVELVpMekRJeFU0VUNvMnpkOHlJejdUUEkwX3JUTmYwVUd3" \
    "enRQZEhBR290WUFRAQE="
#define TOKEN_OLD                                                                              \
    "biwsAWF1dGg9QmVhcmVyIGV5SmhiR2NpT2lKRlpFUlRRU0o5LmV5SnBjM01pT2lKcElpd2lZWFZrSWpvaVlTSXNJ" \
    "bVY0Y0NJNk1UYzRNREF3TURBd01Dd2laVzFoYVd3aU9pSmhibTVBWlhoaGJYQnNaUzV2Y21jaWZRLnRKZHNYOFRM" \
    "THFNMU51ZGQ0T1pTTk1yZHZLRy16RHl2TGJ0c2JyM19aNFU1dm1OaWVsUjdPYkRXMjNSY19QNVNydEFmcnRiY2hF" \
    "cU5VTUVxX196YUFBAQE="
#define TOKEN_WRONG "biwsAWF1dGg9QmVhcmVyIGFiYwEB"
#define TOKEN_NO "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0="

#define PLAIN "AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ="
#define PLAIN_WRONG "AGFubkBleGFtcGxlLm9yZwB3cm9uZw=="
#define WRONG "NO [AUTHENTICATIONFAILED] Wrong name or password\r\n"
#define OK_B "b OK [CAPABILITY " CAPABILITIES "] Logged in\r\n"
#define TURNED_AWAY                                                                            \
    "a NO [LIMIT] Too much\r\n"                                                                \
    "* BYE [LIMIT] Too much\r\n"                                                               \
    "<CLOSE>"

const struct conversation conversations_login[] = {
    {"PLAIN", "a AUTHENTICATE PLAIN\r\n" PLAIN "\r\nb NOOP\r\n",
     "+ \r\n" LOGGED_IN "b OK Done\r\n", false},
    {"PLAIN at once", "a authenticate plain " PLAIN "\r\nb NOOP\r\n", LOGGED_IN "b OK Done\r\n",
     false},
    {"PLAIN, everything in one piece", "a AUTHENTICATE PLAIN " PLAIN "\r\nb CAPABILITY\r\n",
     LOGGED_IN "* CAPABILITY " CAPABILITIES "\r\nb OK Done\r\n", false},
    {"PLAIN, wrong",
     "a AUTHENTICATE PLAIN " PLAIN_WRONG "\r\nb AUTHENTICATE PLAIN\r\n" PLAIN "\r\n",
     "<delay>a " WRONG "+ \r\n" OK_B, false},
    {"LOGIN as a mechanism", "a AUTHENTICATE LOGIN\r\nYW5uQGV4YW1wbGUub3Jn\r\nc2VjcmV0\r\n",
     "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n" LOGGED_IN, false},
    {"LOGIN as a mechanism, at once",
     "a AUTHENTICATE LOGIN YW5uQGV4YW1wbGUub3Jn\r\nc2VjcmV0\r\n",
     "+ UGFzc3dvcmQ6\r\n" LOGGED_IN, false},
    {"LOGIN as a mechanism, wrong",
     "a AUTHENTICATE LOGIN\r\nYW5uQGV4YW1wbGUub3Jn\r\nc2VjcmV1\r\n",
     "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n<delay>a " WRONG, false},
    {"SCRAM-SHA-256",
     "a AUTHENTICATE SCRAM-SHA-256\r\n" SCRAM_FIRST "\r\n" SCRAM_256_FINAL "\r\n\r\n",
     "+ \r\n+ " SCRAM_CHALLENGE "\r\n+ " SCRAM_256_PROOF "\r\n" LOGGED_IN, false},
    {"SCRAM-SHA-256 at once",
     "a AUTHENTICATE SCRAM-SHA-256 " SCRAM_FIRST "\r\n" SCRAM_256_FINAL "\r\n\r\n",
     "+ " SCRAM_CHALLENGE "\r\n+ " SCRAM_256_PROOF "\r\n" LOGGED_IN, false},
    {"SCRAM-SHA-256, wrong",
     "a AUTHENTICATE SCRAM-SHA-256 " SCRAM_FIRST "\r\n" SCRAM_256_WRONG "\r\nb NOOP\r\n",
     "+ " SCRAM_CHALLENGE "\r\n<delay>a " WRONG "b OK Done\r\n", false},
    {"SCRAM-SHA-256, something behind the end",
     "a AUTHENTICATE SCRAM-SHA-256 " SCRAM_FIRST "\r\n" SCRAM_256_FINAL
     "\r\nYQ==\r\nb NOOP\r\n",
     "+ " SCRAM_CHALLENGE "\r\n+ " SCRAM_256_PROOF "\r\n<delay>a " WRONG "b OK Done\r\n",
     false},
    {"SCRAM-SHA-1", "a AUTHENTICATE SCRAM-SHA-1 " SCRAM_FIRST "\r\n" SCRAM_1_FINAL "\r\n\r\n",
     "+ " SCRAM_CHALLENGE "\r\n+ " SCRAM_1_PROOF "\r\n" LOGGED_IN, false},
    {"SCRAM-SHA-256-PLUS by tls-exporter",
     "a AUTHENTICATE SCRAM-SHA-256-PLUS " PLUS_256_FIRST "\r\n" PLUS_256_FINAL "\r\n\r\n",
     "+ " SCRAM_CHALLENGE "\r\n+ " PLUS_256_PROOF "\r\n" LOGGED_IN, false},
    {"SCRAM-SHA-256-PLUS, of another connection",
     "a AUTHENTICATE SCRAM-SHA-256-PLUS " PLUS_256_FIRST "\r\n" PLUS_256_ELSEWHERE "\r\n",
     "+ " SCRAM_CHALLENGE "\r\n<delay>a " WRONG, false},
    {"SCRAM-SHA-1-PLUS by tls-server-end-point",
     "a AUTHENTICATE SCRAM-SHA-1-PLUS " PLUS_1_FIRST "\r\n" PLUS_1_FINAL "\r\n\r\n",
     "+ " SCRAM_CHALLENGE "\r\n+ " PLUS_1_PROOF "\r\n" LOGGED_IN, false},
    {"OAUTHBEARER", "a AUTHENTICATE OAUTHBEARER " TOKEN "\r\n", LOGGED_IN, false},
    {"OAUTHBEARER, asked", "a AUTHENTICATE OAUTHBEARER\r\n" TOKEN "\r\n", "+ \r\n" LOGGED_IN,
     false},
    {"OAUTHBEARER, no such token",
     "a AUTHENTICATE OAUTHBEARER " TOKEN_WRONG "\r\nAQ==\r\nb NOOP\r\n",
     "+ " TOKEN_NO "\r\n<delay>a " WRONG "b OK Done\r\n", false},
    {"OAUTHBEARER, no such token, and the client cancels",
     "a AUTHENTICATE OAUTHBEARER " TOKEN_WRONG "\r\n*\r\nb NOOP\r\n",
     "+ " TOKEN_NO "\r\n<delay>a BAD Cancelled\r\nb OK Done\r\n", false},
    {"OAUTHBEARER, no longer valid",
     "a AUTHENTICATE OAUTHBEARER " TOKEN_OLD "\r\nAQ==\r\nb AUTHENTICATE OAUTHBEARER " TOKEN
     "\r\n",
     "+ " TOKEN_NO "\r\n<delay>a NO [EXPIRED] The token is no longer valid\r\n" OK_B, false},

    {"what is no log-in",
     "a AUTHENTICATE PLAIN\r\n"
     "*\r\n"
     "b AUTHENTICATE PLAIN\r\n"
     "%%%\r\n"
     "c AUTHENTICATE CRAM-MD5\r\n"
     "d AUTHENTICATE\r\n"
     "e AUTHENTICATE PLAIN AA= =\r\n"
     "f AUTHENTICATE PLAIN AA=A\r\n"
     "g AUTHENTICATE PLAIN\r\n"
     "{5+}\r\n"
     "12345\r\n"
     "h NOOP\r\n",
     "+ \r\n"
     "a BAD Cancelled\r\n"
     "+ \r\n"
     "b BAD This is not base64\r\n"
     "c NO [CANNOT] The mechanism is not known\r\n"
     "d BAD Wrong arguments: a space is missing\r\n"
     "e BAD Wrong arguments: too many arguments\r\n"
     "f BAD This is not base64\r\n"
     "+ \r\n"
     "g BAD Wrong arguments: no literal can stand here\r\n"
     "h OK Done\r\n",
     false},
    {"messages of nothing, and for somebody else",
     "a AUTHENTICATE PLAIN =\r\n"
     "b AUTHENTICATE PLAIN eABhbm5AZXhhbXBsZS5vcmcAc2VjcmV0\r\n"
     "c AUTHENTICATE PLAIN\r\n"
     "\r\n"
     "d NOOP\r\n",
     "<delay>a " WRONG "<delay>b " WRONG "+ \r\n<delay>c " WRONG
     "* BYE Too many failed log-ins\r\n<CLOSE>",
     false},
    {"cancelled again and again",
     "a AUTHENTICATE PLAIN\r\n*\r\nb AUTHENTICATE LOGIN\r\n*\r\nc AUTHENTICATE LOGIN\r\n"
     "YW5uQGV4YW1wbGUub3Jn\r\n*\r\nd AUTHENTICATE SCRAM-SHA-256 " SCRAM_FIRST
     "\r\n*\r\ne AUTHENTICATE SCRAM-SHA-1 " SCRAM_FIRST "\r\n*\r\n",
     "+ \r\na BAD Cancelled\r\n+ VXNlcm5hbWU6\r\nb BAD Cancelled\r\n+ VXNlcm5hbWU6\r\n"
     "+ UGFzc3dvcmQ6\r\n<delay>c BAD Cancelled\r\n+ " SCRAM_CHALLENGE
     "\r\n<delay>d BAD Cancelled\r\n+ " SCRAM_CHALLENGE "\r\n<delay>e BAD Cancelled\r\n"
     "* BYE Too many failed log-ins\r\n<CLOSE>",
     false},
    {"AUTHENTICATE when it may not be",
     "a AUTHENTICATE PLAIN " PLAIN "\r\nb AUTHENTICATE PLAIN " PLAIN "\r\n",
     LOGGED_IN "b BAD You are logged in already\r\n", false},
    {"AUTHENTICATE in the clear",
     "a CAPABILITY\r\nb AUTHENTICATE PLAIN " PLAIN "\r\nc AUTHENTICATE SCRAM-SHA-256\r\n"
     "d STARTTLS\r\ne CAPABILITY\r\nf AUTHENTICATE PLAIN\r\n*\r\n",
     "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE STARTTLS LOGINDISABLED\r\n"
     "a OK Done\r\n"
     "b NO [PRIVACYREQUIRED] Passwords are not taken in the clear\r\n"
     "c NO [PRIVACYREQUIRED] Passwords are not taken in the clear\r\n"
     "d OK Begin TLS\r\n<TLS>"
     "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE " MECHANISMS "\r\n"
     "e OK Done\r\n"
     "+ \r\nf BAD Cancelled\r\n",
     true},
    {"the store has forgotten the exchange",
     "a AUTHENTICATE SCRAM-SHA-256 " SCRAM_FIRST "\r\n!forget\n" SCRAM_256_FINAL
     "\r\nb AUTHENTICATE PLAIN " PLAIN "\r\n",
     "+ " SCRAM_CHALLENGE "\r\na NO [UNAVAILABLE] This took too long, begin again\r\n" OK_B,
     false},
    {"the store goes away within the exchange",
     "a AUTHENTICATE SCRAM-SHA-256 " SCRAM_FIRST "\r\n!fail 10\n" SCRAM_256_FINAL
     "\r\nb AUTHENTICATE PLAIN " PLAIN "\r\n",
     "+ " SCRAM_CHALLENGE
     "\r\na NO [UNAVAILABLE] Logging in is not possible, try again later\r\n" OK_B,
     false},
    {"the firewall has had enough",
     "!turn away 0\na AUTHENTICATE PLAIN " PLAIN "\r\nb NOOP\r\n", TURNED_AWAY, false},
    {"too many connections of the account",
     "!turn away 1\na LOGIN ann@example.org secret\r\nb NOOP\r\n", TURNED_AWAY, false},
    {"one guess too many", "!turn away 2\na AUTHENTICATE PLAIN " PLAIN_WRONG "\r\nb NOOP\r\n",
     TURNED_AWAY, false},
    {"the firewall holds answers back",
     "!slow 2\na LOGIN ann@example.org no\r\n!slow 1\nb AUTHENTICATE PLAIN " PLAIN "\r\n",
     "<long delay>a " WRONG "<long delay>" OK_B, false},
    {NULL, NULL, NULL, false},
};
