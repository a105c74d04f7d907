/* One TCP connection with the kernel over a TUN device, by hand: as little TCP as a peer accepts.
 *
 * No options but MSS and window scale, no timers of its own, no reassembly: what is left is the
 * cost of the device. `peer_send` and `peer_next` are all that the two programs need.
 */
#ifndef PYSTACK_BENCH_TUN_PEER_H
#define PYSTACK_BENCH_TUN_PEER_H

#include "common.h"
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { IP_LEN = 20, TCP_LEN = 20, MTU = 1500, MSS = MTU - IP_LEN - TCP_LEN };
enum { FLIGHT = 800 * 1024 };
enum { OUR_WSCALE = 14 }; /* 65535 << 14: the kernel is never held by our window */

struct peer {
    int fd, offload;
    size_t vnet;                /* octets of virtio header before each packet: 10 or 0 */
    uint32_t us, them;          /* network order */
    uint16_t our_port, their_port;
    uint32_t snd_una, snd_nxt, rcv_nxt, window; /* window in octets, scaled */
    int their_wscale, connected;
    unsigned char in[sizeof(struct virtio_net_hdr) + 65536];
};

struct segment {
    unsigned flags, length;
    uint32_t seq, ack, window;  /* window as it stands in the header */
    unsigned char *tcp;
    unsigned header;            /* octets of TCP header */
};

