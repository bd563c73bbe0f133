// egress.h - a log of what left this machine: one line of JSON for each attempt.
//
// Time, request, key id, route, provider, host, bytes sent and received, how many texts were
// redacted, how it ended; never a text or a secret. Written and pushed to the file before the first
// byte leaves ("begin"), and within some hundredths of a second of the attempt's end ("end"), by a
// thread of its own, so that no answer waits for it. Where the first line cannot be written, the
// request does not leave. Threads: any.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct egress;
struct error;

struct egress_line {
    const char *request_id, *key_id, *model, *provider, *host, *outcome;
    int64_t bytes_sent, bytes_received;
    int redacted;
};
// path NULL: egress.log in Hearth's data folder; "": no log. NULL with err.
struct egress *egress_open(const char *path, struct error *err);
struct egress *egress_hold(struct egress *e);  // the same; NULL is fine
// Gives one hold back, egress_open's or egress_hold's; the last writes what is left and closes the
// file, which takes no longer than a line. NULL is fine.
void egress_close(struct egress *e);
bool egress_begin(struct egress *e, const struct egress_line *line, struct error *err);
void egress_end(struct egress *e, const struct egress_line *line);
