// html.c - HTML through libxml2's parser, as events, without a tree: scripts, styles, navigation
// and forms dropped, the rest as blocks.
//
// A block's span reaches from its first text to its last, as the parser's position tells, so it
// holds the block's text with the marks inside. Nothing is fetched. Depth is bounded, since the
// parser's own bookkeeping costs time for every open element.
#include <libxml/HTMLparser.h>
#include <libxml/parserInternals.h>
#include <stdlib.h>
#include <strings.h>

#include "base/error.h"
#include "documents/blocks.h"

enum {
    MAX_DEPTH = 1000,
    MAX_BLOCK_BYTES = 1 << 20,  // a longer one is ended there, at a space
};

enum what {
    INLINE,
    BLOCK,  // starts and ends a paragraph
    HIDDEN,
    HEADING,
    ITEM,
    LIST,
    QUOTE,
    PRE,
    TABLE,
    ROW,
    CELL,
    BREAK,
    TITLE,
};
static const struct element {
    char name[12];
    enum what what;
} elements[] = {
    {"address", BLOCK},  {"article", BLOCK},    {"aside", BLOCK},     {"blockquote", QUOTE},
    {"body", BLOCK},     {"br", BREAK},         {"button", HIDDEN},   {"caption", ROW},
    {"center", BLOCK},   {"dd", ITEM},          {"details", BLOCK},   {"dialog", HIDDEN},
    {"dir", LIST},       {"div", BLOCK},        {"dl", LIST},         {"dt", ITEM},
    {"fieldset", BLOCK}, {"figcaption", BLOCK}, {"figure", BLOCK},    {"footer", BLOCK},
    {"form", BLOCK},     {"h1", HEADING},       {"h2", HEADING},      {"h3", HEADING},
    {"h4", HEADING},     {"h5", HEADING},       {"h6", HEADING},      {"header", BLOCK},
    {"hr", BLOCK},       {"iframe", HIDDEN},    {"li", ITEM},         {"main", BLOCK},
    {"math", HIDDEN},    {"menu", LIST},        {"nav", HIDDEN},      {"noscript", HIDDEN},
    {"object", HIDDEN},  {"ol", LIST},          {"optgroup", HIDDEN}, {"option", HIDDEN},
    {"p", BLOCK},        {"pre", PRE},          {"script", HIDDEN},   {"section", BLOCK},
    {"select", HIDDEN},  {"style", HIDDEN},     {"summary", BLOCK},   {"svg", HIDDEN},
    {"table", TABLE},    {"td", CELL},          {"template", HIDDEN}, {"textarea", HIDDEN},
    {"th", CELL},        {"title", TITLE},      {"tr", ROW},          {"ul", LIST},
};

struct reader {
    struct blocks *b;
    htmlParserCtxtPtr parser;
    struct buf text, title;
    size_t len, start;
    size_t seen;  // where the last event ended
    int heading, lists, quotes, pres, tables, items, hidden, in_title;
    int cells;  // of the current row
    bool too_deep;
};

static int compare(const void *name, const void *element)
{
    return strcasecmp(name, ((const struct element *)element)->name);
}

static enum what what_is(const xmlChar *name)
{
    const struct element *e =
        bsearch(name, elements, sizeof elements / sizeof *elements, sizeof *elements, compare);
    return e ? e->what : INLINE;
}

static size_t position(const struct reader *r)
{
    const xmlParserInput *in = r->parser->input;
    size_t at = in ? (size_t)(in->cur - in->base) + in->consumed : 0;
    return at < r->len ? at : r->len;
}

// Where the text of an element begins that was just opened. At a real tag the parser stands on its
// ">"; an implied one (a paragraph around bare text) is told after its text was read, which began
// where the event before ended.
static size_t content_start(const struct reader *r)
{
    const xmlParserInput *in = r->parser->input;
    size_t at = position(r);
    return at < r->len && *in->cur == '>' ? at + 1 : r->seen;
}

static void flush(struct reader *r, size_t end)
{
    enum block_kind kind = BLOCK_PARAGRAPH;
    int level = 0;
    if (r->tables) {
        kind = BLOCK_TABLE;
    } else if (r->heading) {
        kind = BLOCK_HEADING;
        level = r->heading;
    } else if (r->pres) {
        kind = BLOCK_CODE;
    } else if (r->lists && r->items) {
        kind = BLOCK_LIST_ITEM;
        level = r->lists < 9 ? r->lists : 9;
    } else if (r->quotes) {
        kind = BLOCK_QUOTE;
    }
    blocks_add(r->b, kind, level, buf_view(&r->text), r->start, end < r->start ? r->start : end);
    buf_clear(&r->text);
    r->start = end;
}

// The end of a row: cells stand on one line.
static void end_row(struct reader *r)
{
    if (r->text.len > 0 && r->text.ptr[r->text.len - 1] != '\n')
        buf_char(&r->text, '\n');
    r->cells = 0;
    if (r->text.len > MAX_BLOCK_BYTES)
        flush(r, r->seen);
}

static void open_in_table(struct reader *r, enum what what)
{
    if (what == ROW || what == TABLE)
        end_row(r);
    else if (what == CELL && r->cells++ > 0)
        buf_text_add(&r->text, " | ");
    else if (what != INLINE && what != CELL)
        buf_char(&r->text, ' ');
}

