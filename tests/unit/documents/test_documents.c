// test_documents.c - readers of text, Markdown and HTML: blocks, spans, encodings, hostile files.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "documents/document.h"

static struct document *read_as(const char *name, const char *bytes, size_t len)
{
    struct error err = {0};
    struct document *d = document_read(slice_of(bytes, len), name, &err);
    if (!d)
        print_error("%s\n", err.text);
    assert_non_null(d);
    return d;
}

static struct document *read_str(const char *name, const char *text)
{
    return read_as(name, text, strlen(text));
}

static void expect(const struct document *d, size_t i, enum block_kind kind, int level,
                   const char *text)
{
    assert_true(i < d->n_blocks);
    assert_string_equal(d->blocks[i].text.ptr, text);
    assert_int_equal(d->blocks[i].kind, kind);
    assert_int_equal(d->blocks[i].level, level);
}

static void wrapped_lines_of_a_paragraph_are_joined(void **state)
{
    (void)state;
    const char *source = "A line\nand  another\t one.\r\n\r\n\n  Second.\n";
    struct document *d = read_str("x.txt", source);
    assert_int_equal(d->n_blocks, 2);
    expect(d, 0, BLOCK_PARAGRAPH, 0, "A line and another one.");
    expect(d, 1, BLOCK_PARAGRAPH, 0, "Second.");
    assert_int_equal(d->blocks[0].start, 0);
    assert_int_equal(d->blocks[0].end, 25);
    assert_memory_equal(source + d->blocks[1].start, "  Second.", 9);
    assert_int_equal(d->n_characters, 23 + 7);
    assert_string_equal(d->format, "text");
    document_close(d);
}

static void books_have_chapters(void **state)
{
    (void)state;
    struct document *d = read_str(
        "book.txt", "Title: The Book\n\nBOOK ONE\n\nChapter IV. The sea\n\nIt rained.\n\nIV\n\n"
                    "CHAPTER 7\n\nA short line,\n\nChapter of accidents is what he called it.\n");
    assert_string_equal(d->title, "The Book");
    expect(d, 1, BLOCK_HEADING, 1, "BOOK ONE");
    expect(d, 2, BLOCK_HEADING, 2, "Chapter IV. The sea");
    expect(d, 3, BLOCK_PARAGRAPH, 0, "It rained.");
    expect(d, 4, BLOCK_HEADING, 2, "IV");
    expect(d, 5, BLOCK_HEADING, 2, "CHAPTER 7");
    expect(d, 6, BLOCK_PARAGRAPH, 0, "A short line,");
    expect(d, 7, BLOCK_PARAGRAPH, 0, "Chapter of accidents is what he called it.");
    document_close(d);
}

static void restructured_text_has_underlines_code_and_tables(void **state)
{
    (void)state;
    struct document *d = read_str("x.rst", "=====\nTitle\n=====\n\nSection\n-------\nText "
                                           "here::\n\n  code(1)\n    more\n\n- one\n- two\n  "
                                           "lines\n\nSub\n~~~\n\n=== ===\na   b\n=== ===\n");
    expect(d, 0, BLOCK_HEADING, 1, "Title");
    expect(d, 1, BLOCK_HEADING, 2, "Section");
    expect(d, 2, BLOCK_PARAGRAPH, 0, "Text here::");
    expect(d, 3, BLOCK_CODE, 0, "  code(1)\n    more");
    expect(d, 4, BLOCK_LIST_ITEM, 1, "one");
    expect(d, 5, BLOCK_LIST_ITEM, 1, "two lines");
    expect(d, 6, BLOCK_HEADING, 3, "Sub");
    expect(d, 7, BLOCK_TABLE, 0, "=== ===\na   b\n=== ===");
    assert_string_equal(d->title, "Title");
    document_close(d);
}

