/* The limit of receiving over a TUN device: take a connection from the kernel, acknowledge
 * everything as soon as it is read, look at none of it. */
#include "tun_peer.h"

static const char USAGE[] = "[--dev tun0] [--seconds N] [--batch READS_PER_ACK] [--no-offload]";

int main(int argc, char **argv)
{
    static struct peer p;
    struct peer_options o = peer_arguments(argc, argv, USAGE);
    /* As lazy as RFC 9293 section 3.8.6.3 lets a receiver be: every second segment. More reads
     * for each ACK go faster without offload, but no peer may count on being allowed that. */
    long batch = o.batch ? o.batch : 2;
    uint64_t bytes = 0, segments = 0, repeats = 0;
    unsigned longest = 0;
    double begin = 0, end = 0, deadline = now_s() + o.seconds + 5;
    long unacked = 0;
    int open = 1;

    end_after(o.seconds);
    peer_open(&p, o.device, o.offload);
    say_ready();
    for (unsigned turn = 0; open; turn++) {
        struct segment s;
        if (turn % 64 == 0 && now_s() > deadline) {
            peer_send(&p, RST | ACK, p.snd_nxt, NULL, 0);
            break;
        }
        if (!peer_next(&p, &s)) {
            if (unacked) { /* nobody else will come and complete the batch */
                peer_send(&p, ACK, p.snd_nxt, NULL, 0);
                unacked = 0;
                end = now_s();
                continue;
            }
            peer_wait(&p, 100);
            continue;
        }
        if (s.flags & RST)
            break;
        if (s.length) {
            if (!begin) {
                begin = now_s();
                deadline = begin + o.seconds;
            }
            if (s.seq == p.rcv_nxt) {
                p.rcv_nxt += s.length;
                bytes += s.length;
                segments++;
                if (s.length > longest)
                    longest = s.length;
                unacked++;
            } else { /* a hole or a copy: say at once what we wait for */
                repeats++;
                unacked = batch;
            }
        }
        if ((s.flags & FIN) && s.seq + s.length == p.rcv_nxt) {
            end = now_s();
            p.rcv_nxt++;
            peer_send(&p, FIN | ACK, p.snd_nxt, NULL, 0);
            open = 0;
        } else if (unacked >= batch) {
            peer_send(&p, ACK, p.snd_nxt, NULL, 0);
            unacked = 0;
        }
    }
    if (begin && end <= begin)
        end = now_s();
    print_result(bytes, end - begin, segments, longest, repeats);
    return bytes ? 0 : 1;
}
