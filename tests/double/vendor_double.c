// vendor_double.c - stands for the vendors' APIs in tests and measurements, and misbehaves when
// asked.
//
//   vendor_double [--port N] [--key TEXT] [--log FILE] [--no-log] [--bodies]
//
// Speaks OpenAI's chat completions and embeddings, Anthropic's Messages and Google's
// generateContent, streamed and whole, on 127.0.0.1. A request says itself how its answer is to be
// (scenario.h). GET /double/log has a line of JSON for each request that ended (served.h), GET
// /double/reset forgets them, GET /double/stats counts. The dialects are written here a second
// time, from the vendors' packages, and share nothing with src/dialects: who would check the one
// with the other must not have written them once. One thread; ends with SIGTERM.
#include <getopt.h>
#include <signal.h>

#include "serve.h"

static struct serve server;

static void stop(int signal)
{
    (void)signal;
    server.stop = true;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'}, {"key", required_argument, NULL, 'k'},
        {"log", required_argument, NULL, 'l'},  {"no-log", no_argument, NULL, 'n'},
        {"bodies", no_argument, NULL, 'b'},     {0}};
    int port = 0, option;
    server.key = "double-key";
    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (option) {
        case 'p': port = (int)strtol(optarg, NULL, 10); break;
        case 'k': server.key = optarg; break;
        case 'n': server.log.off = true; break;
        case 'b': server.log.bodies = true; break;
        case 'l':
            server.log.file = fopen(optarg, "we");
            if (!server.log.file) {
                perror(optarg);
                return 1;
            }
            break;
        default: return 2;
        }
    }
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    signal(SIGPIPE, SIG_IGN);
    if (!serve_open(&server, &port)) {
        perror("vendor_double");
        return 1;
    }
    printf("vendor double on http://127.0.0.1:%d\n", port);
    fflush(stdout);
    serve_run(&server);
    serve_close(&server);
    return 0;
}
