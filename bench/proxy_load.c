// proxy_load.c - load on a proxy of chat APIs, or on the vendor double itself, so that what a proxy
// adds is the difference of the two (bench/proxy.py runs both).
//
// Requests are sent when they are due, whatever became of those before (open loop), each on an idle
// one of the connections, which are opened first and kept; --rate 0 keeps all of them busy instead.
// Where no connection is idle the request waits here, and its time counts from when it was due.
// With --chunks the answer is a stream whose chunks say when the double sent them
// (tests/double/scenario.h), by the same clock: what is measured is how old they are when read.
// One thread, epoll; loopback addresses only. Prints one JSON object.
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "proxy_answer.h"

struct samples {
    int64_t *ns;
    size_t n, capacity;
};
struct link {
    int fd;
    bool busy;
    int64_t due_ns, sent_ns;
    bool first;  // nothing of the answer has come
    size_t out;  // bytes of the request that were sent
    struct proxy_answer answer;
};
static struct {
    int port, connections, chunks, wait_ms, pad;
    double rate, seconds, warm;
    const char *dialect, *model, *key, *say;
} options = {.connections = 64,
             .rate = 1000,
             .seconds = 5,
             .warm = 0.5,
             .dialect = "openai",
             .model = "m",
             .key = "double-key",
             .say = ""};
static struct load {
    struct link *links;
    int poll;
    struct buf request;
    int64_t began_ns, counted_ns, now_ns;
    uint64_t sent, answered, errors, reconnects, body_bytes, late;
    struct samples total, due, first, chunk;
    int statuses[1000];
} load;

static void sample(struct samples *s, int64_t ns)
{
    if (load.now_ns < load.counted_ns)
        return;
    memory_grow(s->ns, s->capacity, s->n + 1);
    s->ns[s->n++] = ns;
}

static void moment(void *self, int64_t at)
{
    (void)self;
    sample(&load.chunk, load.now_ns - at);
}

static void make_body(struct buf *b)
{
    struct buf text = {0};
    for (int i = 0; i < options.pad; i++)
        buf_char(&text, "lorem ipsum dolor sit amet "[i % 27]);
    if (options.chunks)
        buf_printf(&text, "[[double n=%d stamp=1 wait=%d %s]]", options.chunks, options.wait_ms,
                   options.say);
    else
        buf_printf(&text, "[[double n=3 %s]]", options.say);
    const char *stream = options.chunks ? "true" : "false";
    if (strcmp(options.dialect, "gemini") == 0)
        buf_printf(b, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"%s\"}]}]}",
                   buf_text(&text));
    else
        buf_printf(b,
                   "{\"model\":\"%s\",\"max_tokens\":%d,\"stream\":%s,\"messages\":[{\"role\":"
                   "\"user\",\"content\":\"%s\"}]}",
                   options.model, options.chunks + 16, stream, buf_text(&text));
    buf_release(&text);
}

static void make_request(struct buf *out)
{
    struct buf body = {0};
    make_body(&body);
    if (strcmp(options.dialect, "gemini") == 0)
        buf_printf(
            out, "POST /v1beta/models/%s:%s HTTP/1.1\r\nx-goog-api-key: %s\r\n", options.model,
            options.chunks ? "streamGenerateContent?alt=sse" : "generateContent", options.key);
    else if (strcmp(options.dialect, "anthropic") == 0)
        buf_printf(out,
                   "POST /v1/messages HTTP/1.1\r\nx-api-key: %s\r\nanthropic-version: "
                   "2023-06-01\r\n",
                   options.key);
    else
        buf_printf(out, "POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer %s\r\n",
                   options.key);
    buf_printf(out,
               "host: 127.0.0.1:%d\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n"
               "\r\n%s",
               options.port, body.len, buf_text(&body));
    buf_release(&body);
}

static bool connect_link(struct link *l)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)options.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    l->busy = false;
    if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        fprintf(stderr, "proxy_load: connect to port %d: %s\n", options.port, strerror(errno));
        return false;
    }
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = l};
    return epoll_ctl(load.poll, EPOLL_CTL_ADD, l->fd, &e) == 0;
}

