/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Distance between network namespaces: holds packets back, and loses some.
 *
 * iptables hands each direction of each pair of nodes to a queue of its own (NFQUEUE). A packet
 * stays in the kernel; only its number comes here, and after the delay the verdict "accept"
 * goes back. Packets of one queue keep their order, whatever the jitter: real lines seldom
 * reorder. When this program is gone, packets pass undelayed (--queue-bypass).
 *
 * usage: wan-delay FILE     lines of FILE: queue delay_us jitter_us loss_ppm; SIGHUP reads it
 * again. Writes "ready" once the queues are bound; exit status 3 when this machine has no such
 * queues.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/wan_delay_heap.h"

enum {
    QUEUES_MAX = 256,
    QUEUE_PACKETS_MAX = 16384,
    RECEIVE_BYTES = 8 * 1024 * 1024,
    EXIT_NO_QUEUES = 3,
};

struct line {
    bool bound;
    uint32_t delay_us;
    uint32_t jitter_us;
    uint32_t loss_ppm;
    uint64_t last_due_us; /* nothing overtakes */
    uint64_t passed;
    uint64_t lost;
};

struct wan {
    const char *path;
    struct mnl_socket *netlink;
    uint64_t random;
    struct line lines[QUEUES_MAX];
    struct held_heap held;
};

static volatile sig_atomic_t stop_asked;
static volatile sig_atomic_t load_asked = 1;

static void on_signal(int number)
{
    if (number == SIGHUP)
        load_asked = 1;
    else
        stop_asked = 1;
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* xorshift64: the same losses for the same traffic, which is as near as one gets. */
static uint32_t draw(struct wan *wan, uint32_t below)
{
    wan->random ^= wan->random << 13;
    wan->random ^= wan->random >> 7;
    wan->random ^= wan->random << 17;
    return (uint32_t)(wan->random >> 32) % below;
}

static struct nlmsghdr *message_begin(char *room, int kind, uint16_t queue)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(room);
    message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_QUEUE << 8 | kind);
    message->nlmsg_flags = NLM_F_REQUEST;
    struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
    header->nfgen_family = AF_UNSPEC;
    header->version = NFNETLINK_V0;
    header->res_id = htons(queue);
    return message;
}

static bool message_send(struct wan *wan, const struct nlmsghdr *message)
{
    return mnl_socket_sendto(wan->netlink, message, message->nlmsg_len) >= 0;
}

static void verdict(struct wan *wan, uint16_t queue, uint32_t packet, uint32_t what)
{
    char room[256];
    struct nlmsghdr *message = message_begin(room, NFQNL_MSG_VERDICT, queue);
    struct nfqnl_msg_verdict_hdr words = {.verdict = htonl(what), .id = htonl(packet)};

    mnl_attr_put(message, NFQA_VERDICT_HDR, sizeof(words), &words);
    if (!message_send(wan, message))
        perror("wan-delay: verdict");
}

/* Waits for the kernel's word that it was done. */
static bool confirmed(struct wan *wan, struct nlmsghdr *message)
{
    char room[4096];
    unsigned port = mnl_socket_get_portid(wan->netlink);

    message->nlmsg_flags |= NLM_F_ACK;
    if (!message_send(wan, message))
        return false;
    ssize_t len = mnl_socket_recvfrom(wan->netlink, room, sizeof(room));
    return len >= 0 && mnl_cb_run(room, (size_t)len, 0, port, NULL, NULL) >= 0;
}

/* Only before traffic flows: what comes in while it waits must be the kernel's word. */
static bool queue_bind(struct wan *wan, uint16_t queue)
{
    char room[512];
    struct nlmsghdr *message = message_begin(room, NFQNL_MSG_CONFIG, queue);
    struct nfqnl_msg_config_cmd bind = {.command = NFQNL_CFG_CMD_BIND};

    mnl_attr_put(message, NFQA_CFG_CMD, sizeof(bind), &bind);
    if (!confirmed(wan, message))
        return false;
    message = message_begin(room, NFQNL_MSG_CONFIG, queue);
    struct nfqnl_msg_config_params meta = {.copy_mode = NFQNL_COPY_META};
    mnl_attr_put(message, NFQA_CFG_PARAMS, sizeof(meta), &meta);
    mnl_attr_put_u32(message, NFQA_CFG_QUEUE_MAXLEN, htonl(QUEUE_PACKETS_MAX));
    mnl_attr_put_u32(message, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN));
    mnl_attr_put_u32(message, NFQA_CFG_MASK, htonl(NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN));
    return confirmed(wan, message);
}

