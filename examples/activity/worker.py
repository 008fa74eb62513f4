"""A worker of your own in Python: the activities that tasks of the kind `activity` call on the task queue `example-python`.

Needs the package `temporalio`. `node tools/setup/python.mjs examples/activity/worker.py` gets it into `.tiu/` and starts this file.

TEMPORAL_ADDRESS  host:port of Temporal; without it, what .tiu/stack.json says of the stack that `npm start` has started
TIU_CODEC         address of the codec server, `.../api/v1/codec` or `.../api/v1/codec/TOKEN`, where payloads are sealed
TIU_TOKEN         API key with payloads:read and payloads:write, for a codec server without a token in its address
"""

import asyncio
import dataclasses
import json
import os
import pathlib
import statistics
import urllib.request
from collections.abc import Sequence

from google.protobuf import json_format
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

STATE = pathlib.Path(__file__).parents[2] / ".tiu"


@activity.defn
async def summarise(numbers: list[float]) -> dict[str, float]:
    if not numbers:
        raise ApplicationError("there are no numbers", type="NoNumbers", non_retryable=True)
    # The same for every attempt: what an outside system can tell repetitions by.
    activity.logger.info("summing up %d numbers for %s", len(numbers), activity.info().workflow_id)
    return {"mean": statistics.fmean(numbers), "largest": max(numbers)}


class CodecServer(PayloadCodec):
    """Seals and opens payloads by the codec server, so that the key of the installation stays where it is."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return await asyncio.to_thread(self._ask, "encode", payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return await asyncio.to_thread(self._ask, "decode", payloads)

    def _ask(self, what: str, payloads: Sequence[Payload]) -> list[Payload]:
        body = json.dumps({"payloads": [json_format.MessageToDict(payload) for payload in payloads]}).encode()
        request = urllib.request.Request(f"{self._url}/{what}", body, self._headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return [json_format.ParseDict(payload, Payload()) for payload in json.load(answer)["payloads"]]


def place() -> tuple[str, str | None]:
    """Where Temporal and the codec server are: as the environment says, else those of `npm start`."""
    if address := os.environ.get("TEMPORAL_ADDRESS"):
        return address, os.environ.get("TIU_CODEC")
    stack = json.loads((STATE / "stack.json").read_text())
    token = STATE / "codec.token"
    codec = f"{stack['api']}/api/v1/codec/{token.read_text().strip()}" if token.exists() else None
    return stack["temporal"], codec


async def main() -> None:
    address, codec = place()
    converter = DataConverter.default
    if codec:
        converter = dataclasses.replace(
            converter,
            payload_codec=CodecServer(codec, os.environ.get("TIU_TOKEN")),
            failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
        )
    client = await Client.connect(address, data_converter=converter)
    async with Worker(client, task_queue="example-python", activities=[summarise]):
        print("working on example-python", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
