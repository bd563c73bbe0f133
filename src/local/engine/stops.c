#include "local/engine/stops.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

void stop_set_init(struct stop_set *s, const struct slice *stops, size_t n)
{
    *s = (struct stop_set){.patterns = memory_array(struct stop_pattern, n + 1), .n = n};
    for (size_t i = 0; i < n; i++) {
        struct stop_pattern *p = &s->patterns[i];
        assert(stops[i].len > 0);
        p->text = slice_of(memory_text_n(stops[i].ptr, stops[i].len), stops[i].len);
        p->fallback = memory_array(size_t, p->text.len);
        for (size_t at = 1, border = 0; at < p->text.len; at++) {
            while (border && p->text.ptr[at] != p->text.ptr[border])
                border = p->fallback[border - 1];
            border += p->text.ptr[at] == p->text.ptr[border];
            p->fallback[at] = border;
        }
    }
}

void stop_set_release(struct stop_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free((char *)(size_t)s->patterns[i].text.ptr);
        free(s->patterns[i].fallback);
    }
    free(s->patterns);
    *s = (struct stop_set){0};
}

void stop_matcher_init(struct stop_matcher *m, const struct stop_set *set)
{
    *m = (struct stop_matcher){.set = set, .matched = memory_array(size_t, set->n + 1)};
}

void stop_matcher_release(struct stop_matcher *m)
{
    free(m->matched);
    *m = (struct stop_matcher){0};
}

bool stop_matcher_read(struct stop_matcher *m, struct slice more, size_t *end, size_t *length)
{
    for (size_t at = 0; at < more.len; at++) {
        size_t longest = 0;
        for (size_t i = 0; i < m->set->n; i++) {
            const struct stop_pattern *p = &m->set->patterns[i];
            size_t matched = m->matched[i];
            while (matched && p->text.ptr[matched] != more.ptr[at])
                matched = p->fallback[matched - 1];
            matched += p->text.ptr[matched] == more.ptr[at];
            m->matched[i] = matched;
            if (matched == p->text.len && matched > longest)
                longest = matched;
        }
        if (longest) {
            *end = at + 1;
            *length = longest;
            return true;
        }
    }
    return false;
}

size_t stop_matcher_held(const struct stop_matcher *m)
{
    size_t most = 0;
    for (size_t i = 0; i < m->set->n; i++)
        if (m->matched[i] > most)
            most = m->matched[i];
    return most;
}