/* Queues are only bound the first time the file is read; later it changes their distances. */
static bool lines_load(struct wan *wan, bool first)
{
    char text[256];
    FILE *file = fopen(wan->path, "r");

    if (file == NULL)
        return false;
    while (fgets(text, sizeof(text), file) != NULL) {
        uint16_t queue;
        uint32_t delay_us, jitter_us, loss_ppm;
        if (sscanf(text, "%" SCNu16 " %" SCNu32 " %" SCNu32 " %" SCNu32, &queue, &delay_us,
                   &jitter_us, &loss_ppm) != 4 ||
            queue >= QUEUES_MAX)
            continue;
        struct line *line = &wan->lines[queue];
        if (first && !line->bound && !queue_bind(wan, queue)) {
            fclose(file);
            return false;
        }
        line->bound = true;
        line->delay_us = delay_us;
        line->jitter_us = jitter_us;
        line->loss_ppm = loss_ppm;
    }
    fclose(file);
    return true;
}

static void packet_came(struct wan *wan, uint16_t queue, uint32_t packet)
{
    struct line *line = &wan->lines[queue % QUEUES_MAX];
    uint64_t due_us = now_us() + line->delay_us;

    line->passed++;
    if (line->loss_ppm > 0 && draw(wan, 1000000) < line->loss_ppm) {
        line->lost++;
        verdict(wan, queue, packet, NF_DROP);
        return;
    }
    if (line->jitter_us > 0)
        due_us += draw(wan, line->jitter_us);
    if (due_us < line->last_due_us)
        due_us = line->last_due_us;
    line->last_due_us = due_us;
    if (!held_push(&wan->held, due_us, packet, queue))
        verdict(wan, queue, packet, NF_ACCEPT);
}

static int on_attribute(const struct nlattr *attribute, void *context)
{
    if (mnl_attr_get_type(attribute) == NFQA_PACKET_HDR)
        *(const struct nfqnl_msg_packet_hdr **)context = mnl_attr_get_payload(attribute);
    return MNL_CB_OK;
}

static int on_message(const struct nlmsghdr *message, void *context)
{
    const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
    const struct nfqnl_msg_packet_hdr *packet = NULL;

    if (message->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET))
        return MNL_CB_OK;
    mnl_attr_parse(message, sizeof(*header), on_attribute, &packet);
    if (packet != NULL)
        packet_came(context, ntohs(header->res_id), ntohl(packet->packet_id));
    return MNL_CB_OK;
}

static void receive(struct wan *wan, const struct timespec *wait)
{
    static char room[256 * 1024];
    struct pollfd ready = {.fd = mnl_socket_get_fd(wan->netlink), .events = POLLIN};

    if (ppoll(&ready, 1, wait, NULL) <= 0)
        return;
    ssize_t len = recv(ready.fd, room, sizeof(room), MSG_DONTWAIT);
    if (len > 0)
        mnl_cb_run(room, (size_t)len, 0, 0, on_message, wan);
}

static void turn(struct wan *wan)
{
    const struct held *first = held_first(&wan->held);
    uint64_t now = now_us();
    struct timespec wait = {.tv_sec = 1};

    while (first != NULL && first->due_us <= now) {
        struct held arrived = held_pop(&wan->held);
        verdict(wan, arrived.queue, arrived.packet, NF_ACCEPT);
        first = held_first(&wan->held);
    }
    if (first != NULL && first->due_us - now < 1000000)
        wait = (struct timespec){.tv_nsec = (long)(first->due_us - now) * 1000};
    receive(wan, &wait);
}

static bool netlink_open(struct wan *wan)
{
    int bytes = RECEIVE_BYTES, on = 1;

    wan->netlink = mnl_socket_open(NETLINK_NETFILTER);
    if (wan->netlink == NULL || mnl_socket_bind(wan->netlink, 0, MNL_SOCKET_AUTOPID) < 0)
        return false;
    setsockopt(mnl_socket_get_fd(wan->netlink), SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
               sizeof(bytes));
    mnl_socket_setsockopt(wan->netlink, NETLINK_NO_ENOBUFS, &on, sizeof(on));
    return true;
}

int main(int count, char **words)
{
    static struct wan wan = {.random = UINT64_C(0x9e3779b97f4a7c15)};
    struct sigaction action = {.sa_handler = on_signal};

    if (count != 2) {
        fprintf(stderr, "usage: wan-delay FILE\n");
        return 2;
    }
    wan.path = words[1];
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (!netlink_open(&wan) || !lines_load(&wan, true)) {
        fprintf(stderr, "wan-delay: no packet queues here: %s\n", strerror(errno));
        return EXIT_NO_QUEUES;
    }
    load_asked = 0;
    printf("ready\n");
    fflush(stdout);
    while (!stop_asked) {
        if (load_asked) {
            load_asked = 0;
            lines_load(&wan, false);
        }
        turn(&wan);
    }
    for (unsigned queue = 0; queue < QUEUES_MAX; queue++)
        if (wan.lines[queue].bound)
            printf("queue %u passed %" PRIu64 " lost %" PRIu64 "\n", queue,
                   wan.lines[queue].passed, wan.lines[queue].lost);
    mnl_socket_close(wan.netlink);
    return 0;
}