static uint32_t load32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t load16(const unsigned char *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static void store32(unsigned char *p, uint32_t v)
{
    p[0] = (unsigned char)(v >> 24), p[1] = (unsigned char)(v >> 16);
    p[2] = (unsigned char)(v >> 8), p[3] = (unsigned char)v;
}

static void store16(unsigned char *p, uint32_t v)
{
    p[0] = (unsigned char)(v >> 8), p[1] = (unsigned char)v;
}

/* Sum of 16-bit words as they lie in memory (RFC 1071: the order of octets does not matter). */
static uint64_t sum_words(const void *data, size_t n, uint64_t sum)
{
    const unsigned char *p = data;
    for (; n >= 4; n -= 4, p += 4) {
        uint32_t word;
        memcpy(&word, p, 4);
        sum += word;
    }
    if (n) {
        uint32_t word = 0;
        memcpy(&word, p, n);
        sum += word;
    }
    return sum;
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* Open the device in the namespace that we run in. Offloads are TCP over IPv4 only. */
static void peer_open(struct peer *p, const char *name, int offload)
{
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    memset(p, 0, sizeof *p);
    p->offload = offload;
    p->vnet = offload ? sizeof(struct virtio_net_hdr) : 0;
    p->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (p->fd < 0)
        die("/dev/net/tun");
    if (offload)
        r.ifr_flags |= IFF_VNET_HDR;
    strncpy(r.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(p->fd, TUNSETIFF, &r) < 0)
        die("TUNSETIFF");
    if (offload && ioctl(p->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) < 0)
        die("TUNSETOFFLOAD");
}

/* Write one segment; more than MSS octets only with offload. 0 when the device is full. */
static int peer_send(struct peer *p, unsigned flags, uint32_t seq, const void *data, size_t n)
{
    static const unsigned char syn_options[8] = {2, 4, MSS >> 8, MSS & 255, 1, 3, 3, OUR_WSCALE};
    unsigned char h[IP_LEN + TCP_LEN + sizeof syn_options] = {0}, pseudo[12] = {0};
    struct virtio_net_hdr v = {0};
    size_t header = IP_LEN + TCP_LEN + (flags & SYN ? sizeof syn_options : 0);
    unsigned char *tcp = h + IP_LEN;
    uint64_t sum;

    h[0] = 0x45, h[6] = 0x40 /* don't fragment */, h[8] = 64, h[9] = IPPROTO_TCP;
    store16(h + 2, (uint32_t)(header + n));
    memcpy(h + 12, &p->us, 4), memcpy(h + 16, &p->them, 4);
    sum = (uint16_t)~fold(sum_words(h, IP_LEN, 0));
    memcpy(h + 10, &(uint16_t){(uint16_t)sum}, 2);

    store16(tcp, p->our_port), store16(tcp + 2, p->their_port);
    store32(tcp + 4, seq), store32(tcp + 8, p->rcv_nxt);
    tcp[12] = (unsigned char)((header - IP_LEN) / 4 << 4), tcp[13] = (unsigned char)flags;
    store16(tcp + 14, 65535);
    if (flags & SYN)
        memcpy(tcp + TCP_LEN, syn_options, sizeof syn_options);

    memcpy(pseudo, h + 12, 8), pseudo[9] = IPPROTO_TCP;
    store16(pseudo + 10, (uint32_t)(header - IP_LEN + n));
    sum = sum_words(pseudo, sizeof pseudo, 0);
    if (p->offload) { /* the header holds the sum of the pseudo header, the kernel does the rest */
        v.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        v.csum_start = IP_LEN, v.csum_offset = 16;
        v.hdr_len = (uint16_t)header;
        if (n > MSS)
            v.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, v.gso_size = MSS;
        memcpy(tcp + 16, &(uint16_t){fold(sum)}, 2);
    } else {
        sum = sum_words(tcp, header - IP_LEN, sum);
        sum = sum_words(data, n, sum);
        memcpy(tcp + 16, &(uint16_t){(uint16_t)~fold(sum)}, 2);
    }
    struct iovec iov[3] = {{&v, p->vnet}, {h, header}, {(void *)data, n}};
    int first = p->vnet ? 0 : 1;
    ssize_t wrote = writev(p->fd, iov + first, 3 - first - (n ? 0 : 1));
    if (wrote < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
        die("write to the device");
    return wrote > 0;
}

static void read_syn_options(struct peer *p, const unsigned char *tcp, unsigned header)
{
    p->their_wscale = 0;
    for (unsigned i = TCP_LEN; i < header && tcp[i]; i += tcp[i] == 1 ? 1 : tcp[i + 1]) {
        if (tcp[i] == 1)
            continue;
        if (i + 1 >= header || tcp[i + 1] < 2)
            return;
        if (tcp[i] == 3 && tcp[i + 1] == 3 && i + 2 < header)
            p->their_wscale = tcp[i + 2] > 14 ? 14 : tcp[i + 2];
    }
}

/* Next TCP segment of our connection: 1 with `s` filled, 0 when nothing is waiting.
 * A SYN is answered here, and becomes the connection; foreign packets are passed over. */
static int peer_next(struct peer *p, struct segment *s)
{
    for (;;) {
        ssize_t n = read(p->fd, p->in, sizeof p->in);
        if (n < 0) {
            if (errno == EAGAIN)
                return 0;
            if (errno == EINTR)
                continue;
            die("read from the device");
        }
        unsigned char *ip = p->in + p->vnet;
        n -= (ssize_t)p->vnet;
        if (n < IP_LEN + TCP_LEN || ip[0] != 0x45 || ip[9] != IPPROTO_TCP)
            continue;
        unsigned total = load16(ip + 2);
        s->tcp = ip + IP_LEN;
        s->header = (unsigned)(s->tcp[12] >> 4) * 4;
        if (total > (unsigned)n || s->header < TCP_LEN || IP_LEN + s->header > total)
            continue;
        s->flags = s->tcp[13];
        s->seq = load32(s->tcp + 4), s->ack = load32(s->tcp + 8), s->window = load16(s->tcp + 14);
        s->length = total - IP_LEN - s->header;
        if ((s->flags & (SYN | ACK | RST)) == SYN) {
            memcpy(&p->them, ip + 12, 4), memcpy(&p->us, ip + 16, 4);
            p->their_port = (uint16_t)load16(s->tcp), p->our_port = (uint16_t)load16(s->tcp + 2);
            p->rcv_nxt = s->seq + 1;
            p->snd_una = p->snd_nxt = 0x10000000;
            p->connected = 0;
            read_syn_options(p, s->tcp, s->header);
            peer_send(p, SYN | ACK, p->snd_nxt, NULL, 0);
            p->snd_nxt++;
            continue;
        }
        if (load16(s->tcp) != p->their_port || load16(s->tcp + 2) != p->our_port)
            continue;
        if (s->flags & ACK)
            p->connected = 1, p->window = s->window << p->their_wscale;
        return 1;
    }
}

static void peer_wait(struct peer *p, int milliseconds)
{
    struct pollfd f = {.fd = p->fd, .events = POLLIN};
    poll(&f, 1, milliseconds);
}

/* The arguments that both programs take. */
struct peer_options {
    const char *device;
    int offload;
    double seconds;
    long batch, flight;
};

static struct peer_options peer_arguments(int argc, char **argv, const char *text)
{
    static const struct option known[] = {{"dev", 1, 0, 'd'}, {"seconds", 1, 0, 's'},
                                          {"batch", 1, 0, 'b'}, {"no-offload", 0, 0, 'n'},
                                          {"flight", 1, 0, 'f'},
                                          {0, 0, 0, 0}};
    struct peer_options o = {"tun0", 1, 10, 0, FLIGHT};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'd': o.device = optarg; break;
        case 's': o.seconds = seconds_of(optarg); break;
        case 'b': o.batch = number_of(optarg, 1, 4096); break;
        case 'f': o.flight = number_of(optarg, 65536, 1 << 30); break;
        case 'n': o.offload = 0; break;
        default: usage(text);
        }
    }
    if (optind != argc)
        usage(text);
    return o;
}

static void print_result(uint64_t bytes, double seconds, uint64_t segments, unsigned longest,
                         uint64_t repeats)
{
    printf("{\"bytes\": %llu, \"seconds\": %.6f, \"gbit\": %.4f, \"segments\": %llu, "
           "\"longest\": %u, \"repeats\": %llu}\n",
           (unsigned long long)bytes, seconds, seconds > 0 ? (double)bytes * 8e-9 / seconds : 0.0,
           (unsigned long long)segments, longest, (unsigned long long)repeats);
}

#endif
