/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the largest providers say, and what it means by the rules that are built in. */
#include "tests/unit/egress/classify_lab.h"

static const struct expected google[] = {
    {"google", CLASSIFY_AT_FINAL,
     "421-4.7.0 [192.0.2.1      15] Our system has detected that this message is\n421-4.7.0 "
     "suspicious due to the very low reputation of the sending IP address.\n421 4.7.0 Learn "
     "more d9443c01a7336-1f0f6b0c2a4si4567.123 - gsmtp",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "421-4.7.28 [192.0.2.1] Gmail has detected an unusual rate of unsolicited mail "
     "originating\n421 4.7.28 from your IP address.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your "
     "IP Netblock.",
     CLASSIFY_NETBLOCK, CLASSIFY_SCOPE_PREFIX, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your "
     "DKIM domain [mail.example.org 36].",
     CLASSIFY_RATE_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your "
     "SPF domain [mail.example.org 35].",
     CLASSIFY_RATE_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "421 4.7.28 Gmail has detected an unusual rate of mail containing one of your URL "
     "domains.",
     CLASSIFY_RATE_DOMAIN, CLASSIFY_SCOPE_URL, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "421 4.7.28 Too many messages with the same Message-ID have been received.",
     CLASSIFY_RATE_DOMAIN, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "421 4.7.28 Gmail has detected an unusual rate of mail. It has been temporarily rate "
     "limited.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "421-4.7.0 [192.0.2.1      19] Gmail has detected that this message is likely\n421 4.7.0 "
     "suspicious due to the very low reputation of the sending domain.",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "550-5.7.1 [192.0.2.1      19] Gmail has detected that this message is likely\n550 5.7.1 "
     "suspicious due to the very low reputation of the sending domain.",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "421-4.7.1 [192.0.2.1      19] Gmail has detected that this message is likely\n421 4.7.1 "
     "suspicious due to the very low reputation of the sending domain.",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "550-5.7.0 [192.0.2.1      19] Gmail has detected that this message is likely\n550 5.7.0 "
     "suspicious due to the very low reputation of the sending domain.",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "550 5.7.28 An unusual rate of unsolicited mail has been seen from this IP",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "550-5.7.1 [192.0.2.1] Our system has detected an unusual rate of unsolicited mail\n550 "
     "5.7.1 originating from your IP address.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"google", CLASSIFY_AT_MAIL,
     "450 4.7.23 The IP address sending this message does not have a PTR record setup",
     CLASSIFY_CONFIG, CLASSIFY_SCOPE_ADDRESS, NULL},
    {"google", CLASSIFY_AT_MAIL,
     "550 5.7.25 The sending IP does not match the IP address of its PTR record",
     CLASSIFY_CONFIG, CLASSIFY_SCOPE_ADDRESS, NULL},
    {"google", CLASSIFY_AT_CONNECT,
     "421 4.7.0 The corresponding forward DNS entry does not match the sending IP "
     "[2001:db8::25]",
     CLASSIFY_CONFIG, CLASSIFY_SCOPE_ADDRESS, NULL},
    {"google", CLASSIFY_AT_FINAL, "421 4.7.26 Your email has been rate limited", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "550 5.7.26 This mail has been blocked", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "421 4.7.27 Your email has been rate limited", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "550 5.7.27 This mail has been blocked", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "421 4.7.30 Your email has been rate limited", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "550 5.7.30 This mail has been blocked", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "421 4.7.32 Your email has been rate limited", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "550 5.7.32 This mail has been blocked", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "421 4.7.40 Your email has been rate limited", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "550 5.7.40 This mail has been blocked", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "421 4.7.24 Your email has been rate limited", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "550 5.7.24 This mail has been blocked", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL, "450 4.7.29 not sent over a TLS connection", CLASSIFY_CONFIG,
     CLASSIFY_SCOPE_PROVIDER, NULL},
    {"google", CLASSIFY_AT_FINAL, "550 5.7.29 not sent over a TLS connection", CLASSIFY_CONFIG,
     CLASSIFY_SCOPE_PROVIDER, NULL},
    {"google", CLASSIFY_AT_MAIL, "421 4.7.0 TLS required", CLASSIFY_CONFIG,
     CLASSIFY_SCOPE_PROVIDER, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "421 4.7.0 This message is suspicious due to the nature of the content or the links "
     "within.",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "550 5.7.0 This message was blocked due to the nature of the content or the links within.",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "550 5.7.1 [192.0.2.1      12] Our system has detected that this message is likely "
     "unsolicited mail.",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"google", CLASSIFY_AT_RCPT,
     "450-4.2.1 The user you are trying to contact is receiving mail too quickly.\n450 4.2.1 "
     "Please resend your message at a later time.",
     CLASSIFY_RCPT_RATE, CLASSIFY_SCOPE_RECIPIENT, NULL},
    {"google", CLASSIFY_AT_RCPT,
     "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents "
     "additional messages from being delivered.",
     CLASSIFY_RCPT_RATE, CLASSIFY_SCOPE_RECIPIENT, NULL},
    {"google", CLASSIFY_AT_HELLO, "421 4.7.0 Try again later, closing connection.",
     CLASSIFY_TRANSIENT, CLASSIFY_SCOPE_ROW, NULL},
};

