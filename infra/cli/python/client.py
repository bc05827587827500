"""Publishes and reads through generated stubs: a client that knows only the published proto files.

Usage: client.py HOST:PORT. Prints what it was answered as JSON.
"""

import json
import sys

import grpc
from google.protobuf.json_format import MessageToDict

import flights_pb2
from tidemark.v1 import event_pb2, ingest_pb2, ingest_pb2_grpc, query_pb2, query_pb2_grpc

HOUR_MS = 3_600_000
START = 978_307_200_000  # 2001-01-01T00:00:00Z
TIMEOUT_S = 60


def departure(number, minute, delay):
    payload = flights_pb2.Departure(distance=1_745, origin="ORD", destination="LAX")
    if delay is not None:
        payload.delay = delay
    return event_pb2.Event(
        id=f"python-{number}",
        type="flights.Departure",
        key="ORD",
        event_time=START + minute * 60_000,
        protobuf=payload.SerializeToString(),
    )


def heartbeat(number, hour):
    return event_pb2.Event(
        id=f"heartbeat-{number}",
        type="flights.Heartbeat",
        key="ORD",
        event_time=START + hour * HOUR_MS,
        protobuf=b"",
    )


def main(address):
    channel = grpc.insecure_channel(address)
    ingest = ingest_pb2_grpc.IngestServiceStub(channel)
    query = query_pb2_grpc.QueryServiceStub(channel)
    seen = {}

    single = ingest.Publish(
        ingest_pb2.PublishRequest(topic="flights", event=departure(1, 5, 12)), timeout=TIMEOUT_S
    )
    seen["publish"] = ingest_pb2.Verdict.Name(single.verdict)

    broken = departure(9, 6, 1)
    broken.key = ""
    batch = ingest.PublishBatch(
        ingest_pb2.PublishBatchRequest(
            topic="flights", events=[departure(2, 10, -4), broken, departure(3, 20, None)]
        ),
        timeout=TIMEOUT_S,
    )
    seen["batch"] = [ingest_pb2.Verdict.Name(verdict) for verdict in batch.verdicts]
    seen["rejected"] = [[rejection.index, rejection.field] for rejection in batch.rejections]

    def requests():
        # The first event again, and time moves on: the hour closes.
        yield ingest_pb2.PublishStreamRequest(topic="flights", events=[departure(1, 5, 12)])
        yield ingest_pb2.PublishStreamRequest(topic="flights", events=[heartbeat(1, 3)])

    seen["stream"] = [
        [ingest_pb2.Verdict.Name(verdict) for verdict in response.verdicts]
        for response in ingest.PublishStream(requests(), timeout=TIMEOUT_S)
    ]

    try:
        ingest.Publish(
            ingest_pb2.PublishRequest(topic="nowhere", event=departure(4, 1, 1)), timeout=TIMEOUT_S
        )
    except grpc.RpcError as error:
        seen["unknown_topic"] = [error.code().name, error.details()]

    subscription = query.Subscribe(
        query_pb2.SubscribeRequest(projection="departures-by-origin"), timeout=TIMEOUT_S
    )
    for response in subscription:
        kind = response.WhichOneof("event")
        if kind in ("snapshot", "update"):
            seen["subscribed"] = getattr(response, kind).key
            break
    subscription.cancel()

    result = query.GetResult(
        query_pb2.GetResultRequest(
            projection="departures-by-origin", key="ORD", window_start=START
        ),
        timeout=TIMEOUT_S,
    ).result
    seen["result"] = MessageToDict(result, preserving_proto_field_name=True)
    listed = query.ListResults(
        query_pb2.ListResultsRequest(projection="departures-by-origin"), timeout=TIMEOUT_S
    )
    seen["listed"] = len(listed.results)
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1])
