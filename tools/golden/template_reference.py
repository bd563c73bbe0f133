"""What transformers makes of a chat template: its own Jinja environment, with a clock that stands.

render(source, variables) gives ("text", text) or ("error", line, message). Used by
make_template_goldens.py and fuzz_templates.py.
"""
import copy
import datetime
import traceback

import jinja2
from transformers.utils import chat_template_utils

NOW = 1717236489  # 2024-06-01 10:08:09 UTC, as tests/golden/test_template.c has it


class StandingClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None)


chat_template_utils.datetime = StandingClock


def error_line(error):
    """The template's line where it went wrong: the innermost frame that is a template's."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == "<template>"]
    return lines[-1] if lines else 0


def render(source, variables):
    try:
        template = chat_template_utils._compile_jinja_template(source)
        return "text", template.render(**copy.deepcopy(variables))
    except Exception as e:  # whatever Python raises is what the template did wrong
        message = e.message if isinstance(e, jinja2.TemplateSyntaxError) else str(e)
        return "error", error_line(e), message or type(e).__name__
