// cost_chart.c - the costs of a month over its tokens, as SVG: both axes logarithmic, one line for
// this machine up to what it can compute, one for each vendor's model, a dot where they cross.
#include <math.h>

#include "base/buf.h"
#include "cli/cost.h"

enum { WIDTH = 860, HEIGHT = 500, LEFT = 70, RIGHT = 640, TOP = 48, BOTTOM = 440, COLOURS = 6 };
enum { LABEL_APART = 17, CURVE_POINTS = 80 };

struct axes {
    double x0, x1, y0, y1;  // powers of ten
};

struct label {
    double y;
    int line;  // -1: this machine
};

static const char style[] =
    "<style>"
    ":root{--ink:#222;--dim:#667;--grid:#dde;--c0:#1f6fb4;--c1:#c2571a;--c2:#2a8f47;--c3:#8b4ab0;"
    "--c4:#a98a00;--c5:#b0305a}"
    "@media (prefers-color-scheme:dark){:root{--ink:#eee;--dim:#aab;--grid:#445;--c0:#6db3f2;"
    "--c1:#f2a26d;--c2:#7fd598;--c3:#cf9bea;--c4:#e6cf5e;--c5:#f08aac}}"
    "text{font:13px system-ui,sans-serif;fill:var(--ink)}.dim{fill:var(--dim);font-size:12px}"
    ".title{font-size:15px;font-weight:600}.grid{stroke:var(--grid);stroke-width:1}"
    ".line{fill:none;stroke-width:2}.here{stroke:var(--ink);stroke-width:3;fill:none}"
    "</style>";

static double at_x(const struct axes *a, double tokens)
{
    return LEFT + (log10(tokens) - a->x0) / (a->x1 - a->x0) * (RIGHT - LEFT);
}

static double at_y(const struct axes *a, double usd)
{
    double y = BOTTOM - (log10(usd) - a->y0) / (a->y1 - a->y0) * (BOTTOM - TOP);
    return y > BOTTOM ? BOTTOM : y < TOP ? TOP : y;
}

static double month_usd(const struct cost *c, double tokens)
{
    return (double)local_month(&c->machine, &c->speed, c->read_part, (int64_t)tokens) * 1e-12;
}

// Of a token.
static double rival_usd(const struct cost *c, size_t i)
{
    return (double)token_price_mixed(c->rivals[i].per_million, c->read_part) * 1e-18;
}

static struct axes choose_axes(const struct cost *c)
{
    double capacity = (double)local_capacity(&c->speed, c->read_part);
    capacity = capacity < 1000 ? 1000 : capacity;
    double first = capacity / 1000, low = month_usd(c, 0), high = month_usd(c, capacity);
    for (size_t i = 0; i < c->n_rivals; i++) {
        const struct break_even *e = &c->rivals[i].even;
        if (e->reached && e->tokens > 0 && (double)e->tokens / 5 < first)
            first = (double)e->tokens / 5;
    }
    for (size_t i = 0; i < c->n_rivals; i++)
        high = fmax(high, rival_usd(c, i) * capacity);
    low = low > 1e-6 ? low : 1e-6;
    return (struct axes){.x0 = floor(log10(first < 1 ? 1 : first)),
                         .x1 = floor(log10(capacity)) + 1,
                         .y0 = floor(log10(low)) - 1,
                         .y1 = floor(log10(fmax(high, low))) + 1};
}

// XML's own characters in a name.
static void escape(struct buf *b, const char *text)
{
    for (; *text; text++) {
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
            buf_printf(b, "&#%d;", *text);
        else
            buf_char(b, *text);
    }
}

static const char *power_of_ten(int power, char out[24])
{
    static const char *const names[] = {"", "K", "M", "B", "T"};
    if (power >= 0 && power < 15)
        (void)snprintf(out, 24, "%d%s", (int)pow(10, power % 3), names[power / 3]);
    else
        (void)snprintf(out, 24, "%g", pow(10, power));
    return out;
}