static void markdown_has_its_blocks(void **state)
{
    (void)state;
    const char *source =
        "---\ntitle: \"Front\"\nx: y\n---\n# One #\nPara *one*\nwrapped.\nTwo\n---\n"
        "- item `a*b`\n  more\n  1. inner\n\n> quoted\nlines\n> here\n\n"
        "```c\nint  x;\n\n# no heading\n```\n\npara\n\n    indented\n\n"
        "| a | b |\n|---|:-:|\n| 1 | 2 |\n\n***\n<!-- a\n\n# hidden\n-->\n"
        "[ref]: http://example.org\nThe end.";
    struct document *d = read_str("x.md", source);
    assert_string_equal(d->title, "Front");
    expect(d, 0, BLOCK_HEADING, 1, "One");
    expect(d, 1, BLOCK_HEADING, 2, "Para one wrapped. Two");
    expect(d, 2, BLOCK_LIST_ITEM, 1, "item a*b more");
    expect(d, 3, BLOCK_LIST_ITEM, 2, "inner");
    expect(d, 4, BLOCK_QUOTE, 0, "quoted lines here");
    expect(d, 5, BLOCK_CODE, 0, "int  x;\n\n# no heading");
    expect(d, 6, BLOCK_PARAGRAPH, 0, "para");
    expect(d, 7, BLOCK_CODE, 0, "indented");
    expect(d, 8, BLOCK_TABLE, 0, "| a | b |\n| 1 | 2 |");
    expect(d, 9, BLOCK_PARAGRAPH, 0, "The end.");
    assert_int_equal(d->n_blocks, 10);
    for (size_t i = 0; i < d->n_blocks; i++)
        assert_true(d->blocks[i].end <= strlen(source));
    assert_memory_equal(source + d->blocks[9].start, "The end.", 8);
    assert_memory_equal(source + d->blocks[4].start, "> quoted", 8);
    document_close(d);
}

static void markdown_inline_marks_go(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"**bold** and _it_ and ~~gone~~ snake_case_name 2*3*4", "bold and it and gone "
                                                                 "snake_case_name 2*3*4"},
        {"[text](http://x.y/z \"t\") ![alt](i.png) [a][b] [plain]", "text alt a [plain]"},
        {"<http://a.b/c> <b>tag</b> a < b & c &amp; &#x41;&#66; &nosuch;",
         "http://a.b/c tag a < b & c & AB &nosuch;"},
        {"``a ` b`` `unclosed", "a ` b `unclosed"},
        {"\\*not\\* \\[x\\]", "*not* [x]"},
        {"note[^1] [link [nested](u)](v)", "note link nested"},
        {"a <!-- no --> b", "a b"},
        {"[x](y(z)w) end", "x end"},
        {"star * alone", "star * alone"},
        {"Anchored {#here} and [x](y){:class=\"z\"} {kept}", "Anchored and x {kept}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct document *d = read_str("x.md", cases[i][0]);
        assert_int_equal(d->n_blocks, 1);
        assert_string_equal(d->blocks[0].text.ptr, cases[i][1]);
        document_close(d);
    }
}

static void html_keeps_text_and_drops_the_rest(void **state)
{
    (void)state;
    const char *source =
        "<!DOCTYPE html><html><head><title>A &amp; B</title><style>p{}</style>"
        "<script>alert('x</p>')</script></head><body><nav>menu</nav><h2>Head</h2>"
        "<p>One <b>bold</b>\n word<br>next &eacute;&#8212;<p>Two<ul><li>item<ul><li>inner</ul></ul>"
        "<pre>code\n  here</pre><blockquote>said</blockquote>"
        "<table><tr><th>a<th>b<tr><td>1<td>2</table>after</body></html>";
    struct document *d = read_str("page", source);
    assert_string_equal(d->format, "html");
    assert_string_equal(d->title, "A & B");
    expect(d, 0, BLOCK_HEADING, 2, "Head");
    expect(d, 1, BLOCK_PARAGRAPH, 0, "One bold word next \xC3\xA9\xE2\x80\x94");
    expect(d, 2, BLOCK_PARAGRAPH, 0, "Two");
    expect(d, 3, BLOCK_LIST_ITEM, 1, "item");
    expect(d, 4, BLOCK_LIST_ITEM, 2, "inner");
    expect(d, 5, BLOCK_CODE, 0, "code\n  here");
    expect(d, 6, BLOCK_QUOTE, 0, "said");
    expect(d, 7, BLOCK_TABLE, 0, "a | b\n1 | 2");
    expect(d, 8, BLOCK_PARAGRAPH, 0, "after");
    assert_int_equal(d->n_blocks, 9);
    const struct document_block *b = &d->blocks[0];
    assert_memory_equal(source + b->start, "Head", 4);
    assert_true(b->end - b->start <= 4 + 5);
    assert_memory_equal(source + d->blocks[1].start, "One <b>", 7);
    document_close(d);
}

