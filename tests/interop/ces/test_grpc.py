"""The lab's CES agent, asked by Google's own client over gRPC."""

import threading
import time
import unittest

import grpc
from google.api_core import exceptions
from google.cloud import ces_v1 as ces
from google.cloud.ces_v1.services.session_service.transports import SessionServiceGrpcTransport
from google.protobuf.json_format import MessageToDict

from lab import Lab, chunks, recording

APP = "projects/lab/locations/us/apps/lab"
TURN_S = 20

MULAW = {"audio_encoding": ces.AudioEncoding.MULAW, "sample_rate_hertz": 8000}

SCRIPT = """
[start]
say = "one moment"
tool_call = { tool = "tools/stock", action = "stock", args = { item = "rye" } }
[[utterance]]
say = "there is some"
payload = { card = "bread" }
parameters = { loaves = 3 }
transfer = "+15550123"
"""

HISTORY = """
[start]
say = "hello"
[[utterance]]
say = "first"
[[utterance]]
say = "second"
[ces]
history = "taken"
"""


def config(session, **more):
    return message(config=dict(session=session, input_audio_config=MULAW, output_audio_config=MULAW, **more))


def message(**of):
    return ces.BidiSessionClientMessage(**of)


def realtime(**of):
    return message(realtime_input=of)


class Session:
    """One stream: what `says` yields is sent, and it ends when `is_over` says so of what has come."""

    def __init__(self, port, says, is_over):
        self.outputs = []
        self.over = threading.Event()
        self.is_over = is_over
        self.says = says
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.client = ces.SessionServiceClient(transport=SessionServiceGrpcTransport(channel=channel))
        self.channel = channel

    def run(self):
        try:
            for response in self.client.bidi_run_session(requests=self.requests(), timeout=TURN_S):
                self.outputs.append(response)
                if self.is_over(response):
                    self.over.set()
        finally:
            # Whoever still sends must stop.
            self.over.set()
            self.channel.close()
        return self.outputs

    def requests(self):
        for request in self.says(self):
            if self.over.is_set():
                return
            yield request
        self.over.wait(TURN_S)


def completed(response):
    return response.session_output.turn_completed


def kinds(responses):
    for response in responses:
        kind = response._pb.WhichOneof("message_type")
        if kind == "session_output":
            kind = response.session_output._pb.WhichOneof("output_type") or "flags"
        yield kind


def audio_of(responses):
    return b"".join(response.session_output.audio for response in responses)


