"""The lab's CES agent over a WebSocket. Google publishes no client for it: the messages are Google's, their JSON is written
and read by Google's own protobuf library, and the socket is the library of Google's own adapters."""

import asyncio
import unittest

import websockets
from google.cloud import ces_v1 as ces
from google.protobuf import json_format

from lab import Lab, chunks, recording

APP = "projects/lab/locations/us/apps/lab"
TURN_S = 20

MULAW = {"audio_encoding": ces.AudioEncoding.MULAW, "sample_rate_hertz": 8000}

END = """
end_of_utterance_ms = 300
[start]
say = "hello"
[[utterance]]
say = "bye"
tone = { hz = 400, ms = 400 }
handoff = { queue = "cakes" }
"""


def written(snake=False, **of):
    """A message as JSON, with names in either form."""
    message = ces.BidiSessionClientMessage(**of)
    return json_format.MessageToJson(message._pb, preserving_proto_field_name=snake, indent=None)


def read(frame):
    """A message of the server's; a field that Google does not know is an error."""
    return ces.BidiSessionServerMessage(json_format.Parse(frame, ces.BidiSessionServerMessage()._pb))


def config(session, snake=False):
    return written(snake, config={"session": f"{APP}/sessions/{session}", "input_audio_config": MULAW, "output_audio_config": MULAW})


class WebSocket(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.bakery = cls.lab.agent()

    @classmethod
    def tearDownClass(cls):
        cls.lab.stop()

    def connect(self, port, location="us"):
        path = f"/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/{location}"
        headers = {"Authorization": "Bearer token", "X-Goog-User-Project": "lab"}
        return websockets.connect(
            f"ws://127.0.0.1:{port}{path}", additional_headers=headers, max_size=4 << 20, compression=None
        )

    async def until(self, socket, is_over):
        messages = []
        async with asyncio.timeout(TURN_S):
            while not messages or not is_over(messages[-1]):
                messages.append(read(await socket.recv()))
        return messages

    async def test_a_session_goes_from_the_kick_start_to_its_end(self):
        for snake in (False, True):
            async with self.connect(self.lab.agent(END)) as socket:
                await socket.send(config("whole-session", snake))
                await socket.send(written(snake, realtime_input={"variables": {"vip": True, "n": 1.5}}))
                await socket.send(written(snake, realtime_input={"event": {"event": "session_start"}}))
                messages = await self.until(socket, lambda message: message.session_output.turn_completed)
                self.assertEqual(messages[0].session_output.text, "hello")

                for chunk in [*chunks(recording("nine.wav")), *[b"\xff" * 800] * 5]:
                    await socket.send(written(snake, realtime_input={"audio": chunk}))
                messages = await self.until(socket, lambda message: bool(message.end_session))
                self.assertTrue(messages[0].recognition_result.transcript)
                self.assertEqual(sum(len(message.session_output.audio) for message in messages), 3200)
                metadata = json_format.MessageToDict(messages[-1]._pb)["endSession"]["metadata"]
                expected = {"session_escalated": True, "params": {"LIVE_AGENT_HANDOFF": {"queue": "cakes"}}}
                self.assertEqual(metadata, expected)

    async def test_speech_is_recognised_and_answered(self):
        async with self.connect(self.bakery) as socket:
            await socket.send(config("audio-turn"))
            for chunk in [*chunks(recording("order.wav")), *[b"\xff" * 800] * 10]:
                await socket.send(written(realtime_input={"audio": chunk}))
            messages = await self.until(socket, lambda message: message.session_output.turn_completed)
            audio = b"".join(message.session_output.audio for message in messages)
            self.assertEqual(audio, recording("ordered.wav"))

    async def test_what_is_wrong_is_refused_with_a_close_code(self):
        for told, frames in [
            ("Unknown name", [config("wrong-1"), '{"realtimeInput": {"txt": "hi"}}']),
            ("TYPE_MESSAGE", [config("wrong-2"), '{"realtimeInput": {"event": "session_start"}}']),
            ("id must be", [config("1234")]),
            ("first message", [written(realtime_input={"text": "hi"})]),
        ]:
            async with self.connect(self.bakery) as socket:
                for frame in frames:
                    await socket.send(frame)
                with self.assertRaises(websockets.ConnectionClosedError) as closed:
                    await asyncio.wait_for(socket.recv(), TURN_S)
                self.assertEqual(closed.exception.rcvd.code, 1007)
                self.assertIn(told, closed.exception.rcvd.reason)

    async def test_another_location_is_refused(self):
        async with self.connect(self.bakery, "eu") as socket:
            await socket.send(config("elsewhere"))
            with self.assertRaises(websockets.ConnectionClosedError):
                await asyncio.wait_for(socket.recv(), TURN_S)


if __name__ == "__main__":
    unittest.main()
