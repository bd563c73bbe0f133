#include "cli/commands.h"
const struct command command_compare = {
    .name = "compare", .arguments = "", .summary = "", .description = "", .options = ""};
