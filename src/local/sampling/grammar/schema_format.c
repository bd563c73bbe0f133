// schema_format.c - formats of strings as regular expressions: each takes no text that is not of
// the format, but not all that are (RFC 3339, 4122, 5321, 1123, 4291, 3986 allow more).
#include "local/sampling/grammar/schema_impl.h"

#define LEAP "(?:[1-9]\\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29"
#define MONTHS                                                                                     \
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|"          \
    "02-(?:0[1-9]|1\\d|2[0-8]))"
#define DATE "(?:[1-9]\\d\\d\\d-" MONTHS "|" LEAP ")"
#define HOUR "(?:[01]\\d|2[0-3])"
#define TIME HOUR ":[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-]" HOUR ":[0-5]\\d)"
#define COUNT "(?:0|[1-9]\\d{0,3})"
#define LABEL "[A-Za-z0-9]{1,20}(?:-[A-Za-z0-9]{1,20})?"
#define HOST LABEL "(?:\\." LABEL "){0,4}"
#define BYTE "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define H "[0-9A-Fa-f]{1,4}"
#define HEX "[0-9A-Fa-f]"
#define UUID(version) HEX "{8}-" HEX "{4}-" version HEX "{3}-[89ab]" HEX "{3}-" HEX "{12}"
#define PLAIN "[A-Za-z0-9._~-]"
#define MAIL "[A-Za-z0-9_+-]{1,30}(?:\\.[A-Za-z0-9_+-]{1,30})?@" LABEL "(?:\\." LABEL "){1,3}"
#define URI                                                                                        \
    "(?:https?|ftp|wss?)://" HOST "(?::[1-9]\\d{0,3})?(?:/" PLAIN "{0,40}){0,8}"                   \
    "(?:\\?[A-Za-z0-9._~=&-]{1,80})?(?:#" PLAIN "{1,40})?|"                                        \
    "urn:[a-z][a-z0-9]{1,10}:[A-Za-z0-9._:-]{1,60}"
#define DURATION                                                                                   \
    "P(?:" COUNT "W|(?:" COUNT "Y(?:" COUNT "M(?:" COUNT "D)?)?|" COUNT "M(?:" COUNT "D)?|" COUNT  \
    "D)(?:T" COUNT "H(?:" COUNT "M(?:" COUNT "S)?)?)?|T(?:" COUNT "H(?:" COUNT "M(?:" COUNT        \
    "S)?)?|" COUNT "M(?:" COUNT "S)?|" COUNT "S))"

static const struct {
    const char *name, *expression;
} formats[] = {
    {"date", DATE},
    {"time", TIME},
    {"date-time", DATE "T" TIME},
    {"duration", DURATION},
    {"email", MAIL},
    {"idn-email", MAIL},
    {"hostname", HOST},
    {"idn-hostname", HOST},
    {"ipv4", BYTE "(?:\\." BYTE "){3}"},
    {"ipv6", "(?:" H ":){7}" H "|(?:" H ":){1,7}:|(?:" H ":){1,6}:" H "|(?:" H ":){1,5}(?::" H
             "){1,2}|(?:" H ":){1,4}(?::" H "){1,3}|(?:" H ":){1,3}(?::" H "){1,4}|(?:" H
             ":){1,2}(?::" H "){1,5}|" H ":(?::" H "){1,6}|:(?:(?::" H "){1,7}|:)"},
    {"uuid", HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}"},
    {"uuid1", UUID("1")},
    {"uuid3", UUID("3")},
    {"uuid4", UUID("4")},
    {"uuid5", UUID("5")},
    {"uri", URI},
    {"uri-reference", URI},
    {"iri", URI},
    {"iri-reference", URI},
    {"json-pointer", "(?:/[A-Za-z0-9_.-]{0,40}){0,10}"},
};

// OpenAPI's, as pydantic and others write them: they say how a text is shown or kept, not what is
// in it.
static const char *const any_text[] = {"password", "binary", "path", "file-path", "directory-path"};

bool schema_format_is_any(const char *name)
{
    for (size_t i = 0; i < sizeof any_text / sizeof *any_text; i++)
        if (strcmp(any_text[i], name) == 0)
            return true;
    return false;
}

const char *schema_format(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, name) == 0)
            return formats[i].expression;
    return NULL;
}
