// web_page_files.c - what the assembler reads in of src/server/web_page/. A new file is a new line
// here; make builds this file again whenever one of them has changed.
#include "server/web_page_files.h"

#define JS "text/javascript; charset=utf-8"
#define PAGE_FILES(FILE)                                                                           \
    FILE(index_html, "/", "index.html", "text/html; charset=utf-8")                                \
    FILE(style_css, "/page/style.css", "style.css", "text/css; charset=utf-8")                     \
    FILE(icon_svg, "/page/icon.svg", "icon.svg", "image/svg+xml")                                  \
    FILE(app_js, "/page/app.js", "app.js", JS)                                                     \
    FILE(api_js, "/page/api.js", "api.js", JS)                                                     \
    FILE(chat_js, "/page/chat.js", "chat.js", JS)                                                  \
    FILE(conversation_js, "/page/conversation.js", "conversation.js", JS)                          \
    FILE(documents_js, "/page/documents.js", "documents.js", JS)                                   \
    FILE(dom_js, "/page/dom.js", "dom.js", JS)                                                     \
    FILE(engine_js, "/page/engine.js", "engine.js", JS)                                            \
    FILE(images_js, "/page/images.js", "images.js", JS)                                            \
    FILE(inline_js, "/page/inline.js", "inline.js", JS)                                            \
    FILE(key_js, "/page/key.js", "key.js", JS)                                                     \
    FILE(markdown_js, "/page/markdown.js", "markdown.js", JS)                                      \
    FILE(message_js, "/page/message.js", "message.js", JS)                                         \
    FILE(settings_js, "/page/settings.js", "settings.js", JS)                                      \
    FILE(theme_js, "/page/theme.js", "theme.js", JS)

#define EMBED(name, path, file, type)                                                              \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global page_" #name "\n"                                                             \
            ".global page_" #name "_end\n"                                                         \
            "page_" #name ":\n"                                                                    \
            ".incbin \"src/server/web_page/" file "\"\n"                                           \
            "page_" #name "_end:\n"                                                                \
            ".popsection\n");                                                                      \
    extern const char page_##name[], page_##name##_end[];
PAGE_FILES(EMBED)

#define ROW(name, path, file, type) {path, type, page_##name, page_##name##_end},
const struct web_file web_page_files[] = {PAGE_FILES(ROW)};
const size_t n_web_page_files = sizeof web_page_files / sizeof *web_page_files;
