/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What other hosts say, and what it means by the rules that are built in. */
#include "tests/unit/egress/classify_lab.h"

static const struct expected others[] = {
    {"apple", CLASSIFY_AT_FINAL,
     "421 4.7.1 Messages to user@example.com deferred due to excessive volume.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"apple", CLASSIFY_AT_FINAL, "451 [BS02] Message could not be accepted", CLASSIFY_IP_RATE,
     CLASSIFY_SCOPE_ROW, NULL},
    {"apple", CLASSIFY_AT_FINAL, "421 [HCM1] mail from 192.0.2.1 was deferred",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"apple", CLASSIFY_AT_FINAL, "554 5.7.1 [CS01] Message rejected due to local policy.",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"apple", CLASSIFY_AT_FINAL, "550 5.7.1 [CS01] Message rejected due to local policy.",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"apple", CLASSIFY_AT_FINAL, "554 5.7.1 [CS02] Message rejected due to local policy.",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"apple", CLASSIFY_AT_FINAL, "550 5.7.1 [CS02] Message rejected due to local policy.",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"apple", CLASSIFY_AT_FINAL, "554 5.7.1 [HM08] Message rejected due to local policy.",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"apple", CLASSIFY_AT_FINAL, "550 5.7.1 [HM08] Message rejected due to local policy.",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"apple", CLASSIFY_AT_FINAL,
     "550 5.7.1 Your email was rejected due to having a domain present in the Spamhaus DBL -- "
     "see https://www.spamhaus.org/dbl/",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, "spamhaus-dbl"},
    {"other", CLASSIFY_AT_CONNECT,
     "550 5.7.1 See http://csi.cloudmark.com/reset-request?ip=192.0.2.1", CLASSIFY_IP_BLOCK,
     CLASSIFY_SCOPE_ADDRESS, "cloudmark-csi"},
    {"other", CLASSIFY_AT_CONNECT, "421 4.7.0 blocked by Cloudmark Sender Intelligence",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "cloudmark-csi"},
    {"orange", CLASSIFY_AT_RCPT, "550 5.2.0 Mail rejete. OFR006_102 [102]", CLASSIFY_IP_BLOCK,
     CLASSIFY_SCOPE_ADDRESS, "cloudmark-csi"},
    {"proofpoint", CLASSIFY_AT_CONNECT,
     "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", CLASSIFY_IP_BLOCK,
     CLASSIFY_SCOPE_ADDRESS, "proofpoint-pdr"},
    {"other", CLASSIFY_AT_CONNECT,
     "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using prs.proofpoint.com",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "proofpoint-pdr"},
    {"barracuda", CLASSIFY_AT_RCPT,
     "554 Service unavailable; Client host [192.0.2.1] blocked using Barracuda Reputation; "
     "http://bbl.barracudacentral.com/q.cgi?ip=192.0.2.1",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "barracuda"},
    {"other", CLASSIFY_AT_RCPT,
     "554 5.7.1 Client host [192.0.2.1] blocked using b.barracudacentral.org",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "barracuda"},
    {"other", CLASSIFY_AT_FINAL,
     "550 permanent failure for one or more recipients (user@example.com:blocked)",
     CLASSIFY_POLICY, CLASSIFY_SCOPE_ADDRESS, "barracuda"},
    {"mimecast", CLASSIFY_AT_RCPT,
     "550 csi.mimecast.org Poor Reputation Sender. - "
     "https://community.mimecast.com/docs/DOC-1369#550 [a1B2c3D4e5F6g7H8]",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, "mimecast-csi"},
    {"other", CLASSIFY_AT_CONNECT,
     "554 Your access to this mail system has been rejected due to the sending MTA's poor "
     "reputation.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "cisco-talos"},
    {"other", CLASSIFY_AT_CONNECT, "554 5.7.1 You are not allowed to connect: Symantec Zodiac",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "symantec"},
    {"other", CLASSIFY_AT_RCPT, "550 5.7.1 ETP208 Rejected, see Invaluement", CLASSIFY_IP_BLOCK,
     CLASSIFY_SCOPE_ADDRESS, "invaluement"},
    {"other", CLASSIFY_AT_RCPT, "550 5.7.1 see http://spamrl.com/ for 192.0.2.1",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamrl"},
    {"other", CLASSIFY_AT_RCPT,
     "550 5.7.1 Client host [192.0.2.1] blocked using Trend Micro RBL+", CLASSIFY_IP_BLOCK,
     CLASSIFY_SCOPE_ADDRESS, "trend-ers"},
    {"other", CLASSIFY_AT_CONNECT,
     "553 5.3.0 alph761 DNSBL:ATTRBL 521< 192.0.2.1 >_is_blocked.For assistance forward this "
     "error to abuse_rbl@abuse-att.net",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"other", CLASSIFY_AT_CONNECT, "550 5.7.1 DNSBL:RBL 521< 192.0.2.1 >_is_blocked",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"other", CLASSIFY_AT_CONNECT,
     "554 comcast.net 192.0.2.1 found on one or more DNSBLs, see "
     "http://postmaster.comcast.net/smtp-error-codes.php#BL000001",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    {"other", CLASSIFY_AT_CONNECT,
     "554 comcast.net 192.0.2.1 found on one or more DNSBLs, see "
     "http://postmaster.comcast.net/smtp-error-codes.php#BL000010",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "cloudmark-csi"},
    {"other", CLASSIFY_AT_CONNECT,
     "554 comcast.net 192.0.2.1 found on one or more DNSBLs, see "
     "http://postmaster.comcast.net/smtp-error-codes.php#BL000100",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "senderscore"},
    {"other", CLASSIFY_AT_CONNECT,
     "554 comcast.net 192.0.2.1 found on one or more DNSBLs, see "
     "http://postmaster.comcast.net/smtp-error-codes.php#BL001000",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "trend-ers"},
    {"other", CLASSIFY_AT_CONNECT,
     "554 comcast.net 192.0.2.1 found on one or more DNSBLs, see "
     "http://postmaster.comcast.net/smtp-error-codes.php#BL000011",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    {"other", CLASSIFY_AT_CONNECT,
     "421 4.1.0 192.0.2.1 Throttled - try again later. Please see "
     "http://postmaster.comcast.net/smtp-error-codes.php#RL000001",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"gmx", CLASSIFY_AT_CONNECT,
     "421-Reject due to policy restrictions (IP based).\n421 For explanation visit "
     "https://postmaster.gmx.net/",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ADDRESS, NULL},
    {"gmx", CLASSIFY_AT_CONNECT,
     "554-Reject due to policy restrictions (IP based).\n554 For explanation visit "
     "https://postmaster.gmx.net/",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, NULL},
    {"gmx", CLASSIFY_AT_FINAL,
     "554-Reject due to policy restrictions (domain based).\n554 For explanation visit "
     "https://postmaster.web.de/",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"gmx", CLASSIFY_AT_FINAL,
     "554-Reject due to policy restrictions (header based).\n554 For explanation visit "
     "https://postmaster.web.de/",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"gmx", CLASSIFY_AT_CONNECT,
     "554-No SMTP service\n554-IP address is block listed.\n554 For explanation visit "
     "https://postmaster.gmx.net/",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, NULL},
    {"gmx", CLASSIFY_AT_CONNECT,
     "554-No SMTP service\n554-Bad DNS PTR resource record.\n554 For explanation visit "
     "https://postmaster.gmx.net/",
     CLASSIFY_CONFIG, CLASSIFY_SCOPE_ADDRESS, NULL},
    {"other", CLASSIFY_AT_CONNECT,
     "554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact "
     "tosa@rx.t-online.de to clarify.)",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"orange", CLASSIFY_AT_CONNECT,
     "421 Trop de connexions, veuillez verifier votre configuration. OFR005_104 [104]",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"orange", CLASSIFY_AT_CONNECT, "550 Service refuse. Veuillez essayer plus tard.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"orange", CLASSIFY_AT_CONNECT,
     "550 Service refus\xc3\xa9"
     ". Veuillez essayer plus tard.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"qq", CLASSIFY_AT_MAIL, "550 Ip frequency limited [192.0.2.1].", CLASSIFY_IP_RATE,
     CLASSIFY_SCOPE_ROW, NULL},
    {"qq", CLASSIFY_AT_MAIL, "550 Connection frequency limited [192.0.2.1].", CLASSIFY_IP_RATE,
     CLASSIFY_SCOPE_ROW, NULL},
    {"qq", CLASSIFY_AT_MAIL, "550 Domain frequency limited [192.0.2.1].", CLASSIFY_RATE_DOMAIN,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"qq", CLASSIFY_AT_MAIL, "550 Sender frequency limited [192.0.2.1].", CLASSIFY_RATE_DOMAIN,
     CLASSIFY_SCOPE_TENANT, NULL},
    {"qq", CLASSIFY_AT_FINAL, "550 Mail content denied.", CLASSIFY_CONTENT,
     CLASSIFY_SCOPE_MESSAGE, NULL},
    {"netease", CLASSIFY_AT_MAIL, "550 RP:ORQ 163 mx1", CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW,
     NULL},
    {"netease", CLASSIFY_AT_CONNECT, "554 HL:ITC 163 mx1", CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW,
     NULL},
    {"netease", CLASSIFY_AT_FINAL, "554 DT:SPM 163 mx1", CLASSIFY_CONTENT,
     CLASSIFY_SCOPE_MESSAGE, NULL},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1000",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1100",
     CLASSIFY_CONFIG, CLASSIFY_SCOPE_ADDRESS, NULL},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1149",
     CLASSIFY_CONFIG, CLASSIFY_SCOPE_ADDRESS, NULL},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1150",
     CLASSIFY_CONFIG, CLASSIFY_SCOPE_ADDRESS, NULL},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1200",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "cloudmark-csi"},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1210",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "cloudmark-csi"},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1220",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1250",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1260",
     CLASSIFY_CONFIG, CLASSIFY_SCOPE_FAMILY, NULL},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1300",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1340",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1350",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"other", CLASSIFY_AT_CONNECT, "554 server.example.com not available - AUP#I-1490",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"other", CLASSIFY_AT_RCPT,
     "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    {"other", CLASSIFY_AT_RCPT,
     "450 4.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.spamcop.net",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamcop"},
    {"other", CLASSIFY_AT_RCPT,
     "550 5.7.1 mail rejected, see https://www.spamhaus.org/query/ip/192.0.2.1",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    {"other", CLASSIFY_AT_RCPT, "550 192.0.2.1 is listed at psbl.surriel.com",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "psbl"},
    {"other", CLASSIFY_AT_RCPT, "550 5.7.1 Rejected by dnsbl-1.uceprotect.net",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "uceprotect-1"},
    {"other", CLASSIFY_AT_RCPT,
     "554 5.7.1 Client host [192.0.2.1] blocked using bl.example.net", CLASSIFY_IP_BLOCK,
     CLASSIFY_SCOPE_ADDRESS, "bl.example.net"},
    {"other", CLASSIFY_AT_CONNECT, "554 192.0.2.1 found on one or more DNSBLs",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, ""},
    {"other", CLASSIFY_AT_CONNECT, "554 5.7.1 Client host [192.0.2.1] blocked using our list",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, ""},
    {"other", CLASSIFY_AT_FINAL,
     "550 5.7.1 Message blocked, domain example.com listed at dbl.example.org",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"other", CLASSIFY_AT_FINAL, "550 5.7.1 blocked using multi.uribl.com",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, "uribl"},
    {"other", CLASSIFY_AT_FINAL, "550 5.7.1 listed in SURBL", CLASSIFY_REPUTATION_DOMAIN,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"other", CLASSIFY_AT_FINAL, "550 5.7.1 URL in this email is on a list", CLASSIFY_CONTENT,
     CLASSIFY_SCOPE_URL, NULL},
    {"other", CLASSIFY_AT_RCPT,
     "450 4.7.1 Client host [192.0.2.1] blocked using grey.rbl.example.net; try again",
     CLASSIFY_GREYLIST, CLASSIFY_SCOPE_ROW_DOMAIN, NULL},
    {"other", CLASSIFY_AT_RCPT, "451 Greylisted, please try again in 300 seconds",
     CLASSIFY_GREYLIST, CLASSIFY_SCOPE_ROW_DOMAIN, NULL},
    {"other", CLASSIFY_AT_RCPT, "451 4.7.1 Try again later", CLASSIFY_GREYLIST,
     CLASSIFY_SCOPE_ROW_DOMAIN, NULL},
    {"other", CLASSIFY_AT_RCPT, "452 4.2.2 full", CLASSIFY_MBOX_FULL, CLASSIFY_SCOPE_RECIPIENT,
     NULL},
    {"other", CLASSIFY_AT_RCPT, "552 5.2.2 full", CLASSIFY_MBOX_FULL, CLASSIFY_SCOPE_RECIPIENT,
     NULL},
    {"other", CLASSIFY_AT_RCPT, "550 5.1.1 no", CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT,
     NULL},
    {"other", CLASSIFY_AT_RCPT, "550 5.1.0 no", CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT,
     NULL},
    {"other", CLASSIFY_AT_RCPT, "550 5.2.1 no", CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT,
     NULL},
    {"other", CLASSIFY_AT_RCPT, "550 user unknown", CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT,
     NULL},
    {"other", CLASSIFY_AT_CONNECT, "421", CLASSIFY_TRANSIENT, CLASSIFY_SCOPE_PROVIDER, NULL},
    {"other", CLASSIFY_AT_FINAL, "451", CLASSIFY_TRANSIENT, CLASSIFY_SCOPE_PROVIDER, NULL},
};

static void test_others(void **state)
{
    lab_expect(*state, others, sizeof(others) / sizeof(others[0]));
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
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