static void encodings_are_told_apart_and_spans_stay_in_the_source(void **state)
{
    (void)state;
    struct document *d = read_as("x.txt",
                                 "\xEF\xBB\xBFGr\xC3\xBC\xC3\x9F"
                                 "e.\n\nZwei.",
                                 18);
    expect(d, 0, BLOCK_PARAGRAPH, 0,
           "Gr\xC3\xBC\xC3\x9F"
           "e.");
    assert_int_equal(d->blocks[0].start, 3);
    assert_int_equal(d->blocks[1].start, 13);
    document_close(d);

    static const char latin[] =
        "<html><head><meta charset=\"iso-8859-1\"></head><p>caf\xE9 \x93q\x94"
        "</p><p>fin</p>";
    d = read_as("x.html", latin, sizeof latin - 1);
    expect(d, 0, BLOCK_PARAGRAPH, 0, "caf\xC3\xA9 \xE2\x80\x9Cq\xE2\x80\x9D");
    assert_memory_equal(latin + d->blocks[1].start, "fin", 3);
    document_close(d);

    static const char wide[] = "\xFF\xFE"
                               "A\0b\0.\0\n\0\n\0\x3D\xD8\x00\xDE \0C\0.\0";
    d = read_as("x.txt", wide, sizeof wide - 1);
    expect(d, 0, BLOCK_PARAGRAPH, 0, "Ab.");
    expect(d, 1, BLOCK_PARAGRAPH, 0, "\xF0\x9F\x98\x80 C.");
    assert_int_equal(d->blocks[0].start, 2);
    assert_int_equal(d->blocks[1].start, 12);
    assert_int_equal(d->blocks[1].end, 22);
    document_close(d);

    static const char stray[] = "Mostly plain text, with one stray byte: \xFF here.\n\nAnd more.";
    d = read_as("x.txt", stray, sizeof stray - 1);
    assert_true(utf8_valid(d->blocks[0].text.ptr, d->blocks[0].text.len));
    assert_memory_equal(stray + d->blocks[1].start, "And more.", 9);
    document_close(d);
}

static void formats_that_are_not_read_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *name;
    } cases[] = {
        {"%PDF-1.7\n", 9, "PDF"},
        {"PK\3\4....word/document.xml", 25, "DOCX"},
        {"PK\3\4mimetypeapplication/epub+zip", 32, "EPUB"},
        {"PK\3\4mimetypeapplication/vnd.oasis.opendocument.text", 51, "ODT"},
        {"\x89PNG\r\n\x1A\n", 8, "PNG"},
        {"\0\1\2\3\4\5\6\7\0\1\2\3\4\5\6\7", 16, "binary"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        assert_null(document_read(slice_of(cases[i].bytes, cases[i].len), "file", &err));
        assert_int_equal(err.code, ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, cases[i].name));
        assert_non_null(strstr(err.text, "file: "));
    }
}

static void nothing_and_zero_bytes_are_survived(void **state)
{
    (void)state;
    static const char *const names[] = {"x.txt", "x.md", "x.html", "x.rst", "-"};
    static const char zero[] = "Words\0 and more words that go on for a while.";
    for (size_t i = 0; i < 5; i++) {
        struct document *d = read_as(names[i], "", 0);
        assert_int_equal(d->n_blocks, 0);
        assert_string_equal(d->title, "");
        document_close(d);
        d = read_as(names[i], zero, sizeof zero - 1);
        assert_int_equal(d->n_blocks, 1);
        assert_non_null(strstr(d->blocks[0].text.ptr, "and more"));
        document_close(d);
    }
    struct error err = {0};
    assert_null(document_open("/nonexistent/file.txt", &err));
    assert_int_equal(err.code, ERR_IO);
}

