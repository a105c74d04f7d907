/* Many short HTTP conversations against ADDRESS PORT, whoever serves there, and how many a second.
 *
 *   --close server   connect, HTTP/1.0 request, answer, wait until the server closes
 *   --close client   connect, HTTP/1.1 request, answer, close first
 *   --close never    connect once, then request after request
 *
 * 40 octets of request for the default path. The connections' local ports end in TIME_WAIT on the
 * side that closed; --source A,B,… spreads them over several local addresses, so that a run of
 * seconds does not run out of ports. A conversation counts when all of the answer has come and the
 * connection has ended as it should; everything else counts as an error of its kind. */
#include "common.h"
#include <sys/epoll.h>

enum { MOST = 4096, SOURCES = 64, ANSWER_LIMIT = 65536, HEAD = 2048 };
enum { BY_SERVER, BY_CLIENT, NEVER };

struct conn {
    int fd;
    int sent;       /* octets of the request that have gone */
    int length;     /* octets of the whole answer, 0 until the head is complete */
    int got;
    char head[HEAD];
};

static struct conn conns[MOST];
static struct sockaddr_in to, sources[SOURCES];
static int n_sources, closer = BY_SERVER, epoll_fd;
static char request[512];
static int request_length;
static int vacant; /* slots that found no port */
static uint64_t connections, requests, bytes, connect_errors, reset_errors, short_errors, no_port;

static void begin_answer(struct conn *c)
{
    c->sent = c->length = c->got = 0;
}

/* A fresh connection in this slot; it stays vacant when there is no port to be had just now. */
static void dial(struct conn *c)
{
    static unsigned turn;
    int one = 1;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};

    begin_answer(c);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    if (n_sources) {
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        struct sockaddr_in *from = &sources[turn++ % (unsigned)n_sources];
        if (bind(c->fd, (struct sockaddr *)from, sizeof *from) < 0)
            die("bind to --source");
    }
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
        if (errno == EADDRNOTAVAIL)
            no_port++;
        else
            connect_errors++;
        close(c->fd);
        c->fd = -1;
        vacant++;
        return;
    }
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e) < 0)
        die("epoll_ctl");
}

/* Length of the whole answer once its head is complete, else 0. -1: not an answer we know. */
static int whole_length(const char *head, int got)
{
    const char *end = memmem(head, (size_t)got, "\r\n\r\n", 4);
    const char *field;
    if (!end)
        return got >= HEAD - 1 ? -1 : 0;
    if (memcmp(head, "HTTP/1.", 7) || memcmp(head + 8, " 200", 4))
        return -1;
    field = strcasestr(head, "\r\nContent-Length:");
    if (!field || field > end)
        return -1;
    return (int)(end + 4 - head) + atoi(field + 17);
}

enum verdict { WAIT, DONE, BROKEN };

static enum verdict broken(uint64_t *kind)
{
    ++*kind;
    return BROKEN;
}

/* Push one connection as far as it goes. */
static enum verdict advance(struct conn *c)
{
    static char rest[ANSWER_LIMIT];
    for (;;) {
        if (c->sent < request_length) {
            ssize_t n = send(c->fd, request + c->sent, (size_t)(request_length - c->sent),
                             MSG_NOSIGNAL);
            if (n < 0)
                return errno == EAGAIN ? WAIT
                       : broken(c->sent ? &reset_errors : &connect_errors);
            c->sent += (int)n;
            if (c->sent < request_length)
                continue;
        }
        int in_head = c->length == 0;
        ssize_t n = in_head ? recv(c->fd, c->head + c->got, (size_t)(HEAD - 1 - c->got), 0)
                            : recv(c->fd, rest, sizeof rest, 0);
        if (n < 0)
            return errno == EAGAIN ? WAIT : broken(&reset_errors);
        if (n == 0) {
            if (closer != BY_SERVER || !c->length || c->got != c->length)
                return broken(&short_errors);
            requests++;
            return DONE;
        }
        c->got += (int)n;
        bytes += (uint64_t)n;
        if (in_head) {
            c->head[c->got] = 0;
            c->length = whole_length(c->head, c->got);
            if (c->length < 0)
                return broken(&short_errors);
            if (!c->length)
                continue;
        }
        if (c->got > c->length)
            return broken(&short_errors);
        if (c->got < c->length || closer == BY_SERVER)
            continue; /* in the last case: for the end of the stream */
        requests++;
        if (closer == BY_CLIENT)
            return DONE;
        begin_answer(c);
    }
}

static void parse_sources(char *list)
{
    for (char *at = strtok(list, ","); at; at = strtok(NULL, ",")) {
        if (n_sources == SOURCES)
            usage("at most 64 sources");
        sources[n_sources++] = address_of(at, "0");
    }
}

int main(int argc, char **argv)
{
    static const char text[] = "ADDRESS PORT --close server|client|never [--seconds N] "
                               "[--connections 64] [--path /bytes/100] [--source A,B]";
    static const struct option known[] = {{"close", 1, 0, 'c'}, {"seconds", 1, 0, 's'},
                                          {"connections", 1, 0, 'n'}, {"path", 1, 0, 'p'},
                                          {"source", 1, 0, 'a'}, {0, 0, 0, 0}};
    static const char *const closers[] = {"server", "client", "never"};
    const char *path = "/bytes/100";
    double seconds = 2, begin, now;
    long width = 64;
    struct epoll_event ready[256];
    int chosen = 0;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'c':
            for (int i = 0; i < 3; i++)
                if (!strcmp(optarg, closers[i]))
                    closer = i, chosen = 1;
            break;
        case 's': seconds = seconds_of(optarg); break;
        case 'n': width = number_of(optarg, 1, MOST); break;
        case 'p': path = optarg; break;
        case 'a': parse_sources(optarg); break;
        default: usage(text);
        }
    }
    if (argc - optind != 2 || !chosen)
        usage(text);
    to = address_of(argv[optind], argv[optind + 1]);
    request_length = snprintf(request, sizeof request, "GET %s HTTP/1.%d\r\nHost: bench\r\n\r\n",
                              path, closer != BY_SERVER);
    if (request_length >= (int)sizeof request)
        usage("a shorter --path");
    end_after(seconds);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
    for (long i = 0; i < width; i++)
        dial(&conns[i]);
    begin = now = now_s();
    while (now - begin < seconds) {
        int n = epoll_wait(epoll_fd, ready, 256, 10);
        for (int i = 0; i < n; i++) {
            struct conn *c = ready[i].data.ptr;
            enum verdict v = advance(c);
            if (v == WAIT)
                continue;
            if (v == DONE)
                connections++;
            close(c->fd); /* also leaves the epoll set */
            dial(c);
        }
        now = now_s();
        for (long i = 0; vacant && i < width; i++)
            if (conns[i].fd < 0) {
                vacant--;
                dial(&conns[i]);
                break; /* one try a turn: ports come back with time */
            }
    }
    uint64_t counted = closer == NEVER ? requests : connections;
    printf("{\"connections\": %llu, \"requests\": %llu, \"bytes\": %llu, \"seconds\": %.6f, "
           "\"per_second\": %.1f, \"errors\": {\"connect\": %llu, \"reset\": %llu, "
           "\"answer\": %llu, \"no_port\": %llu}}\n",
           (unsigned long long)connections, (unsigned long long)requests,
           (unsigned long long)bytes, now - begin, (double)counted / (now - begin),
           (unsigned long long)connect_errors, (unsigned long long)reset_errors,
           (unsigned long long)short_errors, (unsigned long long)no_port);
    return counted ? 0 : 1;
}
