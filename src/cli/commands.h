// commands.h - every command there is; one file each.
#pragma once
#include "cli/command.h"

extern const struct command command_summarize, command_run, command_chat, command_show,
    command_tokenize, command_detokenize, command_render, command_quantize, command_bench,
    command_perplexity, command_fit, command_pull, command_list, command_rm, command_serve,
    command_embed, command_prices, command_cost, command_compare, command_keys, command_usage;