static void deep_nesting_is_an_error_not_a_crash(void **state)
{
    (void)state;
    struct buf b = {0};
    struct error err = {0};
    for (int i = 0; i < 100000; i++)
        buf_text_add(&b, "<div>");
    assert_null(document_read(buf_view(&b), "x.html", &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buf_release(&b);
}

// Texts that make careless readers quadratic: four times the size may take 16 times as long on a
// busy machine, and no more.
static void time_is_linear_in_the_text(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"x.md", "["},      {"x.md", "]("},         {"x.md", "<a "},
        {"x.md", "x <!--"}, {"x.md", "*a _"},       {"x.md", "`a``b"},
        {"x.txt", "a"},     {"x.txt", "===\n"},     {"x.md", "> "},
        {"x.md", "&amp"},   {"x.html", "<p>a</b>"}, {"x.html", "&amp;<"},
        {"x.rst", "- a\n"}, {"x.md", "|-|\n"},      {"x.html", "<table><td>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double took[2];
        for (int large = 0; large < 2; large++) {
            struct buf b = {0};
            while (b.len < (large ? 1600000u : 400000u))
                buf_text_add(&b, cases[i][1]);
            double begin = clock_s();
            struct error err = {0};
            document_close(document_read(buf_view(&b), cases[i][0], &err));
            took[large] = clock_s() - begin;
            buf_release(&b);
        }
        if (took[1] > 0.5 && took[1] > 16 * took[0])
            fail_msg("'%s': %.3f s, then %.3f s", cases[i][1], took[0], took[1]);
    }
}

static void real_documents_are_read(void **state)
{
    (void)state;
    static const char *const files[] = {"aristotle-poetics.txt", "kubernetes-api-conventions.md",
                                        "walton-complete-angler.html", "python-pep-0484.rst",
                                        "nist-sp-800-63b-4-draft.md"};
    if (!file_is_folder("../shared/data/documents"))
        skip();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[256];
        struct error err = {0};
        struct buf bytes = {0};
        (void)snprintf(path, sizeof path, "../shared/data/documents/%s", files[i]);
        struct document *d = document_open(path, &err);
        assert_non_null(d);
        assert_true(file_read(path, 1 << 24, &bytes, &err));
        assert_true(d->n_blocks > 100);
        assert_true(d->n_characters * 10 > bytes.len * 7);  // nothing large was lost
        // The letters that a block begins with stand in its span.
        size_t found = 0;
        for (size_t k = 0; k < d->n_blocks; k++) {
            const struct document_block *b = &d->blocks[k];
            size_t n = strspn(b->text.ptr, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
            found += memmem(bytes.ptr + b->start, b->end - b->start, b->text.ptr, n) != NULL;
        }
        assert_true(found * 100 >= d->n_blocks * 99);
        buf_release(&bytes);
        document_close(d);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrapped_lines_of_a_paragraph_are_joined),
        cmocka_unit_test(books_have_chapters),
        cmocka_unit_test(restructured_text_has_underlines_code_and_tables),
        cmocka_unit_test(markdown_has_its_blocks),
        cmocka_unit_test(markdown_inline_marks_go),
        cmocka_unit_test(html_keeps_text_and_drops_the_rest),
        cmocka_unit_test(encodings_are_told_apart_and_spans_stay_in_the_source),
        cmocka_unit_test(formats_that_are_not_read_are_named),
        cmocka_unit_test(nothing_and_zero_bytes_are_survived),
        cmocka_unit_test(deep_nesting_is_an_error_not_a_crash),
        cmocka_unit_test(time_is_linear_in_the_text),
        cmocka_unit_test(real_documents_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