static int heading_level(const xmlChar *name)
{
    return name[1] - '0';
}

static void open_element(struct reader *r, const xmlChar *name)
{
    enum what what = what_is(name);
    if (r->parser->nameNr > MAX_DEPTH) {
        r->too_deep = true;
        xmlStopParser(r->parser);
        return;
    }
    if (what == HIDDEN)
        r->hidden++;
    if (what == TITLE)
        r->in_title++;
    if (r->hidden || r->in_title || what == INLINE)
        return;
    if (r->tables) {
        open_in_table(r, what);
        r->tables += what == TABLE;
        return;
    }
    if (what == BREAK) {
        buf_char(&r->text, '\n');
        return;
    }
    flush(r, r->seen);
    r->start = content_start(r);
    r->heading = what == HEADING ? heading_level(name) : r->heading;
    r->lists += what == LIST;
    r->items += what == ITEM;
    r->quotes += what == QUOTE;
    r->pres += what == PRE;
    r->tables += what == TABLE;
}

static void drop_one(int *n)
{
    if (*n > 0)
        (*n)--;
}

static void close_element(struct reader *r, const xmlChar *name)
{
    enum what what = what_is(name);
    if (what == HIDDEN)
        drop_one(&r->hidden);
    if (what == TITLE)
        drop_one(&r->in_title);
    if (r->hidden || what == INLINE || what == HIDDEN || what == TITLE || what == BREAK)
        return;
    if (r->tables && !(what == TABLE && r->tables == 1)) {
        if (what == ROW || what == TABLE)
            end_row(r);
        r->tables -= what == TABLE;
        return;
    }
    flush(r, r->seen);
    switch (what) {
    case HEADING: r->heading = 0; break;
    case LIST: drop_one(&r->lists); break;
    case ITEM: drop_one(&r->items); break;
    case QUOTE: drop_one(&r->quotes); break;
    case PRE: drop_one(&r->pres); break;
    case TABLE: r->tables = 0; break;
    default: break;
    }
}

static void add_text(struct reader *r, struct slice s)
{
    if (r->in_title && !r->hidden) {
        if (r->title.len < 1024)
            buf_slice(&r->title, s);
        return;
    }
    if (r->hidden)
        return;
    if (r->tables || r->pres == 0) {  // white space between words; lines mean something in <pre>
        for (size_t i = 0; i < s.len; i++)
            buf_char(&r->text, (unsigned char)s.ptr[i] <= ' ' ? ' ' : s.ptr[i]);
    } else {
        buf_slice(&r->text, s);
    }
    if (r->text.len > MAX_BLOCK_BYTES && s.ptr[s.len - 1] == ' ')
        flush(r, r->seen);
}

static void on_start(void *self, const xmlChar *name, const xmlChar **attributes)
{
    struct reader *r = self;
    (void)attributes;
    open_element(r, name);
    r->seen = content_start(r);
}

static void on_end(void *self, const xmlChar *name)
{
    struct reader *r = self;
    close_element(r, name);
    r->seen = position(r);
}

static void on_text(void *self, const xmlChar *bytes, int len)
{
    struct reader *r = self;
    size_t before = r->seen;
    r->seen = position(r);
    if (r->text.len == 0)
        r->start = before;
    if (len > 0)
        add_text(r, slice_of((const char *)bytes, (size_t)len));
}

static void silent(void *self, const char *format, ...)
{
    (void)self;
    (void)format;
}

bool read_html(struct blocks *b, struct slice text, struct error *err)
{
    static const char empty[] = " ";
    struct reader r = {.b = b, .len = text.len};
    htmlSAXHandler sax = {
        .startElement = on_start,
        .endElement = on_end,
        .characters = on_text,
        .ignorableWhitespace = on_text,
        .warning = silent,
        .error = silent,
    };
    r.parser = text.len ? htmlCreateMemoryParserCtxt(text.ptr, (int)text.len)
                        : htmlCreateMemoryParserCtxt(empty, 1);
    if (!r.parser)
        return error_set(err, ERR_MEMORY, "no memory for an HTML parser");
    *r.parser->sax = sax;
    r.parser->userData = &r;
    htmlCtxtUseOptions(r.parser, HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC | HTML_PARSE_NOERROR |
                                     HTML_PARSE_NOWARNING | HTML_PARSE_RECOVER);
    *r.parser->sax = sax;  // the options replace some of it
    (void)xmlSwitchEncoding(r.parser, XML_CHAR_ENCODING_UTF8);
    (void)htmlParseDocument(r.parser);
    if (!r.too_deep)
        flush(&r, text.len);
    blocks_title(b, buf_view(&r.title));
    if (r.parser->myDoc)
        xmlFreeDoc(r.parser->myDoc);
    r.parser->myDoc = NULL;
    htmlFreeParserCtxt(r.parser);
    buf_release(&r.text);
    buf_release(&r.title);
    if (r.too_deep)
        return error_set(err, ERR_LIMIT, "HTML elements nested more than %d deep", MAX_DEPTH);
    return true;
}