static void write_grid(struct buf *b, const struct axes *a)
{
    char text[24];
    for (int p = (int)a->x0; p <= (int)a->x1; p++) {
        double x = at_x(a, pow(10, p));
        buf_printf(b, "<path class=\"grid\" d=\"M%.1f %dV%d\"/>", x, TOP, BOTTOM);
        buf_printf(b, "<text class=\"dim\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>", x,
                   BOTTOM + 18, power_of_ten(p, text));
    }
    for (int p = (int)a->y0; p <= (int)a->y1; p++) {
        double y = at_y(a, pow(10, p));
        buf_printf(b, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", LEFT, y, RIGHT);
        buf_printf(b, "<text class=\"dim\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">$%s</text>",
                   LEFT - 8, y + 4, power_of_ten(p, text));
    }
    buf_printf(b,
               "<text class=\"dim\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">tokens a month</text>",
               (LEFT + RIGHT) / 2, BOTTOM + 42);
}

static void write_here(struct buf *b, const struct cost *c, const struct axes *a)
{
    double end = (double)local_capacity(&c->speed, c->read_part), begin = pow(10, a->x0);
    buf_text_add(b, "<path class=\"here\" d=\"");
    for (int i = 0; i <= CURVE_POINTS; i++) {
        double n = begin * pow(end / begin, (double)i / CURVE_POINTS);
        buf_printf(b, "%s%.1f %.1f", i ? "L" : "M", at_x(a, n), at_y(a, month_usd(c, n)));
    }
    buf_printf(b, "\"/><path class=\"here\" d=\"M%.1f %.1fv-9v18\"/>", at_x(a, end),
               at_y(a, month_usd(c, end)));
}

// A vendor's line is straight; it begins and ends where it leaves the picture.
static double write_rival(struct buf *b, const struct cost *c, const struct axes *a, size_t i)
{
    double per_token = rival_usd(c, i), from = pow(10, a->x0), to = pow(10, a->x1);
    if (per_token <= 0)
        return BOTTOM;
    from = fmax(from, pow(10, a->y0) / per_token);
    to = fmin(to, pow(10, a->y1) / per_token);
    if (from < to)
        buf_printf(b, "<path class=\"line\" stroke=\"var(--c%d)\" d=\"M%.1f %.1fL%.1f %.1f\"/>",
                   (int)(i % COLOURS), at_x(a, from), at_y(a, from * per_token), at_x(a, to),
                   at_y(a, to * per_token));
    const struct break_even *e = &c->rivals[i].even;
    if (e->reached && (double)e->tokens >= pow(10, a->x0))
        buf_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"var(--c%d)\"/>",
                   at_x(a, (double)e->tokens), at_y(a, (double)e->tokens * per_token),
                   (int)(i % COLOURS));
    return at_y(a, to * per_token);
}

static void write_label(struct buf *b, const struct cost *c, const struct label *l)
{
    char even[64] = "never dearer than here";
    if (l->line < 0) {
        buf_printf(b, "<text x=\"%d\" y=\"%.1f\">", RIGHT + 12, l->y + 4);
        escape(b, c->model[0] ? c->model : "this machine");
        buf_text_add(b, " here</text>");
        return;
    }
    const struct cost_rival *r = &c->rivals[l->line];
    if (r->even.reached)
        (void)snprintf(even, sizeof even, "equal at %.3gM", (double)r->even.tokens * 1e-6);
    buf_printf(b, "<text x=\"%d\" y=\"%.1f\" style=\"fill:var(--c%d)\">", RIGHT + 12, l->y + 4,
               l->line % COLOURS);
    escape(b, r->name);
    buf_printf(b, "<title>%s</title></text>", even);
}

// Labels stand beside the ends of their lines, apart from each other.
static void write_labels(struct buf *b, const struct cost *c, struct label *labels, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && labels[k].y < labels[k - 1].y; k--) {
            struct label moved = labels[k];
            labels[k] = labels[k - 1];
            labels[k - 1] = moved;
        }
    for (size_t i = 1; i < n; i++)
        labels[i].y = fmax(labels[i].y, labels[i - 1].y + LABEL_APART);
    for (size_t i = 0; i < n; i++)
        write_label(b, c, &labels[i]);
}

void cost_chart(const struct cost *c, struct buf *svg)
{
    struct axes a = choose_axes(c);
    struct label labels[COST_RIVALS_MAX + 1];
    size_t n = 0;
    double capacity = (double)local_capacity(&c->speed, c->read_part);
    buf_printf(svg,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
               "aria-label=\"Cost of a month over its tokens\">%s",
               WIDTH, HEIGHT, style);
    buf_printf(svg, "<text class=\"title\" x=\"%d\" y=\"24\">Cost of a month, in USD</text>", LEFT);
    write_grid(svg, &a);
    for (size_t i = 0; i < c->n_rivals; i++) {
        labels[n].y = write_rival(svg, c, &a, i);
        labels[n++].line = (int)i;
    }
    write_here(svg, c, &a);
    labels[n].y = at_y(&a, month_usd(c, capacity));
    labels[n++].line = -1;
    write_labels(svg, c, labels, n);
    buf_text_add(svg, "</svg>\n");
}