static const struct expected microsoft[] = {
    {"outlook", CLASSIFY_AT_MAIL,
     "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
     "Internet service provider since part of their network is on our block list (S3150).",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
     "Internet service provider since part of their network is on our block list (S3150).",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
     "Internet service provider since part of their network is on our block list (S3140).",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
     "Internet service provider since part of their network is on our block list (S3140).",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
     "Internet service provider since part of their network is on our block list (AS3150).",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
     "Internet service provider since part of their network is on our block list (AS3150).",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_RCPT, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROWS, NULL},
    {"o365", CLASSIFY_AT_RCPT, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROWS, NULL},
    {"outlook", CLASSIFY_AT_RCPT,
     "550 5.7.649 Access denied, banned sending IP [192.0.2.1]; see https://sender.office.com/",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROWS, NULL},
    {"o365", CLASSIFY_AT_RCPT,
     "550 5.7.649 Access denied, banned sending IP [192.0.2.1]; see https://sender.office.com/",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROWS, NULL},
    {"outlook", CLASSIFY_AT_RCPT, "550 5.7.511 Access denied, banned sender[192.0.2.1]",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROWS, NULL},
    {"o365", CLASSIFY_AT_RCPT, "550 5.7.511 Access denied, banned sender[192.0.2.1]",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROWS, NULL},
    {"outlook", CLASSIFY_AT_FINAL,
     "550 5.7.708 Access denied, traffic not accepted from this IP", CLASSIFY_IP_BLOCK,
     CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_FINAL, "550 5.7.708 Access denied, traffic not accepted from this IP",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
     "reputation. For e-mail delivery information, see https://postmaster.live.com (S775)",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
     "reputation. For e-mail delivery information, see https://postmaster.live.com (S775)",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "451 4.7.651 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
     "reputation. For e-mail delivery information, see https://postmaster.live.com (S843)",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "451 4.7.651 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
     "reputation. For e-mail delivery information, see https://postmaster.live.com (S843)",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
     "reputation. For e-mail delivery information, see https://postmaster.live.com (S3114)",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
     "reputation. For e-mail delivery information, see https://postmaster.live.com (S3114)",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "421 RP-001 (SNT004-MC4F23) Unfortunately, some messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "421 RP-001 (SNT004-MC4F23) Unfortunately, some messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "421 RP-002 (SNT004-MC4F23) Unfortunately, some messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "421 RP-002 (SNT004-MC4F23) Unfortunately, some messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "421 RP-003 (SNT004-MC4F23) Unfortunately, some messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "421 RP-003 (SNT004-MC4F23) Unfortunately, some messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_FINAL,
     "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS77712344)",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_FINAL,
     "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS77712344)",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_FINAL, "451 4.7.699 Server busy (AS77712345)", CLASSIFY_IP_RATE,
     CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_FINAL, "451 4.7.699 Server busy (AS77712345)", CLASSIFY_IP_RATE,
     CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_FINAL, "451 4.7.850 Access denied, please try again later",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_FINAL, "451 4.7.850 Access denied, please try again later",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_FINAL, "451 4.7.899 Access denied, please try again later",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_FINAL, "451 4.7.899 Access denied, please try again later",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_CONNECT,
     "421 The server has exceeded the maximum number of connections", CLASSIFY_IP_RATE,
     CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_CONNECT,
     "421 The server has exceeded the maximum number of connections", CLASSIFY_IP_RATE,
     CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL, "421 Exceeded the number of messages per connection",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL, "421 Exceeded the number of messages per connection",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL, "421 IB007 (SNT004-MC4F23) closing", CLASSIFY_IP_RATE,
     CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL, "421 IB007 (SNT004-MC4F23) closing", CLASSIFY_IP_RATE,
     CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_RCPT,
     "550 5.7.513 Client host [192.0.2.1] blocked by user@example.com using Customer Block "
     "list",
     CLASSIFY_POLICY, CLASSIFY_SCOPE_ROW_DOMAIN, NULL},
    {"o365", CLASSIFY_AT_RCPT,
     "550 5.7.513 Client host [192.0.2.1] blocked by user@example.com using Customer Block "
     "list",
     CLASSIFY_POLICY, CLASSIFY_SCOPE_ROW_DOMAIN, NULL},
    {"outlook", CLASSIFY_AT_RCPT, "550 5.7.507 Access denied, rejected by recipient",
     CLASSIFY_POLICY, CLASSIFY_SCOPE_ROW_DOMAIN, NULL},
    {"o365", CLASSIFY_AT_RCPT, "550 5.7.507 Access denied, rejected by recipient",
     CLASSIFY_POLICY, CLASSIFY_SCOPE_ROW_DOMAIN, NULL},
    {"outlook", CLASSIFY_AT_MAIL, "550 5.7.506 Access Denied, Bad HELO", CLASSIFY_CONFIG,
     CLASSIFY_SCOPE_ADDRESS, NULL},
    {"o365", CLASSIFY_AT_MAIL, "550 5.7.506 Access Denied, Bad HELO", CLASSIFY_CONFIG,
     CLASSIFY_SCOPE_ADDRESS, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "550 5.7.25 Access denied, the sending IPv6 address [2001:db8::25] must have a reverse "
     "DNS record",
     CLASSIFY_CONFIG, CLASSIFY_SCOPE_FAMILY, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "550 5.7.25 Access denied, the sending IPv6 address [2001:db8::25] must have a reverse "
     "DNS record",
     CLASSIFY_CONFIG, CLASSIFY_SCOPE_FAMILY, NULL},
    {"outlook", CLASSIFY_AT_RCPT,
     "550 5.7.510 Access denied, example.com does not accept email over IPv6", CLASSIFY_CONFIG,
     CLASSIFY_SCOPE_FAMILY, NULL},
    {"o365", CLASSIFY_AT_RCPT,
     "550 5.7.510 Access denied, example.com does not accept email over IPv6", CLASSIFY_CONFIG,
     CLASSIFY_SCOPE_FAMILY, NULL},
    {"outlook", CLASSIFY_AT_FINAL, "550 5.7.509 Access denied, sending domain example.com",
     CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"o365", CLASSIFY_AT_FINAL, "550 5.7.509 Access denied, sending domain example.com",
     CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"outlook", CLASSIFY_AT_FINAL, "550 5.7.515 Access denied, sending domain example.com",
     CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"o365", CLASSIFY_AT_FINAL, "550 5.7.515 Access denied, sending domain example.com",
     CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"outlook", CLASSIFY_AT_FINAL, "550 5.7.23 Access denied, sending domain example.com",
     CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"o365", CLASSIFY_AT_FINAL, "550 5.7.23 Access denied, sending domain example.com",
     CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"outlook", CLASSIFY_AT_FINAL,
     "450 4.7.26 Access denied, the message sent over IPv6 [2001:db8::25] must pass either SPF "
     "or DKIM validation",
     CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"o365", CLASSIFY_AT_FINAL,
     "450 4.7.26 Access denied, the message sent over IPv6 [2001:db8::25] must pass either SPF "
     "or DKIM validation",
     CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"outlook", CLASSIFY_AT_RCPT,
     "550 5.7.1 Service unavailable, MailFrom domain is listed in Spamhaus. To request removal "
     "from this list see https://www.spamhaus.org/lookup.lasso (S8002)",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"o365", CLASSIFY_AT_RCPT,
     "550 5.7.1 Service unavailable, MailFrom domain is listed in Spamhaus. To request removal "
     "from this list see https://www.spamhaus.org/lookup.lasso (S8002)",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"outlook", CLASSIFY_AT_RCPT,
     "550 5.7.1 Service unavailable, MailFrom domain is listed in Spamhaus.",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, "spamhaus-dbl"},
    {"o365", CLASSIFY_AT_RCPT,
     "550 5.7.1 Service unavailable, MailFrom domain is listed in Spamhaus.",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, "spamhaus-dbl"},
    {"outlook", CLASSIFY_AT_RCPT,
     "550 5.7.1 Service unavailable, Helo domain is listed in Spamhaus (S8001)",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_ADDRESS, "spamhaus-dbl"},
    {"o365", CLASSIFY_AT_RCPT,
     "550 5.7.1 Service unavailable, Helo domain is listed in Spamhaus (S8001)",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_ADDRESS, "spamhaus-dbl"},
    {"outlook", CLASSIFY_AT_RCPT,
     "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", CLASSIFY_MAILBOX,
     CLASSIFY_SCOPE_RECIPIENT, NULL},
    {"o365", CLASSIFY_AT_RCPT,
     "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", CLASSIFY_MAILBOX,
     CLASSIFY_SCOPE_RECIPIENT, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "550 SC-001 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "550 SC-001 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "550 OU-002 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "550 OU-002 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "550 SC-002 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "550 SC-002 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "550 SC-004 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "550 SC-004 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "550 DY-001 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "550 DY-001 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "550 DY-002 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_MAIL,
     "550 DY-002 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"outlook", CLASSIFY_AT_MAIL,
     "550 OU-001 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    {"o365", CLASSIFY_AT_MAIL,
     "550 OU-001 (SNT004-MC4F23) Unfortunately, messages from 192.0.2.1 weren't sent.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    {"outlook", CLASSIFY_AT_RCPT,
     "554 5.2.121 per-hour limit of the recipient from one sender exceeded", CLASSIFY_RCPT_RATE,
     CLASSIFY_SCOPE_RECIPIENT, NULL},
    {"o365", CLASSIFY_AT_RCPT,
     "554 5.2.121 per-hour limit of the recipient from one sender exceeded", CLASSIFY_RCPT_RATE,
     CLASSIFY_SCOPE_RECIPIENT, NULL},
    {"outlook", CLASSIFY_AT_RCPT, "554 5.2.122 per-hour limit of the recipient exceeded",
     CLASSIFY_RCPT_RATE, CLASSIFY_SCOPE_RECIPIENT, NULL},
    {"o365", CLASSIFY_AT_RCPT, "554 5.2.122 per-hour limit of the recipient exceeded",
     CLASSIFY_RCPT_RATE, CLASSIFY_SCOPE_RECIPIENT, NULL},
};

