"""All contenders, by name."""

from __future__ import annotations

from .base import Contender

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("aiormq", "bare_aiormq", "aiormq"),
        Contender("aio-pika-rpc", "aio_pika_rpc", "aio_pika.patterns"),
        Contender("grpc.aio", "grpc_aio", "grpc.aio"),
        Contender("frames", "bare_lane", "atasks_ng"),
        Contender("atasks_ng", "ours", "atasks_ng"),
        Contender("atasks_ng-plain", "ours", "atasks_ng", {"fast": False}),
    )
}
