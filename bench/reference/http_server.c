/* The smallest HTTP server on the kernel's TCP, one thread and epoll: what a user would pick instead.
 *
 * Every request is answered by 100 octets of body. HTTP/1.0 asks that the server closes after the
 * answer, HTTP/1.1 keeps the connection until the client closes. Ends on SIGTERM. */
#include "common.h"
#include <sys/epoll.h>

enum { EVENTS = 256, MOST_FDS = 65536, HEAD_LIMIT = 4096, BODY = 100 };

/* How much of "\r\n\r\n" has been seen, and the version of the request now being read. */
struct conn {
    unsigned char matched, in_line_one, version_one;
    unsigned char last; /* octet before the first CR: the minor version */
};
static struct conn conns[MOST_FDS];
static char answer[2][256];
static int answer_length[2];

static volatile sig_atomic_t stop;
static void on_term(int signal_number)
{
    (void)signal_number;
    stop = 1;
}

static void begin_request(struct conn *c)
{
    *c = (struct conn){.in_line_one = 1};
}

/* Read what is there and answer every complete head. 0 when the connection is finished. */
static int serve(int fd, struct conn *c, uint64_t *served)
{
    char in[HEAD_LIMIT], out[16 * 256];
    ssize_t n = recv(fd, in, sizeof in, 0);
    int pending = 0;

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    for (ssize_t i = 0; i < n; i++) {
        char octet = in[i];
        if (octet == (c->matched & 1 ? '\n' : '\r'))
            c->matched++;
        else
            c->matched = octet == '\r';
        if (c->in_line_one && octet == '\r')
            c->in_line_one = 0, c->version_one = c->last == '1';
        c->last = (unsigned char)octet;
        if (c->matched < 4)
            continue;
        int keep = c->version_one;
        begin_request(c);
        memcpy(out + pending, answer[keep], (size_t)answer_length[keep]);
        pending += answer_length[keep];
        (*served)++;
        if (!keep || pending > (int)sizeof out - 256) {
            if (send(fd, out, (size_t)pending, MSG_NOSIGNAL) != pending)
                return 0;
            pending = 0;
            if (!keep)
                return 0;
        }
    }
    return !pending || send(fd, out, (size_t)pending, MSG_NOSIGNAL) == pending;
}

int main(int argc, char **argv)
{
    static const char text[] = "ADDRESS PORT [--seconds N]";
    static const struct option known[] = {{"seconds", 1, 0, 's'}, {0, 0, 0, 0}};
    double seconds = 60;
    struct epoll_event ready[EVENTS], e = {.events = EPOLLIN};
    uint64_t served = 0, accepted = 0;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c != 's')
            usage(text);
        seconds = seconds_of(optarg);
    }
    if (argc - optind != 2)
        usage(text);
    for (int keep = 0; keep < 2; keep++)
        answer_length[keep] = snprintf(answer[keep], sizeof answer[keep],
                                       "HTTP/1.%d 200 OK\r\nContent-Length: %d\r\n\r\n%0*d", keep,
                                       BODY, BODY, 0);
    struct sigaction term = {.sa_handler = on_term};
    sigaction(SIGTERM, &term, NULL);
    end_after(seconds);
    int listener = listen_on(address_of(argv[optind], argv[optind + 1]), 4096, SOCK_NONBLOCK);
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    e.data.fd = listener;
    if (poll_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &e) < 0)
        die("epoll");
    say_ready();
    while (!stop) {
        /* A signal may come just before the wait, so the wait has an end. */
        int n = epoll_wait(poll_fd, ready, EVENTS, 200);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd != listener) {
                if (!serve(fd, &conns[fd], &served))
                    close(fd);
                continue;
            }
            /* One accept for each wake-up would do; a few save calls when many come at once. */
            for (int k = 0; k < 16; k++) {
                int fresh = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fresh < 0)
                    break;
                if (fresh >= MOST_FDS) {
                    close(fresh);
                    continue;
                }
                accepted++;
                begin_request(&conns[fresh]);
                e.events = EPOLLIN, e.data.fd = fresh;
                if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fresh, &e) < 0)
                    die("epoll_ctl");
            }
        }
    }
    printf("{\"connections\": %llu, \"requests\": %llu}\n", (unsigned long long)accepted,
           (unsigned long long)served);
    return 0;
}
