// test_sentences.c - answers that quote a text are put in its order; all others stay as they are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "summarize/breaks.h"
#include "summarize/sentences.h"

static const char text[] = "The bridge was closed in March. Engineers found rusted cables.\n\n"
                           "Repairs cost four million dollars. The bridge opened again in May.";

static void check(const char *answer, const char *wanted)
{
    struct error err = {0};
    struct splitter *s = splitter_new(&err);
    struct buf b = {0};
    assert_non_null(s);
    buf_text_add(&b, answer);
    sentences_in_text_order(s, slice_str(text), &b);
    assert_string_equal(buf_text(&b), wanted);
    buf_release(&b);
    splitter_free(s);
}

static void quoted_sentences_follow_the_text(void **state)
{
    (void)state;
    check("The bridge opened again in May. Engineers found rusted cables. The bridge was closed in "
          "March.",
          "The bridge was closed in March. Engineers found rusted cables. The bridge opened again "
          "in May.");
}

static void quoted_lines_move_with_their_marks(void **state)
{
    (void)state;
    check("- Repairs cost four million dollars. The bridge opened again in May.\n"
          "* The bridge was closed in March.",
          "* The bridge was closed in March.\n"
          "- Repairs cost four million dollars. The bridge opened again in May.");
}

static void one_sentence_of_its_own_keeps_the_order_of_the_answer(void **state)
{
    (void)state;
    const char *own = "The bridge opened again in May. A bridge rusted. The bridge was closed in "
                      "March.";
    check(own, own);
    check("- The bridge opened again in May.\n- It rusted.",
          "- The bridge opened again in May.\n- It rusted.");
}

static void little_or_nothing_stays(void **state)
{
    (void)state;
    check("", "");
    check("-", "-");
    check("The bridge opened again in May.", "The bridge opened again in May.");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(quoted_sentences_follow_the_text),
    cmocka_unit_test(quoted_lines_move_with_their_marks),
    cmocka_unit_test(one_sentence_of_its_own_keeps_the_order_of_the_answer),
    cmocka_unit_test(little_or_nothing_stays),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
