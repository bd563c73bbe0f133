"""The conversations that chat templates are tried with: each a dict of the template's variables."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city, e.g. \"Zürich\""},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": "integer", "description": "How many days", "default": 1},
            },
            "required": ["city"],
        },
    },
}
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search documents.\nSecond line & <tags>.",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": ["string", "null"], "description": "What to look for"},
                "filters": {
                    "type": "object",
                    "description": "Nested",
                    "properties": {
                        "after": {"type": "string", "nullable": True},
                        "tags": {"type": "array", "items": {"type": "string"}},
                        "score": {"type": "number", "minimum": 0.5, "maximum": 1e-7},
                    },
                },
                "matrix": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
                "any": {"oneOf": [{"type": "string", "default": "x"}, {"type": "integer"}]},
                "flag": {"type": "boolean", "default": False},
            },
            "required": ["query", "filters"],
        },
        "return": {"type": "object", "description": "Hits"},
    },
}
NO_PARAMETERS = {
    "type": "function",
    "function": {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}},
}
DOCUMENTS = [
    {"title": "Ore 1", "text": "Il «treno» parte alle 10."},
    {"doc_id": "7", "title": "Second", "text": "Text with \"quotes\"\nand lines", "source": {"a": [1, 2.5, None, True]}},
]


def system(text):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def call(name, arguments, call_id="abcdefghi"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool(text, name="get_weather", call_id="abcdefghi"):
    return {"role": "tool", "name": name, "tool_call_id": call_id, "content": text}


SIMPLE = [user("Hello!")]
TURNS = [user("One"), assistant("1"), user("Two"), assistant("2"), user("Three")]
WITH_SYSTEM = [system("You are a helpful assistant.")] + TURNS
UNICODE = [
    system("Réponds en français. 日本語もOK。"),
    user("  Ciao 👋🏽 — ¿qué tal?\n\n\tñandú \u00a0\u2003"),
    assistant("Ça va… 🤖\r\nwindows line"),
    user("السلام عليكم \u200f<|im_end|> <|eot_id|> [INST] </s>"),
]
EMPTY = [system(""), user(""), assistant(""), user(" \n ")]
PARTS = [
    system([{"type": "text", "text": "Parts."}]),
    user([{"type": "text", "text": "What is "}, {"type": "text", "text": "this?"}]),
    assistant([{"type": "text", "text": "A test."}]),
    user([{"type": "image"}, {"type": "text", "text": "And this?"}, {"type": "image_url", "image_url": {"url": "x"}}]),
]
REASONING = [
    user("17*3?"),
    assistant("51", reasoning_content="\n17*3 = 51\n", thinking="\n17*3 = 51\n"),
    user("and 4?"),
    assistant("<think>\nfour times\n</think>\n\n68"),
    user("thanks"),
]
TOOLS_CALLED = [
    system("Use tools."),
    user("Weather in Zürich?"),
    assistant("", tool_calls=[call("get_weather", {"city": "Zürich", "days": 2})]),
    tool("{\"temp\": 21.5, \"sky\": \"☀️\"}"),
    assistant("21.5 °C and sunny."),
    user("And Bern?"),
    assistant("Let me look.", tool_calls=[call("get_weather", {"city": "Bern", "unit": "celsius"}, "bcdefghij")]),
    tool("rain", call_id="bcdefghij"),
]
TOOLS_PARALLEL = [
    user("Both, please"),
    assistant(None, tool_calls=[call("get_weather", {"city": "A"}, "123456789"), call("search", {"query": None, "filters": {"tags": ["x", "y"], "score": 0.75}}, "987654321")],
              reasoning_content="two calls", thinking="two calls"),
    tool("first", call_id="123456789"),
    tool({"hits": [1, 2, {"a": True}]}, name="search", call_id="987654321"),
]
TOOL_ARGUMENTS_TEXT = [
    user("Go"),
    assistant("", tool_calls=[call("get_weather", "{\"city\": \"Rome\"}")]),
    tool("ok"),
    assistant("done", reasoning_content="short"),
    user("more"),
]
TOOL_PARTS = [
    user("Go"),
    assistant("", tool_calls=[call("now", {})]),
    {"role": "tool", "tool_call_id": "abcdefghi", "content": [{"type": "text", "text": "12:00"}, {"output": "x"}]},
]
FLAT_TOOL_CALLS = [
    user("Go"),
    assistant("", tool_calls=[{"name": "now", "arguments": {"zone": "UTC"}, "id": "abcdefghi"}]),
    tool("12:00", name="now"),
]


def conversations():
    out = []

    def add(messages, **variables):
        for generation in (False, True):
            out.append({"messages": messages, "tools": None, "documents": None,
                        "add_generation_prompt": generation, "bos_token": "<s>", "eos_token": "</s>", **variables})

    for messages in (SIMPLE, TURNS, WITH_SYSTEM, UNICODE, EMPTY, PARTS, REASONING):
        add(messages)
        add(messages, tools=[WEATHER])
    for messages in (TOOLS_CALLED, TOOLS_PARALLEL, TOOL_ARGUMENTS_TEXT, TOOL_PARTS, FLAT_TOOL_CALLS):
        add(messages)
        add(messages, tools=[WEATHER, SEARCH, NO_PARAMETERS])
    for enable in (True, False):
        add(REASONING, enable_thinking=enable, thinking=enable)
        add(WITH_SYSTEM, enable_thinking=enable, thinking=enable, tools=[SEARCH])
    add([system("Answer /no_think"), user("Hi /no_think")], enable_thinking=True)
    add([system("Custom /system_override text"), user("Hi")], custom_instructions="Be brief.")
    add(SIMPLE, documents=DOCUMENTS)
    add(TURNS, documents=DOCUMENTS, tools=[WEATHER], enable_citations=True, controls={"citations": True, "length": "long"})
    add(TOOLS_CALLED, builtin_tools=["browser", "python", "code_interpreter"], tools=[WEATHER],
        reasoning_effort="high", model_identity="You are a test.", tools_in_user_message=False,
        date_string="26 July 2024", xml_tools=["<tool>"], python_tools=["def f(): pass"])
    add(WITH_SYSTEM, date_string="26 July 2024", tools=[WEATHER], tools_in_user_message=True, builtin_tools=[])
    add([{"role": "developer", "content": "Be terse."}, user("Hi"), assistant("Hey", thinking="greet")])
    add([user("a"), user("b")])
    add([assistant("starts"), user("b")])
    add([system("only system")])
    add([{"role": "unknown", "content": "?"}, user("x")])
    add([user("x"), tool("nobody asked")])
    add([user("x"), {"role": "assistant"}])
    add([user("x"), assistant(None), user("y")])
    add([{"content": "no role"}])
    add([user(5), assistant(2.0), user(True)])
    add([user("x"), assistant("y", prefix=True, reasoning_content="r", tool_calls=[])])
    add([user("x"), assistant("<|channel|>analysis<|message|>y"), user("z")])
    add([])
    out.append({"messages": TURNS})
    out.append({"messages": TURNS, "add_generation_prompt": True, "bos_token": "<bos>"})
    return out