static const struct expected yahoo[] = {
    {"yahoo", CLASSIFY_AT_MAIL,
     "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume "
     "or user complaints - 4.16.55.1",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_MAIL,
     "421 [IPTS04] Messages from 192.0.2.1 temporarily deferred due to user complaints",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_MAIL,
     "421 4.7.0 [TSS05] Messages from 192.0.2.1 temporarily deferred", CLASSIFY_IP_RATE,
     CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_MAIL, "421 [IPTS05] Messages from 192.0.2.1 temporarily deferred",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_MAIL,
     "421 4.7.0 [TS01] Messages from 192.0.2.1 temporarily deferred due to user complaints",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_MAIL, "421 4.7.0 [TS02] Messages from 192.0.2.1 temporarily deferred",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_CONNECT,
     "421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will "
     "NOT succeed.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_MAIL,
     "553 5.7.2 [TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will "
     "NOT succeed.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_CONNECT,
     "421 4.7.1 [TSS06] All messages from 192.0.2.1 will be permanently deferred; Retrying "
     "will NOT succeed.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_MAIL,
     "553 5.7.2 [TSS06] All messages from 192.0.2.1 will be permanently deferred; Retrying "
     "will NOT succeed.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_CONNECT,
     "421 4.7.1 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying "
     "will NOT succeed.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_MAIL,
     "553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying "
     "will NOT succeed.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_CONNECT,
     "421 4.7.1 [TSS11] All messages from 192.0.2.1 will be permanently deferred; Retrying "
     "will NOT succeed.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_MAIL,
     "553 5.7.2 [TSS11] All messages from 192.0.2.1 will be permanently deferred; Retrying "
     "will NOT succeed.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_CONNECT,
     "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in "
     "Spamhaus's list",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    {"yahoo", CLASSIFY_AT_CONNECT,
     "553 5.7.1 [BL23] Connections will not be accepted from 192.0.2.1, because the ip is in "
     "Spamhaus's list",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    {"yahoo", CLASSIFY_AT_CONNECT,
     "553 5.7.1 [TSS07] Connections will not be accepted from 192.0.2.1, because the ip is in "
     "Spamhaus's list",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    {"yahoo", CLASSIFY_AT_FINAL, "554 5.7.9 Message not accepted for policy reasons.",
     CLASSIFY_POLICY, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"yahoo", CLASSIFY_AT_FINAL, "554 Message not accepted for policy reasons [PH01]",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"yahoo", CLASSIFY_AT_FINAL, "554 AU01 Message not accepted", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"yahoo", CLASSIFY_AT_FINAL,
     "550 5.7.9 This mail has been blocked because the sender is unauthenticated.",
     CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"yahoo", CLASSIFY_AT_MAIL,
     "421 Max message per connection reached, closing transmission channel", CLASSIFY_PROTOCOL,
     CLASSIFY_SCOPE_ROW, NULL},
};

static void test_google(void **state)
{
    lab_expect(*state, google, sizeof(google) / sizeof(google[0]));
}

static void test_microsoft(void **state)
{
    lab_expect(*state, microsoft, sizeof(microsoft) / sizeof(microsoft[0]));
}

static void test_yahoo(void **state)
{
    lab_expect(*state, yahoo, sizeof(yahoo) / sizeof(yahoo[0]));
}

static int set_up(void **state)
{
    *state = lab_rules();
    return 0;
}

static int tear_down(void **state)
{
    struct classify_rules *rules = *state;
    classify_free(&rules);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_google),
        cmocka_unit_test(test_microsoft),
        cmocka_unit_test(test_yahoo),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
