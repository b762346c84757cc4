"""The optional parts, without WebAssembly: judging answers, describing the plugin, checking settings."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from hookmill_sdk import (
    Answer, BadDocument, BadSettings, Dead, Delivered, Description, Retry, by_status, describe, judge, validate_settings
)
from hookmill_sdk.describe import run_describe
from hookmill_sdk.testing import call_judge, call_validate_settings

EVENT = '{"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N-1"}}'
SETTINGS = {"channel": str}


def judged(function, answer=Answer(200, [], b""), settings=None, shape=None):
    return call_judge(judge(settings=shape)(function), EVENT, answer, settings)


class Judging(unittest.TestCase):
    def test_a_judge_sees_event_answer_and_settings(self):
        def tells(event, answer, settings):
            self.assertIsNone(answer.header("x-none"))
            after = answer.header("Retry-After")
            return Dead(f"{event.doc_name} {answer.status} {answer.text} {after} {settings['channel']}")

        answer = Answer(200, [("retry-after", "5")], "é 日".encode())
        outcome = judged(tells, answer, {"channel": "#a"}, SETTINGS)
        self.assertEqual(outcome.verdict, Dead("N-1 200 é 日 5 #a"))
        self.assertIsNone(Answer(200, [], b"\xc3(").text)

    def test_an_answer_may_be_judged_by_its_status(self):
        kinds = [type(judged(lambda _, answer, __: by_status(answer), Answer(status, [], b"")).verdict)
                 for status in (199, 200, 299, 300, 410, 500)]
        self.assertEqual(kinds, [Retry, Delivered, Delivered, Retry, Dead, Retry])

    def test_a_retry_waits_for_whole_seconds(self):
        self.assertEqual(judged(lambda *_: Retry(3600)).verdict, Retry(3600))
        for seconds in (1.5, -1, 2**32, True):
            with self.assertRaises(ValueError):
                Retry(seconds)

    def test_settings_that_do_not_fit_leave_the_word_to_the_status(self):
        outcome = judged(lambda *_: Dead("never"), Answer(204, [], b""), {"chanel": "#a"}, SETTINGS)
        self.assertEqual(outcome.verdict, Delivered())
        self.assertRegex(outcome.log[0], "^error: the webhook's settings don't fit this plugin: unknown field `chanel`")

    def test_what_a_judge_raises_is_logged_with_its_stack(self):
        def look_up(event, *_):
            return event.doc["nothing"]

        outcome = judged(look_up)
        self.assertRegex(outcome.failure.message, "^KeyError: 'nothing'\n")
        self.assertRegex(outcome.log[0], r"^error: Traceback [^$]*test_parts.py\", line \d+, in look_up")

        def blames(*_):
            raise BadDocument("no_title", "the note has no title", "/title")

        self.assertEqual(judged(blames).log, ["error: no_title: the note has no title (at /title)"])
        self.assertEqual(judged(lambda *_: True).failure.code, "no_verdict")


class Describing(unittest.TestCase):
    def test_a_plugin_describes_itself(self):
        @describe
        def about():
            return Description("chat", "1.2.3", "Sends mess\u00e4ges", {"type": "object"})

        words = {"name": "chat", "version": "1.2.3", "description": "Sends messäges", "settings": {"type": "object"}}
        self.assertEqual(json.loads(run_describe(about)), words)
        self.assertEqual(run_describe(lambda: Description("a", "b", "c")), '{"name": "a", "version": "b", "description": "c"}')

    def test_settings_are_held_against_the_shape_then_the_authors_checks(self):
        @validate_settings(settings=SETTINGS)
        def check_channel(settings):
            if not settings["channel"].startswith("#"):
                yield BadSettings("no_channel", "a channel begins with #", "/channel")
                yield BadSettings("odd", "odd")

        def found(settings):
            return [(problem.code, problem.path) for problem in call_validate_settings(check_channel, settings)]

        self.assertEqual(found({"channel": "#a"}), [])
        self.assertEqual(found({"channel": "a"}), [("no_channel", "/channel"), ("odd", None)])
        self.assertEqual(found({"channel": 5}), [("settings_mismatch", "/channel")])

    def test_a_check_that_fails_refuses_the_settings(self):
        def found(function):
            return call_validate_settings(validate_settings(function), {})[0]

        self.assertRegex(found(lambda settings: settings["nothing"]).message, "^KeyError: 'nothing'\nTraceback")
        self.assertRegex(found(lambda settings: ["no problem"]).message, "^TypeError: 'no problem' is no BadSettings")

        def raises(settings):
            raise BadSettings("bad", "bad", "/a")

        self.assertEqual(found(raises).code, "bad")
        self.assertEqual(call_validate_settings(validate_settings(lambda settings: None), {}), [])


class World(unittest.TestCase):
    def test_a_component_exports_what_its_module_does(self):
        transform, response = "@plugin\ndef transform(*_): ...\n", "@judge\ndef verdict(*_): ...\n"
        words, check = "@describe\ndef about(): ...\n", "@validate_settings\ndef check(_): ...\n"
        for source, world in [
            (transform + "print('loaded')", "plugin"),
            (transform + response, "judging-plugin"),
            (transform + words, "describing-plugin"),
            (transform + check, "describing-plugin"),
            (transform + response + words + check, "full-plugin"),
        ]:
            self.assertEqual(self.told("from hookmill_sdk import *\n" + source), (world + "\n", 0))
        self.assertEqual(self.told("import hookmill_sdk"), ("", 1))

    def told(self, source):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "plugin.py").write_text(source)
            command = [sys.executable, "-B", "-m", "hookmill_sdk.world", "plugin"]
            environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
            ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            return ran.stdout, ran.returncode


if __name__ == "__main__":
    unittest.main()