static bool reconnect(struct link *l)
{
    close(l->fd);
    load.reconnects++;
    return connect_link(l);
}

static void ended(struct link *l, bool good)
{
    l->busy = false;
    if (load.now_ns >= load.counted_ns) {
        load.answered += good;
        load.errors += !good;
        load.body_bytes += l->answer.body_bytes;
        load.statuses[l->answer.status > 0 && l->answer.status < 1000 ? l->answer.status : 0]++;
    }
    if (!good)
        return;
    sample(&load.total, load.now_ns - l->sent_ns);
    sample(&load.due, load.now_ns - l->due_ns);
}

// Requests are small: what a socket does not take at once is an error of the measurement.
static bool send_request(struct link *l, int64_t due_ns)
{
    for (int tries = 0; tries < 2; tries++) {
        l->due_ns = due_ns;
        l->sent_ns = clock_ns();
        l->busy = l->first = true;
        proxy_answer_begin(&l->answer);
        ssize_t n = send(l->fd, load.request.ptr, load.request.len, MSG_NOSIGNAL);
        if (n == (ssize_t)load.request.len) {
            load.sent++;
            return true;
        }
        if (!reconnect(l))
            return false;
    }
    return false;
}

static bool receive(struct link *l)
{
    static char bytes[256 << 10];
    ssize_t n = recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    load.now_ns = clock_ns();
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        if (l->busy)
            ended(l, l->answer.until_close && l->answer.status == 200);
        return reconnect(l);
    }
    if (l->busy && l->first)
        sample(&load.first, load.now_ns - l->sent_ns);
    l->first = false;
    proxy_answer_read(&l->answer, slice_of(bytes, (size_t)n), moment, NULL);
    if (l->answer.wrong) {
        ended(l, false);
        return reconnect(l);
    }
    if (l->answer.whole) {
        ended(l, l->answer.status == 200);
        if (l->answer.close)
            return reconnect(l);
    }
    return true;
}

static struct link *idle_link(void)
{
    static int next;
    for (int i = 0; i < options.connections; i++) {
        struct link *l = &load.links[next];
        next = (next + 1) % options.connections;
        if (!l->busy)
            return l;
    }
    return NULL;
}

// Sends all that is due. Returns when the next one is.
static int64_t send_due(int64_t end_ns)
{
    double step = options.rate > 0 ? 1e9 / options.rate : 0;
    for (;;) {
        int64_t now = clock_ns();
        int64_t due = step > 0 ? load.began_ns + (int64_t)(step * (double)load.sent) : now;
        if (due > now || now >= end_ns)
            return due;
        struct link *l = idle_link();
        if (!l) {
            load.late += step > 0;
            return now + 1000000;  // an answer will come first
        }
        if (!send_request(l, due))
            exit(1);
    }
}

static bool any_busy(void)
{
    for (int i = 0; i < options.connections; i++)
        if (load.links[i].busy)
            return true;
    return false;
}

