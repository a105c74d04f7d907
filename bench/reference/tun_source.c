/* The limit of sending over a TUN device: take a connection from the kernel and pour one buffer
 * into it, again and again, as far as its window reaches, but never more than --flight octets
 * ahead: the kernel opens its window to many megabytes, and what waits there falls out of the
 * processor's cache before it is read. */
#include "tun_peer.h"

static const char USAGE[] = "[--dev tun0] [--seconds N] [--batch WRITES_PER_LOOK] "
                            "[--flight OCTETS] [--no-offload]";

enum { SUPER = 65535 - IP_LEN - TCP_LEN, RETRANSMIT_MS = 200 };
static unsigned char payload[SUPER];

static int32_t distance(uint32_t from, uint32_t to)
{
    return (int32_t)(to - from);
}

int main(int argc, char **argv)
{
    static struct peer p;
    struct peer_options o = peer_arguments(argc, argv, USAGE);
    long batch = o.batch ? o.batch : o.offload ? 8 : 64;
    uint32_t size = o.offload ? SUPER / MSS * MSS : MSS;
    uint64_t bytes = 0, segments = 0, repeats = 0;
    double begin = 0, deadline = now_s() + o.seconds + 5, progress = 0;
    uint32_t recover = 0; /* highest number sent when we last went back */
    int open = 1, same = 0, recovering = 0;

    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (unsigned char)(' ' + i % 95);
    end_after(o.seconds);
    peer_open(&p, o.device, o.offload);
    say_ready();
    while (open) {
        struct segment s;
        double now = now_s();
        int blocked = 0;
        if (now > deadline) {
            peer_send(&p, RST | ACK, p.snd_nxt, NULL, 0);
            break;
        }
        for (uint32_t window = p.window; open && peer_next(&p, &s); window = p.window) {
            if (s.flags & (RST | FIN)) {
                open = 0;
            } else if (distance(p.snd_una, s.ack) > 0) {
                if (begin)
                    bytes += (uint32_t)distance(p.snd_una, s.ack);
                p.snd_una = s.ack;
                if (distance(p.snd_nxt, p.snd_una) > 0)
                    p.snd_nxt = p.snd_una;
                progress = now;
                same = 0;
                if (recovering && distance(recover, p.snd_una) >= 0)
                    recovering = 0;
            } else if (p.window != window) {
                same = 0; /* the same number with another window is news, not a duplicate */
            } else if (s.ack == p.snd_una && s.length == 0 && ++same == 3 && !recovering) {
                /* Lost in the receiver's backlog. One buffer has all numbers: just go back. */
                recovering = 1, recover = p.snd_nxt, p.snd_nxt = p.snd_una;
                repeats++;
            }
        }
        if (!open)
            break;
        if (!p.connected) {
            peer_wait(&p, 100);
            continue;
        }
        if (!begin) {
            begin = progress = now;
            deadline = begin + o.seconds;
        }
        uint32_t room = p.window < (uint32_t)o.flight ? p.window : (uint32_t)o.flight;
        for (long i = 0; i < batch && !blocked; i++) {
            if (distance(p.snd_nxt + size, p.snd_una + room) < 0) {
                blocked = 1;
            } else if (peer_send(&p, ACK, p.snd_nxt, payload, size)) {
                p.snd_nxt += size;
                segments++;
            } else {
                break;
            }
        }
        if (blocked) {
            peer_wait(&p, 50);
            if (now_s() - progress > RETRANSMIT_MS * 1e-3 && p.snd_nxt != p.snd_una) {
                recovering = 1, recover = p.snd_nxt, p.snd_nxt = p.snd_una;
                progress = now_s();
                repeats++;
            }
        }
    }
    print_result(bytes, begin ? now_s() - begin : 0, segments, size, repeats);
    return bytes ? 0 : 1;
}