class Grpc(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.bakery = cls.lab.agent()

    @classmethod
    def tearDownClass(cls):
        cls.lab.stop()

    def test_an_event_makes_the_agent_speak_first(self):
        def says(_):
            yield config(f"{APP}/sessions/event-turn")
            yield realtime(variables={"from": "+15550100"})
            yield realtime(event={"event": "session_start"})

        responses = Session(self.bakery, says, completed).run()
        self.assertEqual(next(kinds(responses)), "text")
        self.assertEqual(responses[0].session_output.text, "Corner Bakery, good morning. What can I do for you?")
        self.assertEqual(audio_of(responses), recording("hello.wav"))
        self.assertGreater(list(kinds(responses)).count("audio"), 1, "in several messages")
        self.assertTrue(all(response.session_output.turn_index == 1 for response in responses))
        last = responses[-1].session_output
        self.assertTrue(last.turn_completed and last.diagnostic_info.messages)
        self.assertFalse(any(response.session_output.diagnostic_info for response in responses[:-1]))

    def test_speech_is_recognised_and_answered(self):
        def says(session):
            yield config(f"{APP}/sessions/audio-turn")
            for chunk in chunks(recording("order.wav")):
                yield realtime(audio=chunk)
                time.sleep(0.01)
            while not session.over.is_set():
                yield realtime(audio=b"\xff" * 800)
                time.sleep(0.01)

        responses = Session(self.bakery, says, completed).run()
        order = list(kinds(responses))
        results = order.count("recognition_result")
        self.assertEqual(order[:results], ["recognition_result"] * results, "recognition comes first")
        self.assertGreater(results, 2)
        seconds = [float(response.recognition_result.transcript[1:4]) for response in responses[:results]]
        self.assertEqual(seconds, sorted(seconds), "each replaces the one before it")
        self.assertEqual(order[results], "text")
        self.assertEqual(audio_of(responses), recording("ordered.wav"))
        diagnostics = MessageToDict(responses[-1]._pb)["sessionOutput"]["diagnosticInfo"]["messages"]
        self.assertEqual(diagnostics[0]["role"], "user")
        self.assertIn({"updatedVariables": {"bread": "rye", "loaves": 2}}, diagnostics[1]["chunks"])

    def test_linear16_is_spoken_without_a_header(self):
        mulaw = recording("hello.wav")
        for rate in (8000, 16_000, 24_000, 48_000):
            audio = {"audio_encoding": ces.AudioEncoding.LINEAR16, "sample_rate_hertz": rate}

            def says(_):
                of = {"session": f"{APP}/sessions/linear-{rate}", "input_audio_config": MULAW, "output_audio_config": audio}
                yield message(config=of)
                yield realtime(text="hi")

            spoken = audio_of(Session(self.bakery, says, completed).run())
            self.assertEqual(len(spoken), len(mulaw) * 2 * rate // 8000)
            self.assertFalse(spoken.startswith(b"RIFF"))

    def test_a_tool_is_asked_for_and_its_result_goes_on_with_the_turn(self):
        port = self.lab.agent(SCRIPT)
        asked = threading.Event()
        calls = []

        def is_over(response):
            for call in response.session_output.tool_calls.tool_calls:
                calls.append(call)
                asked.set()
            return bool(response.end_session)

        def says(_):
            yield config(f"{APP}/sessions/tool-turn")
            yield realtime(event={"event": "session_start"})
            asked.wait(TURN_S)
            result = {"id": calls[0].id, "tool": calls[0].tool, "response": {"output": {"loaves": 3}}}
            yield realtime(tool_responses={"tool_responses": [result]})

        responses = Session(port, says, is_over).run()
        self.assertEqual(list(kinds(responses)), ["text", "tool_calls", "text", "payload", "flags", "end_session"])
        self.assertEqual((calls[0].tool, dict(calls[0].args)), (f"{APP}/tools/stock", {"item": "rye"}))
        end = MessageToDict(responses[-1]._pb)["endSession"]["metadata"]
        self.assertEqual(end, {"params": {"PHONE_GATEWAY_TRANSFER": {"phoneNumber": "+15550123"}}})

    def test_a_session_goes_on_where_its_history_ends(self):
        port = self.lab.agent(HISTORY)

        def said(role, text):
            return {"role": role, "chunks": [{"text": text}]}

        past = [said("agent", "hello"), said("user", "two loaves"), said("agent", "first")]
        for name, history, expected in [("lost", [], "hello"), ("brought", past, "second")]:

            def says(_, name=name, history=history):
                yield config(f"{APP}/sessions/history-{name}", historical_contexts=history)
                yield realtime(text="and a cake")

            responses = Session(port, says, completed).run()
            self.assertEqual(responses[0].session_output.text, expected)

    def test_what_is_wrong_is_refused(self):
        refusals = [
            ("id must be", [config(f"{APP}/sessions/1234")]),
            ("first message", [realtime(text="hi")]),
            ("config.deployment", [config(f"{APP}/sessions/wrong-1", deployment="live")]),
            ("dtmf", [config(f"{APP}/sessions/wrong-2"), realtime(dtmf="x")]),
        ]
        for told, requests in refusals:
            with self.assertRaisesRegex(exceptions.InvalidArgument, told):
                Session(self.bakery, lambda _, requests=requests: iter(requests), completed).run()

    def test_the_other_methods_are_not_implemented(self):
        session = Session(self.bakery, None, None)
        with session.channel, self.assertRaises(exceptions.MethodNotImplemented):
            session.client.run_session({"config": {"session": f"{APP}/sessions/unary-1"}, "inputs": [{"text": "hi"}]})


if __name__ == "__main__":
    unittest.main()