static void run(void)
{
    struct epoll_event events[256];
    load.began_ns = clock_ns();
    load.counted_ns = load.began_ns + (int64_t)(options.warm * 1e9);
    int64_t end = load.counted_ns + (int64_t)(options.seconds * 1e9), last = end + 10000000000;
    for (int64_t now; (now = clock_ns()) < last && (now < end || any_busy());) {
        int64_t due = send_due(end);
        int64_t wait = now >= end ? 100000000 : due - clock_ns();
        wait = wait < 0 ? 0 : wait;
        struct timespec t = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
        int n = epoll_pwait2(load.poll, events, 256, &t, NULL);
        for (int i = 0; i < n; i++)
            if (!receive(events[i].data.ptr))
                exit(1);
    }
    for (int i = 0; i < options.connections; i++)
        if (load.links[i].busy)
            ended(&load.links[i], false);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s)
{
    static const struct {
        const char *name;
        double part;
    } points[] = {{"p10", 0.1}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    double sum = 0;
    qsort(s->ns, s->n, sizeof *s->ns, by_value);
    for (size_t i = 0; i < s->n; i++)
        sum += (double)s->ns[i];
    printf(",\"%s\":{\"n\":%zu", name, s->n);
    if (s->n > 0) {
        for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
            printf(",\"%s\":%.1f", points[i].name,
                   (double)s->ns[(size_t)((double)(s->n - 1) * points[i].part)] / 1e3);
        printf(",\"mean\":%.1f,\"max\":%.1f", sum / (double)s->n / 1e3,
               (double)s->ns[s->n - 1] / 1e3);
    }
    printf("}");
}

static void print_all(void)
{
    double seconds = (double)(load.now_ns - load.counted_ns) / 1e9;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"answered\":%llu,\"errors\":%llu,\"late\":%llu,\"reconnects\":%llu,\"seconds\":%.3f,"
           "\"per_second\":%.1f,\"body_bytes\":%llu,\"cpu_s\":%.3f",
           (unsigned long long)load.answered, (unsigned long long)load.errors,
           (unsigned long long)load.late, (unsigned long long)load.reconnects, seconds,
           seconds > 0 ? (double)load.answered / seconds : 0, (unsigned long long)load.body_bytes,
           (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    printf(",\"statuses\":{");
    for (int i = 0, n = 0; i < 1000; i++)
        if (load.statuses[i])
            printf("%s\"%d\":%d", n++ ? "," : "", i, load.statuses[i]);
    printf("}");
    print_samples("total_us", &load.total);
    print_samples("due_us", &load.due);
    print_samples("first_us", &load.first);
    print_samples("chunk_us", &load.chunk);
    printf("}\n");
}

static bool read_options(int argc, char **argv)
{
    static const struct option list[] = {{"port", required_argument, NULL, 'p'},
                                         {"rate", required_argument, NULL, 'r'},
                                         {"seconds", required_argument, NULL, 's'},
                                         {"warm", required_argument, NULL, 'w'},
                                         {"connections", required_argument, NULL, 'c'},
                                         {"chunks", required_argument, NULL, 'n'},
                                         {"wait", required_argument, NULL, 'd'},
                                         {"dialect", required_argument, NULL, 'l'},
                                         {"model", required_argument, NULL, 'm'},
                                         {"key", required_argument, NULL, 'k'},
                                         {"say", required_argument, NULL, 'y'},
                                         {"pad", required_argument, NULL, 'b'},
                                         {0}};
    for (int o; (o = getopt_long(argc, argv, "", list, NULL)) >= 0;) {
        switch (o) {
        case 'p': options.port = (int)strtol(optarg, NULL, 10); break;
        case 'r': options.rate = strtod(optarg, NULL); break;
        case 's': options.seconds = strtod(optarg, NULL); break;
        case 'w': options.warm = strtod(optarg, NULL); break;
        case 'c': options.connections = (int)strtol(optarg, NULL, 10); break;
        case 'n': options.chunks = (int)strtol(optarg, NULL, 10); break;
        case 'd': options.wait_ms = (int)strtol(optarg, NULL, 10); break;
        case 'b': options.pad = (int)strtol(optarg, NULL, 10); break;
        case 'l': options.dialect = optarg; break;
        case 'm': options.model = optarg; break;
        case 'k': options.key = optarg; break;
        case 'y': options.say = optarg; break;
        default: return false;
        }
    }
    return options.port > 0 && options.connections > 0 && options.connections <= 100000;
}

int main(int argc, char **argv)
{
    if (!read_options(argc, argv)) {
        fprintf(stderr,
                "proxy_load --port N [--rate 1000] [--seconds 5] [--warm 0.5] [--connections 64]\n"
                "  [--dialect openai|anthropic|gemini] [--model NAME] [--key KEY] [--pad BYTES]\n"
                "  [--chunks N --wait MS] [--say 'WORDS OF A SCENARIO']\n");
        return 2;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    load.poll = epoll_create1(EPOLL_CLOEXEC);
    load.links = memory_array(struct link, (size_t)options.connections);
    make_request(&load.request);
    for (int i = 0; i < options.connections; i++)
        if (!connect_link(&load.links[i]))
            return 1;
    run();
    print_all();
    for (int i = 0; i < options.connections; i++) {
        close(load.links[i].fd);
        proxy_answer_release(&load.links[i].answer);
    }
    free(load.links);
    buf_release(&load.request);
    return load.answered > 0 ? 0 : 1;
}
