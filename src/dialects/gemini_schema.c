// gemini_schema.c - the vendor's Schema object (a dialect of OpenAPI 3.0) as JSON Schema: types in
// capitals, "nullable", counts as strings, the order of members beside them.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "dialects/gemini.h"

// A body is at most so deep that this cannot overflow the stack (the server's limit).
static json_t *converted(const json_t *schema);

static json_t *lower_case(const json_t *type)
{
    char name[16];
    size_t n = json_string_length(type);
    if (!json_is_string(type) || n >= sizeof name)
        return json_deep_copy(type);
    for (size_t i = 0; i <= n; i++)
        name[i] = (char)tolower((unsigned char)json_string_value(type)[i]);
    return json_string(name);
}

static json_t *converted_list(const json_t *list)
{
    json_t *out = json_array(), *item;
    size_t i;
    json_array_foreach((json_t *)list, i, item) json_array_append_new(out, converted(item));
    return out;
}

// Members in the order that "propertyOrdering" gives, the others behind them.
static json_t *converted_members(const json_t *members, const json_t *order)
{
    json_t *out = json_object(), *value;
    const char *key;
    size_t i;
    json_array_foreach((json_t *)order, i, value)
    {
        const json_t *member = json_object_get(members, json_string_value(value));
        if (member)
            json_object_set_new(out, json_string_value(value), converted(member));
    }
    json_object_foreach((json_t *)members, key, value)
    {
        if (!json_object_get(out, key))
            json_object_set_new(out, key, converted(value));
    }
    return out;
}

// 64-bit numbers are strings in the vendor's JSON.
static json_t *count_of(const json_t *value)
{
    char *end = NULL;
    long long n = json_is_string(value) ? strtoll(json_string_value(value), &end, 10) : 0;
    return end && end > json_string_value(value) && !*end ? json_integer(n) : json_deep_copy(value);
}

static bool is_one_of(const char *key, const char *const *names)
{
    while (*names && strcmp(*names, key) != 0)
        names++;
    return *names != NULL;
}

// The vendor's packages write some keywords in either spelling.
static const char *keyword(const char *key)
{
    static const struct {
        const char *snake, *camel;
    } known[] = {{"any_of", "anyOf"},
                 {"max_items", "maxItems"},
                 {"min_items", "minItems"},
                 {"max_length", "maxLength"},
                 {"min_length", "minLength"},
                 {"max_properties", "maxProperties"},
                 {"min_properties", "minProperties"},
                 {"additional_properties", "additionalProperties"},
                 {"property_ordering", "propertyOrdering"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].snake, key) == 0)
            return known[i].camel;
    }
    return key;
}

static void convert_member(json_t *out, const json_t *schema, const char *key, json_t *value)
{
    static const char *const counts[] = {"minItems",      "maxItems",      "minLength", "maxLength",
                                         "minProperties", "maxProperties", NULL};
    static const char *const notes[] = {"propertyOrdering", "nullable", "example", "title", NULL};
    const json_t *type = json_object_get(schema, "type");
    const json_t *order = json_object_get(schema, "propertyOrdering");
    order = order ? order : json_object_get(schema, "property_ordering");
    bool text = json_is_string(type) && tolower(json_string_value(type)[0]) == 's';
    key = keyword(key);
    if (json_is_null(value) || is_one_of(key, notes))
        return;
    // Formats of numbers say how they are stored; "enum" says what "enum" says.
    if (strcmp(key, "format") == 0 && (!text || strcmp(json_string_value(value), "enum") == 0))
        return;
    if (strcmp(key, "type") == 0)
        json_object_set_new(out, key, lower_case(value));
    else if (strcmp(key, "items") == 0 || strcmp(key, "additionalProperties") == 0)
        json_object_set_new(out, key, converted(value));
    else if (strcmp(key, "anyOf") == 0)
        json_object_set_new(out, key, converted_list(value));
    else if (strcmp(key, "properties") == 0)
        json_object_set_new(out, key, converted_members(value, order));
    else
        json_object_set_new(out, key,
                            is_one_of(key, counts) ? count_of(value) : json_deep_copy(value));
}

static json_t *converted(const json_t *schema)
{
    json_t *value, *out, *either;
    const char *key;
    if (!json_is_object(schema))
        return json_deep_copy(schema);
    out = json_object();
    json_object_foreach((json_t *)schema, key, value) convert_member(out, schema, key, value);
    if (!json_is_true(json_object_get(schema, "nullable")))
        return out;
    either = json_object();
    json_object_set_new(either, "anyOf", json_pack("[o{ss}]", out, "type", "null"));
    return either;
}

json_t *gemini_schema(const json_t *schema)
{
    return converted(schema);
}
